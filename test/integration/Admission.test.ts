import { assert, describe, it } from "@effect/vitest"
import type * as Grpc from "@grpc/grpc-js"
import { Deferred, Duration, Effect, Fiber, Redacted } from "effect"
import type { Event } from "../../src/audit/Event.js"
import * as Status from "../../src/grpc/Status.js"
import * as Loopback from "../support/Loopback.js"
import * as Revocable from "../support/Revocable.js"

/** A server whose revocations the test makes, with what it wrote into its audit log. */
const world = (proxy: Parameters<typeof Loopback.proxy>[0]) =>
  Effect.gen(function*() {
    const { refuse, tokens } = yield* Revocable.make
    const audited: Array<Event> = []
    const audit = { record: (event: Event) => Effect.sync(() => void audited.push(event)) }
    const port = yield* Loopback.serve({ proxy: Loopback.proxy(proxy), tokens, audit })
    const client = yield* Loopback.client(port)
    const bearer = (subject: string) =>
      Effect.map(tokens.issue(subject, Duration.hours(1)), (token) => ({
        authorization: `Bearer ${Redacted.value(token)}`
      }))
    return { audited, block: (subject: string) => refuse("block", subject), bearer, client }
  })

const events = (audited: ReadonlyArray<Event>, name: Event["event"]) => audited.filter(({ event }) => event === name)

/** Completes with the first message, and leaves the stream open. */
const begun = (call: Grpc.ClientReadableStream<Record<string, unknown>>) =>
  Effect.async<void>((resume) => {
    call.once("data", () => resume(Effect.void))
  })

describe("a caller that is trusted no longer", () => {
  it.scopedLive("has its open calls ended with the reason, and others keep theirs", () =>
    Effect.gen(function*() {
      const executing = yield* Deferred.make<void>()
      const { audited, bearer, block, client } = yield* world({
        open: Loopback.script(Effect.succeed(Loopback.text("first"))),
        execute: () => Effect.zipRight(Deferred.succeed(executing, undefined), Effect.never)
      })
      const [alice, bob] = [yield* bearer("alice"), yield* bearer("bob")]
      const streams = [alice, alice, bob].map((metadata) => Loopback.streamCall(client, undefined, metadata))
      const ends = yield* Effect.forEach(streams, (call) => Effect.fork(Loopback.collect(call)))
      yield* Effect.forEach(streams, begun)
      const unary = yield* Effect.fork(Effect.flip(
        Loopback.unaryCall(client, "Execute", { user_fragments: ["why?"] }, alice)
      ))
      yield* Deferred.await(executing)

      yield* block("alice")
      for (const end of ends.slice(0, 2)) {
        const { chunks, status } = yield* Fiber.join(end)
        assert.strictEqual(Status.toCallFailed(status).reason, "TOKEN_REVOKED")
        assert.deepStrictEqual(chunks.map(Loopback.kind), ["text_chunk", "error"], "text, and the reason in band")
      }
      assert.strictEqual(Status.toCallFailed(yield* Fiber.join(unary)).reason, "TOKEN_REVOKED")
      const again = yield* Effect.flip(Loopback.unaryCall(client, "GetServerInfo", {}, alice))
      assert.strictEqual(Status.toCallFailed(again).reason, "TOKEN_REVOKED")

      assert.isNull(yield* Fiber.poll(ends[2]!).pipe(Effect.map((found) => found._tag === "None" ? null : found)))
      streams[2]!.cancel()
      assert.strictEqual(events(audited, "stream_cut").length, 3)
      const refused = events(audited, "token_refused")
      assert.lengthOf(refused, 1)
      assert.include(JSON.stringify(refused), "revoked_subject")
      assert.notInclude(JSON.stringify(audited), alice.authorization.slice("Bearer ".length))
    }))

  it.scopedLive("loses calls of other services of the server too", () =>
    Effect.gen(function*() {
      const { bearer, block, client } = yield* world({})
      const call = client.makeBidiStreamRequest(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        (bytes: Buffer) => bytes,
        (bytes: Buffer) => bytes,
        Loopback.metadataOf(yield* bearer("alice"))
      )
      const answered = Effect.async<void>((resume) => void call.once("data", () => resume(Effect.void)))
      const ended = Effect.async<Grpc.StatusObject>((resume) =>
        void call.on("error", () => {}).on("status", (status) => resume(Effect.succeed(status)))
      )
      const end = yield* Effect.fork(ended)
      yield* Effect.yieldNow()
      // `list_services: ""`, by hand: field 7, length 0.
      call.write(Buffer.from([0x3a, 0]))
      yield* answered
      yield* block("alice")
      assert.strictEqual(Status.toCallFailed(yield* Fiber.join(end)).reason, "TOKEN_REVOKED")
    }))

  it.scopedLive("is cut from a stream that it does not read", () =>
    Effect.gen(function*() {
      const released = yield* Deferred.make<void>()
      const { bearer, block, client } = yield* world({
        open: (_, call) => {
          call.onEnd(() => Deferred.succeed(released, undefined))
          return Effect.succeed(Effect.succeed(Loopback.text("x".repeat(100_000))))
        }
      })
      const call = Loopback.streamCall(client, undefined, yield* bearer("alice"))
      call.on("error", () => {})
      yield* begun(call)
      call.pause()
      yield* Effect.sleep("200 millis")
      yield* block("alice")
      yield* Deferred.await(released)
    }))

  it.scopedLive("has nothing cut that had ended before", () =>
    Effect.gen(function*() {
      const { audited, bearer, block, client } = yield* world({
        open: Loopback.script(Effect.succeed(Loopback.done), Effect.succeed(Loopback.metrics))
      })
      const alice = yield* bearer("alice")
      for (let count = 0; count < 20; count++) {
        const { status } = yield* Loopback.collect(Loopback.streamCall(client, undefined, alice))
        assert.strictEqual(status.code, 0)
      }
      yield* block("alice")
      const again = yield* Effect.flip(Loopback.unaryCall(client, "GetServerInfo", {}, alice))
      assert.strictEqual(Status.toCallFailed(again).reason, "TOKEN_REVOKED")
      assert.lengthOf(events(audited, "stream_cut"), 0)
      assert.lengthOf(events(audited, "token_accepted"), 20)
    }))
})
