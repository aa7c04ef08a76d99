/**
 * Effects on a clock of their own, at once and always in the same order.
 *
 * Nothing waits for real time: when no fiber can go on, the clock jumps to the
 * next timer. So thousands of long stories take seconds, a failure repeats, and
 * what is left at the end can be counted. Only for programs whose every wait is
 * a timer, a fiber or a callback of the test.
 */
import {
  Clock,
  type Context,
  Duration,
  Effect,
  type Exit,
  type Fiber,
  type Option,
  Random,
  type Scheduler,
  Supervisor
} from "effect"

export interface VirtualTime {
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Calls back after so many milliseconds. */
  readonly after: (millis: number, callback: () => void) => void
  /** Starts a fiber; it goes on when {@link VirtualTime.run} is called. */
  readonly fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.RuntimeFiber<A, E>
  /** Goes on until nothing is left to happen, or until `end`, in milliseconds since the epoch. */
  readonly run: (end: number) => void
  /** Lets every fiber go on as far as it can without time passing. */
  readonly settle: () => void
  /** Fibers' sleeps, without the callbacks of {@link VirtualTime.after}. */
  readonly sleeps: () => number
  readonly fibers: () => number
}

export const make = (seed: number): VirtualTime => {
  let now = 0
  let serial = 0
  let tasks: Array<() => void> = []
  const timers = new Set<{ readonly at: number; readonly serial: number; readonly fire: () => void }>()
  const sleeps = new Set<unknown>()
  const fibers = new Set<unknown>()

  const scheduler: Scheduler.Scheduler = {
    shouldYield: () => false,
    scheduleTask: (task) => void tasks.push(task)
  }
  const start = (millis: number, fire: () => void) => {
    // Whole milliseconds, as Node's timers and clock have them.
    const timer = { at: now + Math.ceil(millis), serial: serial++, fire }
    timers.add(timer)
    return timer
  }
  const clock: Clock.Clock = {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: () => now,
    unsafeCurrentTimeNanos: () => BigInt(now) * 1_000_000n,
    currentTimeMillis: Effect.sync(() => now),
    currentTimeNanos: Effect.sync(() => BigInt(now) * 1_000_000n),
    sleep: (duration) =>
      Effect.async<void>((resume) => {
        const timer = start(Duration.toMillis(duration), () => {
          sleeps.delete(timer)
          resume(Effect.void)
        })
        sleeps.add(timer)
        return Effect.sync(() => {
          sleeps.delete(timer)
          timers.delete(timer)
        })
      })
  }

  class Counting extends Supervisor.AbstractSupervisor<void> {
    override readonly value = Effect.void
    override onStart<A, E, R>(
      _context: Context.Context<R>,
      _effect: Effect.Effect<A, E, R>,
      _parent: Option.Option<Fiber.RuntimeFiber<unknown, unknown>>,
      fiber: Fiber.RuntimeFiber<A, E>
    ): void {
      fibers.add(fiber)
    }
    override onEnd<A, E>(_exit: Exit.Exit<A, E>, fiber: Fiber.RuntimeFiber<A, E>): void {
      fibers.delete(fiber)
    }
  }
  const supervisor = new Counting()

  const settle = () => {
    let rounds = 0
    while (tasks.length > 0) {
      if (++rounds > 50_000) throw new Error("the fibers do not come to rest")
      const ready = tasks
      tasks = []
      for (const task of ready) task()
    }
  }
  const next = () => {
    let first: (typeof timers extends Set<infer Timer> ? Timer : never) | undefined
    for (const timer of timers) {
      if (first === undefined || timer.at < first.at || timer.at === first.at && timer.serial < first.serial) {
        first = timer
      }
    }
    return first
  }

  return {
    now: () => now,
    after: (millis, callback) => void start(millis, callback),
    fork: (effect) =>
      Effect.runFork(
        effect.pipe(
          Effect.supervised(supervisor),
          Effect.withClock(clock),
          Effect.withRandom(Random.make(seed)),
          Effect.withScheduler(scheduler)
        ),
        { scheduler }
      ),
    run: (end) => {
      settle()
      let steps = 0
      for (let timer = next(); timer !== undefined && timer.at <= end; timer = next()) {
        if (++steps > 50_000) throw new Error("the story does not end")
        timers.delete(timer)
        now = Math.max(now, timer.at)
        timer.fire()
        settle()
      }
      if (end !== Infinity) now = end
    },
    settle,
    sleeps: () => sleeps.size,
    fibers: () => fibers.size
  }
}
