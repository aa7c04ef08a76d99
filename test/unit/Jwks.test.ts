import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Either, Fiber, Redacted, TestClock } from "effect"
import { once } from "node:events"
import * as Https from "node:https"
import type * as Net from "node:net"
import * as Jwks from "../../src/auth/Jwks.js"
import * as JwksFetch from "../../src/auth/JwksFetch.js"
import * as KeySet from "../../src/auth/KeySet.js"
import { algorithms } from "../../src/config/AccessSettings.js"
import * as Certificates from "../support/Certificates.js"
import { type KeyServer, logged, pair, publicJwk, serve, set } from "../support/IdentityProvider.js"
import * as Patience from "../support/Patience.js"

const [first, second] = await Promise.all([pair("EdDSA"), pair("EdDSA")])
const [one, two] = [set(await publicJwk(first, { kid: "1" })), set(await publicJwk(second, { kid: "2" }))]
const print = (text: string) => Either.getOrThrow(KeySet.fromJwks(text, algorithms)).fingerprint
const options = { issuer: "corp", algorithms }

const printed = <E>(keys: Effect.Effect<KeySet.KeySet, E>) => Effect.map(keys, ({ fingerprint }) => fingerprint)
const open = ({ url }: KeyServer) => Jwks.fromUrl({ url: new URL(url) }, options)
const unavailable = (jwks: Jwks.Jwks) =>
  Effect.map(Effect.flip(jwks.keys), (error) => {
    assert.strictEqual(error._tag, "IdentityUnavailable")
    assert.strictEqual(error.issuer, "corp")
    return String(error.cause)
  })

/** The source of a file that has `text`. */
const fromFile = (text: string, parse = KeySet.fromJwks) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const path = `${yield* files.makeTempDirectoryScoped()}/jwks.json`
    yield* files.writeFileString(path, text)
    return { files, path, jwks: yield* Jwks.fromFile(path, parse, options) }
  })

