import { assert, describe, it } from "@effect/vitest"
import * as Grpc from "@grpc/grpc-js"
import * as ProtoLoader from "@grpc/proto-loader"
import { Deferred, Duration, Effect, Exit, Fiber, Scope, Stream } from "effect"
import { protoPath as healthProto } from "grpc-health-check"
import { createRequire } from "node:module"
import * as Path from "node:path"
import { unrestricted } from "../../src/domain/Access.js"
import { ProviderFailure } from "../../src/domain/Errors.js"
import { unlimited } from "../../src/domain/Limits.js"
import * as Status from "../../src/grpc/Status.js"
import * as Loopback from "../support/Loopback.js"
import * as Patience from "../support/Patience.js"

const outage = new ProviderFailure({
  provider: "fake",
  reason: "PROVIDER_UNAVAILABLE",
  detail: "ECONNRESET",
  retryAfter: undefined,
  cause: "test"
})

describe("Server.serve", () => {
  it.scopedLive("streams text, then complete, then final_metrics, then OK, with the request id on every chunk", () =>
    Effect.gen(function*() {
      const { done, metrics, proxy, script, text } = Loopback
      const open = script(...[text("a"), text("b"), done, metrics].map((event) => Effect.succeed(event)))
      const port = yield* Loopback.serve({ proxy: proxy({ open }) })
      const { chunks, status } = yield* Loopback.collect(Loopback.streamCall(yield* Loopback.client(port)))
      assert.deepStrictEqual(chunks.map(Loopback.kind), ["text_chunk", "text_chunk", "complete", "final_metrics"])
      assert.isTrue(chunks.every((chunk) => chunk["request_id"] === "r1"))
      assert.strictEqual(status.code, Grpc.status.OK)
    }))

  it.scopedLive("makes a UUID when the request has no id, and says the same one on every chunk", () =>
    Effect.gen(function*() {
      const { done, metrics, proxy, script, text } = Loopback
      const open = script(...[text("a"), done, metrics].map((event) => Effect.succeed(event)))
      const port = yield* Loopback.serve({ proxy: proxy({ open }) })
      const call = Loopback.streamCall(yield* Loopback.client(port), { user_fragments: ["x"] })
      const ids = new Set((yield* Loopback.collect(call)).chunks.map((chunk) => chunk["request_id"]))
      assert.strictEqual(ids.size, 1)
      assert.match(String([...ids][0]), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    }))

  it.scopedLive("ends a failed stream with the in-band error, then the same status", () =>
    Effect.gen(function*() {
      let pulls = 0
      const port = yield* Loopback.serve({
        proxy: Loopback.proxy({
          open: () => Effect.succeed(Effect.suspend(() => pulls++ === 0 ? Effect.succeed(Loopback.text("a")) : outage))
        })
      })
      const { chunks, status } = yield* Loopback.collect(Loopback.streamCall(yield* Loopback.client(port)))
      assert.deepStrictEqual(chunks.map(Loopback.kind), ["text_chunk", "error"])
      assert.deepInclude(chunks[1], { request_id: "r1" })
      assert.strictEqual((chunks[1]!["error"] as { error_code: string }).error_code, "PROVIDER_UNAVAILABLE")
      assert.strictEqual(status.code, Grpc.status.UNAVAILABLE)
      assert.strictEqual(Status.toCallFailed(status).reason, "PROVIDER_UNAVAILABLE")
    }))

  it.scopedLive("hides a defect: INTERNAL with a fixed text", () =>
    Effect.gen(function*() {
      for (
        const open of [
          () => Effect.dieMessage("canary"),
          () => {
            throw new Error("canary")
          }
        ]
      ) {
        const port = yield* Loopback.serve({ proxy: Loopback.proxy({ open }) })
        const { status } = yield* Loopback.collect(Loopback.streamCall(yield* Loopback.client(port)))
        assert.strictEqual(status.code, Grpc.status.INTERNAL)
        assert.notInclude(status.details, "canary")
      }
    }))

  for (const how of ["cancels", "loses its connection"]) {
    it.scopedLive(`interrupts the call of a client that ${how}`, () =>
      Effect.gen(function*() {
        const [started, interrupted] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const open = () =>
          Effect.succeed(Effect.zipRight(
            Deferred.succeed(started, undefined),
            Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
          ))
        const port = yield* Loopback.serve({ proxy: Loopback.proxy({ open }) })
        const cable = yield* Loopback.cable(port)
        const call = Loopback.streamCall(yield* Loopback.client(cable.port))
        call.on("error", () => {})
        yield* Deferred.await(started)
        if (how === "cancels") call.cancel()
        else cable.cut()
        yield* Deferred.await(interrupted).pipe(Patience.bounded)
      }))
  }

  it.scopedLive("interrupts a unary call whose deadline has passed", () =>
    Effect.gen(function*() {
      const interrupted = yield* Deferred.make<void>()
      const execute = () => Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
      const port = yield* Loopback.serve({ proxy: Loopback.proxy({ execute }) })
      const client = yield* Loopback.client(port)
      const metadata = { "grpc-timeout": "50m" }
      yield* Effect.fork(Loopback.unaryCall(client, "Execute", { user_fragments: ["x"] }, metadata))
      yield* Deferred.await(interrupted).pipe(Patience.bounded)
    }))

  it.scopedLive("refuses a request id that could not be logged safely", () =>
    Effect.gen(function*() {
      const port = yield* Loopback.serve({ proxy: Loopback.proxy({}) })
      const client = yield* Loopback.client(port)
      const request = { user_fragments: ["x"], request_id: "a\nb" }
      const error = yield* Effect.flip(Loopback.unaryCall(client, "Execute", request))
      assert.strictEqual(error.code, Grpc.status.INVALID_ARGUMENT)
      assert.strictEqual(Status.toCallFailed(error).reason, "INVALID_REQUEST")
    }))

  it.scopedLive("sends extension chunks only to clients that declare them", () =>
    Effect.gen(function*() {
      const start = { _tag: "Start", tier: "fallback", attempt: 2, provider: "fake", model: "fake/one" } as const
      const open = Loopback.script(
        ...[start, Loopback.text("a"), Loopback.done, Loopback.metrics].map((event) => Effect.succeed(event))
      )
      const port = yield* Loopback.serve({ proxy: Loopback.proxy({ open }) })
      const client = yield* Loopback.client(port)
      const plain = yield* Loopback.collect(Loopback.streamCall(client))
      assert.deepStrictEqual(plain.chunks.map(Loopback.kind), ["text_chunk", "complete", "final_metrics"])
      const declared = yield* Loopback.collect(
        Loopback.streamCall(client, { request_id: "r" }, { "x-vibectl-features": "restart, start,unknown" })
      )
      assert.deepStrictEqual(declared.chunks[0]!["start"], {
        tier: "STREAM_TIER_FALLBACK",
        attempt: 2,
        provider: "fake",
        model: "fake/one"
      })
    }))

  it.scopedLive("answers VERSION_INCOMPATIBLE to a client that declares an incompatible version", () =>
    Effect.gen(function*() {
      const port = yield* Loopback.serve({ proxy: Loopback.proxy({}) })
      const client = yield* Loopback.client(port)
      for (const version of ["2.0.0", "0.10.0", "nonsense"]) {
        const error = yield* Effect.flip(
          Loopback.unaryCall(client, "Execute", {}, { "x-vibectl-client-version": version })
        )
        assert.strictEqual(error.code, Grpc.status.FAILED_PRECONDITION)
        assert.include(error.details, `Client version ${version} is incompatible with server version 0.9.1`)
      }
    }))

  it.scopedLive("says in one sentence that its address is taken", () =>
    Effect.gen(function*() {
      const port = yield* Loopback.serve({ proxy: Loopback.proxy({}) })
      const error = yield* Effect.flip(Loopback.serve({ proxy: Loopback.proxy({}), port }))
      assert.strictEqual(error.summary, `Cannot listen on 127.0.0.1:${port}: another program is using it.`)
    }))

  it.scopedLive("lets running calls finish within the drain", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const [started, finish] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const open = Loopback.script(
        Effect.as(Deferred.succeed(started, undefined), Loopback.text("a")),
        Effect.as(Deferred.await(finish), Loopback.done),
        Effect.succeed(Loopback.metrics)
      )
      const port = yield* Scope.extend(Loopback.serve({ proxy: Loopback.proxy({ open }) }), scope)
      const ended = yield* Effect.fork(Loopback.collect(Loopback.streamCall(yield* Loopback.client(port))))
      yield* Deferred.await(started)
      const closed = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* Effect.sleep("50 millis")
      yield* Deferred.succeed(finish, undefined)
      assert.strictEqual((yield* Fiber.join(ended)).status.code, Grpc.status.OK)
      yield* Fiber.join(closed)
    }))

  it.scopedLive("ends calls that outlive the drain with SHUTTING_DOWN", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const started = yield* Deferred.make<void>()
      const open = Loopback.script(Effect.as(Deferred.succeed(started, undefined), Loopback.text("a")))
      const drain = Duration.millis(50)
      const port = yield* Scope.extend(Loopback.serve({ proxy: Loopback.proxy({ open }), drain }), scope)
      const ended = yield* Effect.fork(Loopback.collect(Loopback.streamCall(yield* Loopback.client(port))))
      yield* Deferred.await(started)
      yield* Scope.close(scope, Exit.void)
      const { chunks, status } = yield* Fiber.join(ended)
      assert.strictEqual(Status.toCallFailed(status).reason, "SHUTTING_DOWN")
      assert.deepStrictEqual(chunks.map(Loopback.kind), ["text_chunk", "error"])
    }))
})

