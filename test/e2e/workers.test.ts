/**
 * Several processes that are one server: on one port, with the same counts, and
 * one end.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Grpc from "@grpc/grpc-js"
import { Effect, Fiber } from "effect"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as FakeVendor from "../../src/testing/FakeVendor.js"
import * as Exposition from "../support/Exposition.js"
import * as FakeCall from "../support/FakeCall.js"
import * as Loopback from "../support/Loopback.js"
import * as Ops from "../support/Ops.js"
import * as Patience from "../support/Patience.js"
import * as Programs from "../support/Programs.js"

const home = Effect.acquireRelease(Effect.sync(Programs.home), (home) => Effect.promise(home.close))

/** A connection of its own: the system hands them to the processes in turn. */
const connect = (port: number) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      new Grpc.Client(`127.0.0.1:${port}`, Grpc.credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 })
    ),
    (client) => Effect.sync(() => client.close())
  )

const connections = (port: number, count: number) => Effect.forEach(Array.from({ length: count }), () => connect(port))

const reasonOf = (error: Grpc.ServiceError) => error.metadata.get("limit-type").join() || Grpc.status[error.code]

/** `OK`, the type of the limit that refused it, or its status. */
const outcome = (client: Grpc.Client, token: string, method = "Execute") =>
  Effect.match(
    Loopback.unaryCall(client, method, method === "Execute" ? { user_fragments: ["hi"] } : {}, {
      authorization: `Bearer ${token}`
    }),
    { onFailure: reasonOf, onSuccess: () => "OK" }
  )

