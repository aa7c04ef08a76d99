/**
 * The proxy's three use cases, without any transport.
 *
 * A call is `(request, caller) => events`; `open` is the same as `stream`
 * without the cost of running a `Stream`, for the server's inner loop.
 */
import { Context, Effect, Exit, identity, Layer, Option, Stream } from "effect"
import * as Call from "../call/Call.js"
import * as Deadlines from "../call/Deadlines.js"
import { effective } from "../domain/Access.js"
import type {
  Answer,
  AnswerEvent,
  AnswerRequest,
  Caller,
  FinishReason,
  Metrics as AnswerMetrics
} from "../domain/Answer.js"
import { features } from "../domain/Answer.js"
import {
  InvalidRequest,
  type LimitExceeded,
  type ProviderFailure,
  type ProxyError,
  RequestTimeout,
  type StreamInterrupted
} from "../domain/Errors.js"
import { packageVersion } from "../domain/PackageVersion.js"
import { type ServerInfo, serverName } from "../domain/ServerInfo.js"
import { flatMapEager, mapEager } from "../effect/Eager.js"
import { type Asking, Limits } from "../limits/Limits.js"
import { Catalog, type Resolved } from "../models/Catalog.js"
import type { ProviderRequest } from "../models/Provider.js"
import * as ResponseSchema from "../models/ResponseSchema.js"
import * as Estimate from "../streaming/Estimate.js"
import * as NonStreaming from "../streaming/NonStreaming.js"
import * as Tiers from "../streaming/Tiers.js"
import * as GenAi from "../telemetry/GenAi.js"
import * as Metrics from "../telemetry/Metrics.js"
import * as AccountAlarm from "./AccountAlarm.js"
import * as Allowed from "./Allowed.js"
import * as Attempts from "./Attempts.js"
import * as CallTimes from "./CallTimes.js"
import * as Measure from "./Measure.js"

/** Pulls the next event; after `Metrics` it must not be pulled again. */
export type AnswerPull = Effect.Effect<AnswerEvent, ProxyError>

