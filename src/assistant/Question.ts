/**
 * One question to the model: what leaves the machine is redacted, what comes
 * back is read as a plan, and an answer to the user is shown while it is made.
 */
import { Cause, Clock, Effect, Either, Option, Stream } from "effect"
import type { ProxyClient } from "../client/ProxyClient.js"
import type { AnswerEvent, FinishReason, Metrics } from "../domain/Answer.js"
import type { ClientError } from "../domain/ClientErrors.js"
import * as RequestId from "../proxy/RequestId.js"
import type { Filter, Finding, Redactor } from "../redaction/Redactor.js"
import type { AuditLog } from "./AuditLog.js"
import type { Face } from "./Face.js"
import * as Plan from "./Plan.js"
import * as PlanReader from "./PlanReader.js"
import * as Prompts from "./Prompts.js"
import type { Call } from "./Totals.js"

export interface Deps {
  readonly client: ProxyClient["Type"]
  readonly redactor: Redactor
  readonly audit: AuditLog["Type"]
  readonly face: Face
  /** For the audit log. */
  readonly profile: string
  readonly server: string
  readonly sanitized: boolean
  readonly model: string | undefined
}

export interface Answered {
  readonly requestId: string
  readonly reading: PlanReader.Ending["reading"]
  /** As the model wrote it, with placeholders. */
  readonly raw: string
  /** What of it was shown, restored. */
  readonly shown: string
  readonly call: Call
}

/** What happens with the secrets of a request. */
export interface Secrets {
  /** That were replaced in what it quotes. */
  readonly found: ReadonlyArray<Finding>
  /** Called with all that are replaced in it, before it leaves. */
  readonly tell: (findings: ReadonlyArray<Finding>) => Effect.Effect<void>
}

/** Interruption cancels the call. */
export const ask = (
  deps: Deps,
  situation: Prompts.Situation,
  secrets: Secrets
): Effect.Effect<Answered, ClientError> =>
  Effect.gen(function*() {
    const { audit, client, face, redactor } = deps
    const requestId = yield* RequestId.make
    // The request is the user's own words; the rest went through the redactor when it came, and goes through it once more here.
    const sources = Prompts.user(situation).map((text, index) =>
      redactor.redact(text, index === 0 ? "request" : "cluster")
    )
    const user = sources.map(({ text }) => text)
    const text = user.join("\n\n")
    const findings = distinct([
      ...sources.flatMap((source) => source.findings),
      ...secrets.found.filter(({ placeholder }) => text.includes(placeholder))
    ])
    yield* secrets.tell(findings)
    yield* audit.record({
      event: "request",
      requestId,
      profile: deps.profile,
      server: deps.server,
      model: deps.model,
      purpose: situation.repair === undefined ? "plan" : "repair",
      text,
      sanitized: deps.sanitized,
      redacted: findings
    })

    const began = yield* Clock.currentTimeMillis
    const reading = read(face, redactor)
    const events = client.stream({
      requestId,
      system: Prompts.system(situation),
      user,
      ...(deps.model === undefined ? {} : { model: deps.model }),
      ...(situation.isStructured ? { responseSchema: Plan.jsonSchema } : {})
    })
    const outcome = yield* Effect.onExit(consume(face, events, reading, began), (exit) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const { finishReason, metrics, model } = reading.state
        return audit.record({
          event: "response",
          requestId,
          outcome: exit._tag === "Success" ? "ok" : outcomeOf(exit.cause),
          model,
          finishReason,
          inputTokens: metrics?.inputTokens,
          outputTokens: metrics?.outputTokens,
          costUsd: metrics?.costUsd,
          durationMs: now - began,
          ...readAs(reading.state.reading),
          text: reading.state.raw
        })
      }))
    return { requestId, ...outcome }
  })

// -- internals ---------------------------------------------------------------

interface State {
  raw: string
  shown: string
  reader: PlanReader.PlanReader
  /** Undefined until the answer has ended. */
  reading: PlanReader.Ending["reading"] | undefined
  restoring: Filter
  model: string | undefined
  finishReason: FinishReason | undefined
  metrics: Metrics | undefined
  firstTokenMs: number | undefined
}

