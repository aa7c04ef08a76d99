/**
 * Days and months of quotas, in UTC.
 */

/** `2026-11-26`; `at` in milliseconds since the epoch. */
export const dayOf = (at: number): string => new Date(at).toISOString().slice(0, 10)

/** `2026-11`. */
export const monthOf = (at: number): string => dayOf(at).slice(0, 7)

/** When the next day begins, in milliseconds since the epoch. */
export const nextDay = (at: number): number => {
  const date = new Date(at)
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate() + 1)
}

/** When the next month begins, in milliseconds since the epoch. */
export const nextMonth = (at: number): number => {
  const date = new Date(at)
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1)
}
