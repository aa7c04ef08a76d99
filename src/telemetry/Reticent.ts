/**
 * A tracer that says of failures only what may leave the machine.
 *
 * Our errors say what anybody may read; a defect may hold anything in its
 * message, so that only its kind is told, and the server's log has the rest.
 */
import { Cause, Exit, Option, Tracer } from "effect"

export const reticent = (tracer: Tracer.Tracer): Tracer.Tracer =>
  Tracer.make({
    context: (run, fiber) => tracer.context(run, fiber),
    span: (...given) => {
      const span = tracer.span(...given)
      const [end, event] = [span.end.bind(span), span.event.bind(span)]
      const reticentEnd: typeof end = (time, exit) => end(time, told(exit))
      const reticentEvent: typeof event = (name, time, attributes) => event(name, time, withoutCause(attributes))
      span.end = reticentEnd
      span.event = reticentEvent
      return span
    }
  })

// -- internals ---------------------------------------------------------------

const told = (exit: Exit.Exit<unknown, unknown>): Exit.Exit<unknown, unknown> => {
  if (Exit.isSuccess(exit)) return Exit.void
  if (Cause.isInterruptedOnly(exit.cause)) return exit
  return Exit.fail(described(Option.getOrElse(Cause.failureOption(exit.cause), () => Cause.squash(exit.cause))))
}

/** Without a stack, which begins with the message of the original. */
const described = (thrown: unknown): Error => {
  const error = thrown instanceof Error ? thrown : new Error()
  const message = "summary" in error && typeof error.summary === "string" ? error.summary : ""
  const name = "reason" in error && typeof error.reason === "string" ? error.reason : error.name
  return Object.assign(new Error(message), { name, stack: "" })
}

/** Effect makes an event of each line of the log, with the cause where it has one. */
const withoutCause = (attributes: Record<string, unknown> | undefined): Record<string, unknown> | undefined => {
  if (attributes === undefined || !("effect.cause" in attributes)) return attributes
  const { "effect.cause": _, ...rest } = attributes
  return rest
}
