/**
 * The eager combinators of Effect 4, for Effect 3.
 *
 * A step that knows its answer returns an `Exit`, which is an `Effect`. These then run the next step at once, without
 * the interpreter and its fiber; for any other effect they do what the combinators of `Effect` do. So one path serves
 * both, and nothing else differs. What is thrown by a callback is thrown here when it runs at once: who runs the whole
 * makes a defect of it ({@link suspendEager}).
 * Source: https://github.com/Effect-TS/effect-smol/blob/main/packages/effect/src/Effect.ts
 */
import { Cause, Clock, Effect, Either, Exit } from "effect"

/**
 * When a step is made. One that gets it need not ask the clock, which only a fiber can, and may so answer at once: with
 * it, the step acts when it is called, without it, when it is run.
 */
export interface Moment {
  /** Milliseconds since the epoch. */
  readonly at: number
}

/** Acts now where a moment is given, else when it is run, by the clock of whoever runs it. */
export const actEager = <A, E, R>(
  moment: Moment | undefined,
  act: (moment: Moment) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  moment === undefined ? Effect.flatMap(Clock.currentTimeMillis, (at) => act({ at })) : act(moment)

/** Whether the answer is here already. */
export const isExit = <A, E, R>(self: Effect.Effect<A, E, R>): self is Exit.Exit<A, E> => Exit.isExit(self)

export const flatMapEager = <A, E, R, B, E2, R2>(
  self: Effect.Effect<A, E, R>,
  f: (a: A) => Effect.Effect<B, E2, R2>
): Effect.Effect<B, E | E2, R | R2> =>
  isExit(self) ? Exit.isSuccess(self) ? f(self.value) : Exit.failCause(self.cause) : Effect.flatMap(self, f)

export const mapEager = <A, E, R, B>(self: Effect.Effect<A, E, R>, f: (a: A) => B): Effect.Effect<B, E, R> =>
  isExit(self) ? Exit.map(self, f) : Effect.map(self, f)

export const mapErrorEager = <A, E, R, E2>(
  self: Effect.Effect<A, E, R>,
  f: (error: E) => E2
): Effect.Effect<A, E2, R> => isExit(self) ? Exit.mapError(self, f) : Effect.mapError(self, f)

export const mapBothEager = <A, E, R, B, E2>(
  self: Effect.Effect<A, E, R>,
  on: { readonly onFailure: (error: E) => E2; readonly onSuccess: (a: A) => B }
): Effect.Effect<B, E2, R> => isExit(self) ? Exit.mapBoth(self, on) : Effect.mapBoth(self, on)

/** Failures only: defects and interruption pass. */
export const catchEager = <A, E, R, B, E2, R2>(
  self: Effect.Effect<A, E, R>,
  f: (error: E) => Effect.Effect<B, E2, R2>
): Effect.Effect<A | B, E2, R | R2> => matchEffectEager(self, { onFailure: f, onSuccess: Exit.succeed })

/** Failures only: defects and interruption pass. */
export const matchEager = <A, E, R, B, C>(
  self: Effect.Effect<A, E, R>,
  on: { readonly onFailure: (error: E) => C; readonly onSuccess: (a: A) => B }
): Effect.Effect<B | C, never, R> =>
  matchEffectEager(self, {
    onFailure: (error) => Exit.succeed(on.onFailure(error)),
    onSuccess: (a) => Exit.succeed(on.onSuccess(a))
  })

/** Failures only: defects and interruption pass. */
export const matchEffectEager = <A, E, R, B, E2, R2, C, E3, R3>(
  self: Effect.Effect<A, E, R>,
  on: {
    readonly onFailure: (error: E) => Effect.Effect<C, E3, R3>
    readonly onSuccess: (a: A) => Effect.Effect<B, E2, R2>
  }
): Effect.Effect<B | C, E2 | E3, R | R2 | R3> => {
  if (!isExit(self)) return Effect.matchEffect(self, on)
  if (Exit.isSuccess(self)) return on.onSuccess(self.value)
  const failure = Cause.failureOrCause(self.cause)
  return Either.isLeft(failure) ? on.onFailure(failure.left) : Exit.failCause(failure.right)
}

/** Whatever it ends with; what `f` returns is the end of it. */
export const matchCauseEffectEager = <A, E, R, B, E2, R2, C, E3, R3>(
  self: Effect.Effect<A, E, R>,
  on: {
    readonly onFailure: (cause: Cause.Cause<E>) => Effect.Effect<C, E3, R3>
    readonly onSuccess: (a: A) => Effect.Effect<B, E2, R2>
  }
): Effect.Effect<B | C, E2 | E3, R | R2 | R3> =>
  isExit(self)
    ? Exit.isSuccess(self) ? on.onSuccess(self.value) : on.onFailure(self.cause)
    : Effect.matchCauseEffect(self, on)

/** What has happened already cannot be interrupted. */
export const uninterruptibleEager = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  isExit(self) ? self : Effect.uninterruptible(self)

/** Calls `f` now; what it throws is a defect. */
export const suspendEager = <A, E, R>(f: () => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  try {
    return f()
  } catch (defect) {
    return Exit.die(defect)
  }
}
