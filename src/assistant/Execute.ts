/**
 * A planned command on its way: judged, asked about, run, told.
 */
import { type Duration, Effect } from "effect"
import type { Ended, Kubectl, KubectlMissing } from "../kubectl/Kubectl.js"
import * as Safety from "../kubectl/Safety.js"
import * as Where from "../kubectl/Where.js"
import type { Finding, Redactor } from "../redaction/Redactor.js"
import type { AuditLog, Entry } from "./AuditLog.js"
import { ClusterUnreachable, CommandRefused, Declined, NotConfirmed } from "./Errors.js"
import * as Excerpt from "./Excerpt.js"
import type { Face, Planned, Ran } from "./Face.js"
import * as Judged from "./Judged.js"
import type * as Plan from "./Plan.js"
import type { Step } from "./Prompts.js"
import * as Targets from "./Targets.js"

export interface Deps {
  readonly kubectl: Kubectl["Type"]
  readonly redactor: Redactor
  readonly audit: AuditLog["Type"]
  /** What is recorded goes through it, also where the model gets all as it is. */
  readonly veil: Redactor
  readonly face: Face
  readonly policy: Safety.Policy
  /** All that can be confirmed is. */
  readonly yes: boolean
  /** Nothing is run. */
  readonly dryRun: boolean
  /** Whether a verb that was confirmed once may run again unasked: as reading, or as a change that can be allowed. */
  readonly confirmOnce: boolean
  readonly timeout: Duration.Duration
}

/** What a run of the assistant remembers of its commands. */
export interface History {
  readonly confirmed: Set<string>
  readonly commands: Array<
    {
      readonly command: string
      readonly decision: string
      readonly exitCode: number | undefined
      /** Whether its verb does more than read. */
      readonly isChange: boolean
    }
  >
  /** The secrets that were replaced in what the model is told of them. */
  readonly replaced: Array<Finding>
  refusals: number
}

export const history = (): History => ({ confirmed: new Set(), commands: [], replaced: [], refusals: 0 })

/** What to tell the model; `Shown` for a dry run. */
export type Outcome = { readonly _tag: "Shown" } | { readonly _tag: "Step"; readonly step: Step }

