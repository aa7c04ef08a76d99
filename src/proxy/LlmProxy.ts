/**
 * The proxy's three use cases, without any transport.
 *
 * A call is `(request, caller) => events`; `open` is the same as `stream`
 * without the cost of running a `Stream`, for the server's inner loop.
 */
import { Clock, Context, Effect, Layer, Option, type Scope, Stream } from "effect"
import { effective } from "../domain/Access.js"
import type { Answer, AnswerEvent, AnswerRequest, Caller, Metrics } from "../domain/Answer.js"
import { features } from "../domain/Answer.js"
import { InvalidRequest, type ProxyError, RequestTimeout } from "../domain/Errors.js"
import { packageVersion } from "../domain/PackageVersion.js"
import { type ServerInfo, serverName } from "../domain/ServerInfo.js"
import { Catalog, type Resolved } from "../models/Catalog.js"
import type { ProviderRequest } from "../models/Provider.js"
import * as ResponseSchema from "../models/ResponseSchema.js"
import * as Estimate from "../streaming/Estimate.js"
import * as NonStreaming from "../streaming/NonStreaming.js"
import * as Tiers from "../streaming/Tiers.js"
import * as Instruments from "../telemetry/Metrics.js"
import * as Allowed from "./Allowed.js"
import * as Limits from "./Limits.js"

/** Pulls the next event; after `Metrics` it must not be pulled again. */
export type AnswerPull = Effect.Effect<AnswerEvent, ProxyError>

export class LlmProxy extends Context.Tag("vibectl/proxy/LlmProxy")<LlmProxy, {
  /** The whole answer. Interruption closes the provider's socket. */
  readonly execute: (request: AnswerRequest, caller: Caller) => Effect.Effect<Answer, ProxyError>
  /** Opens the answer as it is produced. Closing the scope closes the provider's socket. */
  readonly open: (request: AnswerRequest, caller: Caller) => Effect.Effect<AnswerPull, ProxyError, Scope.Scope>
  /** The same as a `Stream`. */
  readonly stream: (request: AnswerRequest, caller: Caller) => Stream.Stream<AnswerEvent, ProxyError>
  /** What this caller may call, and its limits. */
  readonly serverInfo: (caller: Caller) => Effect.Effect<ServerInfo>
}>() {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function*() {
      const catalog = yield* Catalog

      const limits = Limits.make()
      const nonStreaming = NonStreaming.make()
      const allowed = Allowed.make(catalog)

      const resolve = ({ model }: AnswerRequest, caller: Caller) =>
        model === undefined || sayable.test(model) ? allowed.resolve(model, caller) : unsayable

      /** The model asked for and those to try in its place, as attempts; with `whole`, none of them streams. */
      const candidates = (request: AnswerRequest, caller: Caller, whole: boolean) =>
        Effect.gen(function*() {
          const now = yield* Clock.currentTimeMillis
          const first = yield* resolve(request, caller)
          const prompt = yield* toPrompt(request)
          yield* limits.take(caller, prompt.system.length + prompt.user.length)
          const candidate = (target: Resolved): Target => ({
            ...target,
            request: { ...prompt, model: target.model },
            streams: !whole && (target.spec?.streams ?? true) && !nonStreaming.has(target.fullName, now)
          })
          return [candidate(first), ...allowed.fallbacks(first.fullName, caller).map(candidate)] as const
        })

      const answering = (request: AnswerRequest, caller: Caller, whole: boolean) =>
        Effect.gen(function*() {
          const startedAt = yield* Clock.currentTimeMillis
          const pull = yield* Tiers.open({
            candidates: yield* candidates(request, caller, whole),
            restartable: caller.features.has("restart"),
            deadline: caller.deadline,
            onUnsupported: ({ fullName }) =>
              Effect.map(Clock.currentTimeMillis, (now) => nonStreaming.add(fullName, now)),
            onFailed: ({ provider }, tier, failure) =>
              Instruments.failedAttempts([provider.name, whole ? "unary" : tier, failure.reason])
          })
          const inTime = within(effective(caller.access).requestTimeoutSeconds, startedAt)
          let characters = 0
          let last: Metrics | undefined
          return inTime(Effect.suspend((): AnswerPull => {
            if (last !== undefined) return Effect.succeed(last)
            return Effect.flatMap(pull, (event): AnswerPull => {
              if (event._tag === "Text") characters += event.text.length
              if (event._tag === "Restart") {
                characters = 0
                return Effect.as(Instruments.restarts([event.reason]), event)
              }
              if (event._tag !== "End") return Effect.succeed(event)
              return Effect.map(measure(startedAt, event, characters), (metrics): AnswerEvent => {
                last = metrics
                return { _tag: "Done", model: event.by.fullName }
              }).pipe(Effect.zipLeft(Instruments.answers([event.by.provider.name, whole ? "unary" : event.tier])))
            })
          }))
        })

      const execute = (request: AnswerRequest, caller: Caller): Effect.Effect<Answer, ProxyError> =>
        Effect.scoped(Effect.gen(function*() {
          const pull = yield* answering(request, caller, true)
          let [text, model] = ["", ""]
          for (;;) {
            const event = yield* pull
            if (event._tag === "Text") text += event.text
            else if (event._tag === "Done") model = event.model
            else if (event._tag === "Metrics") return { text, model, metrics: event }
          }
        })).pipe(Effect.withSpan("LlmProxy.execute"))

      const open = (request: AnswerRequest, caller: Caller) => answering(request, caller, false)

      const stream = (request: AnswerRequest, caller: Caller): Stream.Stream<AnswerEvent, ProxyError> =>
        Stream.unwrapScoped(Effect.map(open(request, caller), untilMetrics))

      const serverInfo = (caller: Caller) =>
        Effect.sync((): ServerInfo => ({
          name: serverName,
          version: packageVersion,
          ...allowed.listing(caller),
          limits: effective(caller.access),
          features
        }))

      return LlmProxy.of({ execute, open, stream, serverInfo })
    })
  )
}

