import { assert, describe, it } from "@effect/vitest"
import * as Grpc from "@grpc/grpc-js"
import * as ProtoLoader from "@grpc/proto-loader"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { protoPath } from "grpc-health-check"
import * as V8 from "node:v8"
import * as Vm from "node:vm"
import * as Loopback from "../support/Loopback.js"

const service = ProtoLoader.loadSync(protoPath, { enums: String, defaults: true })[
  "grpc.health.v1.Health"
] as Grpc.ServiceDefinition

V8.setFlagsFromString("--expose-gc")
const collect = Vm.runInNewContext("gc") as () => void

const known = ["", "vibectl.llm_proxy.VibectlLLMProxy"]

const unary = (client: Grpc.Client, method: string, request: object) =>
  Effect.async<unknown, Grpc.ServiceError>((resume) => {
    const { path, requestSerialize, responseDeserialize } = service[method]!
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      (error, answer) => resume(error === null ? Effect.succeed(answer) : Effect.fail(error))
    )
  })

/** The states that a watcher hears, as they come. */
const watch = (client: Grpc.Client, name: string) => {
  const { path, requestSerialize, responseDeserialize } = service["Watch"]!
  const call = client.makeServerStreamRequest<object, { readonly status: string }>(
    path,
    requestSerialize,
    responseDeserialize,
    { service: name }
  )
  call.on("error", () => {})
  return call
}

const next = (call: ReturnType<typeof watch>) =>
  Effect.async<string>((resume) =>
    void call.once("data", ({ status }: { readonly status: string }) => resume(Effect.succeed(status)))
  )

describe("health checks", () => {
  it.scopedLive("know the server and its service, and nothing else", () =>
    Effect.gen(function*() {
      const client = yield* Loopback.client(yield* Loopback.serve({ proxy: Loopback.proxy({}) }))
      for (const name of known) {
        assert.deepStrictEqual<unknown>(yield* unary(client, "Check", { service: name }), { status: "SERVING" })
        const call = watch(client, name)
        assert.strictEqual(yield* next(call), "SERVING")
        call.cancel()
      }
      const list = yield* unary(client, "List", {})
      assert.deepStrictEqual(Object.keys((list as { readonly statuses: object }).statuses), known)
      const call = watch(client, "other")
      assert.strictEqual(yield* next(call), "SERVICE_UNKNOWN")
      call.cancel()
    }))

  it.scopedLive("repeat nothing of a name, however long, and keep nothing of it", () =>
    Effect.gen(function*() {
      const client = yield* Loopback.client(yield* Loopback.serve({ proxy: Loopback.proxy({}) }))
      const long = "canary".repeat(600_000)
      const error = yield* Effect.flip(unary(client, "Check", { service: long }))
      assert.strictEqual(error.code, Grpc.status.NOT_FOUND)
      assert.notInclude(error.details, "canary")

      const round = (from: number) =>
        Effect.forEach(Array.from({ length: 10 }), (_, index) =>
          Effect.flatMap(
            Effect.sync(() => watch(client, `${from + index}${long}`)),
            (call) => Effect.map(next(call), () => call.cancel())
          ))
      yield* round(0)
      collect()
      const before = process.memoryUsage().heapUsed
      yield* round(100)
      collect()
      // 36 MB of names would stay.
      assert.isBelow(process.memoryUsage().heapUsed - before, 18_000_000)
    }))

  it.scopedLive("tell a watcher when the server goes away", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const finish = yield* Deferred.make<void>()
      const port = yield* Scope.extend(
        Loopback.serve({
          proxy: Loopback.proxy({ open: Loopback.script(Effect.as(Deferred.await(finish), Loopback.done)) })
        }),
        scope
      )
      const client = yield* Loopback.client(port)
      const call = watch(client, "")
      assert.strictEqual(yield* next(call), "SERVING")
      const stopped = yield* Effect.fork(next(call))
      yield* Effect.yieldNow()
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      assert.strictEqual(yield* Fiber.join(stopped), "NOT_SERVING")
      yield* Deferred.succeed(finish, undefined)
      yield* Fiber.join(closing)
    }))
})
