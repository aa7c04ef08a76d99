/**
 * What the built server's log explains at DEBUG, and what it does not hold.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Connection from "../../src/client/Connection.js"
import * as FakeVendor from "../../src/testing/FakeVendor.js"
import * as Patience from "../support/Patience.js"
import * as Programs from "../support/Programs.js"

const key = "sk-CANARY-0aZ9bY8cX7dW6"
const prompt = "CANARY-prompt"

interface Line {
  readonly message: string
  readonly logLevel: string
  readonly annotations: Readonly<Record<string, unknown>>
}

describe("the log at DEBUG", () => {
  it.scopedLive(
    "explains each attempt: status, the provider's request id, phases, and why another followed or none; no secret, no text",
    () =>
      Effect.gen(function*() {
        const [first, second] = [yield* FakeVendor.make(), yield* FakeVendor.make()]
        const home = yield* Effect.acquireRelease(Effect.sync(Programs.home), (home) => Effect.promise(home.close))
        const metrics = yield* Effect.promise(Programs.freePort)
        const provider = { api_key: key, max_retries: 1 }
        const settings = {
          server: {
            default_model: "one/m",
            log_level: "DEBUG",
            metrics_port: metrics
          },
          fallbacks: { "one/m": ["two/m"] },
          providers: {
            one: { ...provider, kind: "openai", base_url: first.openai },
            two: { ...provider, kind: "anthropic", base_url: second.anthropic }
          }
        }
        const directory = Path.join(home.directory, ".config/vibectl/server")
        Fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
        Fs.writeFileSync(Path.join(directory, "config.yaml"), JSON.stringify(settings), { mode: 0o600 })
        const variables = { VIBECTL_SERVER__METRICS_PORT: String(metrics) }
        const server = yield* Effect.promise(() =>
          home.serve("vibectl-server --port 0 --insecure --no-enable-auth", variables)
        )
        const client = yield* Connection.make({ host: "127.0.0.1", port: server.port, tls: false })
        const ask = Effect.isSuccess(Stream.runDrain(client.stream({ user: [prompt] })))

        let seen = 0
        /** The lines of the next call, without their times. */
        const call = Effect.gen(function*() {
          const answered = yield* ask
          const lines = yield* Patience.eventually(() => {
            const all = server.log().split("\n").filter((line) => line.startsWith("{")).map((line) =>
              JSON.parse(line) as Line
            )
            const end = all.findIndex(({ annotations, message }, index) =>
              index >= seen && message === "call ended" && /Execute$/.test(String(annotations["rpc"]))
            )
            if (end < 0) return undefined
            const lines = all.slice(seen, end + 1)
            seen = end + 1
            return lines
          }, server.log)
          const attempts = lines.filter(({ message }) => /attempt/.test(message))
          for (const { annotations } of attempts) {
            assert.strictEqual(annotations["requestId"], lines.at(-1)!.annotations["requestId"])
          }
          return { answered, attempts }
        })
        const times = ["connectMs", "headersMs", "firstTextMs", "attemptMs"]
        const told = ({ annotations, message }: Line): Readonly<Record<string, unknown>> => {
          const { attemptMs: _, connectMs: __, firstTextMs: ___, headersMs: ____, ...rest } = annotations
          const { peer: _____, requestId: ______, rpc: _______, subject: ________, waitMs: _________, ...own } = rest
          const phases = times.filter((name) => name in annotations)
          const values = phases.map((name) => annotations[name] as number)
          assert.deepStrictEqual(values, [...values].sort((one, other) => one - other), "phases follow each other")
          // Whichever of the two the system reports.
          if (own["attemptDetail"] === "ECONNRESET") Object.assign(own, { attemptDetail: "connection lost" })
          return { message, phases, ...own }
        }

        // The first fails twice, its fallback answers.
        first.script(
          { status: 503, error: "busy", requestId: "req_1" },
          { fault: { after: "request", how: "reset" }, requestId: "req_2" }
        )
        second.script({ pieces: ["CANARY-answer"], requestId: "req_3" })
        const fellBack = yield* call
        assert.isTrue(fellBack.answered)
        const failed = { attemptedModel: "one/m", streamed: true }
        assert.deepStrictEqual(fellBack.attempts.map(told), [
          {
            message: "attempt ended",
            phases: ["connectMs", "headersMs", "attemptMs"],
            attempt: 1,
            ...failed,
            attemptOutcome: "PROVIDER_UNAVAILABLE",
            attemptDetail: "busy",
            httpStatus: 503,
            providerRequestId: "req_1"
          },
          {
            message: "another attempt",
            phases: [],
            model: "one/m",
            tier: "real",
            because: "retry 1 of at most 1",
            failedModel: "one/m",
            failedTier: "real",
            reason: "PROVIDER_UNAVAILABLE"
          },
          {
            message: "attempt ended",
            phases: ["connectMs", "attemptMs"],
            attempt: 2,
            ...failed,
            attemptOutcome: "PROVIDER_UNAVAILABLE",
            attemptDetail: "connection lost"
          },
          {
            message: "another attempt",
            phases: [],
            model: "two/m",
            tier: "real",
            because: "no retries are left: the next model",
            failedModel: "one/m",
            failedTier: "real",
            reason: "PROVIDER_UNAVAILABLE"
          },
          {
            message: "attempt ended",
            phases: times,
            attempt: 3,
            attemptedModel: "two/m",
            streamed: true,
            attemptOutcome: "OK",
            httpStatus: 200,
            providerRequestId: "req_3"
          }
        ])

        // What another request would not change. An id that holds the key, or is none, is left out.
        first.script({ status: 400, error: "bad", requestId: key })
        const refused = yield* call
        assert.isFalse(refused.answered)
        assert.deepStrictEqual(refused.attempts.map(told), [
          {
            message: "attempt ended",
            phases: ["connectMs", "headersMs", "attemptMs"],
            attempt: 1,
            ...failed,
            attemptOutcome: "PROVIDER_REJECTED",
            attemptDetail: "bad",
            httpStatus: 400
          },
          {
            message: "no other attempt",
            phases: [],
            because: "another model would be refused as well",
            failedModel: "one/m",
            failedTier: "real",
            reason: "PROVIDER_REJECTED"
          }
        ])

        // At INFO, what followed and why stays, and nothing of the rest.
        yield* Effect.promise(() => home.sh("vibectl-server log-level INFO", variables))
        first.script({ status: 503, requestId: "req_4" })
        assert.deepStrictEqual((yield* call).attempts.map(({ message }) => message), ["another attempt"])
        assert.notInclude(server.log(), "CANARY")
      })
  )
})
