// Whether keys can be replaced and tokens revoked while a server is busy.
//
// Rotation: calls with tokens of old and new keys while keys are rotated; fails when one is refused wrongly.
// Revocation: while other callers keep the server busy, a caller with open streams is revoked by `revoke-token`;
// measured is the time from the command's end (its line is on disk) to the first refused call and to the end of the
// last open stream. Fails when a stream goes on or another caller is refused.
// Usage: npm run build && node bench/identity.mjs [CALLS] [ROUNDS] [CALLERS]
import { Context, Effect, Fiber, Layer, Logger, LogLevel, Redacted, Stream } from "effect"
import { execFile, spawn } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { promisify } from "node:util"
import { ProxyClient } from "vibectl/client"
import { FakeVendor } from "vibectl/testing"

const calls = Number(process.argv[2] ?? 4000)
const rounds = Number(process.argv[3] ?? 20)
const callers = Number(process.argv[4] ?? 16)
const streams = 10

const program = new URL("../dist/server/main.js", import.meta.url).pathname
const directory = Fs.mkdtempSync(Path.join(Os.tmpdir(), "vibectl-identity-"))
const environment = { PATH: process.env.PATH, VIBECTL_CONFIG_DIR: directory }

/** A command of the server, as an operator runs it beside the server. */
const command = (...words) =>
  Effect.promise(() => promisify(execFile)(process.execPath, [program, ...words], { env: environment })).pipe(
    Effect.map(({ stdout }) => stdout.trim())
  )

const serving = (vendor) =>
  Effect.acquireRelease(
    Effect.async((resume) => {
      const child = spawn(process.execPath, [program, "--insecure", "--port", "0", "--log-format", "json"], {
        env: { ...environment, OPENAI_API_KEY: "any", OPENAI_BASE_URL: vendor.openai },
        stdio: ["ignore", "ignore", "pipe"]
      })
      let log = ""
      child.stderr.on("data", (piece) => {
        if (log === undefined) return
        log += piece
        const port = /"listening".*?"address":"[^"]*:(\d+)"/.exec(log)?.[1]
        if (port === undefined) return
        log = undefined
        resume(Effect.succeed({ child, port: Number(port) }))
      })
      child.once("exit", (code) => resume(Effect.dieMessage(`the server ended with ${code}: ${log}`)))
    }),
    // It writes until it is gone.
    ({ child }) =>
      Effect.async((resume) => {
        child.once("exit", () => resume(Effect.void))
        child.kill()
      })
  )

/** A connection with this token until the program's end. */
const connect = (port, token) =>
  Effect.map(
    Layer.build(ProxyClient.layer({ host: "127.0.0.1", port, tls: false, token: Redacted.make(token) })),
    (context) => Context.get(context, ProxyClient)
  )

/** Undefined, or why not. */
const refusal = (client) => Effect.match(client.serverInfo, { onSuccess: () => undefined, onFailure: (e) => e.reason })

/** Callers that go on calling with whatever client comes next. */
const busy = (next, onRefused) =>
  Effect.fork(Effect.forEach(
    Array.from({ length: callers }),
    () => Effect.forever(Effect.flatMap(Effect.suspend(() => refusal(next())), (reason) => onRefused(reason))),
    { concurrency: "unbounded" }
  ))

const rotation = (port) =>
  Effect.gen(function*() {
    const clients = [yield* connect(port, yield* command("generate-token", "ci"))]
    let done = 0
    let wrong = 0
    const load = yield* busy(() => clients[done++ % clients.length], (reason) =>
      Effect.sync(() => {
        if (reason !== undefined) wrong++
      }))
    let rotations = 0
    while (done < calls || rotations < 3) {
      if (rotations < 12) {
        yield* command("keys", "rotate")
        rotations++
        // With the load from its first moment on.
        clients.push(yield* connect(port, yield* command("generate-token", "ci")))
      } else yield* Effect.sleep("50 millis")
    }
    yield* Fiber.interrupt(load)
    return { calls: done, rotations, "keys in use": clients.length, "refused wrongly": wrong }
  })

const revocation = (port) =>
  Effect.gen(function*() {
    const bystander = yield* connect(port, yield* command("generate-token", "bystander"))
    let wrong = 0
    const load = yield* busy(() => bystander, (reason) =>
      Effect.sync(() => {
        if (reason !== undefined) wrong++
      }))
    const delays = { refused: [], cut: [] }
    for (let round = 0; round < rounds; round++) {
      const subject = `victim-${round}`
      const victim = yield* connect(port, yield* command("generate-token", subject))
      let open = 0
      const ends = yield* Effect.forEach(Array.from({ length: streams }), () =>
        Effect.fork(Effect.match(
          Stream.runForEach(victim.stream({ user: ["x"], model: "openai/m" }), (event) =>
            Effect.sync(() => {
              if (event._tag === "Start") open++
            })),
          { onSuccess: () => "OK", onFailure: (error) => [error.reason, performance.now()] }
        )))
      const early = Effect.flatMap(
        Effect.raceAll(ends.map(Fiber.join)),
        (end) => Effect.dieMessage(`a stream ended before its caller was revoked: ${end}`)
      )
      yield* Effect.raceFirst(until(() => open === streams), early)
      // Which of the two ways in is by turns.
      yield* command("revoke-token", subject, ...round % 2 === 0 ? [] : ["--block"])
      const revoked = performance.now()
      while ((yield* refusal(victim)) !== "TOKEN_REVOKED") yield* Effect.sleep("2 millis")
      delays.refused.push(performance.now() - revoked)
      const last = []
      for (const end of ends) {
        const [reason, at] = yield* Fiber.join(end)
        if (reason !== "TOKEN_REVOKED") throw new Error(`a stream ended with ${reason}`)
        last.push(at)
      }
      delays.cut.push(Math.max(...last) - revoked)
    }
    yield* Fiber.interrupt(load)
    const row = (what) => {
      const sorted = delays[what].sort((a, b) => a - b)
      const at = (share) => Math.max(0, sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))])
      return { "p50 ms": Math.round(at(0.5)), "max ms": Math.round(at(1)) }
    }
    return {
      table: { "first call refused": row("refused"), [`last of ${streams} streams cut`]: row("cut") },
      cut: rounds * streams,
      wrong
    }
  })

const until = (condition) => Effect.repeat(Effect.sleep("1 millis"), { until: condition })

const main = Effect.scoped(Effect.gen(function*() {
  const vendor = yield* FakeVendor.make()
  vendor.otherwise({ fault: { after: 2, how: "hang" } })
  const { port } = yield* serving(vendor)
  const rotated = yield* rotation(port)
  console.table([rotated])
  const { cut, table, wrong } = yield* revocation(port)
  console.table(table)
  yield* until(() => vendor.counts.open === 0).pipe(Effect.timeout("5 seconds"))
  console.log(
    `revocation: ${cut} streams cut, ${vendor.counts.open} still open at the provider, ${wrong} others refused`
  )
  if (rotated["refused wrongly"] + wrong > 0) throw new Error("a good token was refused")
})).pipe(Effect.ensuring(Effect.sync(() => Fs.rmSync(directory, { recursive: true }))))

await Effect.runPromise(Effect.provide(main, Logger.minimumLogLevel(LogLevel.None)))
