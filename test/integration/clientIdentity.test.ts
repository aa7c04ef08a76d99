import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Stream } from "effect"
import type { Event } from "../../src/audit/Event.js"
import * as Connection from "../../src/client/Connection.js"
import type { AnswerRequest, Caller } from "../../src/domain/Answer.js"
import * as Credentials from "../../src/grpc/Credentials.js"
import type { ClientIdentity } from "../../src/grpc/Identify.js"
import * as Certificates from "../support/Certificates.js"
import * as Loopback from "../support/Loopback.js"
import * as Revocable from "../support/Revocable.js"

/** A server that asks for certificates, and callers with one each, of their name. */
const world = (clientIdentity: ClientIdentity, authenticate = true) =>
  Effect.gen(function*() {
    const { refuse, tokens } = yield* Revocable.make
    const audited: Array<Event> = []
    const [ca, clientCa] = [yield* Certificates.authority, yield* Certificates.authority]
    const port = yield* Loopback.serve({
      credentials: new Credentials.ServerTls({
        certificate: yield* Certificates.server(ca),
        clientCa: clientCa.certificate,
        minVersion: "1.3"
      }),
      proxy: Loopback.proxy({
        serverInfo: Loopback.serverInfo,
        execute: (_: AnswerRequest, { subject }: Caller) =>
          Effect.succeed({ text: subject, model: "fake/one", metrics: Loopback.metrics }),
        open: Loopback.script(Effect.succeed(Loopback.text("first")))
      }),
      tokens: authenticate || clientIdentity === "identity" ? tokens : undefined,
      authenticate,
      clientIdentity,
      audit: { record: (event) => Effect.sync(() => void audited.push(event)) }
    })
    const connect = (name: string, token: string | undefined) =>
      Effect.gen(function*() {
        const { certificate, key } = yield* Certificates.client(clientCa, name)
        return yield* Connection.make({
          host: "localhost",
          port,
          tls: true,
          roots: ca.certificate,
          retryAttempts: 0,
          clientCertificate: { certChain: certificate, key },
          ...token === undefined ? {} : { token: yield* Effect.orDie(tokens.issue(token, Duration.hours(1))) }
        })
      })
    /** Whom the server takes the caller for, or why it refuses it. */
    const call = (name: string, token?: string) =>
      Effect.flatMap(connect(name, token), (client) =>
        Effect.match(client.execute({ user: ["x"] }), {
          onSuccess: ({ text }) => text,
          onFailure: (error) => error._tag === "CallFailed" ? error.reason : error._tag
        }))
    return { call, connect, revoke: (subject: string) => refuse("revoke", subject), audited }
  })

type World = Effect.Effect.Success<ReturnType<typeof world>>

const refusals = (audited: ReadonlyArray<Event>) =>
  audited.flatMap((event) => event.event === "token_refused" ? [event.refusal] : [])

describe("the name in a client's certificate", () => {
  it.scopedLive("is nothing, unless the operator says so", () =>
    Effect.gen(function*() {
      const { call } = yield* world("none")
      assert.strictEqual(yield* call("alice", "bob"), "bob")
      assert.strictEqual(yield* call("alice"), "TOKEN_MISSING")
      const open = yield* world("none", false)
      assert.strictEqual(yield* open.call("alice"), "anonymous")
    }))

  it.scopedLive("must be the subject of the token, where it must match", () =>
    Effect.gen(function*() {
      const { audited, call } = yield* world("match")
      assert.strictEqual(yield* call("alice", "alice"), "alice")
      assert.strictEqual(yield* call("alice", "bob"), "TOKEN_UNTRUSTED")
      assert.strictEqual(yield* call("alice"), "TOKEN_MISSING")
      assert.strictEqual(yield* call(" ", " x"), "TOKEN_UNTRUSTED")
      assert.deepStrictEqual(refusals(audited), ["certificate_of_another", "no_token", "certificate_without_name"])
    }))

  it.scopedLive("is the caller, where it is the identity; a token may restrict it, and is never somebody else's", () =>
    Effect.gen(function*() {
      const { audited, call } = yield* world("identity")
      assert.strictEqual(yield* call("alice"), "alice")
      assert.strictEqual(yield* call("alice", "alice"), "alice")
      assert.strictEqual(yield* call("alice", "bob"), "TOKEN_UNTRUSTED")
      assert.strictEqual(yield* call(" "), "TOKEN_UNTRUSTED")
      assert.deepStrictEqual(refusals(audited), ["certificate_of_another", "certificate_without_name"])
      const [first] = audited
      assert.strictEqual(first?.event === "token_accepted" && first.certificate, "alice")
      const open = yield* world("identity", false)
      assert.strictEqual(yield* open.call("alice"), "alice")
    }))

  it.scopedLive("is revoked as a subject is, and its streams are cut", () =>
    Effect.gen(function*() {
      for (const authenticate of [true, false]) yield* cutOff(yield* world("identity", authenticate))
    }))

  const cutOff = ({ call, connect, revoke }: World) =>
    Effect.gen(function*() {
      const client = yield* connect("alice", undefined)
      const seen: Array<string> = []
      const error = yield* Stream.runForEach(client.stream({ user: ["x"] }), (event) => {
        seen.push(event._tag)
        return seen.length === 1 ? revoke("alice") : Effect.void
      }).pipe(Effect.flip)
      assert.strictEqual(error._tag === "CallFailed" && error.reason, "TOKEN_REVOKED")
      assert.strictEqual(yield* call("alice"), "TOKEN_REVOKED")
      assert.strictEqual(yield* call("bob"), "bob")
    })
})
