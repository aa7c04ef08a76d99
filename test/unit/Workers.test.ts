/**
 * What several processes make of one server's settings, counts and metrics.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric } from "effect"
import { ServerConfig } from "../../src/config/ServerConfig.js"
import * as Embedded from "../../src/limits/Embedded.js"
import * as Inform from "../../src/limits/Inform.js"
import * as Remote from "../../src/limits/Remote.js"
import { Store } from "../../src/limits/Store.js"
import * as Share from "../../src/server/workers/Share.js"
import { counter, gauge, histogram } from "../../src/telemetry/Instruments.js"
import * as Prometheus from "../../src/telemetry/Prometheus.js"
import * as Several from "../../src/telemetry/Several.js"
import { ask, bound, used } from "../support/Asks.js"

/** As the other process gets it. */
const sent = <A>(message: A): A => JSON.parse(JSON.stringify(message)) as A

describe("Share", () => {
  it.effect("divides what is of the server as a whole, and nothing is lost or made", () =>
    Effect.gen(function*() {
      const settings = yield* ServerConfig
      const shares = [1, 2, 3].map((number) => Share.of(settings, { number, count: 3, port: 7 }))
      const most = shares.map(({ providers }) => providers["a"]?.max_concurrent_requests)
      assert.deepStrictEqual(most, [3, 2, 2])
      assert.deepStrictEqual(shares.map(({ server }) => server.limits.queue.max_waiting), [4, 4, 3])
      assert.deepStrictEqual(shares.map(({ server }) => server.port), [7, 7, 7])
      assert.isUndefined(shares[0]?.providers["b"]?.max_concurrent_requests)
    }).pipe(Effect.provide(ServerConfig.layerTest({
      server: {
        limits: {
          global: {},
          per_token: {},
          tenants: {},
          models: {},
          reserve_output_tokens: 1,
          queue: { max_waiting: 11, max_wait_seconds: 1 }
        }
      },
      providers: { a: { kind: "demo", max_concurrent_requests: 7 }, b: { kind: "demo" } }
    }))))
})

describe("Remote", () => {
  it.effect("counts together with the process that keeps the store, and leaves nothing behind", () =>
    Effect.gen(function*() {
      const store = yield* Store
      const inform = Inform.make()
      /** A process, and the desk that answers it, one message after the other. */
      const worker = () => {
        const desk = Remote.desk(store, inform)
        const questions: Array<Remote.Question> = []
        const client = Remote.client((asked) => void questions.push(...sent(asked)))
        const deliver = Effect.gen(function*() {
          client.flush()
          client.answered(sent(yield* desk.answer(questions.splice(0))))
        })
        const asking = <A, E>(effect: Effect.Effect<A, E>) =>
          Effect.gen(function*() {
            const fiber = yield* Effect.fork(effect)
            yield* Effect.yieldNow()
            yield* deliver
            return yield* fiber
          })
        return { ...client, asking, deliver, desk }
      }
      const [one, other] = [worker(), worker()]
      const bounds = [bound({}, "a"), bound({ maxConcurrentRequests: 2, maxRequestsPerMinute: 9 }, "b", "tenant")]
      const asks = [ask(bounds), ask(bounds), ask(bounds)] as const
      assert.isUndefined(yield* one.asking(one.store.reserve(asks[0])))
      assert.isUndefined(yield* other.asking(other.store.reserve(asks[1])))
      assert.deepStrictEqual(yield* one.asking(one.store.reserve(asks[2])), {
        bound: bounds[1]!,
        type: "concurrency",
        retryAfterMs: 1000
      })
      yield* other.store.settle(asks[0], used(asks[0], { tokens: 1, cost: 1 }))
      yield* other.deliver
      assert.strictEqual((yield* one.asking(one.store.reserve(asks[2])))?.type, "concurrency", "it is another's")
      yield* one.store.settle(asks[0], used(asks[0], { tokens: 1, cost: 1 }))
      yield* one.deliver
      assert.isUndefined(yield* one.asking(one.store.reserve(asks[2])))
      assert.strictEqual(yield* one.asking(one.store.outstanding), 2)

      yield* other.desk.abandon
      yield* other.desk.abandon
      assert.strictEqual(yield* one.asking(one.store.outstanding), 1)
      const [row, more] = yield* one.asking(one.store.usage({ from: "2026-11-26", to: "2026-11-26" }))
      assert.isUndefined(more)
      assert.deepInclude(row, { requests: 2, failures: 1, estimated: 1, inputTokens: 11, cost: 1001 })
      assert.isUndefined(yield* one.asking(one.store.reserve(ask(bounds))))

      const few = [bound({ maxRequestsPerMinute: 1, maxTokensPerDay: 0 })]
      for (let count = 0; count < 60; count++) assert.isUndefined(yield* one.asking(one.inform(few)))
      assert.strictEqual((yield* other.asking(other.inform(few)))?.type, "rpm")
    }).pipe(Effect.provide(Embedded.layerMemory)))
})

describe("Several", () => {
  it.effect("adds up what is counted, also of those that are no more, and takes the worst where that is meant", () =>
    Effect.gen(function*() {
      const options = { description: "of a test", labels: ["sub"] } as const
      yield* counter<[string]>("workers_test_total", options)(["a"], 3)
      yield* gauge<[string]>("workers_test_sum", options)(["a"], 5)
      yield* gauge<[string]>("workers_test_late", { ...options, across: "max" })(["a"], 2)
      yield* gauge<[string]>("workers_test_since", { ...options, across: "min" })(["a"], 4)
      yield* histogram<[string]>("workers_test_size", { ...options, boundaries: [1, 2] })(["a"], 1.5)
      const own = sent(Several.encode(yield* Metric.snapshot)).filter(({ name }) => name.startsWith("workers_test_"))
      assert.lengthOf(own, 5)
      const more = own.map((sample) =>
        sample.state.kind === "histogram" ? sample : { ...sample, state: { ...sample.state, value: 1 } }
      )
      const merged = Several.merge([own, more, Several.counted(own)])
      const text = Prometheus.render(Several.decode(merged)).split("\n").filter((line) =>
        line.startsWith("workers_test")
      )
      assert.sameMembers(text, [
        "workers_test_total{sub=\"a\"} 7",
        "workers_test_sum{sub=\"a\"} 6",
        "workers_test_late{sub=\"a\"} 2",
        "workers_test_since{sub=\"a\"} 1",
        "workers_test_size_bucket{sub=\"a\",le=\"1\"} 0",
        "workers_test_size_bucket{sub=\"a\",le=\"2\"} 3",
        "workers_test_size_bucket{sub=\"a\",le=\"+Inf\"} 3",
        "workers_test_size_sum{sub=\"a\"} 4.5",
        "workers_test_size_count{sub=\"a\"} 3"
      ])
    }))
})
