/**
 * A tracer that keeps what every span was told.
 */
import { Cause, Context, Exit, Layer, Option, Tracer } from "effect"

export interface Kept {
  readonly layer: Layer.Layer<never>
  /** Names, attributes and events of all spans so far, with whatever they ended with. */
  readonly spans: () => ReadonlyArray<Record<string, unknown>>
}

export const keep = (): Kept => {
  const spans: Array<Record<string, unknown>> = []
  const tracer = Tracer.make({
    span: (name, parent, context, links, startTime, kind) => {
      const attributes = new Map<string, unknown>()
      const kept: Record<string, unknown> = { name, attributes, events: [] as Array<unknown> }
      spans.push(kept)
      return {
        _tag: "Span",
        name,
        spanId: String(spans.length),
        traceId: Option.match(parent, { onNone: () => "trace", onSome: ({ traceId }) => traceId }),
        parent,
        context: Context.merge(Context.empty(), context),
        status: { _tag: "Started", startTime },
        attributes,
        links,
        sampled: true,
        kind,
        attribute: (key, value) => void attributes.set(key, value),
        event: (name, _time, attributes) => void (kept["events"] as Array<unknown>).push({ name, attributes }),
        addLinks: () => {},
        // As exporters record what a span failed with.
        end: (_time, exit) => {
          kept["errors"] = Exit.isFailure(exit)
            ? Cause.prettyErrors(exit.cause).map(({ message, name, stack }) => ({ name, message, stack }))
            : []
        }
      }
    },
    context: (run) => run()
  })
  return {
    layer: Layer.setTracer(tracer),
    spans: () =>
      spans.map((span) => ({ ...span, attributes: Object.fromEntries(span["attributes"] as Map<string, unknown>) }))
  }
}
