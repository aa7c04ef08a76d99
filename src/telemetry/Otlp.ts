/**
 * Spans and metrics to an OpenTelemetry collector, when the standard `OTEL_*`
 * variables say where it is; without them, nothing is loaded and nothing done.
 *
 * A platform sets such variables for every program, so one that cannot be
 * obeyed exports nothing, with a warning that names it, and stops no server.
 * A collector that is slow or away costs its data and one line in the log,
 * never a call. What is there when the layer closes is sent for 3 seconds at
 * most.
 */
import { Effect, Layer } from "effect"
import * as OtlpSettings from "./OtlpSettings.js"

/** The tracer of everything that is built with it, and the reporter of the process's metrics. */
export const layer: Layer.Layer<never> = Layer.unwrapEffect(
  Effect.gen(function*() {
    const { invalid, settings, warning } = yield* OtlpSettings.load
    if (warning !== undefined) yield* Effect.logWarning(warning)
    if (invalid !== undefined) {
      yield* Effect.logWarning(`nothing is exported to OpenTelemetry: ${invalid.message}`)
    }
    if (settings === undefined) return Layer.empty
    return (yield* Effect.promise(() => import("./OtlpExport.js"))).layer(settings)
  })
)
