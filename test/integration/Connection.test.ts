import { assert, describe, it } from "@effect/vitest"
import * as Grpc from "@grpc/grpc-js"
import { Chunk, Deferred, Effect, Fiber, Redacted, Stream } from "effect"
import * as Http from "node:http"
import type * as Net from "node:net"
import * as Connection from "../../src/client/Connection.js"
import { noGrants } from "../../src/domain/Access.js"
import type { AnswerRequest, Caller } from "../../src/domain/Answer.js"
import type { ClientError } from "../../src/domain/ClientErrors.js"
import { ModelNotFound, ShuttingDown } from "../../src/domain/Errors.js"
import { unlimited } from "../../src/domain/Limits.js"
import { packageVersion } from "../../src/domain/PackageVersion.js"
import type { ServerInfo } from "../../src/domain/ServerInfo.js"
import * as Proto from "../../src/grpc/Proto.js"
import * as Loopback from "../support/Loopback.js"
import * as Patience from "../support/Patience.js"

const info: ServerInfo = {
  name: "vibectl-llm-proxy",
  version: packageVersion,
  defaultModel: "fake/one",
  models: [{
    id: "fake/one",
    displayName: "one",
    provider: "fake",
    streams: true,
    contextLength: 8192,
    aliases: ["one", "uno"]
  }],
  aliases: new Map([["uno", "fake/one"]]),
  limits: { ...unlimited, maxRequestsPerMinute: 60, maxTokensPerMonth: 5_000_000_000, maxUsdPerDay: 2.5 },
  features: ["start", "restart"]
}
const serverInfo = () => Effect.succeed(info)

const connect = (port: number, options: Partial<Connection.Options> = {}) =>
  Connection.make({ host: "127.0.0.1", port, tls: false, retryAttempts: 0, ...options })

const collect = <A, E>(stream: Stream.Stream<A, E>) => Effect.map(Stream.runCollect(stream), Chunk.toReadonlyArray)

