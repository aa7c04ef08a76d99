/**
 * The three ways of streaming an answer, and the one way of choosing.
 *
 * 1. `real`      pieces as the provider produces them
 * 2. `simulated` a whole answer, cut in pieces, for a model that cannot stream
 * 3. `fallback`  a fresh whole call after a stream failed
 *
 * A tier gives way to the next by itself only before its first text. After
 * that, a client that understands `restart` is told to discard what it has;
 * for any other the call ends with `STREAM_INTERRUPTED`. So the text after the
 * last restart is always exactly one attempt's.
 */
import { Effect, ExecutionStrategy, Exit, Scope } from "effect"
import type { Completion, Restart, Start, Text, Tier, Usage } from "../domain/Answer.js"
import { type ProviderFailure, StreamInterrupted } from "../domain/Errors.js"
import type { Piece, Pieces, Provider, ProviderRequest, StreamingUnsupported } from "../models/Provider.js"

/** `End.retries` counts the attempts after the first. */
export type TierEvent = Start | Restart | Text | {
  readonly _tag: "End"
  readonly usage: Usage | undefined
  readonly retries: number
}

/** Pulls the next event; after `End` it must not be pulled again. */
export type TierPull = Effect.Effect<TierEvent, ProviderFailure | StreamInterrupted>

export interface Options {
  readonly provider: Provider
  readonly request: ProviderRequest
  /** `provider/model`. */
  readonly fullName: string
  /** False for a model that is known not to stream. */
  readonly streams: boolean
  /** Whether the client understands `restart`. */
  readonly restartable: boolean
}

/** Length of a simulated piece, in UTF-16 code units; a surrogate pair is never cut. */
export const simulatedPieceLength = 100

/** Opens the best tier that works. Closing the scope closes the provider's socket. */
export const open = (options: Options): Effect.Effect<TierPull, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    const { provider, request } = options
    const pending: Array<TierEvent> = []
    let attempt = 1
    /** Whether the client holds text of the present attempt. */
    let sent = false
    let attemptScope: Scope.CloseableScope | undefined

    const begin = (tier: Tier, ...events: ReadonlyArray<TierEvent>): TierEvent => {
      pending.push(...events)
      return { _tag: "Start", tier, attempt, provider: provider.name, model: options.fullName }
    }
    const end = (usage: Usage | undefined): TierEvent => ({ _tag: "End", usage, retries: attempt - 1 })

    const whole = (tier: Tier, completion: Completion): TierEvent => {
      const texts = cut(completion.text).map((text): Text => ({ _tag: "Text", text }))
      return begin(tier, ...texts, end(completion.usage))
    }
    const call = (tier: Tier): TierPull =>
      Effect.map(provider.complete(request), (completion) => whole(tier, completion))

    const closeAttempt = Effect.suspend(() =>
      attemptScope === undefined ? Effect.void : Scope.close(attemptScope, Exit.void)
    )

    const fallBack = (failure: ProviderFailure): TierPull =>
      Effect.gen(function*() {
        const possible = worthAnotherCall(failure) && (!sent || options.restartable)
        if (!possible) return yield* sent ? new StreamInterrupted({ provider: provider.name, cause: failure }) : failure
        yield* Effect.logInfo("streaming fell back").pipe(
          Effect.annotateLogs({ tier: "fallback", model: options.fullName, reason: failure.reason })
        )
        yield* closeAttempt
        attempt += 1
        step = call("fallback")
        if (!sent) return yield* step
        sent = false
        return { _tag: "Restart", reason: failure.reason }
      })

    const simulate = (unsupported: StreamingUnsupported): TierPull =>
      Effect.logInfo("the model does not stream; simulating").pipe(
        Effect.annotateLogs({ tier: "simulated", model: options.fullName }),
        Effect.zipRight(closeAttempt),
        Effect.zipRight(
          unsupported.answer === undefined
            ? call("simulated")
            : Effect.succeed(whole("simulated", unsupported.answer))
        )
      )

    /** The first piece brings the `Start` with it, so an attempt that gave nothing leaves no trace. */
    const first = (pieces: Pieces): TierPull =>
      Effect.map(pieces, (piece) => {
        step = Effect.catchAll(Effect.map(pieces, toEvent), fallBack)
        return begin("real", toEvent(piece))
      })
    const toEvent = (piece: Piece): TierEvent => piece._tag === "End" ? end(piece.usage) : piece

    const real: TierPull = Effect.gen(function*() {
      attemptScope = yield* Scope.fork(scope, ExecutionStrategy.sequential)
      return yield* Effect.flatMap(Scope.extend(provider.stream(request), attemptScope), first)
    }).pipe(Effect.catchTags({ StreamingUnsupported: simulate, ProviderFailure: fallBack }))

    let step: TierPull = options.streams ? real : call("simulated")

    return Effect.suspend(() => {
      const event = pending.shift()
      return event === undefined ? step : Effect.succeed(event)
    }).pipe(Effect.tap((event) => {
      if (event._tag === "Text") sent = true
    }))
  })

// -- internals ---------------------------------------------------------------

/** A provider that refuses the request, or is limiting us, would do the same to a second call at once. */
const worthAnotherCall = (failure: ProviderFailure): boolean =>
  failure.reason === "PROVIDER_UNAVAILABLE" || failure.reason === "PROVIDER_TIMEOUT"

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
