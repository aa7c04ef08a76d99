/**
 * The exporters of @effect/opentelemetry as the settings want them; loaded only
 * when they are wanted.
 */
import * as OtlpMetrics from "@effect/opentelemetry/OtlpMetrics"
import { OtlpSerialization } from "@effect/opentelemetry/OtlpSerialization"
import * as OtlpTracer from "@effect/opentelemetry/OtlpTracer"
import { HttpClient } from "@effect/platform"
import { ConfigProvider, Context, Effect, ExecutionStrategy, Layer, Random, Scope } from "effect"
import { packageVersion } from "../domain/PackageVersion.js"
import * as Collector from "./Collector.js"
import * as OtlpEncoding from "./OtlpEncoding.js"
import type { Settings, Target } from "./OtlpSettings.js"
import { reticent } from "./Reticent.js"
import { sampled } from "./Sampling.js"

export const layer = ({ metrics, resource, sampler, traces }: Settings): Layer.Layer<never> =>
  Layer.unwrapScoped(Effect.gen(function*() {
    const named = yield* identified(resource)
    /** Both at once when the layer closes, so that the one does not take the time of the other. */
    const exporters = yield* Scope.make(ExecutionStrategy.parallel)
    const collectors = new Array<Collector.Collector>()
    const into = <A>(target: Target, what: string, exporter: Exporter<A>) =>
      Effect.gen(function*() {
        const collector = yield* Collector.make(target, what)
        collectors.push(collector)
        return yield* exporter({ url: target.url.href, resource: named, exportInterval: target.interval }).pipe(
          Effect.provide(
            Context.make(HttpClient.HttpClient, collector.client).pipe(
              Context.add(OtlpSerialization, yield* OtlpEncoding.make(target.protocol)),
              Context.add(Scope.Scope, yield* Scope.fork(exporters, ExecutionStrategy.sequential))
            )
          ),
          // The library would read, and not decode, some of the variables itself.
          Effect.withConfigProvider(ConfigProvider.fromMap(new Map()))
        )
      })

    if (metrics !== undefined) yield* into(metrics, "metrics", OtlpMetrics.make)
    const tracer = traces && (yield* into(traces, "spans", OtlpTracer.make))
    yield* Effect.addFinalizer((exit) =>
      Effect.forEach(collectors, ({ stop }) => stop, { discard: true }).pipe(
        Effect.zipRight(Scope.close(exporters, exit)),
        Effect.zipRight(Effect.forEach(collectors, ({ idle }) => idle, { discard: true })),
        Effect.disconnect,
        Effect.interruptible,
        Effect.timeoutOption("3 seconds")
      )
    )
    return tracer === undefined ? Layer.empty : Layer.setTracer(sampled(reticent(tracer), sampler))
  }))

// -- internals ---------------------------------------------------------------

type Exporter<A> = (
  options: Parameters<typeof OtlpTracer.make>[0]
) => Effect.Effect<A, never, HttpClient.HttpClient | OtlpSerialization | Scope.Scope>

/** Two processes with the same attributes would count as one. */
const identified = (resource: Settings["resource"]) =>
  Effect.map(Random.nextIntBetween(0, 2 ** 48), (number) => {
    const {
      "service.instance.id": instance = number.toString(16).padStart(12, "0"),
      "service.name": serviceName = "",
      "service.version": serviceVersion = packageVersion,
      ...attributes
    } = resource
    return { serviceName, serviceVersion, attributes: { ...attributes, "service.instance.id": instance } }
  })
