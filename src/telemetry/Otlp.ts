/**
 * Spans and metrics to an OpenTelemetry collector, when the standard `OTEL_*`
 * variables say where it is; without them, nothing is loaded and nothing done.
 *
 * A collector that is slow or away costs its data and one line in the log,
 * never a call. What is there when the layer closes is sent for 3 seconds at
 * most.
 */
import { Effect, Layer } from "effect"
import * as OtlpSettings from "./OtlpSettings.js"

/** The tracer of everything that is built with it, and the reporter of the process's metrics. */
export const layer: Layer.Layer<never, OtlpSettings.OtlpInvalid> = Layer.unwrapEffect(
  Effect.flatMap(OtlpSettings.load, (settings) =>
    settings === undefined
      ? Effect.succeed(Layer.empty)
      : Effect.map(Effect.promise(() => import("./OtlpExport.js")), (module) => module.layer(settings)))
)
