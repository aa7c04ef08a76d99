/**
 * The three ways of streaming an answer, and the one way of choosing.
 *
 * 1. `real`      pieces as the provider produces them
 * 2. `simulated` a whole answer, cut in pieces, for a model that cannot stream (and for who wants it whole, uncut)
 * 3. `fallback`  a fresh whole call after a stream failed
 *
 * Before its first text, an attempt that fails is made again as often as its
 * provider's `maxRetries` allows, then gives way to the next tier, then to the
 * next candidate. While there is a next one, a candidate gets two requests at
 * most before its first text and no long wait between them, and one that takes
 * too long gives way as well. After that, a client that understands `restart` is told to
 * discard what it has, and a new attempt follows; for any other the call ends
 * with `STREAM_INTERRUPTED`. So the text after the last restart is always
 * exactly one attempt's.
 */
import { Clock, Duration, Effect, Exit, Scope } from "effect"
import type { Completion, FinishReason, Restart, Start, Text, Tier, Usage } from "../domain/Answer.js"
import { ProviderFailure, StreamInterrupted } from "../domain/Errors.js"
import type { Piece, Pieces, Provider, ProviderRequest, StreamingUnsupported } from "../models/Provider.js"
import * as Retry from "./Retry.js"

/** A model that may answer. */
export interface Candidate {
  readonly provider: Provider
  readonly request: ProviderRequest
  /** `provider/model`. */
  readonly fullName: string
  /** False for a model that is known not to stream. */
  readonly streams: boolean
}

export interface End<C> {
  readonly _tag: "End"
  readonly usage: Usage | undefined
  readonly finishReason: FinishReason
  /** Attempts after the first. */
  readonly retries: number
  /** Who answered, and how. */
  readonly by: C
  readonly tier: Tier
}

export type TierEvent<C> = Start | Restart | Text | End<C>

/** Pulls the next event; after `End` it must not be pulled again. */
export type TierPull<C> = Effect.Effect<TierEvent<C>, ProviderFailure | StreamInterrupted>

export interface Options<C extends Candidate> {
  /** Makes the scope of an attempt, which closes with the call, or before; closing it closes the provider's socket. */
  readonly scope: Effect.Effect<Scope.CloseableScope>
  /** The model that was asked for, then those to try in its place. */
  readonly candidates: readonly [C, ...ReadonlyArray<C>]
  /** Whether the client takes the answer in one message, so that one that was not streamed is left in one piece. */
  readonly whole: boolean
  /** Whether the client understands `restart`. */
  readonly restartable: boolean
  /** Milliseconds since the epoch; no wait goes beyond it. */
  readonly deadline: number
  /** Told when a model turns out not to stream. */
  readonly onUnsupported: (candidate: C) => Effect.Effect<void>
  /** Told of every attempt that failed, whatever comes of it. */
  readonly onFailed: (candidate: C, tier: Tier, failure: ProviderFailure) => Effect.Effect<void>
}

/** Length of a simulated piece, in UTF-16 code units; a surrogate pair is never cut. */
export const simulatedPieceLength = 100

