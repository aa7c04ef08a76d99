/**
 * Which Redis may be the store, what it must allow, and what a slow one costs.
 */
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Fiber, Layer, Logger, Redacted, type Scope } from "effect"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as RedisInvalid from "../../src/limits/RedisInvalid.js"
import { sources } from "../../src/limits/RedisScripts.js"
import * as RedisStore from "../../src/limits/RedisStore.js"
import * as RedisTrust from "../../src/limits/RedisTrust.js"
import { Store, StoreUnavailable } from "../../src/limits/Store.js"
import * as Patience from "../support/Patience.js"
import * as Redis from "../support/Redis.js"
import { ask, bound, used } from "../support/Reservations.js"

const has = Redis.available()
const why = has ? "" : ` (skipped: apt-get install ${Redis.packages})`

const options = (url: string, millis = 2000) => ({
  url: Redacted.make(url),
  prefix: "vibectl",
  timeout: Duration.millis(Patience.scaled(millis))
})

const open = (url: string, millis?: number) =>
  Effect.map(Layer.build(RedisStore.layer({ ...options(url, millis), keepDays: 40 })), Context.get(Store))

/** The error of a start that is refused. */
const refused = (url: string) => Effect.scoped(Effect.flip(open(url)))

const day = { from: "2026-11-26", to: "2026-11-26" }

/** Every kind of limit. */
const limits = () => [
  bound({
    maxConcurrentRequests: 50,
    maxRequestsPerMinute: 50,
    maxTokensPerMinute: 5000,
    maxTokensPerDay: 5000,
    maxUsdPerMonth: 50
  }),
  bound({ maxTokensPerMonth: 5000, maxUsdPerDay: 50 }, "tenant a")
]

/** All that a server does with its Redis. */
const everything = (url: string, admin: Redis.Client) =>
  Effect.gen(function*() {
    const [one, two] = [yield* open(url), yield* open(url)]
    const [first, second, third] = [ask(limits()), ask(limits()), ask(limits())]
    for (const call of [first, second, third]) assert.isUndefined(yield* one.reserve(call))
    yield* one.settle(first, used(first, 7))
    yield* one.settle(second, { charges: [], rows: [] })
    const full = ask([bound({ maxTokensPerMinute: 10, maxRequestsPerMinute: 1 })])
    assert.isDefined(yield* one.reserve(full))
    assert.strictEqual(yield* two.outstanding, 1)
    // As if the first server had not been heard of for long enough.
    const servers = yield* Effect.promise(() => admin.zRange("{vibectl}:servers", 0, -1))
    for (const value of servers) {
      if ((yield* Effect.promise(() => admin.exists(`{vibectl}:open:${value}`))) === 1) {
        yield* Effect.promise(() => admin.zAdd("{vibectl}:servers", { value, score: 1 }))
      }
    }
    assert.isUndefined(yield* two.reserve(ask(limits())))
    assert.strictEqual(yield* two.outstanding, 1)
    yield* one.settle(third, used(third, 3))
    assert.strictEqual((yield* two.usage(day))[0]?.inputTokens, 10)
    yield* two.ready

    const trust = yield* RedisTrust.make(options(url))
    const records = new Map([["token t", { revoked: 5, blocked: 0, restored: 0 }]])
    yield* RedisTrust.announce(options(url), records)
    yield* Patience.eventually(() => trust.records().has("token t"))
    assert.deepStrictEqual(yield* RedisTrust.find(options(url), "token t"), records)
  })

const aclLine = (/^ACL SETUSER .*$/m.exec(Fs.readFileSync("docs/operations.md", "utf8")) ?? [""])[0]
const aclWords = aclLine.split(" ").slice(1)

/** Answers every command as it is asked to. */
const fake = (answer: (command: string) => string): Effect.Effect<string, never, Scope.Scope> =>
  listening((socket) => {
    socket.on("data", (data) => {
      for (const [, command = ""] of data.toString().matchAll(/\*\d+\r\n\$\d+\r\n([A-Za-z]+)\r\n/g)) {
        socket.write(`${answer(command.toUpperCase())}\r\n`)
      }
    })
  })

const listening = (connected: (socket: Net.Socket) => void): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<{ readonly server: Net.Server; readonly sockets: Set<Net.Socket> }>((resume) => {
      const sockets = new Set<Net.Socket>()
      const server = Net.createServer((socket) => {
        sockets.add(socket)
        socket.on("error", () => {})
        connected(socket)
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed({ server, sockets })))
    }),
    ({ server, sockets }) =>
      Effect.sync(() => {
        for (const socket of sockets) socket.destroy()
        server.close()
      })
  ).pipe(Effect.map(({ server }) => {
    const address = server.address()
    assert.isTrue(typeof address === "object" && address !== null)
    return `redis://127.0.0.1:${(address as Net.AddressInfo).port}`
  }))