export class LlmProxy extends Context.Tag("vibectl/proxy/LlmProxy")<LlmProxy, {
  /** The whole answer. Interruption closes the provider's socket. */
  readonly execute: (request: AnswerRequest, caller: Caller) => Effect.Effect<Answer, ProxyError>
  /** Opens the answer as it is produced. The end of the call closes the provider's socket. */
  readonly open: (request: AnswerRequest, call: Call.Call) => Effect.Effect<AnswerPull, ProxyError>
  /** The same as a `Stream`. */
  readonly stream: (request: AnswerRequest, caller: Caller) => Stream.Stream<AnswerEvent, ProxyError>
  /** What this caller may call, and its limits. */
  readonly serverInfo: (caller: Caller) => Effect.Effect<ServerInfo, LimitExceeded>
}>() {
  static readonly layer = Layer.effect(
    this,
    Effect.gen(function*() {
      const catalog = yield* Catalog
      const limits = yield* Limits
      const captures = yield* GenAi.captures
      const nonStreaming = NonStreaming.make()
      const allowed = Allowed.make(catalog)
      const accountAlarm = AccountAlarm.make()
      for (const { id } of catalog.models) Metrics.models.add(id)

      const resolve = ({ model }: AnswerRequest, caller: Caller) =>
        model === undefined || sayable.test(model) ? allowed.resolve(model, caller) : unsayable

      /** The model asked for and those to try in its place; with `whole`, none of them streams. */
      const candidates = (
        first: Resolved,
        prompt: Prompt,
        caller: Caller,
        attempts: Attempts.Attempts,
        whole: boolean,
        now: number
      ): readonly [Target, ...ReadonlyArray<Target>] => {
        const candidate = (target: Resolved): Target => ({
          model: target.model,
          fullName: target.fullName,
          spec: target.spec,
          price: target.price,
          provider: attempts.of(target),
          request: { model: target.model, ...prompt },
          streams: !whole && (target.spec?.streams ?? true) && !nonStreaming.has(target.fullName, now)
        })
        const others = allowed.fallbacks(first.fullName, caller)
          .filter(({ fullName, price }) => limits.mayPay(caller, fullName, price))
          .filter(({ model, provider }) => provider.accepts?.({ model, ...prompt }) === undefined)
        return [candidate(first), ...others.map(candidate)]
      }

      /** The call, let in and counted. */
      const begin = (request: AnswerRequest, call: Call.Call) =>
        flatMapEager(resolve(request, call), (first) =>
          flatMapEager(toPrompt(request, first), (prompt) => {
            const times = CallTimes.make(first, call.arrivedAt, call.face.clock)
            const inputTokens = Estimate.ofText(prompt.system) + Estimate.ofText(prompt.user)
            const attempts = Attempts.make({
              call,
              admit: ({ fullName, price }) => limits.admitModel(asking, fullName, price, call),
              onFirst: times.firstAttempt,
              inputTokens,
              captures
            })
            const progress: Progress = { answered: false }
            const asking: Asking = {
              caller: call,
              model: first.fullName,
              price: first.price,
              listed: first.spec !== undefined,
              length: prompt.system.length + prompt.user.length,
              inputTokens,
              spending: () => {
                attempts.close()
                return { attempts: attempts.spent(), succeeded: progress.answered, finishReason: progress.finishReason }
              },
              soFar: attempts.spent
            }
            call.onEnd((exit) => {
              attempts.close()
              const { answered, limit } = progress
              const isLate = limit !== undefined && Exit.isInterrupted(exit)
                && call.now() >= limit.startedAt + limit.seconds * 1000
              times.closed(isLate ? Exit.fail(new RequestTimeout(limit)) : exit, answered)
              return Exit.void
            })
            const admitted = () => limits.admit(asking, call)
            return mapEager(inSpan("limits", call, admitted), (waited): Begun => {
              times.waited(waited)
              return { first, prompt, times, attempts, progress }
            })
          }))

      /** Ends the call when it takes longer than `seconds`, if any, since `startedAt` (milliseconds since the epoch). */
      const timed = (call: Call.Call, seconds: number | undefined, startedAt: number, progress: Progress) => {
        if (seconds === undefined) return identity<AnswerPull>
        // An answer that is complete is not too late any more.
        const late = () => progress.answered || call.end(new RequestTimeout({ seconds }))
        if (!call.limit(startedAt, seconds * 1000, late)) return Deadlines.within(seconds, startedAt)
        progress.limit = { seconds, startedAt }
        return identity<AnswerPull>
      }

      const answering = (request: AnswerRequest, call: Call.Call, whole: boolean) => {
        const startedAt = call.now()
        return mapEager(begin(request, call), ({ attempts, first, progress, prompt, times }): AnswerPull => {
          const targets = candidates(first, prompt, call, attempts, whole, call.now())
          const pull = Tiers.pull({
            scope: call.scope,
            candidates: targets,
            whole,
            restartable: call.features.has("restart"),
            deadline: call.deadline,
            onUnsupported: ({ fullName }) => Effect.sync(() => nonStreaming.add(fullName, call.now())),
            onFailed: ({ fullName, provider }, tier, failure) =>
              Effect.zipRight(
                Metrics.failedAttempts([provider.name, whole ? "unary" : tier, failure.reason]),
                accountAlarm(failure, fullName)
              )
          })
          let by: Resolved = first
          let characters = 0
          let last: AnswerMetrics | undefined

          const seen = (event: Tiers.TierEvent<Target>): AnswerPull => {
            switch (event._tag) {
              case "Text":
                characters += event.text.length
                if (!whole && characters === event.text.length) times.firstText(by)
                return Effect.succeed(event)
              case "Start":
                by = targets.find(({ fullName }) => fullName === event.model) ?? by
                if (event.attempt > 1) Metrics.retries.unsafe([event.provider])
                return Effect.succeed(event)
              case "Restart":
                characters = 0
                Metrics.restarts.unsafe([event.reason])
                return Effect.succeed(event)
              case "End": {
                last = Measure.of(startedAt, event.retries, attempts.last(), attempts.spent(), call.now())
                const { fullName: model, provider } = event.by
                const { finishReason } = event
                progress.answered = true
                progress.finishReason = finishReason
                Metrics.answers.unsafe([provider.name, whole ? "unary" : event.tier, finishReason])
                times.ended(last, event.by)
                return Effect.succeed({ _tag: "Done", model, finishReason })
              }
            }
          }
          const failed = (failure: ProviderFailure | StreamInterrupted) =>
            failure._tag === "ProviderFailure" && failure.unknownModel === true
              && failure.provider === first.provider.name
              ? allowed.unknown(first, call)
              : failure
          const next = timed(call, limits.requestTimeout(call, first.fullName), startedAt, progress)(
            Effect.matchEffect(pull, { onSuccess: seen, onFailure: (failure) => Effect.fail(failed(failure)) })
          )
          // An answer that is complete is not too late any more.
          return Effect.suspend((): AnswerPull => last === undefined ? next : Effect.succeed(last))
        })
      }

      const execute = (request: AnswerRequest, caller: Caller): Effect.Effect<Answer, ProxyError> =>
        Call.use(
          caller,
          (call) => inSpan("LlmProxy.execute", call, () => flatMapEager(answering(request, call, true), collect))
        )

      const open = (request: AnswerRequest, call: Call.Call) => answering(request, call, false)

      const stream = (request: AnswerRequest, caller: Caller): Stream.Stream<AnswerEvent, ProxyError> =>
        Stream.unwrapScoped(
          Effect.flatMap(
            caller instanceof Call.Call
              ? Effect.succeed(caller)
              : Effect.acquireRelease(Call.make(caller), (call, exit) => call.close(exit)),
            (call) => Effect.map(Effect.suspend(() => open(request, call)), untilMetrics)
          )
        )

      const serverInfo = (caller: Caller) =>
        flatMapEager(
          limits.inform(caller, caller instanceof Call.Call ? { at: caller.now() } : undefined),
          () =>
            mapEager(catalog.listed, (): ServerInfo => ({
              name: serverName,
              version: packageVersion,
              ...allowed.listing(caller),
              limits: effective(caller.access),
              features
            }))
        )

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

interface Begun {
  readonly first: Resolved
  readonly prompt: Prompt
  readonly times: CallTimes.CallTimes
  readonly attempts: Attempts.Attempts
  readonly progress: Progress
}

interface Progress {
  /** Whether the caller got its whole answer. */
  answered: boolean
  /** How that answer ended. */
  finishReason?: FinishReason
  /** How long it may take since then (milliseconds since the epoch), where that ends it from outside. */
  limit?: { readonly seconds: number; readonly startedAt: number }
}

type Prompt = Omit<ProviderRequest, "model">

/** A candidate, and where it comes from. */
interface Target extends Resolved, Tiers.Candidate {}

const toPrompt = (
  request: AnswerRequest,
  { model, provider }: Resolved
): Effect.Effect<Prompt, InvalidRequest> => {
  const user = request.user.join(separator)
  if (user.trim() === "") {
    return Exit.fail(
      new InvalidRequest({
        reason: "INVALID_REQUEST",
        field: "user_fragments",
        summary: "user_fragments holds no text.",
        remedy: "Send at least one user fragment that is not blank."
      })
    )
  }
  const prompt = { system: request.system.join(separator), user, schema: undefined }
  return request.responseSchema === undefined
    ? Exit.succeed(prompt)
    : Effect.flatMap(ResponseSchema.parse(request.responseSchema), (schema) => {
      const whole: Prompt = Object.assign({}, prompt, { schema })
      return provider.accepts?.({ model, ...whole }) ?? Effect.succeed(whole)
    })
}

/** In a span of its own, where the program has a tracer. */
const inSpan = <A, E>(name: string, { face }: Call.Call, effect: () => Effect.Effect<A, E>): Effect.Effect<A, E> =>
  face.isTracing ? Effect.withSpan(Effect.suspend(effect), name, { captureStackTrace: false }) : effect()

/** Fragments of one role are joined by a blank line. */
const separator = "\n\n"

/** All of an answer, which was not streamed. */
const collect = (pull: AnswerPull): Effect.Effect<Answer, ProxyError> => {
  let [text, model] = ["", ""]
  let finishReason: FinishReason | undefined
  const take = (event: AnswerEvent): Effect.Effect<Answer, ProxyError> => {
    if (event._tag === "Metrics") return Effect.succeed({ text, model, finishReason, metrics: event })
    if (event._tag === "Text") text += event.text
    else if (event._tag === "Done") ({ finishReason, model } = event)
    return next
  }
  const next = Effect.flatMap(pull, take)
  return next
}

const untilMetrics = (pull: AnswerPull): Stream.Stream<AnswerEvent, ProxyError> =>
  Stream.unfoldEffect(false, (ended) =>
    ended
      ? Effect.succeedNone
      : Effect.map(pull, (event) => Option.some([event, event._tag === "Metrics"] as const)))
