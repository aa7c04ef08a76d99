/**
 * Whether this process has more to do than is good for those who wait for it.
 */
import { performance } from "node:perf_hooks"

/** Asked as often as one likes; `usual` is the measure of the process itself. */
export const make = (read: Read = usual): { readonly isHigh: () => boolean } => {
  let before = read()
  let high = false
  return {
    isHigh: () => {
      const now = read()
      const passed = now.at - before.at
      if (passed < window) return high
      high = now.busy - before.busy > most * passed
      before = now
      return high
    }
  }
}

/** Milliseconds: since some moment, and of these, how many the event loop had something to do. */
export type Read = () => { readonly at: number; readonly busy: number }

// -- internals ---------------------------------------------------------------

/** Milliseconds. */
const window = 100

/** Of the time: with more, what comes next waits for what came before. */
const most = 0.7

/** Not the clock of the program: this is about the machine. */
const usual: Read = () => {
  const { active, idle } = performance.eventLoopUtilization()
  return { at: active + idle, busy: active }
}
