/**
 * The proxy's three use cases, without any transport.
 *
 * A call is `(request, caller) => events`; `open` is the same as `stream`
 * without the cost of running a `Stream`, for the server's inner loop.
 */
import { Clock, Context, Effect, Layer, Option, type Scope, Stream } from "effect"
import type { Answer, AnswerEvent, AnswerRequest, Caller, Metrics, Usage } from "../domain/Answer.js"
import { features } from "../domain/Answer.js"
import { InvalidRequest, type ProxyError } from "../domain/Errors.js"
import { packageVersion } from "../domain/PackageVersion.js"
import { type ServerInfo, serverName } from "../domain/ServerInfo.js"
import { Catalog, type Resolved } from "../models/Catalog.js"
import type { ProviderRequest } from "../models/Provider.js"
import * as ResponseSchema from "../models/ResponseSchema.js"
import * as Estimate from "../streaming/Estimate.js"
import * as Tiers from "../streaming/Tiers.js"

/** Pulls the next event; after `Metrics` it must not be pulled again. */
export type AnswerPull = Effect.Effect<AnswerEvent, ProxyError>

export class LlmProxy extends Context.Tag("vibectl/proxy/LlmProxy")<LlmProxy, {
  /** The whole answer. Interruption closes the provider's socket. */
  readonly execute: (request: AnswerRequest, caller: Caller) => Effect.Effect<Answer, ProxyError>
  /** Opens the answer as it is produced. Closing the scope closes the provider's socket. */
  readonly open: (request: AnswerRequest, caller: Caller) => Effect.Effect<AnswerPull, ProxyError, Scope.Scope>
  /** The same as a `Stream`. */
  readonly stream: (request: AnswerRequest, caller: Caller) => Stream.Stream<AnswerEvent, ProxyError>
  readonly serverInfo: Effect.Effect<ServerInfo>
}>() {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function*() {
      const catalog = yield* Catalog

      const resolve = ({ model }: AnswerRequest) =>
        model === undefined || sayable.test(model) ? catalog.resolve(model) : unsayable

      const execute = Effect.fn("LlmProxy.execute")(function*(request: AnswerRequest, _caller: Caller) {
        const startedAt = yield* Clock.currentTimeMillis
        const target = yield* resolve(request)
        const prompt = yield* toProviderRequest(request, target)
        const completion = yield* target.provider.complete(prompt)
        const metrics = yield* measure({
          startedAt,
          prompt,
          target,
          usage: completion.usage,
          characters: completion.text.length,
          retryCount: 0
        })
        return { text: completion.text, model: target.fullName, metrics }
      })

      const open = (request: AnswerRequest, caller: Caller): Effect.Effect<AnswerPull, ProxyError, Scope.Scope> =>
        Effect.gen(function*() {
          const startedAt = yield* Clock.currentTimeMillis
          const target = yield* resolve(request)
          const prompt = yield* toProviderRequest(request, target)
          const pull = yield* Tiers.open({
            provider: target.provider,
            request: prompt,
            fullName: target.fullName,
            streams: target.spec?.streams ?? true,
            restartable: caller.features.has("restart")
          })
          let characters = 0
          let last: Metrics | undefined
          return Effect.suspend((): AnswerPull => {
            if (last !== undefined) return Effect.succeed(last)
            return Effect.flatMap(pull, (event): AnswerPull => {
              if (event._tag === "Text") characters += event.text.length
              else if (event._tag === "Restart") characters = 0
              if (event._tag !== "End") return Effect.succeed(event)
              const { retries: retryCount, usage } = event
              return Effect.map(measure({ startedAt, prompt, target, usage, characters, retryCount }), (metrics) => {
                last = metrics
                return { _tag: "Done", model: target.fullName }
              })
            })
          })
        })

      const stream = (request: AnswerRequest, caller: Caller): Stream.Stream<AnswerEvent, ProxyError> =>
        Stream.unwrapScoped(Effect.map(open(request, caller), untilMetrics))

      const serverInfo = Effect.succeed<ServerInfo>({
        name: serverName,
        version: packageVersion,
        defaultModel: catalog.defaultModel,
        models: catalog.models,
        aliases: catalog.aliases,
        limits: {
          maxRequestsPerMinute: undefined,
          maxConcurrentRequests: undefined,
          maxInputLength: undefined,
          requestTimeoutSeconds: undefined
        },
        features
      })

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

const toProviderRequest = (
  request: AnswerRequest,
  target: Resolved
): Effect.Effect<ProviderRequest, InvalidRequest> =>
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
    return { model: target.model, system: request.system.join(separator), user, schema }
  })

/** Fragments of one role are joined by a blank line. */
const separator = "\n\n"

const measure = (call: {
  readonly startedAt: number
  readonly prompt: ProviderRequest
  readonly target: Resolved
  readonly usage: Usage | undefined
  readonly characters: number
  readonly retryCount: number
}): Effect.Effect<Metrics> =>
  Effect.map(Clock.currentTimeMillis, (now) => {
    const { price } = call.target.spec ?? {}
    const { inputTokens, outputTokens } = call.usage ?? {
      inputTokens: Estimate.tokens(call.prompt.system.length + call.prompt.user.length),
      outputTokens: Estimate.tokens(call.characters)
    }
    return {
      _tag: "Metrics",
      durationMs: now - call.startedAt,
      inputTokens,
      outputTokens,
      estimated: call.usage === undefined,
      costUsd: price && (inputTokens * price.input + outputTokens * price.output) / 1_000_000,
      retryCount: call.retryCount,
      timestamp: Math.floor(now / 1000)
    }
  })

const untilMetrics = (pull: AnswerPull): Stream.Stream<AnswerEvent, ProxyError> =>
  Stream.unfoldEffect(false, (ended) =>
    ended
      ? Effect.succeedNone
      : Effect.map(pull, (event) => Option.some([event, event._tag === "Metrics"] as const)))