/** Runs nothing that policy does not allow and nobody has confirmed. */
export const execute = (
  deps: Deps,
  history: History,
  { hasWordsAround, plan, requestId }: {
    readonly plan: Plan.Command
    readonly requestId: string
    /** Whether the model's answer has words around the plan, which may make it an example. */
    readonly hasWordsAround: boolean
  }
): Effect.Effect<Outcome, Declined | NotConfirmed | CommandRefused | ClusterUnreachable | KubectlMissing> =>
  Effect.gen(function*() {
    const { audit, face, redactor } = deps
    const { args, command, secrets, stdin, stranger, verdict, written } = Judged.of(redactor, plan)

    const record = (decision: Recorded["decision"], exitCode: number | undefined) =>
      Effect.suspend(() => {
        history.commands.push({ command, decision, exitCode, isChange: !Safety.hasReadingVerb(args) })
        return noted(written, verdict, decision, exitCode)
      })
    const noted = (
      args: ReadonlyArray<string>,
      verdict: Safety.Verdict,
      decision: Recorded["decision"],
      exitCode: number | undefined
    ) =>
      audit.record({
        event: "command",
        requestId,
        command: Judged.recorded(deps.veil, args),
        verdict: named(verdict),
        decision,
        exitCode
      })
    const notRun = (because: string) => step({ _tag: "NotRun", command, because })
    const planned = ({ targets, where }: Pick<Planned, "targets" | "where">): Planned => ({
      command,
      where,
      text: plan.text,
      verdict,
      stdin: plan.stdin,
      targets,
      also: secrets.length > 0
        ? secretsNote(secrets)
        : hasWordsAround && verdict._tag === "Confirm"
        ? "the model wrote text around it, so that it may be an example"
        : undefined
    })

    if (verdict._tag === "Refused") {
      yield* record("refused", undefined)
      history.refusals++
      // Once may be a slip; a model that insists is not argued with.
      if (history.refusals > 1) return yield* new CommandRefused({ command, because: verdict.because })
      yield* face.note(`Refused: ${command} (${verdict.because})`)
      return notRun(`it is never run (${verdict.because}). ${verdict.instead ?? ""}`.trim())
    }
    if (stranger !== undefined) {
      yield* record("refused", undefined)
      return notRun(`no secret is known for ${stranger}. Write placeholders exactly as they came.`)
    }
    if (deps.dryRun) {
      yield* record("dry-run", undefined)
      yield* face.planned(planned({ targets: undefined, where: undefined }))
      return { _tag: "Shown" }
    }
    const isInteractive = verdict._tag === "Confirm" && verdict.interactive
    if (isInteractive && !face.hasTerminal) {
      yield* record("refused", undefined)
      return notRun("it needs a terminal, and there is none. Use a command that ends by itself.")
    }

    if (isInteractive && stdin !== "") {
      yield* record("refused", undefined)
      return notRun("it has the terminal for its standard input, and cannot be given another.")
    }

    const decision = yield* decide(
      deps,
      history,
      args,
      planned,
      verdict,
      secrets,
      () => Targets.of(deps, args, (preview, exitCode) => noted(preview, Safety.judge(preview), "unasked", exitCode)),
      hasWordsAround
    )
    switch (decision._tag) {
      case "Nobody":
        yield* record("declined", undefined)
        return yield* new NotConfirmed({
          command,
          because: decision.because,
          mustBeSeen: decision.isStolen
        })
      case "No":
        yield* record("declined", undefined)
        return yield* new Declined({ command })
      case "But":
        yield* record("declined", undefined)
        return notRun(`the user declined it and said: ${redacted(redactor, history, decision.text)}`)
      case "Run": {
        yield* face.running(command)
        const ran: Effect.Effect<Done, ClusterUnreachable | KubectlMissing> = isInteractive
          ? Effect.map(deps.kubectl.attached(args), ({ exitCode }) => ({
            step: { _tag: "Attached", command, exitCode },
            // The person saw what it printed.
            ran: undefined
          }))
          : run(deps, history, { command, args, stdin, namesChanges: Safety.namesWhatItChanged(args) })
        const done = yield* Effect.onExit(
          ran,
          (exit) =>
            record(
              decision.isUnasked ? "unasked" : "approved",
              exit._tag === "Success" ? exit.value.step.exitCode : undefined
            )
        )
        if (done.ran !== undefined) yield* face.ran(done.ran)
        return step(done.step)
      }
    }
  })

/** What the user has said meanwhile, as the model is told it. */
export const redacted = (redactor: Redactor, history: History, said: string): string => {
  const { findings, text } = redactor.redact(said, "request")
  history.replaced.push(...findings)
  return text
}

// -- internals ---------------------------------------------------------------

type Recorded = Extract<Entry, { readonly event: "command" }>

const step = (step: Step): Outcome => ({ _tag: "Step", step })

const named = (verdict: Safety.Verdict): string =>
  verdict._tag === "Confirm" && verdict.destructive ? "Destructive" : verdict._tag

const secretsNote = (secrets: ReturnType<Redactor["mentioned"]>): string =>
  secrets.some(({ source }) => source === "cluster")
    ? "it carries a secret that was read from the cluster"
    : "it carries a secret of your request"

const decide = (
  deps: Deps,
  history: History,
  args: ReadonlyArray<string>,
  planned: (known: Pick<Planned, "targets" | "where">) => Planned,
  verdict: Exclude<Safety.Verdict, { readonly _tag: "Refused" }>,
  secrets: ReturnType<Redactor["mentioned"]>,
  lookUp: () => ReturnType<typeof Targets.of>,
  hasWordsAround: boolean
) =>
  Effect.gen(function*() {
    const isStolen = secrets.some(({ source }) => source === "cluster")
    const isClear = !hasWordsAround || verdict._tag === "ReadOnly"
    if (secrets.length === 0 && isClear && Safety.decide(verdict, deps.policy) === "run") {
      return { _tag: "Run", isUnasked: true } as const
    }
    const isDestructive = verdict._tag === "Confirm" && verdict.destructive
    // What no configuration can allow, no yes to another command does.
    const may = verdict._tag === "ReadOnly" || (verdict.allowable && !isDestructive)
    const kind = `${verdict._tag} ${verdict.verb}`
    const wasConfirmed = deps.confirmOnce && may && isClear && secrets.length === 0 && history.confirmed.has(kind)
    // What would carry a secret out of the cluster is only for a person to allow, who sees it.
    if ((deps.yes && !isStolen) || wasConfirmed) {
      return { _tag: "Run", isUnasked: false } as const
    }
    const where = deps.face.hasPerson ? Where.of(args, yield* deps.kubectl.current) : undefined
    const targets = isDestructive && deps.face.hasPerson ? yield* lookUp() : undefined
    const answer = yield* deps.face.confirm(planned({ targets, where }))
    if (answer === undefined) {
      const because = isStolen
        ? secretsNote(secrets)
        : verdict._tag === "Confirm"
        ? verdict.because
        : "commands are confirmed in this mode"
      return { _tag: "Nobody", because, isStolen } as const
    }
    if (answer._tag !== "Yes") return answer
    history.confirmed.add(kind)
    return { _tag: "Run", isUnasked: false } as const
  })