/** In front of a Redis; holds its answers back for as long as it is asked to. */
const relay = (port: number) =>
  Effect.gen(function*() {
    const redis = new Set<Net.Socket>()
    const url = yield* listening((socket) => {
      const behind = Net.connect(port, "127.0.0.1")
      redis.add(behind)
      behind.on("error", () => {})
      behind.on("close", () => socket.destroy())
      socket.on("close", () => behind.destroy())
      socket.pipe(behind)
      behind.on("data", (data) => socket.write(data))
    })
    return {
      url,
      hold: () => redis.forEach((each) => each.pause()),
      release: () => redis.forEach((each) => each.resume())
    }
  })

describe.skipIf(!has)(`a Redis${why}`, () => {
  it.scopedLive("that answers one question late costs that call alone", () => {
    const lines: Array<string> = []
    const logger = Logger.make((entry) => void lines.push(Logger.logfmtLogger.log(entry)))
    return Effect.gen(function*() {
      const server = yield* Redis.server()
      const { hold, release, url } = yield* relay(server.port)
      const store = yield* open(url, 400)
      const calls = Array.from({ length: 20 }, () => ask(limits()))
      assert.isUndefined(yield* store.reserve(calls[0]!))
      hold()
      assert.instanceOf(yield* Effect.flip(store.reserve(calls[1]!)), StoreUnavailable)
      const asked = yield* Effect.fork(
        Effect.forEach(calls.slice(2), (ask) => store.reserve(ask), { concurrency: "unbounded" })
      )
      yield* Effect.yieldNow()
      release()
      assert.deepStrictEqual(new Set(yield* Fiber.join(asked)), new Set([undefined]))
      // The late one was given back.
      yield* Patience.eventually(Effect.map(store.outstanding, (count) => count === 19))
      assert.notInclude(lines.join("\n"), "cannot be used")
    }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
  })

  it.scopedLive("that is silent is left alone after the second question", () =>
    Effect.gen(function*() {
      const server = yield* Redis.server()
      const { hold, release, url } = yield* relay(server.port)
      const store = yield* open(url, 200)
      hold()
      const [two] = yield* Effect.timed(Effect.replicateEffect(Effect.flip(store.reserve(ask(limits()))), 2))
      const [hundred] = yield* Effect.timed(Effect.replicateEffect(Effect.flip(store.reserve(ask(limits()))), 100))
      assert.isBelow(Duration.toMillis(hundred), 10 * Duration.toMillis(two))
      release()
      yield* Patience.eventually(Effect.orElseSucceed(Effect.as(store.ready, true), () => false))
    }))

  it.scopedLive("with another password stops the start, and no password is shown", () =>
    Effect.gen(function*() {
      const server = yield* Redis.server("hunter2secret")
      const wrong = yield* refused(server.url.replace("hunter", "wrong"))
      assert.match(wrong.message, /WRONGPASS.*state\.url/)
      const none = yield* refused(`redis://127.0.0.1:${server.port}`)
      assert.match(none.message, /asks for a password.*redis:\/\/:password@host/)
      assert.notMatch(`${JSON.stringify(wrong)} ${wrong.message} ${String(wrong)}`, /2secret/)
      assert.match((yield* refused(`${server.url}/99999`)).message, /DB index is out of range/)
    }))

  it.scopedLive("that is a replica stops the start", () =>
    Effect.gen(function*() {
      const server = yield* Redis.server()
      const admin = yield* Redis.client(server.url)
      yield* Effect.promise(() => admin.sendCommand(["REPLICAOF", "127.0.0.1", "1"]))
      assert.match((yield* refused(server.url)).message, /read-only replica.*Name the primary/)
    }))

  it.scopedLive("in cluster mode works as the one node of all slots, and stops the start without our slot", () =>
    Effect.gen(function*() {
      const server = yield* Redis.server(undefined, ["--cluster-enabled", "yes"])
      const admin = yield* Redis.client(server.url)
      const cluster = (...words: ReadonlyArray<string>) =>
        Effect.promise(() => admin.sendCommand(["CLUSTER", ...words]))
      assert.match((yield* refused(server.url)).message, /CLUSTERDOWN.*without cluster mode/)
      yield* cluster("ADDSLOTSRANGE", "0", "16383")
      yield* Patience.eventually(
        Effect.map(cluster("INFO"), (info) => JSON.stringify(info).includes("cluster_state:ok"))
      )
      yield* Effect.scoped(everything(server.url, admin))
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("is given all keys that each script uses", () =>
    Effect.gen(function*() {
      const server = yield* Redis.server()
      const [admin, monitor] = [yield* Redis.client(server.url), yield* Redis.client(server.url)]
      const lines: Array<string> = []
      yield* Effect.promise(() => monitor.monitor((line) => void lines.push(String(line))))
      yield* everything(server.url, admin)
      yield* Effect.promise(() => admin.sendCommand(["ECHO", "all of it"]))
      yield* Patience.eventually(() => lines.some((line) => line.includes("all of it")))
      let declared: ReadonlyArray<string> = []
      const seen = new Set<string>()
      for (const line of lines) {
        const words = [...line.matchAll(/"((?:\\.|[^"\\])*)"/g)].map(([, word = ""]) => word)
        const [command = "", key = ""] = words
        if (!/^\S+ \[\d+ lua\]/.test(line)) {
          declared = /^EVAL/i.test(command) ? words.slice(3, 3 + Number(words[2])) : []
        } else if (!/^(PING|TIME)$/i.test(command)) {
          assert.include(declared, key, line)
          seen.add(key.replace(/^\{vibectl\}:([a-z-]+).*$/, "$1"))
        }
      }
      for (const kind of ["servers", "open", "done", "days", "usage", "total", "running", "rpm", "tpm", "tpm-sum"]) {
        assert.isTrue(seen.has(kind), kind)
      }
    }))

  it.scopedLive("serves with the ACL line of the documentation, which has nothing that could be left out", () =>
    Effect.gen(function*() {
      const server = yield* Redis.server()
      const admin = yield* Redis.client(server.url)
      const acl = (...words: ReadonlyArray<string>) => Effect.promise(() => admin.sendCommand(["ACL", ...words]))
      yield* acl(...aclWords)
      const url = `redis://vibectl:password@127.0.0.1:${server.port}`
      yield* everything(url, admin)
      assert.deepStrictEqual(yield* acl("LOG"), [] as never, "nothing was refused")
      for (const word of aclWords.filter((word) => /^\+(?!publish|subscribe)/.test(word))) {
        yield* acl("SETUSER", "vibectl", word.replace("+", "-"))
        yield* Effect.promise(() => admin.sendCommand(["SCRIPT", "FLUSH"]))
        const { message } = yield* refused(url)
        assert.include(message.toLowerCase(), `command ${word.slice(1)} `)
        assert.include(message, `${word} ~{vibectl}:*`)
        yield* acl("SETUSER", "vibectl", word)
      }
      yield* acl("SETUSER", "vibectl", "resetkeys", "~other:*")
      assert.include((yield* refused(url)).message, "~{vibectl}:*")
    }))
})

describe("what only looks like a Redis", () => {
  const undeclared = "-ERR Error running script (call to 9c1f): @user_script:31: script tried accessing undeclared key"
  const rows: ReadonlyArray<readonly [string, RegExp]> = [
    [undeclared, /refuses our scripts .*undeclared key.*EVALSHA/],
    ["-ERR unknown command 'EVALSHA'", /refuses our scripts .*EVALSHA/],
    [
      "-NOPERM this user has no permissions to run the 'evalsha' command",
      /command EVALSHA .*\+evalsha ~\{vibectl\}:\*/
    ],
    ["-MOVED 8698 127.0.0.1:7002", /one node of a Redis Cluster.*without cluster mode/],
    ["-CLUSTERDOWN Hash slot not served", /one node of a Redis Cluster/]
  ]
  for (const [reply, message] of rows) {
    it.scopedLive(`stops the start where it answers scripts with ${reply.slice(1, 50)}`, () =>
      Effect.gen(function*() {
        const url = yield* fake((command) => command.startsWith("EVAL") ? reply : "+OK")
        assert.match((yield* refused(url)).message, message)
      }))
  }

  it.scopedLive("may refuse CLIENT and HELLO, and may still be loading", () =>
    Effect.gen(function*() {
      const clients = yield* fake((command) => /^(CLIENT|HELLO)$/.test(command) ? "-ERR unknown command" : "$-1")
      yield* open(clients)
      const loading = yield* fake((command) => command.startsWith("EVAL") ? "-LOADING Redis is loading" : "+OK")
      yield* open(loading)
    }))

  it("is told from one that will do later", () => {
    const reasons = ["LOADING x", "BUSY x", "OOM x", "MISCONF x", "ERR max number of clients reached"]
    for (const reason of reasons) {
      assert.isUndefined(RedisInvalid.diagnose({ where: "r:1", base: "{v}:", reason, answered: true }), reason)
    }
    for (const reason of ["ECONNREFUSED", "ENOTFOUND", "Socket closed unexpectedly"]) {
      assert.isUndefined(RedisInvalid.diagnose({ where: "r:1", base: "{v}:", reason, answered: false }), reason)
    }
    const certificate = { where: "r:1", base: "{v}:", reason: "SELF_SIGNED_CERT_IN_CHAIN", answered: false }
    assert.include(RedisInvalid.diagnose(certificate)?.message, "state.ca_file")
  })

  it("is tried with every command that a script uses, and the documentation has each", () => {
    const { probe, ...scripts } = sources
    const tried = new Set([...probe.matchAll(/try\('([A-Z]+)'/g)].map(([, command]) => command))
    for (
      const [, command = ""] of [...Object.values(scripts), RedisTrust.mergeScript].join().matchAll(/call\('([A-Z]+)'/g)
    ) {
      assert.isTrue(tried.has(command), command)
    }
    const allowed = aclWords.flatMap((word) => /^\+(.*)$/.exec(word)?.[1]?.toUpperCase() ?? [])
    const others = ["EVAL", "EVALSHA", "PUBLISH", "SUBSCRIBE"]
    assert.deepStrictEqual(allowed.filter((command) => !others.includes(command)).sort(), [...tried].sort())
  })
})
