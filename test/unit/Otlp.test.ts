import { assert, describe, it } from "@effect/vitest"
import { Cause, ConfigProvider, Duration, Effect, Either, FastCheck as fc, Layer, Logger, Redacted } from "effect"
import * as Util from "node:util"
import { Env } from "../../src/config/Environment.js"
import { ProviderFailure } from "../../src/domain/Errors.js"
import * as GenAi from "../../src/telemetry/GenAi.js"
import * as Otlp from "../../src/telemetry/Otlp.js"
import * as OtlpSettings from "../../src/telemetry/OtlpSettings.js"
import { reticent } from "../../src/telemetry/Reticent.js"
import * as Sampling from "../../src/telemetry/Sampling.js"
import * as Traceparent from "../../src/telemetry/Traceparent.js"
import * as Property from "../support/Property.js"
import * as Spans from "../support/Spans.js"

type Variables = Readonly<Record<string, string>>

const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318" }

const settings = (variables: Variables): OtlpSettings.Settings => {
  const parsed = Either.getOrThrow(OtlpSettings.parse(variables))
  assert.isDefined(parsed)
  return parsed
}

const fault = (variables: Variables): string =>
  Either.match(OtlpSettings.parse(variables), {
    onLeft: ({ message }) => message,
    onRight: () => assert.fail(`accepted: ${JSON.stringify(variables)}`)
  })

const urls = (variables: Variables) => {
  const { metrics, traces } = settings(variables)
  return [traces?.url.href, metrics?.url.href]
}

describe("without a word of where to", () => {
  for (
    const [name, variables] of [
      ["with none of the variables", {}],
      ["with others only", {
        OTEL_SERVICE_NAME: "x",
        OTEL_TRACES_SAMPLER: "wrong",
        OTEL_EXPORTER_OTLP_PROTOCOL: "grpc"
      }],
      ["with an empty endpoint", { OTEL_EXPORTER_OTLP_ENDPOINT: " " }],
      ["when it is disabled", { ...endpoint, OTEL_SDK_DISABLED: "True", OTEL_TRACES_SAMPLER: "wrong" }],
      ["with exporters none", { ...endpoint, OTEL_TRACES_EXPORTER: "none", OTEL_METRICS_EXPORTER: "none" }]
    ] as const
  ) {
    it(`nothing is sent ${name}`, () => assert.deepStrictEqual(OtlpSettings.parse(variables), Either.right(undefined)))
  }

  it.effect("the layer leaves the program as it was", () =>
    Effect.gen(function*() {
      assert.isFalse(yield* Traceparent.isTracing)
    }).pipe(Effect.provide(Otlp.layer.pipe(Layer.provide(Env.layerTest({}))))))
})

