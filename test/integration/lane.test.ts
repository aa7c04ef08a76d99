/**
 * Steps of a call that know their answer, and steps that wait for it: nobody can tell which they were.
 */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, FastCheck as fc, HashMap, Layer, Logger, Metric, Redacted } from "effect"
import type { Event } from "../../src/audit/Event.js"
import * as SigningKey from "../../src/auth/SigningKey.js"
import * as Tokens from "../../src/auth/Tokens.js"
import { unrestricted } from "../../src/domain/Access.js"
import { ProviderFailure } from "../../src/domain/Errors.js"
import { unlimited } from "../../src/domain/Limits.js"
import * as Embedded from "../../src/limits/Embedded.js"
import { Limits } from "../../src/limits/Limits.js"
import { Store } from "../../src/limits/Store.js"
import * as Catalog from "../../src/models/Catalog.js"
import { LlmProxy } from "../../src/proxy/LlmProxy.js"
import * as FakeProvider from "../../src/testing/FakeProvider.js"
import * as Loopback from "../support/Loopback.js"
import { forAll } from "../support/Property.js"

/** What a client does, one after the other. */
interface Ask {
  readonly method: "Execute" | "StreamExecute" | "GetServerInfo"
  readonly model: string
  readonly text: string
  readonly token: "good" | "none" | "bad"
}

const ask: fc.Arbitrary<Ask> = fc.record({
  method: fc.constantFrom<Ask["method"]>("Execute", "StreamExecute", "GetServerInfo"),
  model: fc.constantFrom("fake/one", "fake/one", "", "fake/broken", "fake/unlisted", "nobody/one"),
  text: fc.constantFrom("why?", "why?", "", "a longer question that has several words"),
  token: fc.constantFrom<Ask["token"]>("good", "good", "good", "good", "none", "bad")
})

/** The same, but never at once. */
const later =
  <Arguments extends ReadonlyArray<unknown>, A, E>(step: (...args: Arguments) => Effect.Effect<A, E>) =>
  (...args: Arguments): Effect.Effect<A, E> => Effect.flatMap(Effect.yieldNow(), () => step(...args))

const broken = new ProviderFailure({
  provider: "fake",
  reason: "PROVIDER_REJECTED",
  detail: "test",
  retryAfter: undefined,
  cause: undefined
})

const spec = (name: string) => ({ name, streams: true, contextLength: undefined, price: undefined })
const provider = FakeProvider.make({
  models: [spec("one"), spec("broken")],
  complete: ({ model }) =>
    model === "broken"
      ? Effect.fail(broken)
      : Effect.succeed({ text: "whole answer", usage: { inputTokens: 3, outputTokens: 2 }, finishReason: "stop" }),
  stream: ({ model }) =>
    model === "broken"
      ? Effect.fail(broken)
      : Effect.sync(() =>
        FakeProvider.pieces([
          FakeProvider.text("whole "),
          FakeProvider.text("answer"),
          FakeProvider.end({ inputTokens: 3, outputTokens: 2 })
        ])
      )
})

/** What is another one each time. */
const timeless = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(
    value,
    (key, value: unknown) =>
      /duration|timestamp|firstTextMs|peer|request_?id|token_id|key_id|traceId/i.test(key) ? undefined : value
  ))

/** How often each counter was counted, and each histogram, since the last time. */
const counts = Effect.map(Metric.snapshot, (pairs) =>
  new Map(pairs.flatMap(({ metricKey, metricState }) => {
    const count = "count" in metricState && typeof metricState.count === "number" ? metricState.count : undefined
    const tags = metricKey.tags.map(({ key, value }) => `${key}=${value}`).join()
    return count === undefined ? [] : [[`${metricKey.name} ${tags}`, count] as const]
  })))

const play = (asks: ReadonlyArray<Ask>, waits: boolean) =>
  Effect.gen(function*() {
    const [audit, log]: [Array<Event>, Array<unknown>] = [[], []]
    const own = Tokens.make(yield* SigningKey.make(Redacted.make("a secret of more than thirty-two bytes"), "here"))
    const token = Redacted.value(yield* own.issue("ci", Duration.hours(1)))
    const record = (event: Event) => {
      audit.push(event)
      return Effect.void
    }
    const logger = Logger.make(({ annotations, message }) =>
      void log.push([message, Object.fromEntries(HashMap.toEntries(annotations))])
    )
    const before = yield* counts
    const { answers, usage } = yield* Effect.scoped(Effect.gen(function*() {
      const store = yield* Store
      const port = yield* Loopback.serve({
        proxy: yield* LlmProxy,
        tokens: waits ? { ...own, verify: later(own.verify), recheck: later(own.recheck) } : own,
        access: () => ({ ...unrestricted, limits: { ...unlimited, maxRequestsPerMinute: 6 } }),
        audit: { record: waits ? later(record) : record }
      })
      const client = yield* Loopback.client(port)
      const answers = yield* Effect.forEach(asks, ({ method, model, text, token: kind }) => {
        const authorization = kind === "none" ? {} : { authorization: `Bearer ${kind === "good" ? token : "a.b.c"}` }
        const message = { model_name: model, user_fragments: [text], request_id: "r" }
        return method === "StreamExecute"
          ? Effect.map(Loopback.collect(Loopback.streamCall(client, message, authorization)), ({ chunks, status }) => [
            chunks,
            status.code,
            status.details
          ])
          : Effect.match(Loopback.unaryCall(client, method, method === "Execute" ? message : {}, authorization), {
            onSuccess: (answer): ReadonlyArray<unknown> => [answer],
            onFailure: ({ code, details }) => [code, details]
          })
      })
      assert.strictEqual(yield* store.outstanding, 0, "nothing is left behind")
      return { answers, usage: yield* store.usage({ from: "1970-01-01", to: "2100-01-01" }) }
    })).pipe(
      Effect.provide(
        LlmProxy.layer.pipe(
          Layer.provide(Limits.layer({
            models: {},
            queue: { max_waiting: 0, max_wait_seconds: 1 },
            reserveOutputTokens: 10,
            onUnavailable: "refuse"
          })),
          Layer.provideMerge(waits ? waiting : Embedded.layerMemory),
          Layer.provide(Catalog.Catalog.layer({
            providers: [provider],
            aliases: new Map(),
            defaultModel: undefined,
            fallbacks: new Map()
          })),
          Layer.merge(Logger.replace(Logger.defaultLogger, logger))
        )
      )
    )
    const after = yield* counts
    const counted = [...after].filter(([name, count]) => count !== (before.get(name) ?? 0))
      .map(([name, count]) => [name, count - (before.get(name) ?? 0)] as const)
      .sort(([one], [other]) => one < other ? -1 : 1)
    return timeless({ answers, audit, counted, log, usage: usage.map(({ day: _, ...row }) => row) })
  })

const waiting = Layer.effect(
  Store,
  Effect.map(Store, (store) => Store.of({ ...store, reserve: later(store.reserve), settle: later(store.settle) }))
).pipe(Layer.provide(Embedded.layerMemory))

describe("a call whose steps know their answers", () => {
  it.live("is answered, audited, booked, measured and logged as one whose every step waits", () =>
    forAll(fc.array(ask, { minLength: 1, maxLength: 10 }), 25, (asks) =>
      Effect.gen(function*() {
        const [eager, waited] = [yield* play(asks, false), yield* play(asks, true)]
        assert.deepStrictEqual(eager, waited)
      }).pipe(Effect.orDie)))
})
