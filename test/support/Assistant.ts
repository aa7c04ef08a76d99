/**
 * The assistant with a scripted model, a scripted kubectl and a person who answers as told.
 */
import { Cause, Duration, Effect, Either, Exit, Option, Redacted, Stream } from "effect"
import type { Entry } from "../../src/assistant/AuditLog.js"
import type { Decision, Face, Planned, Report } from "../../src/assistant/Face.js"
import * as Vibe from "../../src/assistant/Vibe.js"
import type { ClientRequest } from "../../src/client/ProxyClient.js"
import type { AnswerEvent } from "../../src/domain/Answer.js"
import { CallFailed, type ClientError } from "../../src/domain/ClientErrors.js"
import { type Kubectl, KubectlMissing } from "../../src/kubectl/Kubectl.js"
import type { Where } from "../../src/kubectl/Where.js"
import * as Redactor from "../../src/redaction/Redactor.js"
import * as Property from "./Property.js"

/** One reply of the model: its text, or how the call fails; events are played as they are. */
export type Reply = string | ClientError | ReadonlyArray<AnswerEvent> | Stream.Stream<AnswerEvent>

/** What kubectl does with these arguments. */
export type Cluster = (args: ReadonlyArray<string>, stdin: string | undefined) =>
  | { readonly stdout?: string; readonly stderr?: string; readonly exitCode?: number; readonly timedOut?: boolean }
  | "missing"
  | "hang"

export interface Script extends Partial<Omit<Vibe.Options, "client" | "kubectl" | "face" | "audit" | "memory">> {
  readonly replies: ReadonlyArray<Reply>
  readonly cluster?: Cluster
  /** What the person says, one after the other; without more, there is nobody. */
  readonly decisions?: ReadonlyArray<Decision>
  /** What they type when asked. */
  readonly words?: ReadonlyArray<string>
  readonly installed?: boolean
  /** Kubectl's own context and namespace. */
  readonly where?: Where
  readonly hasTerminal?: boolean
  readonly memory?: string
}

export interface Played {
  readonly outcome: Either.Either<
    Report,
    { readonly _tag: string; readonly summary: string; readonly remedy: string | undefined }
  >
  /** What the model was sent. */
  readonly requests: ReadonlyArray<ClientRequest>
  /** What kubectl was run with. */
  readonly ran: ReadonlyArray<
    { readonly args: ReadonlyArray<string>; readonly stdin: string | undefined; readonly attached: boolean }
  >
  readonly asked: ReadonlyArray<Planned>
  readonly planned: ReadonlyArray<Planned>
  /** What a person saw besides, in order. */
  readonly seen: ReadonlyArray<string>
  readonly answer: string
  readonly audit: ReadonlyArray<Entry>
  readonly memory: string
}

export const plan = (over: Record<string, unknown>): string =>
  JSON.stringify({ action: "DONE", text: "done", args: [], stdin: "", seconds: 0, memory: "", ...over })

export const command = (...args: ReadonlyArray<string>): string => plan({ action: "COMMAND", text: "because", args })

export const rejected = new CallFailed({
  reason: "PROVIDER_REJECTED",
  status: "FAILED_PRECONDITION",
  summary: "The provider refused the request.",
  remedy: "Change it.",
  retryAfter: undefined
})

export const yes: Decision = { _tag: "Yes" }
export const no: Decision = { _tag: "No" }

