/**
 * One call, from its arrival to its end, as a value.
 *
 * The face that took it off the wire makes it once and hands it to each step: authenticate, decode, admit, answer, write.
 * Whoever takes something for the call registers here how it is given back ({@link Call.onEnd}), whether the call is
 * answered at once or by a fiber. What ends a call from outside, a deadline or a revoked token, does so by
 * {@link Call.end}.
 */
import { type Clock, Context, Effect, Exit, FiberRef, LogLevel, Option, Scope, Tracer } from "effect"
import type { Access } from "../domain/Access.js"
import type { Caller, Feature } from "../domain/Answer.js"
import type { ProxyError, Unauthenticated } from "../domain/Errors.js"
import { isExit, suspendEager } from "../effect/Eager.js"
import type * as LogLine from "../telemetry/LogLine.js"
import * as Traceparent from "../telemetry/Traceparent.js"
import type { Deadlines } from "./Deadlines.js"

/** What the face knows of the call beside its caller. */
export interface Face {
  /** `/package.Service/Method`; empty for a caller within the process. */
  readonly rpc: string
  /** Address of the client's end of the connection; empty for a caller within the process. */
  readonly peer: string
  readonly clock: Clock.Clock
  /** What the call's spans belong to; undefined where nothing is traced. */
  readonly span: Tracer.AnySpan | undefined
  /** Whether the program has a tracer. */
  readonly isTracing: boolean
  /** Whether the log shows lines at DEBUG. */
  readonly isDebugging: boolean
  /** Fails when the caller is trusted no longer. */
  readonly recheck: () => Effect.Effect<void, Unauthenticated>
  /** Undefined where nothing can end the call from outside. */
  readonly deadlines: Deadlines | undefined
}

/** Gives back what was taken for a call, which ended with this exit. */
export type Release = (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>

/** What a step that takes something needs of a call. */
export interface Releasing {
  onEnd(release: Release): void
}

export class Call implements Caller, Releasing {
  readonly subject: string
  readonly tokenId: string | undefined
  readonly access: Access
  readonly features: ReadonlySet<Feature>
  readonly arrivedAt: number
  /** Until when the client waits, in milliseconds since the epoch. */
  deadline: number
  /** Empty until the request is decoded. */
  requestId = ""
  /** What the line that ends the call says of its answer. */
  readonly fields: { [key: string]: LogLine.Values[string] } = {}
  private releases: Array<Release> | undefined = []
  private stop: ((error: ProxyError) => void) | undefined

  constructor(caller: Caller, readonly face: Face) {
    this.subject = caller.subject
    this.tokenId = caller.tokenId
    this.access = caller.access
    this.features = caller.features
    this.deadline = caller.deadline
    this.arrivedAt = caller.arrivedAt ?? Number(face.clock.unsafeCurrentTimeNanos()) / 1e6
  }

  /** Milliseconds since the epoch. */
  now(): number {
    return this.face.clock.unsafeCurrentTimeMillis()
  }

  /** Registers what gives something back when the call ends; the last that was registered runs first. */
  onEnd(release: Release): void {
    if (this.releases === undefined) throw new Error("the call is over")
    this.releases.push(release)
  }

  /** Makes a scope that closes with the call, for what knows nothing of calls. */
  get scope(): Effect.Effect<Scope.CloseableScope> {
    return Effect.map(Scope.make(), (scope) => {
      this.onEnd((exit) => Scope.close(scope, exit))
      return scope
    })
  }

  /** Runs once what was registered, all of it; fails with the defects of what could not be given back. */
  close(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    const releases = this.releases ?? []
    this.releases = undefined
    this.stop = undefined
    return released(releases, exit, Exit.void)
  }

  /** Who runs the call says how it is ended from outside. */
  onStop(stop: ((error: ProxyError) => void) | undefined): void {
    this.stop = stop
  }

  /** Ends the call now, with this error; nothing happens when it is over. */
  end(error: ProxyError): void {
    this.stop?.(error)
  }

  /** Calls `late` when `millis` after `from` (milliseconds since the epoch) have passed and the call is not over. */
  limit(from: number, millis: number, late: () => void): boolean {
    const { deadlines } = this.face
    if (deadlines === undefined) return false
    const remove = deadlines.add(from, millis, late)
    this.onEnd(() => {
      remove()
      return Exit.void
    })
    return true
  }
}

/** Does `work` for the call that `caller` is, or for one that is made here and over with it. */
export const use = <A, E>(caller: Caller, work: (call: Call) => Effect.Effect<A, E>): Effect.Effect<A, E> =>
  caller instanceof Call ?
    work(caller) :
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(
        make(caller),
        (call) => Effect.onExit(restore(Effect.suspend(() => work(call))), (exit) => call.close(exit))
      )
    )

/** The call of a caller within the process; whoever makes it closes it. */
export const make = (caller: Caller): Effect.Effect<Call> =>
  Effect.withFiberRuntime((fiber) =>
    Effect.flatMap(Effect.clock, (clock) =>
      Effect.succeed(
        new Call(caller, {
          rpc: "",
          peer: "",
          clock,
          span: Option.getOrUndefined(spanOf(fiber.currentContext)),
          isTracing: Traceparent.isTracer(fiber.currentTracer),
          isDebugging: LogLevel.lessThanEqual(fiber.getFiberRef(FiberRef.currentMinimumLogLevel), LogLevel.Debug),
          recheck: () => Exit.void,
          deadlines: undefined
        })
      ))
  )

// -- internals ---------------------------------------------------------------

const spanOf = Context.getOption(Tracer.ParentSpan)

const released = (
  releases: Array<Release>,
  exit: Exit.Exit<unknown, unknown>,
  before: Exit.Exit<void>
): Effect.Effect<void> => {
  let all = before
  for (let release = releases.pop(); release !== undefined; release = releases.pop()) {
    const own = release
    const done = suspendEager(() => own(exit))
    if (!isExit(done)) {
      const known = all
      return Effect.flatMap(Effect.exit(done), (done) => released(releases, exit, both(known, done)))
    }
    all = both(all, done)
  }
  return all
}

const both = (one: Exit.Exit<void>, other: Exit.Exit<void>): Exit.Exit<void> =>
  Exit.isSuccess(one) ? other : Exit.zipLeft(one, other)
