/**
 * The encoding of @effect/opentelemetry with what its data lacks.
 *
 * Metrics get the units that their instruments have (an empty one means that
 * things are counted), and only our own are sent. Of spans it says that each
 * that failed was interrupted and that each other one was checked and found
 * good; neither is so.
 * Source: `OtlpMetrics` and `OtlpTracer` in @effect/opentelemetry 0.64
 */
import * as Library from "@effect/opentelemetry/OtlpSerialization"
import { Effect } from "effect"
import { packageVersion } from "../domain/PackageVersion.js"
import * as Instruments from "./Instruments.js"
import type { Target } from "./OtlpSettings.js"

export const make = (protocol: Target["protocol"]): Effect.Effect<Library.OtlpSerialization["Type"]> =>
  Library.OtlpSerialization.pipe(
    Effect.map(({ logs, metrics, traces }) => ({
      logs,
      // The library has no types for these.
      metrics: (data: unknown) => metrics(correctMetrics(data as MetricsData)),
      traces: (data: unknown) => traces(correctSpans(data as SpansData))
    })),
    Effect.provide(protocol === "http/json" ? Library.layerJson : Library.layerProtobuf)
  )

// -- internals ---------------------------------------------------------------

interface MetricsData {
  readonly resourceMetrics: ReadonlyArray<{
    readonly scopeMetrics: ReadonlyArray<{
      readonly metrics: ReadonlyArray<{ readonly name: string; readonly unit: string }>
    }>
  }>
}

interface SpansData {
  readonly resourceSpans: ReadonlyArray<{
    readonly scopeSpans: ReadonlyArray<{
      readonly spans: ReadonlyArray<{
        readonly attributes: ReadonlyArray<{ readonly key: string }>
        readonly status: { readonly code: number }
      }>
    }>
  }>
}

const scope = { name: "vibectl", version: packageVersion }

const correctMetrics = ({ resourceMetrics }: MetricsData) => ({
  resourceMetrics: resourceMetrics.map((resource) => ({
    ...resource,
    scopeMetrics: resource.scopeMetrics.map(({ metrics }) => ({
      scope,
      metrics: metrics.flatMap((metric) => {
        const instrument = Instruments.all.get(metric.name)
        return instrument === undefined ? [] : [{ ...metric, unit: instrument.unit ?? "" }]
      })
    }))
  }))
})

const correctSpans = ({ resourceSpans }: SpansData) => ({
  resourceSpans: resourceSpans.map((resource) => ({
    ...resource,
    scopeSpans: resource.scopeSpans.map(({ spans }) => ({
      scope,
      spans: spans.map((span) => ({
        ...span,
        attributes: span.attributes.filter(({ key }) => key !== "span.label" && key !== "status.interrupted"),
        status: span.status.code === failed ? span.status : { code: unset }
      }))
    }))
  }))
})

const unset = 0
const failed = 2
