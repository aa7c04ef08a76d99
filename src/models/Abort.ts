/**
 * How a request to a provider learns that its call is over.
 *
 * As an `AbortController`, without the events around it, which cost a call as
 * much as all of its limits do. The SDKs want a signal, and get one made.
 */
export interface Aborted {
  readonly isOver: boolean
  /** Of what is over. */
  readonly reason: Error
  /** Calls back at once when it is over, unless it is already; one may listen at a time, and nobody with undefined. */
  readonly listen: (tell: (() => void) | undefined) => void
}

export class Abort implements Aborted {
  isOver = false
  private tell: (() => void) | undefined
  private controller: AbortController | undefined

  get reason(): Error {
    return new Error("the call is over")
  }

  /** The same for those who know no other. */
  get signal(): AbortSignal {
    this.controller ??= new AbortController()
    if (this.isOver) this.controller.abort()
    return this.controller.signal
  }

  listen(tell: (() => void) | undefined): void {
    this.tell = tell
  }

  abort(): void {
    if (this.isOver) return
    this.isOver = true
    this.controller?.abort()
    this.tell?.()
  }
}

export const ofSignal = (signal: AbortSignal | undefined): Aborted => {
  if (signal === undefined) return new Abort()
  let listener: (() => void) | undefined
  return {
    get isOver() {
      return signal.aborted
    },
    get reason() {
      const reason: unknown = signal.reason
      return reason instanceof Error ? reason : new Error("aborted", { cause: reason })
    },
    listen: (tell) => {
      if (listener !== undefined) signal.removeEventListener("abort", listener)
      listener = tell
      if (tell !== undefined) signal.addEventListener("abort", tell, { once: true })
    }
  }
}
