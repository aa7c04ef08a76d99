/**
 * Says that something takes its time, on stderr, where a person looks.
 *
 * The line is drawn over and over and taken away at the end. Stop it before
 * anything is written to stdout: both share the line that the cursor is in.
 */
import { Clock, Effect, Fiber, Schedule, type Scope } from "effect"
import { erased, isDumb, Output } from "./Output.js"
import * as Style from "./Style.js"
import { visible } from "./Table.js"
import * as Width from "./Width.js"

export interface Spinner {
  /** Says something else from now on; nothing once it was stopped. */
  readonly label: (text: string) => Effect.Effect<void>
  /** Leaves an empty line; once more it does nothing. */
  readonly stop: Effect.Effect<void>
}

/** Stops with the scope. Draws nothing where stderr is no terminal, or a dumb one. */
export const start = (label: string): Effect.Effect<Spinner, never, Output | Scope.Scope> =>
  Effect.gen(function*() {
    const { notes, status } = yield* Output
    if (!notes.isTerminal || (yield* isDumb)) return nothing
    const began = yield* Clock.currentTimeMillis
    let [said, drawn, frame, stopped] = [label, "", 0, false]
    const draw = Effect.flatMap(Clock.currentTimeMillis, (now) => {
      if (stopped) return Effect.void
      const line = lineOf(frame, said, Math.floor((now - began) / 1000), notes)
      const text = erased(drawn, notes.colour) + line
      drawn = line
      return status(text)
    })
    const next = Effect.suspend(() => {
      frame++
      return draw
    })
    yield* draw
    const fiber = yield* Effect.forkScoped(Effect.delay(Effect.repeat(next, Schedule.spaced(pace)), pace))
    const stop = Effect.uninterruptible(Effect.suspend(() => {
      if (stopped) return Effect.void
      stopped = true
      return Effect.zipRight(Fiber.interrupt(fiber), status(erased(drawn, notes.colour)))
    }))
    yield* Effect.addFinalizer(() => stop)
    return {
      label: (text) =>
        Effect.suspend(() => {
          said = text
          return draw
        }),
      stop
    }
  })

// -- internals ---------------------------------------------------------------

const nothing: Spinner = { label: () => Effect.void, stop: Effect.void }

/** Between two frames. */
const pace = "100 millis"

const frames = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"

/** Seconds before it says how long it has taken. */
const patience = 2

const lineOf = (
  frame: number,
  label: string,
  seconds: number,
  notes: { readonly columns: number | undefined; readonly colour: boolean }
): string => {
  const mark = frames.charAt(frame % frames.length)
  const elapsed = seconds < patience ? "" : ` ${seconds}s`
  // The last column stays free: some terminals go on to the next line as soon as it is used.
  const room = (notes.columns ?? usualColumns) - 1 - 2 - elapsed.length
  const style = notes.colour ? Style.cyan : Style.none
  return `${Style.apply(style, mark)} ${Width.shorten(visible(label), room)}${elapsed}`
}

const usualColumns = 80