describe("a caller with a limit of time", () => {
  it.scopedLive("gives its place back though it does not read what it asked for", () =>
    Effect.gen(function*() {
      const released = yield* Deferred.make<void>()
      const port = yield* Loopback.serve({
        proxy: Loopback.proxy({
          open: (_, call) => {
            call.onEnd(() => Deferred.succeed(released, undefined))
            return Effect.succeed(Effect.succeed(Loopback.text("x".repeat(100_000))))
          }
        }),
        access: () => ({ ...unrestricted, limits: { ...unlimited, requestTimeoutSeconds: 0.5 } })
      })
      const call = Loopback.streamCall(yield* Loopback.client(port))
      call.on("error", () => {})
      call.once("data", () => call.pause())
      yield* Deferred.await(released)
    }))
})

describe("reflection", () => {
  it.scopedLive("lists the services, ours and the health check's", () =>
    Effect.gen(function*() {
      const port = yield* Loopback.serve({ proxy: Loopback.proxy({}) })
      const client = yield* Loopback.client(port)
      const root = createRequire(import.meta.url).resolve("@grpc/reflection")
      const proto = Path.join(Path.dirname(root), "../proto/grpc/reflection/v1/reflection.proto")
      const loaded = ProtoLoader.loadSync(proto, { keepCase: true })["grpc.reflection.v1.ServerReflection"]
      const method = (loaded as Grpc.ServiceDefinition)["ServerReflectionInfo"]!
      const services = yield* Effect.async<ReadonlyArray<string>>((resume) => {
        const call = client.makeBidiStreamRequest<object, Listing>(
          method.path,
          method.requestSerialize,
          method.responseDeserialize
        )
        call.on("data", (answer: Listing) => {
          resume(Effect.succeed(answer.list_services_response.service.map(({ name }) => name)))
          call.end()
        })
        call.write({ list_services: "" })
      })
      assert.includeMembers([...services], ["vibectl.llm_proxy.VibectlLLMProxy", "grpc.health.v1.Health"])
    }))
})

