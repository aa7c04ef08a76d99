/**
 * The assistant: asks the model for one step at a time, takes it, and goes on
 * until there is an answer.
 *
 * Whatever the model or the cluster says, a command runs only if policy lets it
 * run unasked or somebody confirmed it.
 */
import { Effect, Random } from "effect"
import type { CallFailed, ClientError } from "../domain/ClientErrors.js"
import type { KubectlMissing } from "../kubectl/Kubectl.js"
import * as Text from "../kubectl/Text.js"
import type { Finding } from "../redaction/Redactor.js"
import { Impossible, LastCommandFailed, PlanMalformed, StepsUsedUp, type VibeError } from "./Errors.js"
import * as Excerpt from "./Excerpt.js"
import * as Execute from "./Execute.js"
import type { Report } from "./Face.js"
import type { Memory } from "./Memory.js"
import * as Plan from "./Plan.js"
import type * as PlanReader from "./PlanReader.js"
import type { Situation, Step } from "./Prompts.js"
import * as Question from "./Question.js"
import * as Totals from "./Totals.js"

export interface Options extends Question.Deps, Execute.Deps {
  readonly request: string
  readonly maxSteps: number
  /** Whether an answer whose last command failed is a failure. */
  readonly exitStatus: boolean
  /** Undefined: nothing is remembered. */
  readonly memory: Memory["Type"] | undefined
}

/** Interruption cancels the call or the command that runs, at once. */
export const run = (options: Options): Effect.Effect<Report, ClientError | VibeError | KubectlMissing> =>
  Effect.gen(function*() {
    const { face } = options
    const kept = yield* remembered(options)
    const state: State = {
      steps: [],
      totals: Totals.none,
      isStructured: true,
      memory: kept,
      kept,
      known: new Set(),
      history: Execute.history()
    }
    const mark = yield* makeMark
    const hasKubectl = yield* options.kubectl.isInstalled
    const report = (answer: string): Report => ({
      answer,
      commands: state.history.commands.map(({ command, decision, exitCode }) => ({ command, decision, exitCode })),
      totals: state.totals
    })

    for (let left = options.maxSteps; left > 0; left--) {
      const { hasWordsAround, plan, requestId, shown } = yield* next(options, state, {
        request: options.request,
        memory: state.memory,
        steps: state.steps,
        mark,
        hasKubectl,
        isStructured: state.isStructured,
        stepsLeft: left,
        repair: undefined
      })
      take(options, state, plan.memory)
      switch (plan.action) {
        case "DONE": {
          yield* remember(options, state)
          const done = report(shown)
          yield* face.ended(done)
          const failed = failureIn(state.history)
          if (failed === undefined) return done
          if (options.exitStatus) return yield* failed.error
          // What only reads may fail to find what was asked for, which is an answer.
          if (failed.isChange) yield* face.note(`Warning: ${failed.error.summary} The answer above may not know.`)
          return done
        }
        case "FEEDBACK": {
          const reply = yield* face.reply(shown)
          if (reply === undefined) {
            yield* remember(options, state)
            const asked = report(shown)
            yield* face.ended(asked)
            return asked
          }
          state.steps.push({
            _tag: "Asked",
            text: plan.text,
            reply: Execute.redacted(options.redactor, state.history, reply)
          })
          break
        }
        case "THOUGHT":
          yield* face.thought(options.redactor.restore(plan.text))
          state.steps.push({ _tag: "Thought", text: plan.text })
          break
        case "WAIT":
          yield* wait(options, plan)
          state.steps.push({ _tag: "Waited", seconds: plan.seconds })
          break
        case "ERROR":
          return yield* new Impossible({ summary: options.redactor.restore(plan.text).replace(/\s+/g, " ").trim() })
        case "COMMAND": {
          const outcome = yield* Execute.execute(options, state.history, { plan, requestId, hasWordsAround })
          if (outcome._tag === "Shown") {
            const shown = report("")
            yield* face.ended(shown)
            return shown
          }
          state.steps.push(outcome.step)
        }
      }
    }
    return yield* new StepsUsedUp({ steps: options.maxSteps })
  }).pipe(
    // Wherever it is interrupted, the line that was begun ends.
    Effect.onInterrupt(() => options.face.answered)
  )

// -- internals ---------------------------------------------------------------

/** The last command that ran, if it failed. */
const failureIn = ({ commands }: Execute.History) => {
  const last = commands.findLast(({ exitCode }) => exitCode !== undefined)
  if (last?.exitCode === undefined || last.exitCode === 0) return undefined
  const { command, exitCode, isChange } = last
  return { error: new LastCommandFailed({ command, exitCode }), isChange }
}

interface State {
  readonly steps: Array<Step>
  totals: Totals.Totals
  /** Whether the provider takes the schema of a plan. */
  isStructured: boolean
  memory: string
  /** The memory as it is kept. */
  readonly kept: string
  /** The placeholders the user knows of. */
  readonly known: Set<string>
  readonly history: Execute.History
}