describe("Connection", () => {
  it.scopedLive("carries a request and its answer, unary and streamed, unchanged", () =>
    Effect.gen(function*() {
      const seen: Array<[AnswerRequest, Caller]> = []
      const execute = (request: AnswerRequest, caller: Caller) =>
        Effect.sync(() => {
          seen.push([request, caller])
          return { text: "whole", model: "fake/one", metrics }
        })
      const metrics = { ...Loopback.metrics, costUsd: 0.25, estimated: true }
      const events = [Loopback.text("hel"), Loopback.text("lo"), Loopback.done, metrics]
      const open = Loopback.script(...events.map((event) => Effect.succeed(event)))
      const port = yield* Loopback.serve({ proxy: Loopback.proxy({ execute, open, serverInfo }) })
      const client = yield* connect(port)
      const request = { system: ["be brief"], user: ["a", "b"], model: "uno", responseSchema: "{}", requestId: "r9" }

      assert.deepStrictEqual(yield* client.execute(request), {
        finishReason: undefined,
        text: "whole",
        model: "fake/one",
        metrics
      })
      assert.deepStrictEqual(seen[0]![0], request)
      assert.deepStrictEqual([...seen[0]![1].features], ["start", "restart"])
      const expected = events.map((event) => event._tag === "Done" ? { ...event, finishReason: undefined } : event)
      assert.deepStrictEqual(yield* collect(client.stream(request)), expected)
      assert.deepStrictEqual(yield* client.serverInfo, info)
    }))

  it.scopedLive("sends the token as a bearer token", () =>
    Effect.gen(function*() {
      const claims = {
        tokenId: "j",
        expiresAt: 4_102_444_800,
        issuedAt: undefined,
        issuer: undefined,
        keyId: undefined,
        grants: noGrants
      }
      const tokens = {
        issue: () => Effect.dieMessage("unused"),
        verify: (token: Redacted.Redacted) => Effect.succeed({ ...claims, subject: Redacted.value(token) }),
        recheck: () => Effect.void,
        changes: Stream.never
      }
      const execute = (_: AnswerRequest, caller: Caller) =>
        Effect.succeed({ text: caller.subject, model: "fake/one", metrics: Loopback.metrics })
      const port = yield* Loopback.serve({ proxy: Loopback.proxy({ execute, serverInfo }), tokens })
      const client = yield* connect(port, { token: Redacted.make("canary-token") })
      assert.strictEqual((yield* client.execute({ user: ["x"] })).text, "canary-token")
    }))

  it.scopedLive("tells a failure with the server's own words", () =>
    Effect.gen(function*() {
      const missing = new ModelNotFound({ requested: "x", available: ["fake/one"], closest: [], because: undefined })
      const port = yield* Loopback.serve({
        proxy: Loopback.proxy({ serverInfo, execute: () => missing, open: () => missing })
      })
      const client = yield* connect(port)
      for (const call of [client.execute({ user: ["x"] }), Stream.runDrain(client.stream({ user: ["x"] }))]) {
        const error = yield* Effect.flip(Effect.asVoid<unknown, ClientError, never>(call))
        assert.strictEqual(error._tag, "CallFailed")
        assert.strictEqual(error._tag === "CallFailed" && error.reason, "MODEL_NOT_FOUND")
        assert.strictEqual(error.message, missing.message)
      }
    }))

  it.scopedLive("gives up at its deadline", () =>
    Effect.gen(function*() {
      const port = yield* Loopback.serve({
        proxy: Loopback.proxy({ serverInfo, execute: () => Effect.never, open: () => Effect.never })
      })
      const client = yield* connect(port, { timeout: "100 millis", infoTimeout: Patience.boundMillis })
      for (const call of [client.execute({ user: ["x"] }), Stream.runDrain(client.stream({ user: ["x"] }))]) {
        const error = yield* Effect.flip(Patience.bounded(Effect.asVoid<unknown, ClientError, never>(call)))
        assert.strictEqual(error._tag === "CallFailed" && error.status, "DEADLINE_EXCEEDED")
      }
    }))

  it.scopedLive("cancels the call when its reader stops", () =>
    Effect.gen(function*() {
      let interrupted = false
      const open = Loopback.script(
        Effect.succeed(Loopback.text("a")),
        Effect.onInterrupt(Effect.never, () =>
          Effect.sync(() => {
            interrupted = true
          }))
      )
      const port = yield* Loopback.serve({ proxy: Loopback.proxy({ serverInfo, open }) })
      const client = yield* connect(port)
      assert.strictEqual((yield* collect(Stream.take(client.stream({ user: ["x"] }), 1))).length, 1)
      yield* Patience.eventually(() => interrupted)
    }))

  it.scopedLive("tries again while nothing listens, and only as often as it was told", () =>
    Effect.gen(function*() {
      const probe = yield* Loopback.cable(1)
      probe.close()
      const refused = yield* Effect.flip((yield* connect(probe.port)).serverInfo)
      assert.deepInclude(refused, { _tag: "Unreachable", reason: "REFUSED", address: `127.0.0.1:${probe.port}` })

      const patient = yield* connect(probe.port, { retryAttempts: 5 })
      const answer = yield* Effect.fork(patient.serverInfo)
      yield* Effect.sleep("300 millis")
      yield* Loopback.serve({ proxy: Loopback.proxy({ serverInfo }), port: probe.port })
      assert.deepStrictEqual(yield* Fiber.join(answer), info)
    }))

  it.scopedLive("does not send a call again that a server cut while it shut down: it may be paid for already", () =>
    Effect.gen(function*() {
      let calls = 0
      let questions = 0
      const cut = () => {
        calls += 1
        return new ShuttingDown()
      }
      const once = () => questions++ === 0 ? Effect.interrupt : Effect.succeed(info)
      const port = yield* Loopback.serve({ proxy: Loopback.proxy({ serverInfo: once, open: cut, execute: cut }) })
      const client = yield* connect(port, { retryAttempts: 3 })
      const streamed = yield* Effect.flip(collect(client.stream({ user: ["x"] })))
      const whole = yield* Effect.flip(client.execute({ user: ["x"] }))
      for (const error of [streamed, whole]) assert.deepInclude(error, { _tag: "CallFailed", reason: "SHUTTING_DOWN" })
      assert.strictEqual(calls, 2)
      assert.strictEqual(questions, 2, "the question what the server is costs nothing, and is asked again")
    }))

  it.scopedLive("thirty first calls at once share one question for the version, also when the first of them leaves", () =>
    Effect.gen(function*() {
      let questions = 0
      const slow = () => {
        questions += 1
        return Effect.delay(Effect.succeed(info), "200 millis")
      }
      const execute = () => Effect.succeed({ text: "fine", model: "m", metrics: Loopback.metrics })
      const port = yield* Loopback.serve({ proxy: Loopback.proxy({ serverInfo: slow, execute }) })
      const client = yield* connect(port)
      const first = yield* Effect.fork(client.execute({ user: ["x"] }))
      const calls = yield* Effect.fork(
        Effect.all(Array.from({ length: 30 }, () => client.execute({ user: ["x"] })), { concurrency: "unbounded" })
      )
      yield* Patience.eventually(() => questions === 1)
      yield* Fiber.interrupt(first)
      assert.lengthOf(yield* Fiber.join(calls), 30)
      yield* client.execute({ user: ["x"] })
      assert.strictEqual(questions, 1)
    }))

  it.scopedLive("a question for the version that failed is asked again by the next call", () =>
    Effect.gen(function*() {
      let questions = 0
      const wrongFirst = () => Effect.succeed(questions++ === 0 ? { ...info, version: "9.0.0" } : info)
      const execute = () => Effect.succeed({ text: "fine", model: "m", metrics: Loopback.metrics })
      const port = yield* Loopback.serve({ proxy: Loopback.proxy({ serverInfo: wrongFirst, execute }) })
      const client = yield* connect(port)
      assert.strictEqual((yield* Effect.flip(client.execute({ user: ["x"] })))._tag, "VersionMismatch")
      assert.strictEqual((yield* client.execute({ user: ["x"] })).text, "fine")
      assert.strictEqual(questions, 2)
    }))

  for (const how of ["unary", "stream"] as const) {
    it.scopedLive(`a ${how} call whose connection breaks is made once, though nothing listens afterwards`, () =>
      Effect.gen(function*() {
        let calls = 0
        const begun = yield* Deferred.make<void>()
        const seen = Deferred.succeed(begun, undefined)
        const hang = Effect.suspend(() => {
          calls += 1
          return Effect.zipRight(how === "unary" ? seen : Effect.void, Effect.never)
        })
        const port = yield* Loopback.serve({
          proxy: Loopback.proxy({
            serverInfo,
            execute: () => hang,
            open: Loopback.script(Effect.succeed(Loopback.text("half")), hang)
          })
        })
        const cable = yield* Loopback.cable(port)
        const client = yield* connect(cable.port, { retryAttempts: 3 })
        const call: Effect.Effect<unknown, ClientError> = how === "unary"
          ? client.execute({ user: ["x"] })
          : Stream.runForEach(client.stream({ user: ["x"] }), () => seen)
        const failed = yield* Effect.fork(Effect.flip(call))
        yield* Deferred.await(begun)
        // Its port refuses connections from now on, which says nothing of the call.
        cable.close()
        cable.cut()
        const error = yield* Fiber.join(failed)
        assert.deepInclude(error, { _tag: "Unreachable", reason: "CONNECTION_LOST" })
        if (how === "stream") assert.include(error.message, "the text received so far is incomplete")
        assert.strictEqual(calls, 1)
      }))
  }

  it.scopedLive("notices by keepalive that a silent network is dead", () =>
    Effect.gen(function*() {
      const open = Loopback.script(Effect.succeed(Loopback.text("a")))
      const port = yield* Loopback.serve({ proxy: Loopback.proxy({ serverInfo, open }) })
      const cable = yield* Loopback.cable(port)
      const client = yield* connect(cable.port, { keepaliveTime: "200 millis", keepaliveTimeout: "200 millis" })
      const error = yield* Effect.flip(
        Stream.runForEach(client.stream({ user: ["x"] }), () => Effect.sync(() => cable.silence()))
      )
      assert.strictEqual(error._tag, "Unreachable")
    }))

  for (
    const [version, features, fine] of [
      ["0.9.7", ["start", "restart"], true],
      ["0.9.1", [], true],
      ["0.11.6", [], true],
      ["0.11.6", ["start"], false],
      ["0.12.0", [], false],
      ["1.0.0", [], false],
      ["what?", [], false]
    ] as const
  ) {
    it.scopedLive(`${fine ? "works with" : "refuses"} a server ${version} that declares [${features.join(",")}]`, () =>
      Effect.gen(function*() {
        const execute = () => Effect.succeed({ text: "fine", model: "m", metrics: Loopback.metrics })
        const port = yield* Loopback.serve({
          proxy: Loopback.proxy({ execute, serverInfo: () => Effect.succeed({ ...info, version, features }) })
        })
        const call = (yield* connect(port)).execute({ user: ["x"] })
        if (fine) assert.strictEqual((yield* call).text, "fine")
        else {
          const error = yield* Effect.flip(call)
          assert.strictEqual(error._tag, "VersionMismatch")
          assert.include(
            error.message,
            `Client version ${packageVersion} is incompatible with server version ${version}`
          )
        }
      }))
  }

  it.scopedLive("does not take a stream for complete that was only cut off politely", () =>
    Effect.gen(function*() {
      const port = yield* bareServer({
        StreamExecute: (call: Grpc.ServerWritableStream<unknown, unknown>) => {
          call.write({ request_id: "r", text_chunk: "half" })
          call.end()
        }
      })
      const error = yield* Effect.flip(collect((yield* connect(port)).stream({ user: ["x"] })))
      assert.strictEqual(error._tag === "CallFailed" && error.reason, "STREAM_INTERRUPTED")
    }))

  it.scopedLive("understands an error inside an OK answer, as older servers send it", () =>
    Effect.gen(function*() {
      const failure = { error_code: "EXECUTION_FAILED", error_message: "Failed to execute prompt: boom" }
      const port = yield* bareServer({
        Execute: (_call: unknown, respond: Grpc.sendUnaryData<unknown>) => respond(null, { error: failure }),
        StreamExecute: (call: Grpc.ServerWritableStream<unknown, unknown>) => {
          call.write({ error: failure })
          call.end()
        }
      })
      const client = yield* connect(port)
      for (const call of [client.execute({ user: ["x"] }), Stream.runDrain(client.stream({ user: ["x"] }))]) {
        const error = yield* Effect.flip(Effect.asVoid<unknown, ClientError, never>(call))
        assert.deepInclude(error, { _tag: "CallFailed", reason: "EXECUTION_FAILED", summary: failure.error_message })
      }
    }))

  it.scopedLive("says what it is that is not a vibectl server", () =>
    Effect.gen(function*() {
      const port = yield* httpServer
      const plain = yield* Effect.flip((yield* connect(port)).serverInfo)
      assert.deepInclude(plain, { _tag: "Unreachable", reason: "NOT_GRPC" })
      const tls = yield* Effect.flip((yield* connect(port, { tls: true })).serverInfo)
      assert.deepInclude(tls, { _tag: "Unreachable", reason: "SERVER_IS_PLAINTEXT" })
      const nowhere = yield* Effect.flip(
        (yield* Connection.make({ host: "no-such-host.invalid", port: 1, tls: false, retryAttempts: 0 })).serverInfo
      )
      assert.deepInclude(nowhere, { _tag: "Unreachable", reason: "NAME_NOT_FOUND" })
    }))
})

/** A grpc-js server without any of our code, for what ours would never do. */
const bareServer = (handlers: Record<string, Grpc.UntypedHandleCall>) =>
  Effect.acquireRelease(
    Effect.async<{ readonly server: Grpc.Server; readonly port: number }>((resume) => {
      const server = new Grpc.Server()
      server.addService(Proto.service, {
        GetServerInfo: (_call: unknown, respond: Grpc.sendUnaryData<unknown>) =>
          respond(null, { server_version: packageVersion, server_name: "bare" }),
        ...handlers
      })
      server.bindAsync("127.0.0.1:0", Grpc.ServerCredentials.createInsecure(), (_, port) =>
        resume(Effect.succeed({ server, port })))
    }),
    ({ server }) =>
      Effect.sync(() =>
        server.forceShutdown()
      )
  ).pipe(Effect.map(({ port }) => port))

const httpServer = Effect.acquireRelease(
  Effect.async<Http.Server>((resume) => {
    const server = Http.createServer((_, response) => response.end("hello"))
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
  }),
  (server) => Effect.sync(() => server.close())
).pipe(Effect.map((server) => (server.address() as Net.AddressInfo).port))
