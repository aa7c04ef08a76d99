/**
 * Cuts a text into lines, and lines that are too long into parts, always at
 * the same places however the text arrives.
 */

export interface Part {
  /** Without the line's end. */
  readonly text: string
  /** `\n`, `\r\n`, or nothing where the line goes on or the text ends. */
  readonly newline: string
  /** It begins its line. */
  readonly first: boolean
  /** It ends its line. */
  readonly last: boolean
  /** From where on the part has no place to cut: its end stands inside a run of characters. The length of the text when there is none. */
  readonly run: number
}

export interface Lines {
  readonly push: (piece: string) => void
  readonly end: () => void
}

/** Calls `take` with each part as soon as it is complete. */
export const make = (take: (part: Part) => void): Lines => {
  let pending = ""
  let first = true

  const line = (newline: string) => {
    const carriage = newline !== "" && pending.endsWith("\r")
    const text = carriage ? pending.slice(0, -1) : pending
    if (text !== "" || newline !== "" || !first) {
      take({ text, newline: carriage ? `\r${newline}` : newline, first, last: true, run: text.length })
    }
    pending = ""
    first = true
  }

  /** Where the first `longest` characters of a line are cut. */
  const cut = () => {
    const head = pending.slice(0, longest)
    let at = longest
    while (at > longest / 2 && !isBreak(head, at - 1)) at--
    if (at > longest / 2) {
      take({ text: head.slice(0, at), newline: "", first, last: false, run: at })
    } else {
      let run = at
      while (run > 0 && !isBreak(head, run - 1)) run--
      at = longest
      take({ text: head, newline: "", first, last: false, run })
    }
    pending = pending.slice(at)
    first = false
  }

  const add = (text: string) => {
    // Never more than one part in memory at once, so that each character is copied a bounded number of times.
    for (let from = 0; from < text.length;) {
      const to = Math.min(text.length, from + longest - pending.length)
      pending += text.slice(from, to)
      from = to
      if (pending.length >= longest) cut()
    }
  }

  return {
    push: (piece) => {
      let from = 0
      for (let at = piece.indexOf("\n"); at >= 0; at = piece.indexOf("\n", from)) {
        add(piece.slice(from, at))
        line("\n")
        from = at + 1
      }
      add(piece.slice(from))
    },
    end: () => line("")
  }
}

/** UTF-16 code units of a line that are looked at together. */
export const longest = 65_536

/** Whether a secret ends before `at` at the latest, or a line may be cut after it: a blank, or a comma between two values. */
export const isBreak = (text: string, at: number): boolean => {
  const code = text.charCodeAt(at)
  return code === 0x20 || code === 0x09 || code === 0x0d || (code === 0x2c && /["'}\])0-9]/.test(text.charAt(at - 1)))
}
