/**
 * The proxy's three use cases, without any transport.
 *
 * A call is `(request, caller) => events`; `open` is the same as `stream`
 * without the cost of running a `Stream`, for the server's inner loop.
 */
import { Clock, Context, Effect, Exit, identity, Layer, Option, Scope, Stream } from "effect"
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
import { type Call, Limits } from "../limits/Limits.js"
import { Catalog, type Resolved } from "../models/Catalog.js"
import type { ProviderRequest } from "../models/Provider.js"
import * as ResponseSchema from "../models/ResponseSchema.js"
import * as Estimate from "../streaming/Estimate.js"
import * as NonStreaming from "../streaming/NonStreaming.js"
import * as Tiers from "../streaming/Tiers.js"
import * as GenAi from "../telemetry/GenAi.js"
import * as Metrics from "../telemetry/Metrics.js"
import * as Traceparent from "../telemetry/Traceparent.js"
import * as AccountAlarm from "./AccountAlarm.js"
import * as Allowed from "./Allowed.js"
import * as Attempts from "./Attempts.js"
import * as CallTimes from "./CallTimes.js"
import * as Deadlines from "./Deadlines.js"
import * as Measure from "./Measure.js"

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
  readonly serverInfo: (caller: Caller) => Effect.Effect<ServerInfo, LimitExceeded>
}>() {
  static readonly layer = Layer.scoped(
    this,
    Effect.gen(function*() {
      const catalog = yield* Catalog
      const limits = yield* Limits
      const captures = yield* GenAi.captures
      const nonStreaming = NonStreaming.make()
      const deadlines = yield* Deadlines.make
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

      /** The call, let in and counted; its attempts are to be made in the same scope. */
      const begin = (request: AnswerRequest, caller: Caller, clock: Clock.Clock, scope: Scope.Scope) =>
        Effect.flatMap(resolve(request, caller), (first) =>
          Effect.flatMap(toPrompt(request, first), (prompt) => {
            const times = CallTimes.make(first, caller.arrivedAt ?? CallTimes.now(clock), clock)
            const closing: Deadlines.Closing = []
            const inputTokens = Estimate.ofText(prompt.system) + Estimate.ofText(prompt.user)
            const attempts = Attempts.make({
              admit: ({ fullName, price }) => limits.admitModel(call, fullName, price, scope),
              onFirst: times.firstAttempt,
              clock,
              inputTokens,
              captures
            })
            const progress: Progress = { answered: false, late: () => undefined }
            const length = prompt.system.length + prompt.user.length
            const call: Call = {
              caller,
              model: first.fullName,
              price: first.price,
              listed: first.spec !== undefined,
              length,
              inputTokens,
              spending: () => {
                attempts.close()
                return { attempts: attempts.spent(), succeeded: progress.answered, finishReason: progress.finishReason }
              },
              soFar: attempts.spent
            }
            const conclude = (exit: Exit.Exit<unknown, unknown>) =>
              Effect.sync(() => {
                attempts.close()
                for (const close of closing) close()
                const late = Exit.isInterrupted(exit) ? progress.late(clock.unsafeCurrentTimeMillis()) : undefined
                times.closed(late === undefined ? exit : Exit.fail(late), progress.answered)
              })
            const admitted = Effect.map(Traceparent.inSpan("limits")(limits.admit(call, scope)), (waited) => {
              times.waited(waited)
              return { closing, first, prompt, times, attempts, progress }
            })
            return Effect.zipRight(Scope.addFinalizerExit(scope, conclude), admitted)
          }))

      /** Ends the call when it takes longer than `seconds`, if any, since `startedAt` (milliseconds since the epoch). */
      const timed = (
        { cut }: Caller,
        seconds: number | undefined,
        startedAt: number,
        progress: Progress,
        closing: Deadlines.Closing
      ) => {
        if (seconds === undefined) return Effect.succeed(identity<AnswerPull>)
        if (cut === undefined) return Effect.succeed(Deadlines.within(seconds, startedAt))
        const late: Progress["late"] = (now) =>
          now < startedAt + seconds * 1000 ? undefined : new RequestTimeout({ seconds })
        progress.late = late
        // An answer that is complete is not too late any more.
        return Effect.as(
          deadlines.add(
            closing,
            startedAt,
            seconds * 1000,
            () => progress.answered || cut(new RequestTimeout({ seconds }))
          ),
          identity<AnswerPull>
        )
      }

      const answering = (request: AnswerRequest, caller: Caller, whole: boolean, scope: Scope.Scope) =>
        Effect.clockWith((clock) => {
          const startedAt = clock.unsafeCurrentTimeMillis()
          return Effect.flatMap(begin(request, caller, clock, scope), (call) => {
            const { attempts, closing, first, progress, prompt, times } = call
            const targets = candidates(first, prompt, caller, attempts, whole, clock.unsafeCurrentTimeMillis())
            const pull = Tiers.pull({
              scope,
              candidates: targets,
              whole,
              restartable: caller.features.has("restart"),
              deadline: caller.deadline,
              onUnsupported: ({ fullName }) =>
                Effect.map(Clock.currentTimeMillis, (now) => nonStreaming.add(fullName, now)),
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
                  return event.attempt === 1
                    ? Effect.succeed(event)
                    : Effect.as(Metrics.retries([event.provider]), event)
                case "Restart":
                  characters = 0
                  return Effect.as(Metrics.restarts([event.reason]), event)
                case "End": {
                  last = Measure.of(
                    startedAt,
                    event.retries,
                    attempts.last(),
                    attempts.spent(),
                    clock.unsafeCurrentTimeMillis()
                  )
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
            const seconds = limits.requestTimeout(caller, first.fullName)
            return Effect.map(timed(caller, seconds, startedAt, progress, closing), (inTime) => {
              const failed = (failure: ProviderFailure | StreamInterrupted) =>
                failure._tag === "ProviderFailure" && failure.unknownModel === true
                  && failure.provider === first.provider.name
                  ? allowed.unknown(first, caller)
                  : failure
              const next = inTime(
                Effect.matchEffect(pull, { onSuccess: seen, onFailure: (failure) => Effect.fail(failed(failure)) })
              )
              // An answer that is complete is not too late any more.
              return Effect.suspend((): AnswerPull => last === undefined ? next : Effect.succeed(last))
            })
          })
        })

      const execute = (request: AnswerRequest, caller: Caller): Effect.Effect<Answer, ProxyError> =>
        Effect.scopedWith((scope) => Effect.flatMap(answering(request, caller, true, scope), collect)).pipe(
          Traceparent.inSpan("LlmProxy.execute")
        )

      const open = (request: AnswerRequest, caller: Caller) =>
        Effect.flatMap(Scope.Scope, (scope) => answering(request, caller, false, scope))

      const stream = (request: AnswerRequest, caller: Caller): Stream.Stream<AnswerEvent, ProxyError> =>
        Stream.unwrapScoped(Effect.map(open(request, caller), untilMetrics))

      const serverInfo = (caller: Caller) =>
        Effect.map(Effect.zipLeft(limits.inform(caller), catalog.listed), (): ServerInfo => ({
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

interface Progress {
  /** Whether the caller got its whole answer. */
  answered: boolean
  /** How that answer ended. */
  finishReason?: FinishReason
  /** Why it was ended from outside at that time (milliseconds since the epoch), if it was because it took too long. */
  late: (now: number) => RequestTimeout | undefined
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
    return new InvalidRequest({
      reason: "INVALID_REQUEST",
      field: "user_fragments",
      summary: "user_fragments holds no text.",
      remedy: "Send at least one user fragment that is not blank."
    })
  }
  const prompt = { system: request.system.join(separator), user, schema: undefined }
  return request.responseSchema === undefined
    ? Effect.succeed(prompt)
    : Effect.flatMap(ResponseSchema.parse(request.responseSchema), (schema) => {
      const whole: Prompt = Object.assign({}, prompt, { schema })
      return provider.accepts?.({ model, ...whole }) ?? Effect.succeed(whole)
    })
}

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
