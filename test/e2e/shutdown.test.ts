import { assert, describe, it } from "@effect/vitest"
import * as Grpc from "@grpc/grpc-js"
import * as ProtoLoader from "@grpc/proto-loader"
import { Chunk, Effect, Exit, Fiber, Stream } from "effect"
import * as Health from "grpc-health-check"
import { once } from "node:events"
import * as Connection from "../../src/client/Connection.js"
import * as FakeVendor from "../../src/testing/FakeVendor.js"
import * as Ops from "../support/Ops.js"
import * as Patience from "../support/Patience.js"
import * as Programs from "../support/Programs.js"

const home = Effect.acquireRelease(Effect.sync(Programs.home), (home) => Effect.promise(home.close))

/** Tells what a watcher of the server's health is told. */
const watch = (port: number, told: (status: string) => void): void => {
  const service = ProtoLoader.loadSync(Health.protoPath, { enums: String })["grpc.health.v1.Health"]
  const { path, requestSerialize, responseDeserialize } = (service as Grpc.ServiceDefinition)["Watch"]!
  const client = new Grpc.Client(`127.0.0.1:${port}`, Grpc.credentials.createInsecure())
  client.makeServerStreamRequest<object, { status: string }>(path, requestSerialize, responseDeserialize, {})
    .on("data", ({ status }: { status: string }) => told(status))
    .on("error", () => client.close())
}

describe("SIGTERM with 50 live streams", () => {
  it.scopedLive(
    "lets those finish that can within the drain, ends the rest with SHUTTING_DOWN, and exits with 0",
    () =>
      Effect.gen(function*() {
        const vendor = yield* FakeVendor.make()
        const pieces = Array.from({ length: 10 }, (_, index) => `piece ${index} `)
        const finishing = { pieces, pace: 150 }
        const hanging = { fault: { after: 1, how: "hang" } } as const
        vendor.script(...Array.from({ length: 50 }, (_, index) => index % 2 === 0 ? finishing : hanging))
        const person = yield* home
        const server = yield* Effect.promise(() =>
          person.serve("vibectl-server --port 0 --insecure --no-enable-auth --model openai/m", {
            OPENAI_API_KEY: "sk-x",
            OPENAI_BASE_URL: vendor.openai,
            VIBECTL_SERVER__DRAIN_SECONDS: `${Math.ceil(Patience.scaled(5000) / 1000)}`
          })
        )
        /** What the world was told, in order. */
        const story: Array<string> = []
        watch(server.port, (status) => story.push(status))
        const client = yield* Connection.make({ host: "127.0.0.1", port: server.port, tls: false, retryAttempts: 0 })
        let begun = 0
        const streams = yield* Effect.forEach(Array.from({ length: 50 }), () =>
          client.stream({ user: ["hi"] }).pipe(
            Stream.filter((event) => event._tag === "Text"),
            Stream.zipWithIndex,
            Stream.tap(([, index]) =>
              Effect.sync(() => {
                if (index === 0) begun += 1
              })
            ),
            Stream.map(([{ text }]) => text),
            Stream.runCollect,
            Effect.tapError(() => Effect.sync(() => story.push("cut"))),
            Effect.fork
          ))
        yield* Patience.eventually(() => begun === 50)

        const exit = once(server.process, "exit")
        server.process.kill("SIGTERM")
        const ended = yield* Effect.forEach(streams, Fiber.await)
        const texts = ended.flatMap((exit) => Exit.isSuccess(exit) ? [Chunk.join(exit.value, "")] : [])
        const failures = ended.flatMap((exit) =>
          Exit.isFailure(exit) && exit.cause._tag === "Fail" ? [exit.cause.error] : []
        )
        assert.deepStrictEqual(texts, Array.from({ length: 25 }, () => pieces.join("")))
        assert.lengthOf(failures, 25)
        for (const error of failures) assert.deepInclude(error, { _tag: "CallFailed", reason: "SHUTTING_DOWN" })

        assert.deepStrictEqual(yield* Effect.promise(() => exit), [0, null])
        assert.deepStrictEqual(story.slice(0, 3), ["SERVING", "NOT_SERVING", "cut"])
        assert.strictEqual(vendor.counts.open, 0)
      })
  )
})

describe("SIGTERM with a lame duck", () => {
  it.scopedLive("says at once in /readyz and in health checks that it stops, and still takes connections and calls", () =>
    Effect.gen(function*() {
      const vendor = yield* FakeVendor.make()
      vendor.otherwise({ pieces: ["yes"] })
      const person = yield* home
      const metrics = yield* Effect.promise(Programs.freePort)
      const server = yield* Effect.promise(() =>
        person.serve("vibectl-server --port 0 --insecure --no-enable-auth --model openai/m", {
          OPENAI_API_KEY: "sk-x",
          OPENAI_BASE_URL: vendor.openai,
          VIBECTL_SERVER__METRICS_PORT: String(metrics),
          // Longer than all that follows; a second signal ends it.
          VIBECTL_SERVER__LAME_DUCK_SECONDS: "600"
        })
      )
      assert.strictEqual((yield* Ops.ask(metrics, "/readyz")).status, 200)
      const exit = once(server.process, "exit")
      server.process.kill("SIGTERM")
      const readiness = Effect.map(Ops.ask(metrics, "/readyz"), ({ status }) => status)
      yield* Patience.eventually(Effect.map(readiness, (status) => status === 503))
      const statuses: Array<string> = []
      watch(server.port, (status) => statuses.push(status))
      yield* Patience.eventually(() => statuses.at(-1) === "NOT_SERVING")
      const client = yield* Connection.make({ host: "127.0.0.1", port: server.port, tls: false, retryAttempts: 0 })
      const texts = yield* client.stream({ user: ["hi"] }).pipe(
        Stream.filter((event) => event._tag === "Text"),
        Stream.map(({ text }) => text),
        Stream.runCollect
      )
      assert.strictEqual(Chunk.join(texts, ""), "yes")
      assert.strictEqual(yield* readiness, 503)
      server.process.kill("SIGTERM")
      yield* Effect.promise(() => exit)
    }))
})