interface Listing {
  readonly list_services_response: { readonly service: ReadonlyArray<{ readonly name: string }> }
}

describe("authentication", () => {
  const refuse = {
    issue: () => Effect.dieMessage("unused"),
    verify: () => Effect.dieMessage("must not be asked"),
    recheck: () => Effect.dieMessage("must not be asked"),
    changes: Stream.never
  }

  it.scopedLive("refuses every method without a token, reflection included, and lets health checks pass", () =>
    Effect.gen(function*() {
      const port = yield* Loopback.serve({ proxy: Loopback.proxy({}), tokens: refuse })
      const client = yield* Loopback.client(port)
      for (const method of ["GetServerInfo", "Execute"]) {
        const error = yield* Effect.flip(Loopback.unaryCall(client, method))
        assert.strictEqual(Status.toCallFailed(error).reason, "TOKEN_MISSING", method)
      }
      const streamed = yield* Loopback.collect(Loopback.streamCall(client))
      assert.strictEqual(Status.toCallFailed(streamed.status).reason, "TOKEN_MISSING")

      const reflection = yield* Loopback.collect(client.makeServerStreamRequest(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        () => Buffer.alloc(0),
        () => ({}),
        {},
        new Grpc.Metadata()
      ))
      assert.strictEqual(reflection.status.code, Grpc.status.UNAUTHENTICATED)

      const service = ProtoLoader.loadSync(healthProto, {
        enums: String
      })["grpc.health.v1.Health"] as Grpc.ServiceDefinition
      const check = service["Check"]!
      const health = yield* Effect.async<unknown>((resume) => {
        client.makeUnaryRequest(
          check.path,
          check.requestSerialize,
          check.responseDeserialize,
          {},
          (error, answer) => resume(Effect.succeed(error ?? answer))
        )
      })
      assert.deepStrictEqual(health, { status: "SERVING" })
    }))
})