/** The answer by the best tier that works. */
export const pull = <C extends Candidate>(options: Options<C>): TierPull<C> => {
  type Event = TierEvent<C>
  type Pull = TierPull<C>
  const pending: Array<Event> = []
  const others = options.candidates.slice(1)
  let candidate: C = options.candidates[0]
  /** Of the whole call; and of the present tier of the present candidate. */
  let attempt = 1
  let tries = 1
  let tier: Tier = candidate.streams ? "real" : "simulated"
  /** Whether the client holds text of the present attempt. */
  let sent = false
  let attemptScope: Scope.CloseableScope | undefined
  /** Until when the present candidate must have text, in milliseconds since the epoch; only while there is another. */
  let giveWayAt = Infinity

  const begin = (...events: ReadonlyArray<Event>): Event => {
    giveWayAt = Infinity
    pending.push(...events)
    return { _tag: "Start", tier, attempt, provider: candidate.provider.name, model: candidate.fullName }
  }
  const end = (
    { finishReason = "unknown", usage }: Pick<Completion, "finishReason" | "usage">
  ): Event => ({ _tag: "End", usage, finishReason, retries: attempt - 1, by: candidate, tier })

  const closeAttempt = Effect.suspend(() =>
    attemptScope === undefined ? Effect.void : Scope.close(attemptScope, Exit.void)
  )

  /** Cuts an attempt that leaves no time for the next candidate. The last one is never cut. */
  const hurried = <A, E>(attempt: Effect.Effect<A, E>): Effect.Effect<A, E | ProviderFailure> => {
    const { provider, request } = candidate
    const budget = others.length === 0 ? undefined : provider.failoverAfter?.(request.model)
    if (budget === undefined) return attempt
    return Effect.flatMap(Clock.currentTimeMillis, (now) => {
      giveWayAt = Math.min(giveWayAt, now + Duration.toMillis(budget))
      return Effect.timeoutFail(attempt, {
        duration: Duration.millis(Math.max(0, giveWayAt - now)),
        onTimeout: () => {
          // Not left to the clock: a timer may be early by a fraction of a millisecond.
          giveWayAt = -Infinity
          return tooSlow(provider.name)
        }
      })
    })
  }

  /** What to do after a failure. */
  const plan = (failure: ProviderFailure): Effect.Effect<Plan> =>
    Effect.gen(function*() {
      if (sent && !options.restartable) return { because: "the client holds text and does not take a restart" }
      const late = (yield* Clock.currentTimeMillis) >= giveWayAt
      const hasOther = others.length > 0
      const again = sent
        ? "it failed in the middle of its text"
        : late
        ? "it had no text in time"
        : tier === "fallback"
        ? "its whole answer failed, too"
        : yield* Retry.wait(failure, {
          retry: tries,
          maxRetries: candidate.provider.maxRetries,
          deadline: Math.min(options.deadline, giveWayAt),
          hasOther
        })
      if (typeof again !== "string") {
        const because = `retry ${tries} of at most ${candidate.provider.maxRetries}`
        tries += 1
        return { tier, wait: again, because }
      }
      // Before any text, another model answers sooner than a third request to this one.
      if (tier === "real" && worthAnotherCall(failure) && !late && (sent || !hasOther)) {
        return { tier: "fallback", wait: Duration.zero, because: `${again}: the answer is asked for whole` }
      }
      if (!Retry.mayAnswerElsewhere(failure)) return { because: "another model would be refused as well" }
      const next = others.shift()
      if (next === undefined) return { because: `${again}, and no other model is left` }
      candidate = next
      tries = 1
      giveWayAt = Infinity
      return { tier: next.streams ? "real" : "simulated", wait: Duration.zero, because: `${again}: the next model` }
    })

  const after = (failure: ProviderFailure): Pull =>
    Effect.gen(function*() {
      yield* options.onFailed(candidate, tier, failure)
      const failed = { failedModel: candidate.fullName, failedTier: tier, reason: failure.reason }
      const next = yield* plan(failure)
      if (next.tier === undefined) {
        yield* Effect.annotateLogs(Effect.logDebug("no other attempt"), { because: next.because, ...failed })
        return yield* sent ? new StreamInterrupted({ provider: candidate.provider.name, cause: failure }) : failure
      }
      tier = next.tier
      yield* Effect.annotateLogs(Effect.logInfo("another attempt"), {
        model: candidate.fullName,
        tier,
        waitMs: Math.round(Duration.toMillis(next.wait)),
        because: next.because,
        ...failed
      })
      yield* closeAttempt
      attempt += 1
      step = Effect.zipRight(Effect.sleep(next.wait), start())
      if (!sent) return yield* step
      sent = false
      return { _tag: "Restart", reason: failure.reason }
    })

  const whole = (completion: Completion): Event => {
    const pieces = options.whole && completion.text !== "" ? [completion.text] : cut(completion.text)
    const texts = pieces.map((text): Text => ({ _tag: "Text", text }))
    return begin(...texts, end(completion))
  }
  const call: Pull = Effect.suspend(() =>
    Effect.matchEffect(hurried(candidate.provider.complete(candidate.request)), {
      onSuccess: (completion) => Effect.sync(() => whole(completion)),
      onFailure: after
    })
  )

  const simulate = (unsupported: StreamingUnsupported): Pull =>
    Effect.gen(function*() {
      tier = "simulated"
      yield* Effect.annotateLogs(Effect.logInfo("the model does not stream"), { model: candidate.fullName, tier })
      yield* options.onUnsupported(candidate)
      yield* closeAttempt
      return unsupported.answer === undefined ? yield* call : whole(unsupported.answer)
    })

  const toEvent = (piece: Piece): Event => piece._tag === "End" ? end(piece) : piece
  /** The first piece brings the `Start` with it, so an attempt that gave nothing leaves no trace. */
  const first = (pieces: Pieces) =>
    Effect.map(pieces, (piece) => {
      step = Effect.matchEffect(pieces, { onSuccess: (piece) => Effect.succeed(toEvent(piece)), onFailure: after })
      return begin(toEvent(piece))
    })
  const real: Pull = Effect.flatMap(options.scope, (scope) => {
    attemptScope = scope
    return hurried(Effect.flatMap(Scope.extend(candidate.provider.stream(candidate.request), scope), first))
  }).pipe(Effect.catchTags({ StreamingUnsupported: simulate, ProviderFailure: after }))

  const start = (): Pull => tier === "real" ? real : call
  let step: Pull = start()

  const given = (event: Event): Pull => {
    if (event._tag === "Text") sent = true
    return Effect.succeed(event)
  }
  return Effect.suspend(() => {
    const event = pending.shift()
    return event === undefined ? Effect.flatMap(step, given) : given(event)
  })
}

// -- internals ---------------------------------------------------------------

/** The tier to go on with and how long to wait first, or nothing; `because` is for the log. */
type Plan =
  | { readonly tier: Tier; readonly wait: Duration.Duration; readonly because: string }
  | { readonly tier?: undefined; readonly because: string }

/** A provider that refuses the request, or is limiting us, would do the same to a call of another form. */
const worthAnotherCall = (failure: ProviderFailure): boolean =>
  Retry.mayAnswerAgain(failure) &&
  (failure.reason === "PROVIDER_UNAVAILABLE" || failure.reason === "PROVIDER_TIMEOUT")

const tooSlow = (provider: string) =>
  new ProviderFailure({
    provider,
    reason: "PROVIDER_TIMEOUT",
    detail: "no text in time for another model to be tried",
    retryAfter: undefined,
    cause: undefined
  })

const cut = (text: string): ReadonlyArray<string> => {
  const pieces: Array<string> = []
  for (let from = 0; from < text.length;) {
    let to = Math.min(from + simulatedPieceLength, text.length)
    if (to < text.length && isHighSurrogate(text.charCodeAt(to - 1))) to -= 1
    pieces.push(text.slice(from, to))
    from = to
  }
  return pieces
}

const isHighSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff
