/**
 * A server that asks for tokens, with everything that tells what it did: which
 * handlers ran, which messages were decoded, its log and its audit log.
 */
import * as Grpc from "@grpc/grpc-js"
import { Clock, Duration, Effect, HashMap, Logger, Redacted } from "effect"
import * as Jose from "jose"
import * as Keyring from "../../src/auth/Keyring.js"
import * as Revocations from "../../src/auth/Revocations.js"
import * as SigningKey from "../../src/auth/SigningKey.js"
import * as Tokens from "../../src/auth/Tokens.js"
import * as Trust from "../../src/auth/Trust.js"
import { ModelNotFound } from "../../src/domain/Errors.js"
import type * as Server from "../../src/grpc/Server.js"
import * as Loopback from "./Loopback.js"
import * as RawHttp2 from "./RawHttp2.js"

export const service = "/vibectl.llm_proxy.VibectlLLMProxy"

export interface Line {
  readonly message: string
  readonly annotations: { readonly [key: string]: unknown }
}

export interface Edge {
  readonly port: number
  readonly tokens: Tokens.Tokens["Type"]
  /** A token that is let in. */
  readonly good: string
  /** Tokens that are not, by what is wrong with them. */
  readonly refused: { readonly [problem: string]: string }
  /** Every method of the server, whichever package it comes from. */
  readonly methods: ReadonlyArray<string>
  /** Paths of the handlers that ran, in order. */
  readonly handled: Array<string>
  /** Paths of the messages that were decoded, in order. */
  readonly decoded: Array<string>
  readonly log: Array<Line>
  readonly audit: Array<{ readonly event: string; readonly [key: string]: unknown }>
  /** What would have ended the process. */
  readonly crashes: Array<unknown>
}

/** Listens for as long as the scope lives. */
export const serve = (options: Partial<Server.Options> = {}) =>
  Effect.gen(function*() {
    const key = yield* SigningKey.make(secret, "this test")
    const { good, refused, revocations } = yield* credentials(key)
    const tokens = Tokens.trusting(Trust.fixed(Keyring.ofKey(key), revocations))
    const seen = { handled: [], decoded: [], log: [], audit: [] } as Pick<
      Edge,
      "handled" | "decoded" | "log" | "audit"
    >
    const [crashes, methods] = [yield* crashing, yield* counting(seen)]
    const log = Logger.make(({ annotations, message }) =>
      void seen.log.push({
        message: [message].flat().map(String).join(" "),
        annotations: Object.fromEntries(HashMap.toEntries(annotations))
      })
    )
    const port = yield* Loopback.serve({
      proxy,
      tokens,
      // At once, as the server's own.
      audit: {
        record: (event) => {
          seen.audit.push(event)
          return Effect.void
        }
      },
      ...options
    }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, log)))
    return { ...seen, port, tokens, good, refused, methods, crashes } satisfies Edge
  })

/** Answers every call at once; a request that names a model hears that it is not served. */
export const proxy = Loopback.proxy({
  execute: ({ model }) =>
    model === undefined
      ? Effect.succeed({ text: "yes", model: "fake/one", metrics: Loopback.metrics })
      : unknown(model),
  open: (request, caller) =>
    request.model === undefined
      ? Loopback.script(
        ...[Loopback.text("yes"), Loopback.done, Loopback.metrics].map((event) => Effect.succeed(event))
      )(request, caller)
      : unknown(request.model),
  serverInfo: Loopback.serverInfo
})

export const bearer = (token: string): RawHttp2.Headers => ({ authorization: `Bearer ${token}` })

/** A call on a connection of its own. */
export const call = (port: number, headers: RawHttp2.Headers, send?: Parameters<typeof RawHttp2.call>[2]) =>
  Effect.scoped(Effect.flatMap(RawHttp2.connect(port), (session) => RawHttp2.call(session, headers, send)))

/** The status of a good call by somebody else; 0 says that the server has come to no harm. */
export const probe = ({ good, port }: Edge): Effect.Effect<number | undefined> =>
  Effect.map(call(port, RawHttp2.headersOf(`${service}/Execute`, bearer(good))), ({ status }) => status)

// -- internals ---------------------------------------------------------------

const secret = Redacted.make("a secret of more than thirty-two bytes")

const unknown = (requested: string) => new ModelNotFound({ requested, available: [], closest: [], because: undefined })

const credentials = (key: SigningKey.SigningKey) =>
  Effect.gen(function*() {
    const own = Tokens.make(key)
    const [good, revoked] = yield* Effect.all([
      own.issue("ci", Duration.hours(1)),
      own.issue("ci", Duration.hours(1))
    ])
    const other = yield* SigningKey.make(Redacted.make("another secret of more than 32 bytes"), "another")
    const foreign = yield* Tokens.make(other).issue("ci", Duration.hours(1))
    const now = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    const forge = (header: Record<string, unknown>, exp: number) =>
      Effect.promise(() =>
        new Jose.SignJWT({ sub: "ci", iss: "vibectl-server", iat: now - 100, exp, jti: "1" })
          .setProtectedHeader({ alg: "HS256", ...header })
          .sign(new TextEncoder().encode(Redacted.value(other.secret)))
      )
    const mine = yield* Effect.promise(() =>
      new Jose.SignJWT({ sub: "ci", iss: "vibectl-server", iat: now - 100, exp: now - 1, jti: "1" })
        .setProtectedHeader({ alg: "HS256", kid: key.kid })
        .sign(new TextEncoder().encode(Redacted.value(key.secret)))
    )
    const line = { at: new Date(now * 1000), action: "revoke", kind: "token" }
    const id = Jose.decodeJwt(Redacted.value(revoked)).jti
    return {
      good: Redacted.value(good),
      refused: {
        garbage: "garbage",
        expired: mine,
        "of another key": Redacted.value(foreign),
        "of another key under our key's name": yield* forge({ kid: key.kid }, now + 60),
        "of another key without a name": yield* forge({}, now + 60),
        unsigned: new Jose.UnsecuredJWT({ sub: "ci", iss: "vibectl-server", exp: now + 60, jti: "1" }).encode(),
        revoked: Redacted.value(revoked)
      },
      revocations: Revocations.parse(JSON.stringify({ ...line, id }))
    }
  })

/** Whatever is registered from now on is counted: at the one place of grpc-js that all methods go through. */
const counting = ({ decoded, handled }: Pick<Edge, "handled" | "decoded">) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const methods: Array<string> = []
        const register = Reflect.get(Grpc.Server.prototype, "register")
        const counted = function(
          this: Grpc.Server,
          ...[name, handler, serialize, deserialize, type]: Parameters<typeof register>
        ) {
          methods.push(name)
          const handle = (...args: ReadonlyArray<unknown>) => {
            handled.push(name)
            Reflect.apply(handler, undefined, args)
          }
          const decode = (bytes: Buffer) => {
            decoded.push(name)
            return deserialize(bytes)
          }
          return register.call(this, name, handle, serialize, decode, type)
        }
        Grpc.Server.prototype.register = counted as typeof register
        return { methods, register }
      }),
      ({ register }) =>
        Effect.sync(() => {
          Grpc.Server.prototype.register = register
        })
    ),
    ({ methods }) => methods
  )

const crashing = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => {
      const crashes: Array<unknown> = []
      const notice = (error: unknown) => void crashes.push(error)
      process.on("uncaughtException", notice)
      process.on("unhandledRejection", notice)
      return { crashes, notice }
    }),
    ({ notice }) =>
      Effect.sync(() => {
        process.off("uncaughtException", notice)
        process.off("unhandledRejection", notice)
      })
  ),
  ({ crashes }) => crashes
)