describe("Jwks.fromFile", () => {
  it.scoped("reads the file again when it has changed, and only then", () =>
    Effect.gen(function*() {
      const { files, jwks, path } = yield* fromFile(one)
      assert.isFalse(yield* jwks.reload)
      yield* files.writeFileString(path, two)
      assert.strictEqual(yield* printed(jwks.keys), print(one), "not before it is asked to")
      assert.isTrue(yield* jwks.reload)
      assert.strictEqual(yield* printed(jwks.keys), print(two))
      assert.strictEqual(yield* printed(jwks.newer), print(two))
      yield* files.writeFileString(path, `${two}\n`)
      assert.isFalse(yield* jwks.reload, "other text, the same keys")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("keeps the keys of a file that was damaged or removed, with one warning each", () => {
    const lines: Array<string> = []
    return Effect.gen(function*() {
      const { files, jwks, path } = yield* fromFile(one)
      yield* files.writeFileString(path, "{\"hunter2\":")
      assert.isFalse(yield* jwks.reload)
      assert.isFalse(yield* jwks.reload)
      assert.strictEqual(lines.length, 1)
      assert.match(lines[0]!, /^WARN the old keys of an issuer stay .*no JSON Web Key Set.*"issuer":"corp"/)
      assert.include(lines[0]!, path)
      assert.notInclude(lines[0]!, "hunter2")
      yield* files.remove(path)
      assert.isFalse(yield* jwks.reload)
      assert.isFalse(yield* jwks.reload)
      assert.strictEqual(lines.length, 2)
      assert.include(lines[1]!, "does not exist")
      assert.strictEqual(yield* printed(jwks.keys), print(one))
      yield* files.writeFileString(path, two)
      assert.isTrue(yield* jwks.reload)
      assert.strictEqual(lines.length, 2)
    }).pipe(logged(lines), Effect.provide(NodeContext.layer))
  })

  it.scoped("fails at the start for a file that is missing or damaged", () =>
    Effect.gen(function*() {
      const missing = yield* Effect.flip(Jwks.fromFile("/nowhere/jwks.json", KeySet.fromJwks, options))
      assert.strictEqual(missing.problem, "does not exist")
      assert.include(missing.remedy, "path")
      const damaged = yield* Effect.flip(fromFile("hunter2"))
      assert.notInclude(damaged.message, "hunter2")
      const directory = yield* Effect.flip(Jwks.fromFile("/", KeySet.fromJwks, options))
      assert.include(directory.message, "cannot be read")
    }).pipe(Effect.provide(NodeContext.layer)))
})

describe("Jwks.fromUrl", () => {
  it.scoped("asks once in ten minutes while nothing is missing", () =>
    Effect.gen(function*() {
      const server = yield* serve(one)
      const jwks = yield* open(server)
      assert.strictEqual(server.requests(), 1)
      server.give(two)
      yield* TestClock.adjust("599 seconds")
      assert.strictEqual(yield* printed(jwks.keys), print(one))
      assert.strictEqual(server.requests(), 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* printed(jwks.keys), print(two))
      assert.strictEqual(server.requests(), 2)
    }))

  it.scoped("gives newer keys at once, and at most every 30 seconds", () =>
    Effect.gen(function*() {
      const server = yield* serve(one)
      const jwks = yield* open(server)
      server.give(two)
      yield* TestClock.adjust("29 seconds")
      assert.strictEqual(yield* printed(jwks.newer), print(one))
      assert.strictEqual(server.requests(), 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* printed(jwks.newer), print(two))
      for (let count = 0; count < 100; count++) yield* jwks.newer
      assert.strictEqual(server.requests(), 2)
    }))

  it.scoped("shares one fetch among all that wait, whoever of them goes", () =>
    Effect.gen(function*() {
      const server = yield* serve(one)
      const jwks = yield* open(server)
      yield* TestClock.adjust("10 minutes")
      let release = () => {}
      server.answer((_, response) => {
        release = () => void response.end(two)
      })
      const [starter, ...others] = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, index) => index % 2 === 0 ? jwks.keys : jwks.newer),
        (keys) => Effect.fork(printed(keys))
      )
      yield* Patience.eventually(() => server.requests() === 2)
      yield* Fiber.interrupt(starter!)
      yield* Fiber.interrupt(others.pop()!)
      const late = yield* Effect.fork(printed(jwks.keys))
      release()
      for (const fiber of [...others, late]) assert.strictEqual(yield* Fiber.join(fiber), print(two))
      assert.strictEqual(server.requests(), 2)
      assert.strictEqual(yield* printed(jwks.keys), print(two))
    }))

  it.scoped("keeps what a fetch brought for which nobody waits any more", () =>
    Effect.gen(function*() {
      const server = yield* serve(one)
      const jwks = yield* open(server)
      yield* TestClock.adjust("10 minutes")
      let release = () => {}
      server.answer((_, response) => {
        release = () => void response.end(two)
      })
      const only = yield* Effect.fork(jwks.keys)
      yield* Patience.eventually(() => server.requests() === 2)
      yield* Fiber.interrupt(only)
      release()
      assert.strictEqual(yield* printed(jwks.keys), print(two))
      assert.strictEqual(server.requests(), 2)
    }))

  it.scoped("lives on its last keys for a day, and asks every 30 seconds", () => {
    const lines: Array<string> = []
    return Effect.gen(function*() {
      const server = yield* serve(one)
      const jwks = yield* open(server)
      server.answer((_, response) => void response.writeHead(503).end("hunter2"))
      yield* TestClock.adjust("10 minutes")
      for (let count = 0; count < 10; count++) assert.strictEqual(yield* printed(jwks.keys), print(one))
      assert.strictEqual(server.requests(), 2)
      yield* TestClock.adjust("30 seconds")
      yield* jwks.keys
      assert.strictEqual(server.requests(), 3)
      assert.strictEqual(lines.length, 2)
      assert.match(lines[0]!, /^WARN the keys of an issuer cannot be fetched .*status 503/)
      assert.notInclude(lines.join(), "hunter2")
      yield* TestClock.adjust(Duration.subtract(Jwks.stale, Duration.seconds(631)))
      assert.strictEqual(yield* printed(jwks.keys), print(one), "a second before the day is over")
      yield* TestClock.adjust("1 second")
      assert.include(yield* unavailable(jwks), "status 503")
      assert.include(yield* unavailable(jwks), "status 503")
      server.give(two)
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* printed(jwks.keys), print(two))
    }).pipe(logged(lines))
  })

  it.scoped("starts without keys, and has them as soon as the address answers", () => {
    const lines: Array<string> = []
    return Effect.gen(function*() {
      const server = yield* serve("hunter2")
      const jwks = yield* open(server)
      assert.strictEqual(lines.length, 1)
      assert.include(yield* unavailable(jwks), "no JSON Web Key Set")
      assert.strictEqual(server.requests(), 1, "not again so soon")
      server.give(one)
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* printed(jwks.keys), print(one))
      assert.notInclude(lines.join(), "hunter2")
    }).pipe(logged(lines))
  })

  it.scoped("tells once of changed keys, and has old ones fetched without waiting", () =>
    Effect.gen(function*() {
      const server = yield* serve(one)
      const jwks = yield* open(server)
      assert.isFalse(yield* jwks.reload)
      server.give(two)
      yield* TestClock.adjust("10 minutes")
      assert.isFalse(yield* jwks.reload)
      yield* Patience.eventually(() => server.requests() === 2)
      yield* jwks.keys
      assert.isTrue(yield* jwks.reload)
      assert.isFalse(yield* jwks.reload)
      server.answer((_, response) => void response.writeHead(500).end())
      yield* TestClock.adjust("25 hours")
      assert.isTrue(yield* jwks.reload, "keys that do not count any more")
    }))

  it.scoped("is not kept from fetching by a clock that was set back", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Duration.toMillis("365 days"))
      const server = yield* serve(one)
      const jwks = yield* open(server)
      server.give(two)
      yield* TestClock.setTime(0)
      assert.strictEqual(yield* printed(jwks.keys), print(two))
    }))
})

describe("JwksFetch.download", () => {
  const problem = ({ url }: Pick<KeyServer, "url">) =>
    Effect.map(Effect.flip(JwksFetch.download({ url: new URL(url) })), (error) => {
      assert.notInclude(error.message, "hunter2")
      assert.match(error.message, /^http:\/\/127\.0\.0\.1:\d+\/keys /)
      return error.problem
    })

  it.scoped("takes no more than a megabyte, whatever the length is said to be", () =>
    Effect.gen(function*() {
      const server = yield* serve(" ".repeat(JwksFetch.largest))
      assert.strictEqual((yield* JwksFetch.download({ url: new URL(server.url) })).length, JwksFetch.largest)
      let closed = false
      // A body without an end, and without a length.
      server.answer((_, response) => {
        const more = () => {
          while (!closed && response.write("x".repeat(65_536)));
        }
        response.on("drain", more).on("close", () => {
          closed = true
        })
        more()
      })
      assert.strictEqual(yield* problem(server), "sent more than 1048576 bytes")
      yield* Patience.eventually(() => closed)
    }))

  it.scoped("follows no redirect and takes no other status", () =>
    Effect.gen(function*() {
      const [server, elsewhere] = [yield* serve(one), yield* serve(two)]
      server.answer((_, response) => void response.writeHead(302, { location: elsewhere.url }).end())
      assert.include(yield* problem(server), "redirect")
      assert.strictEqual(elsewhere.requests(), 0)
      for (const status of [201, 204, 404, 500]) {
        server.answer((_, response) => void response.writeHead(status).end(status === 204 ? undefined : one))
        assert.strictEqual(yield* problem(server), `answered with status ${status}`)
      }
    }))

  it.scoped("shows the token of a file, as it is at that moment, to an address that asks for one", () =>
    Effect.gen(function*() {
      const files = yield* FileSystem.FileSystem
      const directory = yield* files.makeTempDirectoryScoped()
      const [tokenFile, caFile] = [`${directory}/token`, `${directory}/ca.crt`]
      const server = yield* serve(one)
      const shown: Array<string | undefined> = []
      server.answer((request, response) => {
        shown.push(request.headers.authorization)
        const isKnown = request.headers.authorization?.startsWith("Bearer mounted") === true
        response.writeHead(isKnown ? 200 : 403, { "content-type": "application/jwk-set+json" })
        response.end(isKnown ? one : "{\"kind\":\"Status\",\"status\":\"Failure\"}")
      })
      assert.include(yield* problem(server), "answered with status 403; jwks_token_file names a file")
      const asked = (source: object) => Effect.either(JwksFetch.download({ url: new URL(server.url), ...source }))
      for (const text of ["mounted-1\n", "mounted-2", "\ufeffmounted-3\r\n"]) {
        yield* files.writeFileString(tokenFile, text)
        assert.deepStrictEqual(yield* asked({ tokenFile }), Either.right(one), JSON.stringify(text))
      }
      assert.deepStrictEqual(shown.slice(1), ["Bearer mounted-1", "Bearer mounted-2", "Bearer mounted-3"])
      const requests = server.requests()
      for (
        const text of ["", "hunter2\nhunter3", "hunter2\u200b", "hunter2 hunter3", "x".repeat(20_000), "hunt\0er2"]
      ) {
        yield* files.writeFileString(tokenFile, text)
        const { message } = yield* Effect.flip(JwksFetch.download({ url: new URL(server.url), tokenFile }))
        assert.match(message, /token does not hold one token of visible ASCII characters$/, JSON.stringify(text))
        assert.notInclude(message, "hunter2")
      }
      for (
        const [source, words] of [[{ tokenFile: "/nowhere" }, "/nowhere cannot be read (ENOENT)"], [
          { caFile: tokenFile },
          "token holds no PEM certificate"
        ], [{ caFile }, "ca.crt cannot be read (ENOENT)"]] as const
      ) {
        const { problem } = yield* Effect.flip(JwksFetch.download({ url: new URL(server.url), ...source }))
        assert.include(problem, words)
      }
      assert.strictEqual(server.requests(), requests, "nobody was asked without it")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("trusts the certificate of a private CA by its file, and by nothing else", () =>
    Effect.gen(function*() {
      const files = yield* FileSystem.FileSystem
      const caFile = `${yield* files.makeTempDirectoryScoped()}/ca.crt`
      const ca = yield* Certificates.authority
      const certificate = yield* Certificates.server(ca)
      yield* files.writeFileString(caFile, ca.certificate)
      const port = yield* Effect.acquireRelease(
        Effect.promise(async () => {
          const server = Https.createServer(
            { cert: certificate.certChain, key: Redacted.value(certificate.key) },
            (_, response) => void response.end(one)
          ).listen(0, "127.0.0.1")
          await once(server, "listening")
          return server
        }),
        (server) => Effect.sync(() => server.close().closeAllConnections())
      ).pipe(Effect.map((server) => (server.address() as Net.AddressInfo).port))
      const url = new URL(`https://localhost:${port}/`)
      assert.strictEqual(yield* JwksFetch.download({ url, caFile }), one)
      assert.match((yield* Effect.flip(JwksFetch.download({ url }))).problem, /cannot be reached: .*certificate/)
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("gives up after five seconds, before the head and in the body, and closes the connection", () =>
    Effect.gen(function*() {
      const server = yield* serve(one)
      for (const begin of ["", "{\"keys\":"]) {
        let closed = false
        let asked = false
        server.answer((_, response) => {
          asked = true
          response.on("close", () => {
            closed = true
          })
          if (begin !== "") response.write(begin)
        })
        const fiber = yield* Effect.fork(problem(server))
        yield* Patience.eventually(() => asked)
        yield* TestClock.adjust("4999 millis")
        assert.isFalse(closed)
        yield* TestClock.adjust("1 milli")
        assert.strictEqual(yield* Fiber.join(fiber), "did not answer within 5 seconds")
        yield* Patience.eventually(() => closed)
      }
    }))

  it.effect("says why an address cannot be reached", () =>
    Effect.gen(function*() {
      // Its port is free again once its scope is closed.
      const { url } = yield* Effect.scoped(serve(one))
      assert.match(yield* problem({ url }), /^cannot be reached: .*ECONNREFUSED/)
    }))
})
