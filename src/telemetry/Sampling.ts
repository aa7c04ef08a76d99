/**
 * Which spans are told: the samplers of OpenTelemetry around a tracer that
 * tells all.
 *
 * A span that is dropped has the ids of its trace, so that who is called hears
 * that it was dropped, and holds nothing else.
 * Source: https://opentelemetry.io/docs/specs/otel/trace/sdk/#sampling
 */
import { Option, Tracer } from "effect"

export const names = [
  "always_on",
  "always_off",
  "traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio"
] as const

export type Name = typeof names[number]

/** `parent` is whether the parent is told; undefined at the root of a trace. */
export type Sampler = (parent: boolean | undefined, traceId: string) => boolean

/** `ratio` of the traces from 0 to 1, by their ids: every program with the same ratio takes the same ones. */
export const sampler = (name: Name, ratio: number): Sampler => {
  const root = rootSampler(name, ratio)
  return name.startsWith("parentbased") ? (parent, traceId) => parent ?? root(parent, traceId) : root
}

/** `tracer` with only the spans that `sampler` takes. */
export const sampled = (tracer: Tracer.Tracer, sampler: Sampler): Tracer.Tracer =>
  Tracer.make({
    context: (run, fiber) => tracer.context(run, fiber),
    span: (name, parent, context, links, startTime, kind, options) => {
      const above = Option.getOrUndefined(parent)
      if (above !== undefined && !sampler(above.sampled, above.traceId)) {
        return new Dropped(name, parent, context, above, startTime, kind)
      }
      const span = tracer.span(name, parent, context, links, startTime, kind, options)
      // A root gets its id here.
      return above !== undefined || sampler(undefined, span.traceId)
        ? span
        : new Dropped(name, parent, context, span, startTime, kind)
    }
  })

// -- internals ---------------------------------------------------------------

const rootSampler = (name: Name, ratio: number): Sampler => {
  if (name.endsWith("always_on")) return () => true
  if (name.endsWith("always_off")) return () => false
  // The last 56 bits of an id are random; those from this number on are taken.
  const threshold = BigInt(Math.round((1 - ratio) * 2 ** 56))
  return (_, traceId) => BigInt(`0x${traceId.slice(-14)}`) >= threshold
}

const nothing: ReadonlyMap<string, unknown> = new Map()

class Dropped implements Tracer.Span {
  readonly _tag = "Span"
  readonly sampled = false
  readonly attributes = nothing
  readonly links = []
  readonly traceId: string
  readonly spanId: string
  readonly status: Tracer.SpanStatus
  constructor(
    readonly name: string,
    readonly parent: Tracer.Span["parent"],
    readonly context: Tracer.Span["context"],
    ids: { readonly traceId: string; readonly spanId: string },
    startTime: bigint,
    readonly kind: Tracer.SpanKind
  ) {
    this.traceId = ids.traceId
    this.spanId = ids.spanId
    this.status = { _tag: "Started", startTime }
  }
  end(): void {}
  attribute(): void {}
  event(): void {}
  addLinks(): void {}
}