/** Plays a script to its end. */
export const play = (script: Script): Effect.Effect<Played> =>
  Effect.gen(function*() {
    yield* Property.turnEffect
    const requests = new Array<ClientRequest>()
    const ran = new Array<Played["ran"][number]>()
    const [asked, planned, seen, audit] = [
      new Array<Planned>(),
      new Array<Planned>(),
      new Array<string>(),
      new Array<Entry>()
    ]
    const [decisions, words] = [[...script.decisions ?? []], [...script.words ?? []]]
    const state = { answer: "", memory: script.memory ?? "" }
    const note = (kind: string) => (text: string) => Effect.sync(() => void seen.push(`${kind}: ${text}`))

    const face: Face = {
      busy: note("busy"),
      answer: (piece) => Effect.sync(() => void (state.answer += piece)),
      answered: Effect.void,
      restarted: Effect.sync(() => {
        state.answer = ""
      }),
      thought: note("thought"),
      ignored: note("ignored"),
      running: note("running"),
      ran: ({ command, exitCode, lines }) => note("ran")([command, `exit ${exitCode}`, ...lines].join(" | ")),
      note: note("note"),
      simulated: note("note")("simulated"),
      redacted: note("redacted"),
      planned: (command) => Effect.sync(() => void planned.push(command)),
      confirm: (command) =>
        Effect.sync(() => {
          asked.push(command)
          return decisions.shift()
        }),
      reply: () => Effect.sync(() => words.shift()),
      hasPerson: decisions.length > 0,
      hasTerminal: script.hasTerminal ?? false,
      ended: () => Effect.void
    }

    const respond = (args: ReadonlyArray<string>, stdin: string | undefined, attached: boolean) =>
      Effect.suspend(() => {
        ran.push({ args, stdin, attached })
        const result = script.cluster?.(args, stdin) ?? {}
        if (result === "hang") return Effect.never
        return result === "missing" ? new KubectlMissing({ program: "kubectl" }) : Effect.succeed(result)
      })
    const ended = ({ exitCode = 0, timedOut = false }: Exclude<ReturnType<Cluster>, string>) => ({ exitCode, timedOut })
    const kubectl: Kubectl["Type"] = {
      isInstalled: Effect.succeed(script.installed ?? true),
      current: Effect.succeed(script.where),
      run: (args, { onOutput, stdin }) =>
        Effect.map(respond(args, stdin, false), (result) => {
          // In small pieces, as a pipe may give it.
          for (const stream of ["stdout", "stderr"] as const) {
            for (const piece of (result[stream] ?? "").match(/[^]{1,7}/g) ?? []) onOutput(stream, piece)
          }
          return ended(result)
        }),
      attached: (args) => Effect.map(respond(args, undefined, true), ended)
    }

    const replies = [...script.replies]
    const stream = (request: ClientRequest): Stream.Stream<AnswerEvent, ClientError> =>
      Stream.suspend(() => {
        requests.push(request)
        const reply = replies.shift()
        if (reply === undefined) return Stream.dieMessage("the model is asked once more than the script knows")
        if (typeof reply === "string") return Stream.fromIterable(events(reply))
        if ("_tag" in reply) return Stream.fail(reply)
        return Stream.StreamTypeId in reply ? reply : Stream.fromIterable(reply)
      })

    const redactor = Redactor.make({ key: Redacted.make("a key of the tests") })
    const exit = yield* Effect.exit(Vibe.run({
      request: "look after my pods",
      policy: { mode: "semiauto", allow: new Set() },
      yes: false,
      dryRun: false,
      exitStatus: false,
      confirmOnce: false,
      maxSteps: 10,
      timeout: Duration.seconds(60),
      redactor,
      veil: redactor,
      profile: "work",
      server: "llm.example.com:443",
      sanitized: true,
      model: undefined,
      ...script,
      client: { stream, execute: () => Effect.die("not used"), serverInfo: Effect.die("not used") },
      kubectl,
      face,
      audit: { record: (entry) => Effect.sync(() => void audit.push(entry)) },
      memory: script.memory === undefined ? undefined : {
        file: "/memory.md",
        read: Effect.sync(() => state.memory),
        write: (text) => Effect.sync(() => void (state.memory = text)),
        clear: Effect.void
      }
    }))
    const outcome: Played["outcome"] = Exit.isSuccess(exit) ? Either.right(exit.value) : Either.left(
      Option.getOrThrowWith(Cause.failureOption(exit.cause), () => new Error(Cause.pretty(exit.cause)))
    )
    return { outcome, requests, ran, asked, planned, seen, audit, ...state }
  })

// -- internals ---------------------------------------------------------------

const events = (text: string): ReadonlyArray<AnswerEvent> => [
  { _tag: "Start", tier: "real", attempt: 1, provider: "p", model: "p/m" },
  ...(text.match(/[^]{1,5}/g) ?? []).map((piece): AnswerEvent => ({ _tag: "Text", text: piece })),
  { _tag: "Done", model: "p/m" },
  {
    _tag: "Metrics",
    durationMs: 10,
    inputTokens: 7,
    outputTokens: 3,
    estimated: false,
    costUsd: 0.5,
    retryCount: 0,
    timestamp: 0
  }
]
