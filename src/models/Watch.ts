/**
 * A limit to how long each of many waits may take, one after the other.
 *
 * A timer for each wait would be set and cleared for every piece of text, and hardly ever go off: one stays for all
 * waits, and when it goes off, looks whether the present one has time left.
 */

export interface Watch {
  /** Calls `late` after so many milliseconds, unless the wait has ended before. */
  readonly begin: (millis: number, late: () => void) => void
  readonly end: () => void
  /** Nothing is called any more. */
  readonly stop: () => void
}

export const make = (): Watch => {
  let timer: ReturnType<typeof setTimeout> | undefined
  /** When it goes off, and when it should: milliseconds of the machine's clock. */
  let armedFor = Infinity
  let due = Infinity
  let late: (() => void) | undefined

  const stop = (): void => {
    clearTimeout(timer)
    timer = undefined
    armedFor = Infinity
    late = undefined
  }
  const arm = (now: number): void => {
    clearTimeout(timer)
    armedFor = due
    timer = setTimeout(look, due - now)
  }
  const look = (): void => {
    timer = undefined
    armedFor = Infinity
    const now = performance.now()
    // A timer may be early by the fraction of a millisecond that it cannot count.
    if (late !== undefined && now + 1 < due) return arm(now)
    const call = late
    late = undefined
    call?.()
  }
  return {
    begin: (millis, call) => {
      const now = performance.now()
      late = call
      due = now + millis
      if (due < armedFor) arm(now)
    },
    end: () => {
      late = undefined
    },
    stop
  }
}