/** Keeps what has come, and gives out what of it is to be shown. */
const read = (face: Face, redactor: Redactor) => {
  const fresh = () => ({ raw: "", shown: "", reader: PlanReader.make(), restoring: redactor.restoring() })
  const state: State = {
    ...fresh(),
    reading: undefined,
    model: undefined,
    finishReason: undefined,
    metrics: undefined,
    firstTokenMs: undefined
  }
  const show = (visible: string) => {
    if (visible === "") return Effect.void
    state.shown += visible
    return face.answer(visible)
  }
  return {
    state,
    push: (piece: string) => {
      state.raw += piece
      return show(state.restoring.push(state.reader.push(piece)))
    },
    tick: Effect.suspend(() => show(state.restoring.push(state.reader.tick()))),
    hasEnded: () => state.reader.hasEnded(),
    /** Shows what of the answer came last; all of it anew where what was shown is none of it. */
    settle: Effect.gen(function*() {
      const { isVoid, reading, rest } = state.reader.end()
      if (isVoid) {
        Object.assign(state, { shown: "", restoring: redactor.restoring() })
        yield* face.restarted
      }
      yield* show(state.restoring.push(rest))
      yield* show(state.restoring.end())
      return reading
    }),
    /** Shows what had come of an answer that broke off; prose may have waited. */
    flush: Effect.gen(function*() {
      const { reading, rest } = state.reader.end()
      const waiting = Either.isRight(reading) && reading.right.isProse ? rest : ""
      yield* show(state.restoring.push(waiting))
      yield* show(state.restoring.end())
    }),
    restart: Effect.suspend(() => {
      const hasShown = state.shown !== ""
      Object.assign(state, fresh())
      return hasShown ? face.restarted : Effect.void
    })
  }
}

const consume = <E>(
  face: Face,
  events: Stream.Stream<AnswerEvent, E>,
  { flush, hasEnded, push, restart, settle, state, tick }: ReturnType<typeof read>,
  began: number
) =>
  Effect.gen(function*() {
    const take = (event: AnswerEvent | Tick, now: number): Effect.Effect<void> => {
      switch (event._tag) {
        case "Text":
          state.firstTokenMs ??= now - began
          return push(event.text)
        case "Restart":
          return restart
        case "Start":
          state.model = event.model
          return event.tier === "simulated" ? face.simulated : Effect.void
        case "Done":
          state.model = event.model
          state.finishReason = event.finishReason
          return Effect.void
        case "Metrics":
          state.metrics = event
          return Effect.void
        case "Heartbeat":
          return Effect.void
        case "Tick":
          return tick
      }
    }
    // An answer that goes on behind its plan is cancelled, and with it the provider's work.
    yield* Stream.runForEachWhile(Stream.merge(events, ticks, { haltStrategy: "left" }), (event) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.map(take(event, now), () => !hasEnded())))
      .pipe(
        // What was shown of an answer that breaks off ends its line, before anything is said of it.
        Effect.onError(() =>
          Effect.zipRight(flush, face.answered)
        )
      )
    const reading = yield* settle
    state.reading = reading
    const { finishReason, firstTokenMs, metrics, model, raw, shown } = state
    const incomplete = finishReason === undefined ? undefined : incompleteness[finishReason]
    if (incomplete !== undefined) yield* Effect.zipRight(face.answered, face.note(`Warning: ${incomplete}`))
    const durationMs = (yield* Clock.currentTimeMillis) - began
    return { reading, raw, shown, call: { metrics, model, finishReason, firstTokenMs, durationMs } }
  })

/** Time has passed: prose that waits for a plan behind it is shown. */
interface Tick {
  readonly _tag: "Tick"
}

const ticks: Stream.Stream<Tick> = Stream.as(Stream.tick("250 millis"), { _tag: "Tick" })

/** How an answer was read, for the audit log. */
const readAs = (reading: State["reading"]) => {
  if (reading === undefined) return { readAs: undefined, ignoredCharacters: undefined }
  if (Either.isLeft(reading)) return { readAs: `none: ${reading.left.problem}`, ignoredCharacters: undefined }
  const { ignored, isProse, plan } = reading.right
  return { readAs: isProse ? "prose" : plan.action, ignoredCharacters: ignored.length }
}

/** What to say of an answer that did not end well. */
const incompleteness: { readonly [reason in FinishReason]?: string } = {
  length: "The answer was cut off at the model's limit. Ask for less at once, or ask the operator for a higher limit.",
  content_filter: "The answer was cut off by the provider's content filter.",
  refusal: "The model refused to answer, or to go on.",
  tool_calls: "The model wanted to call a tool instead of going on; the answer may be incomplete.",
  error: "The provider failed before the answer was complete.",
  unknown: "The provider did not say whether the answer is complete."
}

/** For the audit log. */
const outcomeOf = (cause: Cause.Cause<ClientError>): string => {
  if (Cause.isInterruptedOnly(cause)) return "interrupted"
  const failure = Option.getOrUndefined(Cause.failureOption(cause))
  if (failure === undefined) return "defect"
  return failure._tag === "VersionMismatch" ? "VERSION_INCOMPATIBLE" : failure.reason
}

const distinct = (findings: ReadonlyArray<Finding>): ReadonlyArray<Finding> => [
  ...new Map(findings.map((finding) => [finding.placeholder, finding])).values()
]