interface Done {
  readonly step: Step & { readonly exitCode: number }
  /** What is shown of it. */
  readonly ran: Ran | undefined
}

const run = (
  deps: Deps,
  history: History,
  { args, command, namesChanges, stdin }: {
    readonly args: ReadonlyArray<string>
    readonly command: string
    /** Whether it prints what it changed, and no more. */
    readonly namesChanges: boolean
    readonly stdin: string
  }
): Effect.Effect<Done, ClusterUnreachable | KubectlMissing> =>
  Effect.scoped(Effect.gen(function*() {
    yield* deps.face.busy(`Running ${command}`)
    const found = (finding: Finding) => void history.replaced.push(finding)
    const outputs = {
      stdout: {
        // A template gives values without their names.
        filter: deps.redactor.redacting(Safety.printsSecretValues(args) ? "secret" : "cluster", found),
        excerpt: Excerpt.make(most.stdout)
      },
      stderr: {
        filter: deps.redactor.redacting("cluster", found),
        excerpt: Excerpt.make(most.stderr)
      }
    }
    const ended: Ended = yield* deps.kubectl.run(args, {
      stdin: stdin === "" ? undefined : stdin,
      timeout: deps.timeout,
      onOutput: (stream, piece) => outputs[stream].excerpt.push(outputs[stream].filter.push(piece))
    })
    const text = (stream: keyof typeof outputs) => {
      outputs[stream].excerpt.push(outputs[stream].filter.end())
      return outputs[stream].excerpt.text()
    }
    const [stdout, stderr] = [text("stdout").trimEnd(), text("stderr").trimEnd()]
    const silent = unreachable.exec(stderr)
    if (ended.exitCode !== 0 && silent !== null) return yield* new ClusterUnreachable({ said: silent[0].trim() })
    const output = stderr === "" ? stdout : `${stdout}${stdout === "" ? "" : "\n"}On standard error:\n${stderr}`
    const lines = ended.exitCode !== 0 || namesChanges ? linesOf(ended.exitCode, { stdout, stderr }) : []
    return { step: { _tag: "Ran", command, output, ...ended }, ran: { command, ...ended, lines } }
  }))

/** What of a command's output is shown to the person who runs it: its error, or what it changed. */
const linesOf = (
  exitCode: number,
  { stderr, stdout }: { readonly stdout: string; readonly stderr: string }
): ReadonlyArray<string> => {
  const lines = (text: string) => text.split("\n").filter((line) => line.trim() !== "")
  if (exitCode === 0) {
    const changed = lines(stdout)
    const left = changed.length - maxShownLines
    return left > 1 ? [...changed.slice(0, maxShownLines), `… and ${left} more lines`] : changed
  }
  // Libraries of kubectl log before it says what failed.
  const said = lines(stderr === "" ? stdout : stderr)
  return [said.find((line) => /^error/i.test(line)) ?? said.at(-1) ?? ""].filter((line) => line !== "")
}

/** Lines of a change that are shown. */
const maxShownLines = 5

/** Characters of a command's output that the model gets. */
const most = { stdout: { head: 14_000, tail: 6_000 }, stderr: { head: 2_000, tail: 2_000 } }

/**
 * What kubectl says when there is no cluster, or none that it can reach: its last word, and not what its libraries
 * log before (`E1127 …`), which they also do when a cluster refuses.
 * Source: https://github.com/kubernetes/kubectl/blob/master/pkg/cmd/util/helpers.go
 */
const unreachable =
  /^(?:The connection to the server .* was refused|Unable to connect to the server|[Ee]rror(?: in configuration)?: (?:.*no configuration has been provided|current-context is not set|context was not found for specified context|context "[^"]*" does not exist)).*$/m