/** How often each was what came of it. */
const tally = (outcomes: ReadonlyArray<string>) => {
  const counts: Record<string, number> = {}
  for (const outcome of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1
  return counts
}

/** So many calls at once, over these connections in turn. */
const rush = (clients: ReadonlyArray<Grpc.Client>, token: string, count: number, method?: string) =>
  Effect.map(
    Effect.forEach(
      Array.from({ length: count }),
      (_, index) => outcome(clients[index % clients.length]!, token, method),
      { concurrency: "unbounded" }
    ),
    tally
  )

/** A stream that has begun. */
const begun = (client: Grpc.Client, token: string) =>
  Effect.gen(function*() {
    const call = Loopback.streamCall(client, { user_fragments: ["hi"] }, { authorization: `Bearer ${token}` })
    const first = Effect.async<void>((resume) => {
      call.once("data", () => resume(Effect.void))
    })
    const ended = yield* Effect.fork(Loopback.collect(call))
    yield* Effect.raceFirst(first, Fiber.join(ended))
    return ended
  })

/** The first of the looks that it holds for. */
const until = <A>(look: Effect.Effect<A>, holds: (found: A) => boolean) =>
  Effect.map(
    Patience.eventually(Effect.map(look, (found) => holds(found) ? { found } : undefined), String(holds)),
    ({ found }) => found
  )

const workersOf = ({ process: { pid } }: Programs.Serving) =>
  Fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").map(Number)

interface Info {
  readonly running: { readonly subjects: Record<string, number> }
  readonly workers: { readonly wanted: number; readonly ready: number; readonly replaced: number }
}

const limits = {
  conc: { max_concurrent_requests: 5 },
  rpm: { max_requests_per_minute: 7 },
  // The vendor bills 10 tokens for each, and more than that is set aside before.
  quota: { max_tokens_per_day: 60 }
}

/** A server of two processes, its provider, and what is asked of them. */
const serving = (server: Record<string, unknown> = {}) =>
  Effect.gen(function*() {
    const vendor = yield* FakeVendor.make()
    const person = yield* home
    const directory = Path.join(person.directory, ".config/vibectl/server")
    const settings = {
      server: {
        limits: { per_token: limits, reserve_output_tokens: 10 },
        drain_seconds: Math.ceil(Patience.scaled(8000) / 1000),
        default_model: "openai/m",
        ...server
      },
      providers: { openai: { kind: "openai", api_key: "k", base_url: vendor.openai, max_retries: 0 } }
    }
    yield* Effect.sync(() => {
      Fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
      Fs.writeFileSync(Path.join(directory, "config.yaml"), JSON.stringify(settings), { mode: 0o600 })
    })
    const metrics = yield* Effect.promise(Programs.freePort)
    const running = yield* Effect.promise(() =>
      person.serve("vibectl-server --insecure --port 0 --workers 2", {
        VIBECTL_SERVER__METRICS_PORT: String(metrics)
      })
    )
    const token = (subject: string) =>
      Effect.map(
        Effect.promise(() => person.sh(`vibectl-server generate-token ${subject} --expires-in 1h`)),
        ({ stdout }) => stdout.trim()
      )
    const info = Effect.map(Ops.ask(metrics, "/info"), ({ body }) => JSON.parse(body) as Info)
    const sample = (name: string, labels: Record<string, string> = {}) =>
      Effect.map(Ops.ask(metrics, "/metrics"), ({ body }) =>
        Exposition.parse(body)
          .filter((sample) =>
            sample.name === name
            && Object.entries(labels).every(([key, value]) => sample.labels[key] === value)
          )
          .map(({ value }) => value))
    return { vendor, person, running, metrics, token, info, sample }
  })

/** It takes no more calls after SIGTERM, those that run end whole, and then it has ended, with nothing left at the provider. */
const endsWhole = ({ running, token, vendor }: Effect.Effect.Success<ReturnType<typeof serving>>) =>
  Effect.gen(function*() {
    const anybody = yield* token("anybody")
    const pieces = Array.from({ length: 20 }, (_, index) => `piece ${index} `)
    vendor.otherwise({ pieces, pace: 100 })
    const clients = yield* connections(running.port, 6)
    const streams = yield* Effect.forEach(clients, (client) => begun(client, anybody), { concurrency: "unbounded" })
    const exit = once(running.process, "exit")
    running.process.kill("SIGTERM")
    yield* until(outcome(clients[0]!, anybody), (found) => found !== "OK")
    const ended = yield* Effect.forEach(streams, Fiber.join)
    for (const { chunks, status } of ended) {
      assert.strictEqual(status.code, Grpc.status.OK)
      const text = chunks.map(FakeCall.text).join("")
      assert.strictEqual(text, pieces.join(""))
    }
    assert.deepStrictEqual(yield* Effect.promise(() => exit), [0, null])
    assert.strictEqual(vendor.counts.open, 0)
  })

describe("a server of two processes", () => {
  it.scopedLive(
    "counts as one: rates, calls at the same time, quotas, revocations and metrics; lets all calls end after SIGTERM",
    () =>
      Effect.gen(function*() {
        const world = yield* serving({ lame_duck_seconds: 0 })
        const { info, metrics, person, running, sample, token, vendor } = world
        assert.lengthOf(workersOf(running), 2)
        assert.strictEqual((yield* Ops.ask(metrics, "/readyz")).status, 200)
        const clients = yield* connections(running.port, 8)
        vendor.otherwise({ pace: 20, usage: "late" })

        const [conc, rpm, quota] = yield* Effect.all([token("conc"), token("rpm"), token("quota")])
        assert.deepStrictEqual(yield* rush(clients, rpm, 32), { OK: 7, rpm: 25 })
        assert.deepStrictEqual(yield* rush(clients, rpm, 92, "GetServerInfo"), { OK: 60, rpm: 32 })

        // They hang, so that none gives its place back before the others have come.
        vendor.otherwise({ fault: { after: 1, how: "hang" } })
        const held = yield* Effect.forEach(clients.slice(0, 5), (client) => begun(client, conc), {
          concurrency: "unbounded"
        })
        assert.deepStrictEqual(yield* rush(clients, conc, 16), { concurrency: 16 })
        assert.deepStrictEqual((yield* info).running.subjects, { conc: 5 })
        assert.deepStrictEqual(yield* sample("vibectl_concurrent_in_flight", { sub: "conc" }), [5])
        vendor.otherwise({ usage: "late" })

        const spent = yield* rush(clients, quota, 40)
        const row = JSON.parse(
          (yield* Effect.promise(() => person.sh("vibectl-server usage --output json"))).stdout
        ) as ReadonlyArray<Record<string, unknown>>
        const ofQuota = row.find(({ subject }) => subject === "quota")
        assert.strictEqual(spent["OK"]! + spent["tokens_per_day"]!, 40)
        assert.strictEqual(ofQuota?.["requests"], spent["OK"])
        // Four are set aside with 11 or more tokens each; what is given back lets some more pass, and never beyond 60.
        assert.isAtLeast(spent["OK"]!, 4)
        assert.isAtMost(spent["OK"]!, 6)

        const counted = yield* sample("vibectl_rate_limited_total")
        assert.strictEqual(counted.reduce((sum, count) => sum + count, 0), 25 + 32 + 16 + spent["tokens_per_day"]!)
        assert.deepStrictEqual(yield* sample("vibectl_calls_total", { method: "Execute", outcome: "OK" }), [
          7 + spent["OK"]!
        ])
        assert.deepStrictEqual(yield* sample("vibectl_workers"), [2])
        assert.deepStrictEqual(yield* sample("vibectl_build_info"), [1])
        const [memory] = yield* sample("process_resident_memory_bytes")
        assert.isAbove(memory!, 100e6, "of three processes")

        yield* Effect.promise(() => person.sh("vibectl-server revoke-token conc"))
        const cut = yield* Effect.forEach(held, Fiber.join).pipe(Patience.bounded)
        assert.deepStrictEqual(cut.map(({ status }) => Grpc.status[status.code]), Array(5).fill("UNAUTHENTICATED"))
        assert.deepStrictEqual(yield* rush(clients, conc, 16), { UNAUTHENTICATED: 16 })
        yield* endsWhole(world)
      })
  )

  it.scopedLive(
    "replaces one that dies: its places are free, its calls are booked, its counts stay; with a lame duck, all calls end, too",
    () =>
      Effect.gen(function*() {
        const world = yield* serving({ lame_duck_seconds: 1 })
        const { info, metrics, person, running, sample, token, vendor } = world
        const conc = yield* token("conc")
        vendor.otherwise({ fault: { after: 1, how: "hang" } })
        const clients = yield* connections(running.port, 4)
        const held = yield* Effect.forEach(clients, (client) => begun(client, conc), { concurrency: "unbounded" })
        assert.deepStrictEqual((yield* sample("vibectl_requests_total")).reduce((sum, count) => sum + count, 0), 4)

        const [victim, other] = workersOf(running)
        process.kill(victim!, "SIGKILL")
        // Which process has how many of them is the system's to say.
        const ended = () => held.filter((fiber) => fiber.unsafePoll() !== null).length
        const inUse = Effect.map(info, ({ running }) => running.subjects["conc"] ?? 0)
        const left = yield* until(inUse, (count) => count < 4 && count === 4 - ended())
        assert.strictEqual((yield* Ops.ask(metrics, "/readyz")).status, 200, "the other one takes calls")
        const more = yield* connections(running.port, 5 - left)
        yield* Effect.forEach(more, (client) => begun(client, conc), { concurrency: "unbounded" })
        assert.deepStrictEqual(yield* rush(more, conc, 4), { concurrency: 4 })

        yield* until(info, ({ workers }) => workers.ready === 2)
        assert.deepInclude((yield* info).workers, { wanted: 2, ready: 2, replaced: 1 })
        assert.strictEqual(workersOf(running).length, 2)
        assert.include(workersOf(running), other!)
        assert.match(running.log(), /a process that takes calls has ended; another takes its place/)
        const requests = yield* sample("vibectl_requests_total")
        assert.strictEqual(requests.reduce((sum, count) => sum + count, 0), 4 + (5 - left) + 4)
        const usage = JSON.parse(
          (yield* Effect.promise(() => person.sh("vibectl-server usage --output json"))).stdout
        ) as ReadonlyArray<Record<string, unknown>>
        assert.deepStrictEqual(usage.map(({ estimated, failures, requests }) => [requests, failures, estimated]), [
          [4 - left, 4 - left, 4 - left]
        ])

        // Ends those that hang.
        yield* Effect.promise(() => person.sh("vibectl-server revoke-token conc"))
        yield* until(inUse, (count) => count === 0)
        yield* endsWhole(world)
      })
  )

  it.scopedLive("has nothing left of it when its first process is killed", () =>
    Effect.gen(function*() {
      const { running } = yield* serving()
      const workers = workersOf(running)
      const ended = once(running.process, "exit")
      running.process.kill("SIGKILL")
      yield* Effect.promise(() => ended)
      yield* until(
        Effect.sync(() => workers.filter((pid) => Fs.existsSync(`/proc/${pid}`))),
        (left) => left.length === 0
      )
    }))
})

describe("--workers", () => {
  it.scopedLive("refuses what is no number of processes, and what cannot be divided", () =>
    Effect.gen(function*() {
      const person = yield* home
      const said = (line: string, variables = {}) =>
        Effect.map(
          Effect.promise(() => person.sh(`vibectl-server --port 0 ${line}`, variables)),
          ({ code, stderr, stdout }) => `${code}: ${stderr}${stdout}`
        )
      assert.match(
        yield* said("--workers 0"),
        /^2: Error: --workers 0 is out of range: .*a whole number from 1 to 128/s
      )
      assert.match(yield* said("--workers 129"), /^2: Error: .*a whole number from 1 to 128/s)
      assert.match(yield* said("--workers many"), /^2: .*many/s)
      assert.match(
        yield* said("--workers 3", {
          OPENAI_API_KEY: "k",
          VIBECTL_PROVIDERS__OPENAI__MAX_CONCURRENT_REQUESTS: "2"
        }),
        /^1: .*max_concurrent_requests: it is less than server\.workers \(3\)/s
      )
      assert.match(yield* said("", { VIBECTL_WORKER: "1" }), /^1: Error: VIBECTL_WORKER is set/)
    }))

  it.scopedLive("says once why none of them can start", () =>
    Effect.gen(function*() {
      const person = yield* home
      const first = yield* Effect.promise(() => person.serve("vibectl-server --insecure --no-enable-auth --port 0"))
      const line = `vibectl-server --insecure --no-enable-auth --workers 2 --port ${first.port}`
      const { code, stderr } = yield* Effect.promise(() => person.sh(line))
      assert.strictEqual(code, 1)
      assert.strictEqual(
        stderr,
        `Error: Cannot listen on 127.0.0.1:${first.port}: another program is using it.\n`
          + "Solution: Stop that program, or choose another port with --port.\n"
      )
    }))
})
