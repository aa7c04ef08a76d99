/**
 * Quotes of strings within strings: `"`, `\"`, `\\\"`, each a level deeper.
 */

/** The level of a double quote with `backslashes` before it: how many ones end that number in binary. */
export const level = (backslashes: number): number => {
  let count = 0
  for (let rest = backslashes; rest % 2 === 1; rest = (rest - 1) / 2) count++
  return count
}

/** How many backslashes stand directly before `at`, none of them before `from`. */
export const backslashesBefore = (text: string, at: number, from = 0): number => {
  let start = at
  while (start > from && text.charCodeAt(start - 1) === backslash) start--
  return at - start
}

/**
 * Where the string ends whose first character is at `from`: at the backslashes
 * of the quote that closes it, or -1 when none does.
 */
export const closing = (text: string, from: number, quote: string, depth: number): number => {
  for (let at = text.indexOf(quote, from); at >= 0; at = text.indexOf(quote, at + 1)) {
    const run = backslashesBefore(text, at, from)
    // A quote of an outer string ends an inner one, too.
    if (quote !== "\"" || level(run) <= depth) return at - Math.min(run, 2 ** Math.min(level(run), depth) - 1)
  }
  return -1
}

// -- internals ---------------------------------------------------------------

const backslash = 0x5c
