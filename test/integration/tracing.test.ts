import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Exit, Layer, Logger, LogLevel, Redacted, Scope } from "effect"
import * as Util from "node:util"
import { Tokens } from "../../src/auth/Tokens.js"
import { ProxyClient } from "../../src/client/ProxyClient.js"
import { Env } from "../../src/config/Environment.js"
import * as Kinds from "../../src/models/Kinds.js"
import { Listening } from "../../src/server/ServerLayer.js"
import * as Otlp from "../../src/telemetry/Otlp.js"
import * as FakeProvider from "../../src/testing/FakeProvider.js"
import * as FakeVendor from "../../src/testing/FakeVendor.js"
import * as TestServer from "../../src/testing/TestServer.js"
import * as Loopback from "../support/Loopback.js"
import * as OtlpCollector from "../support/OtlpCollector.js"
import * as Patience from "../support/Patience.js"

const traceId = "0af7651916cd43dd8448eb211c80319c"
const callerSpan = "b7ad6b7169203331"
const traceparent = `00-${traceId}-${callerSpan}-01`
const secret = "CANARY-collector-key-0aZ9bY8c"

/** What the variables of a server say of a collector that is sent everything at once. */
const variablesOf = (url: string) => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: url,
  OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
  OTEL_EXPORTER_OTLP_HEADERS: `X-Key=${secret},authorization=Bearer%20${secret}`,
  OTEL_BSP_SCHEDULE_DELAY: "50",
  OTEL_METRIC_EXPORT_INTERVAL: "50"
})

/** A server with these variables, the vendor it asks, and a client with a token. */
const world = (variables: Record<string, string>) =>
  Effect.gen(function*() {
    const vendor = yield* FakeVendor.make()
    const openai = yield* Kinds.make("openai", {
      name: "openai",
      apiKey: Redacted.make("any"),
      baseUrl: vendor.openai,
      models: [{ name: "m" }],
      defaultModel: "m",
      maxOutputTokens: undefined,
      timeouts: {},
      modelTimeouts: new Map(),
      maxConcurrent: undefined,
      maxRetries: 0
    })
    const log: Array<string> = []
    const logger = Logger.replace(
      Logger.defaultLogger,
      // All but the fiber's own state, which has the variables.
      Logger.make(({ context: _, ...told }) => void log.push(Util.inspect(told, { depth: 8 })))
    )
    const broken = FakeProvider.make({ name: "broken", complete: () => Effect.die(new Error(secret)) })
    const layer = TestServer.layer({ providers: [openai, broken] }).pipe(
      Layer.provide(Otlp.layer),
      Layer.provide([logger, Logger.minimumLogLevel(LogLevel.All), Env.layerTest(variables)])
    )
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(layer, scope)
    const { port } = Context.get(context, Listening)
    const token = yield* Context.get(context, Tokens).issue("ci", Duration.hours(1))
    const client = yield* Loopback.client(port)
    const metadata = { authorization: `Bearer ${Redacted.value(token)}` }
    return {
      vendor,
      log,
      proxy: Context.get(context, ProxyClient),
      execute: (headers: Record<string, string> = {}, model = "openai/m") =>
        Loopback.unaryCall(client, "Execute", { user_fragments: ["a secret prompt"], model_name: model }, {
          ...metadata,
          ...headers
        }),
      stream: (headers: Record<string, string> = {}) =>
        Loopback.collect(
          Loopback.streamCall(client, { user_fragments: ["a secret prompt"] }, { ...metadata, ...headers })
        ),
      info: (headers: Record<string, string>) => Loopback.unaryCall(client, "GetServerInfo", {}, headers),
      /** The server's end, with all that it still sends. */
      close: Scope.close(scope, Exit.void)
    }
  })

const find = (spans: ReadonlyArray<OtlpCollector.Span>, name: string): OtlpCollector.Span => {
  const found = spans.filter((span) => span.name === name)
  assert.lengthOf(found, 1, `${name} in ${spans.map((span) => span.name).join(", ")}`)
  return found[0]!
}

