/**
 * What was used in any 60 seconds.
 *
 * What is used in the same millisecond is one entry, so that a window has
 * 60,000 of them at most; adding, leaving and correcting cost the same however
 * many there are.
 */

/** What was used at one moment. */
export interface Entry {
  /** Milliseconds since the epoch. */
  at: number
  amount: number
  inside: boolean
}

export interface Window {
  /** The sum of the last 60 seconds. */
  readonly used: (now: number) => number
  /** Yields the entry that has the amount now, with that of others. */
  readonly add: (amount: number, now: number) => Entry
  /** Adds to what was used at that moment, or takes from it, unless it has left the window. */
  readonly correct: (entry: Entry, by: number, now: number) => void
  /** Milliseconds until at least this much, above 0, of what is used now has left. */
  readonly untilLeft: (amount: number, now: number) => number
}

export const minute = 60_000

export const make = (): Window => {
  /** Oldest first; those before `first` have left. */
  const entries: Array<Entry> = []
  let first = 0
  let sum = 0

  const advance = (now: number): void => {
    // A clock that was set back must not hold anybody up until it has caught up.
    for (let index = entries.length - 1; index >= first; index--) {
      const entry = entries[index]
      if (entry === undefined || entry.at <= now) break
      entry.at = now
    }
    for (let entry = entries[first]; entry !== undefined && entry.at <= now - minute; entry = entries[first]) {
      entry.inside = false
      sum -= entry.amount
      first++
    }
    // Not each time: it moves all that are left.
    if (first > 0 && first * 2 >= entries.length) {
      entries.splice(0, first)
      first = 0
    }
  }

  return {
    used: (now) => {
      advance(now)
      return sum
    },
    add: (amount, now) => {
      advance(now)
      sum += amount
      const last = entries.at(-1)
      if (last?.at === now) {
        last.amount += amount
        return last
      }
      const entry = { at: now, amount, inside: true }
      entries.push(entry)
      return entry
    },
    correct: (entry, by, now) => {
      advance(now)
      if (!entry.inside) return
      entry.amount += by
      sum += by
    },
    untilLeft: (amount, now) => {
      advance(now)
      let left = 0
      for (let index = first; index < entries.length; index++) {
        const entry = entries[index]
        if (entry === undefined) break
        left += entry.amount
        if (left >= amount) return entry.at + minute - now
      }
      return minute
    }
  }
}
