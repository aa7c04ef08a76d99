/**
 * Models that turned out not to stream, so that the next call need not find
 * out again. Forgotten after a while: providers learn.
 */
export interface NonStreaming {
  /** `now` in milliseconds since the epoch. */
  readonly has: (fullName: string, now: number) => boolean
  readonly add: (fullName: string, now: number) => void
}

export const make = (): NonStreaming => {
  const until = new Map<string, number>()
  return {
    has: (fullName, now) => (until.get(fullName) ?? 0) > now,
    add: (fullName, now) => {
      // Names come from callers: there may be any number of them.
      if (until.size >= most) until.clear()
      until.set(fullName, now + memoryMs)
    }
  }
}

// -- internals ---------------------------------------------------------------

const memoryMs = 10 * 60_000
const most = 1000
