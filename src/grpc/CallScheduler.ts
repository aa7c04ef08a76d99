/**
 * In which order the fibers of the calls run.
 *
 * Effect's own scheduler keeps a queue for each fiber, in a map of all fibers,
 * and looks up a reference of the fiber before each of its steps to learn
 * whether it has taken too many. Here all calls share one queue, and the number
 * of steps is fixed.
 */
import type { Scheduler } from "effect"

export const make = (): Scheduler.Scheduler => {
  let due: Array<Scheduler.Task> = []
  /** How often in a row there was more to do when all that was due was done. */
  let rounds = 0
  let planned = false

  const plan = (): void => {
    planned = true
    // Fibers that always have more to do must not keep the process from its sockets.
    if (rounds < mostRounds) void resolved.then(run)
    else {
      rounds = 0
      setImmediate(run)
    }
  }
  const run = (): void => {
    const tasks = due
    due = []
    let next = 0
    try {
      for (let task = tasks[next++]; task !== undefined; task = tasks[next++]) task()
    } finally {
      // One that throws, which none should, must not stop the fibers of the other calls.
      if (next < tasks.length) due = [...tasks.slice(next), ...due]
      planned = false
      if (due.length === 0) rounds = 0
      else {
        rounds++
        plan()
      }
    }
  }
  return {
    shouldYield: ({ currentOpCount }) => currentOpCount > mostSteps ? 0 : false,
    scheduleTask: (task) => {
      due.push(task)
      if (!planned) plan()
    }
  }
}

// -- internals ---------------------------------------------------------------

/** Of one fiber, before others have their turn: as many as with Effect's own. */
const mostSteps = 2048

const mostRounds = 64

const resolved = Promise.resolve()
