/**
 * W3C Trace Context: which trace a call belongs to, as programs tell each other.
 *
 * What comes in is somebody else's text: a header that is not by the grammar
 * counts as none, and nothing but what is by the grammar goes out.
 * `HttpTraceContext` of @effect/platform is not used: it takes ids of zeros and
 * upper case, and no version but the first.
 * Source: https://www.w3.org/TR/trace-context/
 */
import { Context, DefaultServices, Effect, Option, Tracer } from "effect"

/** Both headers; `tracestate` is what the caller sent. */
export interface Trace {
  readonly traceparent: string
  readonly tracestate: string | undefined
}

/** Undefined for a header that means nothing. A `tracestate` that is not one is left away, a long one is shortened. */
export const parse = (
  traceparent: string | undefined,
  tracestate: string | undefined
): Tracer.ExternalSpan | undefined => {
  const [, version, traceId, spanId, flags, more] = grammar.exec(traceparent?.trim() ?? "") ?? []
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined
  // Only a later version may go on.
  if (version === "00" && more !== undefined) return undefined
  const state = stateOf(tracestate ?? "")
  return Tracer.externalSpan({
    traceId,
    spanId,
    sampled: (parseInt(flags, 16) & 1) === 1,
    context: state === "" ? Context.empty() : Context.make(State, state)
  })
}

/** How those who are called from `span` are told; undefined where nothing is traced. `tracing` is whether there is a tracer. */
export const format = (span: Tracer.AnySpan, tracing: boolean): Trace | undefined => {
  let told = span
  // Nobody will ever see these: who is called belongs to the next above.
  while (!tracing && told._tag === "Span" || Context.get(told.context, Tracer.DisablePropagation)) {
    if (told._tag === "ExternalSpan" || Option.isNone(told.parent)) return undefined
    told = told.parent.value
  }
  const traceparent = `00-${told.traceId}-${told.spanId}-${told.sampled ? "01" : "00"}`
  // Other tracers may have other ids.
  return grammar.test(traceparent) ? { traceparent, tracestate: stateAbove(told) } : undefined
}

/** {@link format} of the span that the fiber is in. */
export const current: Effect.Effect<Trace | undefined> = Effect.withFiberRuntime((fiber) => {
  const span = Context.getOption(fiber.currentContext, Tracer.ParentSpan)
  return Effect.succeed(Option.isNone(span) ? undefined : format(span.value, isTracer(fiber.currentTracer)))
})

/** `effect` in a span of its own, where the program has a tracer; next to nothing is done where it has none. */
export const inSpan = (name: string) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiberRuntime((fiber) =>
    isTracer(fiber.currentTracer) ? Effect.withSpan(effect, name, { captureStackTrace: false }) : effect
  )

/** Whether the program has a tracer: that of Effect itself tells nobody of its spans. */
export const isTracing: Effect.Effect<boolean> = Effect.withFiberRuntime((fiber) =>
  Effect.succeed(isTracer(fiber.currentTracer))
)

/** Whether it tells anybody. */
export const isTracer = (tracer: Tracer.Tracer): boolean =>
  tracer !== Context.get(DefaultServices.liveServices, Tracer.Tracer)

/** Characters of a `tracestate` that is passed on. */
export const mostState = 512

// -- internals ---------------------------------------------------------------

class State extends Context.Tag("vibectl/telemetry/Traceparent/State")<State, string>() {}

const grammar = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

const stateAbove = (span: Tracer.AnySpan): string | undefined => {
  let top = span
  while (top._tag === "Span" && Option.isSome(top.parent)) top = top.parent.value
  return Option.getOrUndefined(Context.getOption(top.context, State))
}

/** Empty when a part of it is no member, or there are too many. */
const stateOf = (text: string): string => {
  const trimmed = text.trim()
  const members = trimmed.split(",").map(withoutSpace).filter((part) => part !== "")
  if (members.length > 32 || !members.every((part) => member.test(part))) return ""
  if (trimmed.length <= mostState && !trimmed.includes("\t")) return members.length === 0 ? "" : trimmed
  // In the order that the standard asks for.
  const kept = members.filter((part) => part.length <= 128)
  while (kept.join(",").length > mostState) kept.pop()
  return kept.join(",")
}

/** Of the kinds that may stand around a member. */
const withoutSpace = (text: string): string => {
  let [from, to] = [0, text.length]
  while (from < to && isSpace(text.charAt(from))) from++
  while (to > from && isSpace(text.charAt(to - 1))) to--
  return text.slice(from, to)
}

const isSpace = (character: string): boolean => character === " " || character === "\t"

const member = /^[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/