/** The next plan; a malformed one may be mended once. */
const next = (options: Options, state: State, situation: Situation) =>
  Effect.gen(function*() {
    const first = yield* ask(options, state, situation)
    if (first.reading._tag === "Right") return yield* read(options, first, first.reading.right)
    const { problem } = first.reading.left
    const answer = Excerpt.of(first.raw, mostRepair)
    const second = yield* ask(options, state, {
      ...situation,
      isStructured: state.isStructured,
      repair: { problem, answer }
    })
    if (second.reading._tag === "Left") {
      return yield* new PlanMalformed({ problem: second.reading.left.problem.split("\n")[0] ?? problem })
    }
    return yield* read(options, second, second.reading.right)
  })

const mostRepair = { head: 1_500, tail: 500 }

const read = (
  { face, redactor }: Options,
  { requestId, shown }: Question.Answered,
  { hasWordsAround, ignored, isCut, plan }: PlanReader.Read
) =>
  Effect.gen(function*() {
    if (ignored !== "") yield* face.ignored(redactor.restore(ignored))
    if (!Plan.isAnswer(plan.action)) return { plan, requestId, shown, hasWordsAround }
    yield* face.answered
    if (isCut) yield* face.note("Warning: The answer breaks off: the model stopped before its end.")
    return { plan, requestId, shown, hasWordsAround }
  })

const ask = (options: Options, state: State, situation: Situation) =>
  Effect.gen(function*() {
    const answered = yield* thinking(options, state, situation).pipe(
      Effect.catchIf(
        (error): error is CallFailed => situation.isStructured && isRejected(error),
        // Not every model takes a schema: it is told in words what to answer, for the rest of the run.
        () => {
          state.isStructured = false
          return thinking(options, state, { ...situation, isStructured: false })
        }
      )
    )
    state.totals = Totals.plus(state.totals, answered.call)
    return answered
  })

const thinking = (options: Options, state: State, situation: Situation) => {
  const tell = (findings: ReadonlyArray<Finding>) => tellRedacted(options, state, findings)
  return Effect.scoped(
    Effect.zipRight(
      options.face.busy("Thinking…"),
      Question.ask(options, situation, { found: state.history.replaced, tell })
    )
  )
}

const isRejected = (error: ClientError): boolean => error._tag === "CallFailed" && error.reason === "PROVIDER_REJECTED"

const tellRedacted = ({ face }: Options, { known }: State, findings: ReadonlyArray<Finding>) =>
  Effect.suspend(() => {
    const fresh = findings.filter(({ placeholder }) => !known.has(placeholder))
    for (const { placeholder } of fresh) known.add(placeholder)
    if (fresh.length === 0) return Effect.void
    const kinds = [...new Set(fresh.map(({ kind }) => kind))].join(", ")
    const [what, were] = fresh.length === 1 ? ["1 secret", "was"] : [`${fresh.length} secrets`, "were"]
    return face.redacted(`${what} (${kinds}) ${were} replaced before the request left this machine.`)
  })

const wait = ({ face }: Options, { seconds, text }: Plan.Wait) =>
  Effect.scoped(
    Effect.zipRight(
      face.busy(`Waiting ${seconds} s${text === "" ? "" : `: ${text}`}`),
      Effect.sleep(`${seconds} seconds`)
    )
  )

/** What cannot be read or written must not keep anybody from their answer. */
const remembered = ({ face, memory }: Options) =>
  memory === undefined ? Effect.succeed("") : Effect.catchAll(
    memory.read,
    ({ summary }) => Effect.as(face.note(`Warning: ${summary}`), "")
  )

/** What the model wants to have remembered. */
const take = ({ memory, veil }: Options, state: State, text: string): void => {
  // Placeholders stay in it: a secret is never remembered.
  const clean = veil.redact(text.trim(), "cluster").text
  if (memory !== undefined && clean !== "") state.memory = clean
}

/** Keeps it, and tells the user, for it is theirs and speaks in all later requests; only when a run ends well. */
const remember = ({ dryRun, face, memory }: Options, state: State) =>
  Effect.suspend(() => {
    const text = state.memory
    if (memory === undefined || text === state.kept || dryRun) return Effect.void
    return Effect.matchEffect(memory.write(text), {
      onFailure: ({ summary }) => face.note(`Warning: ${summary}`),
      onSuccess: () => face.note(`Remembered for later requests: ${Text.shown(text)} (vibectl memory show)`)
    })
  })

const makeMark: Effect.Effect<string> = Effect.map(
  Effect.replicateEffect(Random.nextIntBetween(0, 0x1_0000), 4),
  (words) => words.map((word) => word.toString(16).padStart(4, "0")).join("")
)