describe("what a platform sets for every program", () => {
  const start = (variables: Variables) => {
    const lines: Array<string> = []
    const logger = Logger.replace(
      Logger.defaultLogger,
      Logger.make(({ logLevel, message }) => void lines.push(`${logLevel.label} ${String(message)}`))
    )
    return Effect.map(Effect.provide(Traceparent.isTracing, Otlp.layer), (isTracing) => ({ isTracing, lines })).pipe(
      Effect.provide(logger),
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables))))
    )
  }
  for (
    const [variables, name] of [
      [{ OTEL_EXPORTER_OTLP_PROTOCOL: "grpc", OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4317" }, "PROTOCOL"],
      [{ OTEL_TRACES_EXPORTER: "console" }, "OTEL_TRACES_EXPORTER"],
      [{ OTEL_TRACES_EXPORTER: "otlp,console" }, "OTEL_TRACES_EXPORTER"],
      [{ ...endpoint, OTEL_BSP_SCHEDULE_DELAY: "abc" }, "OTEL_BSP_SCHEDULE_DELAY"],
      [{ ...endpoint, OTEL_TRACES_SAMPLER: "xray" }, "OTEL_TRACES_SAMPLER"],
      [{ ...endpoint, OTEL_EXPORTER_OTLP_CERTIFICATE: "/ca.crt" }, "CERTIFICATE"],
      [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://u:hunter2@collector" }, "OTEL_EXPORTER_OTLP_ENDPOINT"]
    ] as ReadonlyArray<readonly [Variables, string]>
  ) {
    it.effect(`starts with a warning and exports nothing with ${JSON.stringify(variables)}`, () =>
      Effect.map(start(variables), ({ isTracing, lines }) => {
        assert.isFalse(isTracing)
        assert.lengthOf(lines, 1)
        assert.match(lines[0] ?? "", /^WARN nothing is exported to OpenTelemetry: /)
        assert.include(lines[0], name)
        assert.notInclude(lines[0], "hunter2")
      }))
  }

  it.effect("disables with true in any case, and warns of what else is neither false nor empty", () =>
    Effect.gen(function*() {
      for (const value of ["true", "TRUE", "True", " true "]) {
        assert.deepStrictEqual(yield* start({ ...endpoint, OTEL_SDK_DISABLED: value }), { isTracing: false, lines: [] })
      }
      for (const value of ["false", "False", ""]) {
        assert.deepStrictEqual(yield* start({ OTEL_SDK_DISABLED: value }), { isTracing: false, lines: [] })
      }
      for (const value of ["1", "yes", "on", "t", "0", "truee"]) {
        const { lines } = yield* start({ OTEL_SDK_DISABLED: value })
        assert.match(lines.join("\n"), /^WARN the variable OTEL_SDK_DISABLED counts as false: only true disables/)
        assert.isDefined(Either.getOrThrow(OtlpSettings.parse({ ...endpoint, OTEL_SDK_DISABLED: value })))
      }
    }))
})

describe("the endpoint", () => {
  it("is one of all signals, with a path added, or one of each as it is", () => {
    assert.deepStrictEqual(urls(endpoint), ["http://collector:4318/v1/traces", "http://collector:4318/v1/metrics"])
    assert.deepStrictEqual(urls({ OTEL_EXPORTER_OTLP_ENDPOINT: "https://c/base/?a=b" }), [
      "https://c/base/v1/traces?a=b",
      "https://c/base/v1/metrics?a=b"
    ])
    assert.deepStrictEqual(urls({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://c/here" }), ["http://c/here", undefined])
    assert.deepStrictEqual(urls({ ...endpoint, OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "http://other" }), [
      "http://collector:4318/v1/traces",
      "http://other/"
    ])
  })

  it("is this machine for an exporter that is asked for", () =>
    assert.deepStrictEqual(urls({ OTEL_TRACES_EXPORTER: "otlp" }), ["http://localhost:4318/v1/traces", undefined]))

  it("is refused as what it is not, and not repeated", () => {
    for (const text of ["collector:4318", "CANARY", "ftp://CANARY", "grpc://CANARY"]) {
      const message = fault({ OTEL_EXPORTER_OTLP_ENDPOINT: text })
      assert.include(message, "is not an http or https URL")
      assert.notInclude(message, "CANARY")
    }
    const message = fault({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "https://user:CANARY@collector" })
    assert.include(message, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT holds credentials")
    assert.include(message, "OTEL_EXPORTER_OTLP_HEADERS")
    assert.notInclude(message, "CANARY")
  })
})

describe("headers", () => {
  const headers = (text: string, more: Variables = {}) =>
    Redacted.value(settings({ ...endpoint, OTEL_EXPORTER_OTLP_HEADERS: text, ...more }).traces!.headers)

  it("are decoded", () => {
    assert.deepStrictEqual(headers("Api-Key=abc=, authorization=Basic%20dXNlcg%3D%3D ,,empty="), {
      "api-key": "abc=",
      authorization: "Basic dXNlcg==",
      empty: ""
    })
    assert.deepStrictEqual(headers("a=1", { OTEL_EXPORTER_OTLP_TRACES_HEADERS: "b=2" }), { b: "2" })
  })

  it("that are none are refused, and nothing shows their values", () => {
    for (const text of ["CANARY", "a=%CANARY", "=CANARY", "a b=CANARY", "a=CANARY%0d%0ab: c", "a=CANARY%C3%A9"]) {
      const message = fault({ ...endpoint, OTEL_EXPORTER_OTLP_HEADERS: text })
      assert.include(message, "OTEL_EXPORTER_OTLP_HEADERS")
      assert.notInclude(message, "CANARY")
    }
    const shown = settings({ ...endpoint, OTEL_EXPORTER_OTLP_HEADERS: "a=CANARY" })
    assert.notInclude(Util.inspect(shown, { depth: 9 }) + JSON.stringify(shown), "CANARY")
  })

  it("of any names and values come back as they were", async () =>
    await Property.check(fc.property(
      fc.dictionary(
        fc.string({ unit: fc.constantFrom(..."abc-_09"), minLength: 1 }),
        fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)) }),
        { noNullPrototype: true }
      ),
      (given) => {
        const text = Object.entries(given).map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join(",")
        assert.deepStrictEqual(headers(text), given)
      }
    )))
})

describe("the other variables", () => {
  it("have the values of the standard when they are not set", () => {
    const { metrics, resource, traces } = settings(endpoint)
    assert.strictEqual(traces!.protocol, "http/protobuf")
    assert.deepStrictEqual([traces!.timeout, traces!.interval, metrics!.interval].map(Duration.toMillis), [
      10_000,
      5_000,
      60_000
    ])
    assert.deepStrictEqual(resource, { "service.name": "vibectl-server" })
  })

  it("are taken, those of one signal before those of all", () => {
    const { metrics, traces } = settings({
      ...endpoint,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: "http/protobuf",
      OTEL_EXPORTER_OTLP_TIMEOUT: "100",
      OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: "200",
      OTEL_BSP_SCHEDULE_DELAY: "300",
      OTEL_METRIC_EXPORT_INTERVAL: "400"
    })
    const facts = [traces, metrics].map((target) => [
      target!.protocol,
      Duration.toMillis(target!.timeout),
      Duration.toMillis(target!.interval)
    ])
    assert.deepStrictEqual(facts, [["http/json", 200, 300], ["http/protobuf", 100, 400]])
  })

  it("name the service", () => {
    const attributes = { ...endpoint, OTEL_RESOURCE_ATTRIBUTES: "service.name=a%20b,deployment.environment=prod" }
    assert.deepStrictEqual(settings(attributes).resource, {
      "service.name": "a b",
      "deployment.environment": "prod"
    })
    assert.strictEqual(settings({ ...attributes, OTEL_SERVICE_NAME: "c" }).resource["service.name"], "c")
  })

  for (
    const [variable, value, says] of [
      ["OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "Set it to http/protobuf"],
      ["OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http", "http/protobuf and http/json"],
      ["OTEL_TRACES_EXPORTER", "zipkin", "none of otlp and none"],
      ["OTEL_METRICS_EXPORTER", "prometheus", "none of otlp and none"],
      ["OTEL_EXPORTER_OTLP_TIMEOUT", "0", "milliseconds"],
      ["OTEL_METRIC_EXPORT_INTERVAL", "99999999999", "milliseconds"],
      ["OTEL_BSP_SCHEDULE_DELAY", "1.5", "milliseconds"],
      ["OTEL_TRACES_SAMPLER", "jaeger_remote", "parentbased_traceidratio"],
      ["OTEL_RESOURCE_ATTRIBUTES", "a", "name=value"],
      ["OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem", "NODE_EXTRA_CA_CERTS"],
      ["OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "/key.pem", "not supported"],
      [GenAi.captureVariable, "yes", "true and false"]
    ] as const
  ) {
    it(`are refused: ${variable}=${value}`, () => {
      const message = fault({ ...endpoint, [variable]: value })
      assert.include(message, `The variable ${variable} `)
      assert.include(message, says)
    })
  }

  it("refuse a share that is none", () => {
    for (const share of ["-0.1", "1.1", "x", "1.2.3", "NaN", "."]) {
      const chosen = { ...endpoint, OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: share }
      assert.include(fault(chosen), "from 0 to 1", share)
    }
  })
})

describe("the samplers", () => {
  const id = "0af7651916cd43dd8448eb211c80319c"
  const takes = (name: string, share?: string) =>
    settings({
      ...endpoint,
      OTEL_TRACES_SAMPLER: name,
      ...share !== undefined && { OTEL_TRACES_SAMPLER_ARG: share }
    }).sampler

  it("follow the parent, or do not", () => {
    const parents = [undefined, true, false]
    const table = Sampling.names.map((name) => parents.map((parent) => takes(name, "0")(parent, id)))
    assert.deepStrictEqual(table, [
      [true, true, true],
      [false, false, false],
      [false, false, false],
      [true, true, false],
      [false, true, false],
      [false, true, false]
    ])
    assert.isTrue(takes("traceidratio")(undefined, id), "all, when no share is given")
  })

  it("take about their share of the traces, and of a bigger share the same ones and more", () => {
    const ids = fc.sample(fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: 32, maxLength: 32 }), {
      numRuns: 2000,
      seed: 1
    })
    const taken = (share: string) => {
      const sampler = takes("parentbased_traceidratio", share)
      return ids.filter((id) => sampler(undefined, id))
    }
    const [tenth, half] = [taken("0.1"), taken("0.5")]
    assert.approximately(tenth.length, 200, 60)
    assert.approximately(half.length, 1000, 120)
    assert.isTrue(tenth.every((id) => half.includes(id)))
    assert.lengthOf(taken("1"), ids.length)
    assert.lengthOf(taken("0"), 0)
  })

  it.effect("make nothing of a span that is dropped, nor of those below it", () =>
    Effect.gen(function*() {
      const kept = Spans.keep()
      const all = yield* Effect.provide(Effect.tracer, kept.layer)
      const below = yield* Effect.currentSpan.pipe(
        Effect.withSpan("child"),
        Effect.withParentSpan(Traceparent.parse(`00-${id}-b7ad6b7169203331-00`, undefined)!),
        Effect.withTracer(Sampling.sampled(all, takes("parentbased_always_on")))
      )
      assert.deepInclude(below, { sampled: false, traceId: id, spanId: "b7ad6b7169203331" })
      assert.isEmpty(kept.spans())
    }))
})

describe("a span that failed", () => {
  /** What an exporter is told of a span that ended so. */
  const told = (failing: Effect.Effect<never, unknown>) =>
    Effect.gen(function*() {
      const kept = Spans.keep()
      const all = yield* Effect.provide(Effect.tracer, kept.layer)
      yield* Effect.exit(failing.pipe(Effect.withSpan("it"), Effect.withTracer(reticent(all))))
      return Util.inspect(kept.spans(), { depth: 9 })
    })

  it.effect("has the reason and the words that callers are told", () =>
    Effect.gen(function*() {
      const failure = new ProviderFailure({
        provider: "openai",
        reason: "PROVIDER_REJECTED",
        detail: "HTTP 401",
        retryAfter: undefined,
        cause: new Error("CANARY")
      })
      const text = yield* told(Effect.fail(failure))
      assert.include(text, "PROVIDER_REJECTED")
      assert.include(text, failure.summary)
      assert.notInclude(text, "CANARY")
    }))

  it.effect("by a defect has its kind only", () =>
    Effect.gen(function*() {
      const text = yield* told(
        Effect.zipRight(Effect.logError("a line", Cause.die("CANARY")), Effect.die(new TypeError("CANARY")))
      )
      assert.include(text, "TypeError")
      assert.include(text, "a line")
      assert.notInclude(text, "CANARY")
      assert.notInclude(yield* told(Effect.fail("CANARY")), "CANARY")
      assert.notInclude(yield* told(Effect.fail({ _tag: "Foreign", message: "CANARY" })), "CANARY")
    }))
})

describe("GenAi", () => {
  it("writes messages as the conventions have them", () => {
    assert.deepStrictEqual(GenAi.input({ system: "", user: "why?" }), {
      "gen_ai.input.messages": "[{\"role\":\"user\",\"parts\":[{\"type\":\"text\",\"content\":\"why?\"}]}]"
    })
    assert.deepInclude(GenAi.input({ system: "be brief", user: "why?" }), {
      "gen_ai.system_instructions": "[{\"type\":\"text\",\"content\":\"be brief\"}]"
    })
    assert.deepStrictEqual(GenAi.output("so", "length"), {
      "gen_ai.output.messages":
        "[{\"role\":\"assistant\",\"parts\":[{\"type\":\"text\",\"content\":\"so\"}],\"finish_reason\":\"length\"}]"
    })
  })

  it.effect("tells them only when it is asked to", () =>
    Effect.gen(function*() {
      const asked = (value?: string) =>
        Effect.provide(GenAi.captures, Env.layerTest(value === undefined ? {} : { [GenAi.captureVariable]: value }))
      for (const value of ["true", "TRUE", "span_only", "SPAN_AND_EVENT"]) assert.isTrue(yield* asked(value), value)
      for (const value of [undefined, "", "false", "no_content", "event_only", "yes"]) {
        assert.isFalse(yield* asked(value))
      }
    }))

  it.effect("makes a span of an attempt, that can be told more of until its scope closes", () =>
    Effect.gen(function*() {
      const kept = Spans.keep()
      yield* Effect.gen(function*() {
        const span = yield* GenAi.attemptSpan("chat m", { [GenAi.operation]: "chat", [GenAi.requestModel]: "m" })
        GenAi.annotate(span, { [GenAi.outputTokens]: 3 })
      }).pipe(Effect.scoped, Effect.provide(kept.layer))
      const [span] = kept.spans()
      assert.strictEqual(span!["name"], "chat m")
      assert.deepStrictEqual(span!["attributes"], {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m",
        "gen_ai.usage.output_tokens": 3
      })
    }))
})
