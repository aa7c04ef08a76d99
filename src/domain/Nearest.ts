/**
 * The names most like a mistyped one.
 */

/** Candidates within a third of `name`'s length (at least 2 edits), best first; case is ignored. */
export const nearest = (name: string, candidates: Iterable<string>, most = 3): ReadonlyArray<string> => {
  const wanted = name.toLowerCase()
  const reach = Math.max(2, Math.floor(wanted.length / 3))
  const scored: Array<readonly [distance: number, candidate: string]> = []
  for (const candidate of new Set(candidates)) {
    const distance = editDistance(wanted, candidate.toLowerCase())
    if (distance <= reach) scored.push([distance, candidate])
  }
  return scored.sort(([a], [b]) => a - b).slice(0, most).map(([, candidate]) => candidate)
}

// -- internals ---------------------------------------------------------------

/** Levenshtein distance in UTF-16 code units, one row at a time. */
const editDistance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
