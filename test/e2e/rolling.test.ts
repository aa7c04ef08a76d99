/**
 * A restart of three servers, one after the other, behind the proxies of docs/proxies.md, while calls run.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { execFileSync, spawn } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Connection from "../../src/client/Connection.js"
import * as FakeVendor from "../../src/testing/FakeVendor.js"
import * as Programs from "../support/Programs.js"

const page = Fs.readFileSync(new URL("../../docs/proxies.md", import.meta.url), "utf8")

/** The configuration of the page, with other addresses. */
const configuration = (language: string, ports: ReadonlyMap<string, number>): string => {
  const text = new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``).exec(page)?.[1]
  if (text === undefined) throw new Error(`docs/proxies.md has no ${language}`)
  return text.replace(/\b(?:5005[1-3]|909[5-7]|844[34])\b/g, (port) => String(ports.get(port)))
}

const has = (program: string): boolean => {
  try {
    execFileSync(program, ["-v"], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
}

const missing = ["nginx", "haproxy"].filter((program) => !has(program))

const run = (program: string, ...args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => spawn(program, args, { stdio: "ignore" })),
    (child) => Effect.sync(() => void child.kill("SIGKILL"))
  )

describe("a rolling restart", () => {
  it.scopedLive.skipIf(missing.length > 0)(
    `loses no call behind nginx and HAProxy, with our settings as they are${
      missing.length > 0 ? ` (skipped: no ${missing.join(", ")})` : ""
    }`,
    () =>
      Effect.gen(function*() {
        const vendor = yield* FakeVendor.make()
        const pieces = Array.from({ length: 20 }, (_, index) => `piece ${index} `)
        vendor.script(...Array.from({ length: 100 }, () => ({ pieces, pace: 200 })))
        const person = yield* Effect.acquireRelease(
          Effect.sync(Programs.home),
          ({ close }) => Effect.promise(close)
        )
        const names = ["50051", "50052", "50053", "9095", "9096", "9097", "8443", "8444"]
        const ports = new Map<string, number>()
        for (const name of names) ports.set(name, yield* Effect.promise(Programs.freePort))

        const start = (index: number) =>
          Effect.promise(() =>
            person.serve(
              `vibectl-server --host 0.0.0.0 --port ${
                ports.get(names[index]!)
              } --insecure --no-enable-auth --model openai/m`,
              {
                OPENAI_API_KEY: "sk-x",
                OPENAI_BASE_URL: vendor.openai,
                VIBECTL_SERVER__ALLOW_OPEN_ACCESS: "true",
                VIBECTL_SERVER__METRICS_PORT: String(ports.get(names[index + 3]!))
              }
            )
          )
        const servers = [yield* start(0), yield* start(1), yield* start(2)]

        const nginx = Path.join(person.directory, "nginx.conf")
        const scratch = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
          .map((kind) => `${kind}_temp_path ${person.directory}/${kind};`).join(" ")
        Fs.writeFileSync(
          nginx,
          `daemon off; pid ${person.directory}/nginx.pid; error_log ${person.directory}/nginx.log;\n`
            + configuration("nginx", ports).replace("http {", `http { access_log off; ${scratch}`)
        )
        const haproxy = Path.join(person.directory, "haproxy.cfg")
        Fs.writeFileSync(haproxy, configuration("haproxy", ports))
        yield* run("nginx", "-c", nginx, "-p", person.directory, "-e", `${person.directory}/nginx.log`)
        yield* run("haproxy", "-db", "-f", haproxy)
        for (const front of ["8443", "8444"]) {
          const client = yield* Connection.make({ host: "127.0.0.1", port: ports.get(front)!, tls: false })
          yield* client.serverInfo.pipe(Effect.retry({ times: 100 }), Effect.timeout("20 seconds"))
        }

        const failures: Array<string> = []
        let whole = 0
        const call = (index: number) =>
          Effect.scoped(Effect.gen(function*() {
            const port = ports.get(index % 2 === 0 ? "8443" : "8444")!
            const client = yield* Connection.make({ host: "127.0.0.1", port, tls: false, heartbeats: true })
            const text = yield* client.stream({ user: ["hi"] }).pipe(
              Stream.runFold("", (text, event) => event._tag === "Text" ? text + event.text : text)
            )
            if (text === pieces.join("")) whole++
            else failures.push(`${index % 2 === 0 ? "nginx" : "haproxy"}: text is not whole`)
          })).pipe(
            Effect.catchAll((error) =>
              Effect.sync(() => void failures.push(`${index % 2 === 0 ? "nginx" : "haproxy"}: ${error.message}`))
            )
          )
        const calls = Effect.forEach(
          Array.from({ length: 100 }, (_, index) => index),
          (index) => Effect.delay(call(index), index * 250),
          { concurrency: "unbounded", discard: true }
        )
        const restarts = Effect.forEach([0, 1, 2], (index) =>
          Effect.gen(function*() {
            const code = yield* Effect.promise(servers[index]!.stop)
            assert.strictEqual(code, 0)
            servers[index] = yield* start(index)
            yield* Effect.sleep("1 second")
          }), { discard: true })
        yield* Effect.all([calls, restarts], { concurrency: 2 })
        assert.deepStrictEqual(failures, [])
        assert.strictEqual(whole, 100)
      }),
    120_000
  )
})
