/**
 * Whether this process has more to do than is good for those who wait for it.
 */

/** Asked as often as one likes; `usual` is the measure of the process itself. */
export const make = (read: Read = usual): { readonly isOn: () => boolean } => {
  let before = read()
  let on = false
  return {
    isOn: () => {
      const now = read()
      const passed = now.at - before.at
      if (passed < window) return on
      on = now.busy - before.busy > most * passed
      before = now
      return on
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
