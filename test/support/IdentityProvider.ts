/**
 * An identity provider for tests: real keys, tokens, and a loopback server of its key set.
 */
import { Effect, Logger } from "effect"
import * as Jose from "jose"
import { once } from "node:events"
import * as Http from "node:http"
import type * as Net from "node:net"
import type { Issuer } from "../../src/auth/Issuers.js"
import type { IssuerSettings } from "../../src/config/AccessSettings.js"
import type { Refusal } from "../../src/domain/Errors.js"

/** Seconds since the epoch. */
export const now = 1_750_000_000

export interface Pair extends Jose.GenerateKeyPairResult {
  readonly alg: string
}

export const pair = async (alg: string, options: Jose.GenerateKeyPairOptions = {}): Promise<Pair> => ({
  ...await Jose.generateKeyPair(alg, { extractable: true, ...options }),
  alg
})

export const publicJwk = async ({ publicKey }: Pair, more: Jose.JWK = {}): Promise<Jose.JWK> => ({
  ...await Jose.exportJWK(publicKey),
  ...more
})

export const set = (...keys: ReadonlyArray<Jose.JWK>) => JSON.stringify({ keys })

export const settings = (more: Partial<IssuerSettings> = {}): IssuerSettings => ({
  issuer: "https://login.example.com",
  audience: "vibectl",
  ...more
})

/** A good token but for what is given; undefined leaves out. */
export const sign = (
  { alg, privateKey }: Pick<Pair, "alg" | "privateKey">,
  header: Record<string, unknown> = {},
  claims: Record<string, unknown> = {}
) =>
  Effect.promise(() =>
    new Jose.SignJWT({
      iss: "https://login.example.com",
      aud: "vibectl",
      sub: "ann",
      jti: "1",
      iat: now,
      exp: now + 3600,
      ...claims
    }).setProtectedHeader({ alg, ...header }).sign(privateKey)
  )

/** Why an issuer refuses a token. */
export const refusal = (issuer: Issuer, token: string, at = now) =>
  Effect.map(
    Effect.flip(issuer.verify(token, at)),
    (error): Refusal | "unavailable" => error._tag === "Unauthenticated" ? error.refusal : "unavailable"
  )

export interface KeyServer {
  readonly url: string
  /** So many requests have come. */
  readonly requests: () => number
  /** What it does from now on. */
  readonly answer: (how: Http.RequestListener) => void
  readonly give: (body: string) => void
}

export const serve = (body: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      let requests = 0
      const whole = (body: string): Http.RequestListener => (_, response) => void response.end(body)
      let how = whole(body)
      const server = Http.createServer((request, response) => {
        requests++
        how(request, response)
      }).listen(0, "127.0.0.1")
      await once(server, "listening")
      const { port } = server.address() as Net.AddressInfo
      const keyServer: KeyServer = {
        url: `http://127.0.0.1:${port}/keys?secret=hunter2`,
        requests: () => requests,
        answer: (next) => {
          how = next
        },
        give: (body) => {
          how = whole(body)
        }
      }
      return { ...keyServer, server }
    }),
    ({ server }) => Effect.sync(() => server.close().closeAllConnections())
  )

/** Runs with a logger that keeps, of every line, the message and the annotations. */
export const logged = (lines: Array<string>) =>
  Effect.provide(Logger.replace(
    Logger.defaultLogger,
    Logger.make(({ annotations, logLevel, message }) =>
      void lines.push([logLevel.label, message, JSON.stringify(Object.fromEntries(annotations))].join(" "))
    )
  ))
