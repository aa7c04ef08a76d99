/**
 * Days and months of quotas, in UTC.
 */
import { DateTime } from "effect"

/** `2026-11-26`; `at` in milliseconds since the epoch. */
export const dayOf = (at: number): string => {
  const number = Math.floor(at / day)
  // Asked for several times per call, and seldom for another day.
  if (number !== latest.number) latest = { number, name: DateTime.formatIsoDateUtc(DateTime.unsafeMake(at)) }
  return latest.name
}

/** `2026-11`. */
export const monthOf = (at: number): string => dayOf(at).slice(0, 7)

/** When the next day begins, in milliseconds since the epoch. */
export const nextDay = (at: number): number => (Math.floor(at / day) + 1) * day

/** When the next month begins, in milliseconds since the epoch. */
export const nextMonth = (at: number): number =>
  DateTime.toEpochMillis(DateTime.add(DateTime.startOf(DateTime.unsafeMake(at), "month"), { months: 1 }))

// -- internals ---------------------------------------------------------------

/** UTC knows no leap seconds here, and no daylight saving. */
const day = 86_400_000

let latest = { number: NaN, name: "" }