// -- internals ---------------------------------------------------------------

/** A name is repeated to the caller, in trailers of limited size, and to the log. */
const sayable = /^\P{Cc}{0,256}$/u

const unsayable = new InvalidRequest({
  reason: "INVALID_REQUEST",
  field: "model_name",
  summary: "model_name is longer than 256 characters or holds control characters.",
  remedy: "Send provider/model or an alias; GetServerInfo lists them."
})

/** A candidate, and where it comes from. */
interface Target extends Resolved, Tiers.Candidate {}

const toPrompt = (request: AnswerRequest): Effect.Effect<Omit<ProviderRequest, "model">, InvalidRequest> =>
  Effect.gen(function*() {
    const user = request.user.join(separator)
    if (user.trim() === "") {
      return yield* new InvalidRequest({
        reason: "INVALID_REQUEST",
        field: "user_fragments",
        summary: "user_fragments holds no text.",
        remedy: "Send at least one user fragment that is not blank."
      })
    }
    const schema = request.responseSchema === undefined
      ? undefined
      : yield* ResponseSchema.parse(request.responseSchema)
    return { system: request.system.join(separator), user, schema }
  })

/** Fragments of one role are joined by a blank line. */
const separator = "\n\n"

/** `startedAt` in milliseconds since the epoch; `characters` of the answer, in UTF-16 code units. */
const measure = (startedAt: number, { by, retries, usage }: Tiers.End<Target>, characters: number) =>
  Effect.map(Clock.currentTimeMillis, (now): Metrics => {
    const { price } = by.spec ?? {}
    const { inputTokens, outputTokens } = usage ?? {
      inputTokens: Estimate.tokens(by.request.system.length + by.request.user.length),
      outputTokens: Estimate.tokens(characters)
    }
    return {
      _tag: "Metrics",
      durationMs: now - startedAt,
      inputTokens,
      outputTokens,
      estimated: usage === undefined,
      costUsd: price && (inputTokens * price.input + outputTokens * price.output) / 1_000_000,
      retryCount: retries,
      timestamp: Math.floor(now / 1000)
    }
  })

/**
 * Bounds each pull by what is left of `seconds` since `startedAt` (milliseconds since the epoch); none is made when
 * nothing is left, as with a reader that takes its time.
 */
const within = (seconds: number | undefined, startedAt: number) => (pull: AnswerPull): AnswerPull =>
  seconds === undefined ? pull : Effect.flatMap(Clock.currentTimeMillis, (now): AnswerPull => {
    const left = startedAt + seconds * 1000 - now
    const onTimeout = () => new RequestTimeout({ seconds })
    return left <= 0 ? onTimeout() : Effect.timeoutFail(pull, { duration: left, onTimeout })
  })

const untilMetrics = (pull: AnswerPull): Stream.Stream<AnswerEvent, ProxyError> =>
  Stream.unfoldEffect(false, (ended) =>
    ended
      ? Effect.succeedNone
      : Effect.map(pull, (event) => Option.some([event, event._tag === "Metrics"] as const)))