describe("a traced call", () => {
  it.scopedLive("is one trace from the caller to the provider", () =>
    Effect.gen(function*() {
      const collector = yield* OtlpCollector.make
      const { close, execute, log, vendor } = yield* world(variablesOf(collector.url))
      const answer = yield* execute({ traceparent, tracestate: "a=1,b=2" })
      assert.isDefined(answer["success"])
      yield* close

      const spans = collector.spans()
      const call = spans.find(({ kind }) => kind === 2)!
      assert.match(call.name, /^[\w.]+\/Execute$/)
      assert.strictEqual(call.parentSpanId, callerSpan)
      assert.deepInclude(OtlpCollector.attributesOf(call), {
        "rpc.system.name": "grpc",
        "rpc.method": call.name,
        "rpc.response.status_code": "OK",
        "client.address": "127.0.0.1",
        "server.address": "127.0.0.1",
        "vibectl.request_id": (answer as { request_id: string }).request_id
      })
      assert.strictEqual(call.status.code, 0)
      assert.strictEqual(find(spans, "authenticate").parentSpanId, call.spanId)
      const executed = find(spans, "LlmProxy.execute")
      assert.strictEqual(executed.parentSpanId, call.spanId)
      for (const span of spans) assert.strictEqual(span.traceId, traceId)

      const [seen] = vendor.requests
      assert.strictEqual(find(spans, "limits").parentSpanId, executed.spanId)
      const attempt = find(spans, "chat m")
      assert.strictEqual(attempt.kind, 3)
      assert.strictEqual(attempt.parentSpanId, executed.spanId)
      assert.deepInclude(OtlpCollector.attributesOf(attempt), {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.response.finish_reasons": ["stop"]
      })
      assert.strictEqual(seen!.headers["traceparent"], `00-${traceId}-${attempt.spanId}-01`)
      assert.strictEqual(seen!.headers["tracestate"], "a=1,b=2")
      assert.strictEqual(seen!.headers["authorization"], "Bearer any")

      const sent = collector.requests.filter(({ path }) => path === "/v1/traces")
      assert.isNotEmpty(sent)
      for (const { headers } of sent) {
        assert.strictEqual(headers["x-key"], secret)
        assert.strictEqual(headers["authorization"], `Bearer ${secret}`)
        assert.notProperty(headers, "traceparent", "what sends spans is not traced")
      }
      const resource = collector.requests.find(({ path }) => path === "/v1/traces")!.body!.resourceSpans![0]!.resource
      assert.include(OtlpCollector.attributesOf(resource), { "service.name": "vibectl-server" })
      assert.notInclude(JSON.stringify(spans), "a secret prompt")
      assert.isEmpty(call.events)
      assert.include(log.join("\n"), traceId, "the log says which trace it was")
      assert.notInclude(log.join("\n"), secret)
    }))

  it.scopedLive("tells prompts and answers only where it is asked to", () =>
    Effect.gen(function*() {
      const collector = yield* OtlpCollector.make
      const { close, execute, stream } = yield* world({
        ...variablesOf(collector.url),
        OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT: "true"
      })
      yield* execute()
      yield* stream()
      yield* close
      const told = collector.spans().filter(({ name }) => name === "chat m").map(OtlpCollector.attributesOf)
      assert.lengthOf(told, 2)
      for (const attributes of told) {
        assert.include(String(attributes["gen_ai.input.messages"]), "a secret prompt")
        assert.include(String(attributes["gen_ai.output.messages"]), "Hello, world")
        assert.deepStrictEqual(attributes["gen_ai.response.finish_reasons"], ["stop"])
      }
    }))

  it.scopedLive("is one that this server begins when the caller does not trace", () =>
    Effect.gen(function*() {
      const collector = yield* OtlpCollector.make
      const { close, execute, stream, vendor } = yield* world(variablesOf(collector.url))
      yield* execute({ traceparent: traceparent.toUpperCase() })
      const { status } = yield* stream()
      assert.strictEqual(status.code, 0)
      yield* close
      const calls = collector.spans().filter(({ kind }) => kind === 2)
      assert.lengthOf(calls, 2)
      assert.notStrictEqual(calls[0]!.traceId, calls[1]!.traceId)
      for (const [index, { parentSpanId, traceId: id }] of calls.entries()) {
        assert.isUndefined(parentSpanId)
        assert.notStrictEqual(id, traceId)
        assert.include(String(vendor.requests[index]!.headers["traceparent"]), id)
      }
    }))

  it.scopedLive("is not told when the caller's is not, and the provider hears so", () =>
    Effect.gen(function*() {
      const collector = yield* OtlpCollector.make
      const { close, execute, vendor } = yield* world(variablesOf(collector.url))
      yield* execute({ traceparent: traceparent.replace(/1$/, "0") })
      yield* close
      assert.isEmpty(collector.spans())
      assert.strictEqual(vendor.requests[0]!.headers["traceparent"], `00-${traceId}-${callerSpan}-00`)
    }))

  it.scopedLive("without a collector is passed on as the caller began it, and else not spoken of", () =>
    Effect.gen(function*() {
      const { close, execute, vendor } = yield* world({})
      yield* execute({ traceparent, tracestate: "a=1" })
      yield* execute()
      yield* close
      const [first, second] = vendor.requests
      assert.deepInclude(first!.headers, { traceparent, tracestate: "a=1" })
      assert.notProperty(second!.headers, "traceparent")
      assert.notProperty(second!.headers, "tracestate")
    }))

  it.scopedLive("has the spans of an Effect program with vibectl/client above it", () =>
    Effect.gen(function*() {
      const collector = yield* OtlpCollector.make
      const { close, proxy } = yield* world(variablesOf(collector.url))
      yield* proxy.execute({ user: ["why?"], model: "openai/m" }).pipe(
        Effect.withSpan("application"),
        Effect.provide(Otlp.layer.pipe(Layer.provide(Env.layerTest(variablesOf(collector.url)))))
      )
      yield* close
      const spans = collector.spans()
      const application = find(spans, "application")
      const asked = find(spans, "ProxyClient.execute")
      const call = spans.find(({ kind, name }) => kind === 2 && name.endsWith("/Execute"))!
      assert.strictEqual(asked.kind, 3)
      assert.strictEqual(asked.parentSpanId, application.spanId)
      assert.strictEqual(call.parentSpanId, asked.spanId)
      assert.strictEqual(call.traceId, application.traceId)
    }))

  it.scopedLive("that fails says how, and nothing that only the log may hold", () =>
    Effect.gen(function*() {
      const collector = yield* OtlpCollector.make
      const { close, execute, info, vendor } = yield* world(variablesOf(collector.url))
      vendor.otherwise({ status: 401 })
      yield* Effect.flip(execute())
      yield* Effect.flip(execute({}, "broken/one"))
      yield* Effect.flip(info({}))
      yield* close
      const spans = collector.spans()
      const codes = spans.filter(({ kind }) => kind === 2).map((span) => [
        OtlpCollector.attributesOf(span)["rpc.response.status_code"],
        OtlpCollector.attributesOf(span)["error.type"],
        span.status.code
      ])
      assert.deepStrictEqual(codes, [
        ["FAILED_PRECONDITION", undefined, 0],
        ["INTERNAL", "INTERNAL", 2],
        ["UNAUTHENTICATED", undefined, 0]
      ])
      const [refused, defect] = spans.filter(({ name }) => name === "LlmProxy.execute")
      assert.include(refused!.status.message, "openai")
      assert.include(JSON.stringify(refused!.events), "PROVIDER_REJECTED")
      assert.strictEqual(defect!.status.code, 2)
      const refusals = spans.filter(({ name }) => name === "authenticate")
        .map((span) => OtlpCollector.attributesOf(span)["vibectl.refusal"])
      assert.deepStrictEqual(refusals, [undefined, undefined, "no_token"])
      assert.notInclude(JSON.stringify(spans), secret)
      assert.notInclude(JSON.stringify(spans), "Interrupted")
    }))
})

