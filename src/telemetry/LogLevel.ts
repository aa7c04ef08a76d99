/**
 * From which level on the log says something, changeable while the program runs.
 */
import { Context, type Effect } from "effect"

/** From the most to the least talkative. */
export const names = ["DEBUG", "INFO", "WARNING", "ERROR"] as const

export type Name = typeof names[number]

export const isName = (text: string): text is Name => names.some((name) => name === text)

export class LogLevel extends Context.Tag("vibectl/telemetry/LogLevel")<LogLevel, {
  readonly get: Effect.Effect<Name>
  /** Holds at once, in all fibers; the change is in the log. */
  readonly set: (level: Name) => Effect.Effect<void>
}>() {}