describe("a collector", () => {
  it.scopedLive("is sent our metrics, with their units", () =>
    Effect.gen(function*() {
      const collector = yield* OtlpCollector.make
      const { close, execute } = yield* world(variablesOf(collector.url))
      yield* execute()
      yield* close
      const metrics = new Map(collector.metrics().map(({ name, unit }) => [name, unit]))
      assert.strictEqual(metrics.get("vibectl_calls_total"), "")
      assert.isFalse([...metrics.keys()].some((name) => name.startsWith("effect_")))
    }))

  it.scopedLive("that is away costs one line in the log and no call", () =>
    Effect.gen(function*() {
      const gone = yield* Effect.scoped(Effect.map(OtlpCollector.make, ({ url }) => url))
      const { close, execute, log } = yield* world(variablesOf(gone))
      yield* Effect.all([execute(), execute(), execute()], { concurrency: "unbounded" })
      yield* Effect.sleep("300 millis")
      yield* execute()
      yield* Patience.bounded(close)
      const told = log.filter((line) => line.includes("the collector does not take spans"))
      assert.lengthOf(told, 1)
      assert.include(told[0], "ECONNREFUSED")
      assert.notInclude(log.join("\n"), secret)
    }))

  it.scopedLive("that is slow still gets what was under way when the server was told to stop", () =>
    Effect.gen(function*() {
      const collector = yield* OtlpCollector.make
      collector.answer(200, 500)
      const { close, execute } = yield* world(variablesOf(collector.url))
      yield* execute()
      yield* Effect.sleep("200 millis")
      yield* execute()
      yield* close
      assert.lengthOf(collector.spans().filter(({ kind }) => kind === 2), 2)
    }))

  it.scopedLive("that is away for a moment gets what it missed", () =>
    Effect.gen(function*() {
      const collector = yield* OtlpCollector.make
      collector.answer(503)
      const { close, execute, log } = yield* world({
        ...variablesOf(collector.url),
        OTEL_METRICS_EXPORTER: "none",
        OTEL_BSP_SCHEDULE_DELAY: "30"
      })
      yield* execute()
      yield* Patience.eventually(() => collector.requests.length > 0)
      collector.answer(200)
      yield* Patience.eventually(() => collector.requests.length > 1)
      yield* close
      const [first, second] = collector.requests
      assert.deepStrictEqual(second!.body, first!.body)
      assert.isTrue(log.some((line) => line.includes("the collector takes spans again")))
    }))

  it.scopedLive("that does not answer is not waited for longer than the variables say", () =>
    Effect.gen(function*() {
      const collector = yield* OtlpCollector.make
      collector.answer(200, 600_000)
      const { close, execute, log } = yield* world({
        ...variablesOf(collector.url),
        OTEL_EXPORTER_OTLP_TIMEOUT: "100"
      })
      yield* execute()
      const [took] = yield* Effect.timed(close)
      // Ten seconds is what the standard has without the variable.
      assert.isBelow(Duration.toMillis(took), Patience.scaled(9_000))
      assert.isTrue(log.some((line) => line.includes("does not take spans") && line.includes("no answer in time")))
    }))

  it.scopedLive("that refuses is told of once, by its status", () =>
    Effect.gen(function*() {
      const collector = yield* OtlpCollector.make
      collector.answer(401)
      const { close, execute, log } = yield* world(variablesOf(collector.url))
      yield* execute()
      yield* Effect.sleep("200 millis")
      yield* execute()
      yield* close
      const told = log.filter((line) => line.includes("the collector does not take spans"))
      assert.lengthOf(told, 1)
      assert.include(told[0], "HTTP 401")
      assert.notInclude(log.join("\n"), secret)
    }))
})
