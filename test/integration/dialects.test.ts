/**
 * Each row of `test/cases` is what an endpoint was seen to send, played over a socket to the whole server, as a stream
 * and as a whole answer.
 */
import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Either, Layer, Stream } from "effect"
import * as Fs from "node:fs"
import { ProxyClient } from "../../src/client/ProxyClient.js"
import { ServerConfig } from "../../src/config/ServerConfig.js"
import type { AnswerEvent, FinishReason, Tier } from "../../src/domain/Answer.js"
import * as ServerLayer from "../../src/server/ServerLayer.js"
import * as FakeVendor from "../../src/testing/FakeVendor.js"
import * as VendorDialects from "../../src/testing/VendorDialects.js"
import * as Patience from "../support/Patience.js"
import * as ScriptedVendor from "../support/ScriptedVendor.js"

interface Expected {
  readonly status?: "OK"
  readonly text?: string
  readonly finishReason?: FinishReason
  readonly tier?: Tier
  readonly requests?: number
  /** One, or one of several. */
  readonly errorCode?: string | ReadonlyArray<string>
}

interface Row {
  readonly name: string
  readonly settings?: Record<string, number>
  readonly contentType?: string
  readonly headers?: Record<string, string>
  readonly gzip?: boolean
  readonly redirect?: number
  readonly events?: ReadonlyArray<ScriptedVendor.Step>
  readonly raw?: string
  readonly whole?: unknown
  readonly wholeRaw?: string
  readonly only?: "execute" | "stream"
  readonly expect: Expected
}

interface Table {
  readonly kind: string
  readonly provider: "openai" | "anthropic"
  readonly cases: ReadonlyArray<Row>
}

const directory = new URL("../cases/", import.meta.url)
const files = [
  "after-the-end",
  "after-the-end-anthropic",
  "bodies",
  "bodies-anthropic",
  "content-parts",
  "content-parts-anthropic",
  "empty-success",
  "empty-success-anthropic",
  "failure-in-200",
  "failure-in-200-anthropic",
  "finish-reasons",
  "finish-reasons-anthropic",
  "keepalive-events",
  "keepalive-events-anthropic",
  "one-newline",
  "surrogates",
  "vendors",
  "vendors-anthropic"
]
const tables = files.map((file) => ({
  file,
  table: JSON.parse(Fs.readFileSync(new URL(`${file}.json`, directory), "utf8")) as Table
}))

const replyOf = (row: Row, streamed: boolean): ScriptedVendor.Reply => ({
  ...bodyOf(row, streamed),
  headers: row.headers,
  gzip: row.gzip,
  redirect: row.redirect
})

/** Times of a row are those of a quiet machine. */
const bodyOf = (row: Row, streamed: boolean): ScriptedVendor.Reply => {
  const { contentType, raw, whole, wholeRaw } = row
  const events = row.events?.map((step) =>
    typeof step === "object" && "waitMs" in step ? { ...step, waitMs: Patience.scaled(step.waitMs) } : step
  )
  if (!streamed && wholeRaw !== undefined) return { steps: [{ raw: wholeRaw }] }
  if (!streamed && whole !== undefined) return { steps: [{ raw: JSON.stringify(whole) }] }
  return {
    contentType: contentType ?? (raw !== undefined || events !== undefined ? "text/event-stream" : undefined),
    steps: raw !== undefined ? [{ raw }] : events ?? [{ raw: JSON.stringify(whole) }]
  }
}

const scaled = (settings: Row["settings"] = {}) =>
  Object.fromEntries(
    Object.entries(settings).map(([name, value]) =>
      name.endsWith("_seconds") ? [name, Patience.scaled(value * 1000) / 1000] : [name, value]
    )
  )

/** The real server, with a provider for each row, and a client of it. */
const stage = ({ cases, provider }: Table) =>
  Effect.gen(function*() {
    const vendor = yield* ScriptedVendor.make((key, streamed) => replyOf(cases[Number(key.slice(1))]!, streamed))
    const providers = Object.fromEntries(cases.map(({ settings }, index) => [`c${index}`, {
      kind: provider,
      base_url: `${vendor.url}/c${index}`,
      models: ["m"],
      ...scaled(settings)
    }]))
    const config = ServerConfig.layerTest({ server: { enable_auth: false }, providers })
    const context = yield* Layer.build(
      Layer.provide(ServerLayer.layer, Layer.mergeAll(config, NodeFileSystem.layer))
    )
    const { host, port } = yield* Effect.provide(ServerLayer.Listening, context)
    const client = yield* Effect.map(
      Layer.build(ProxyClient.layer({ host, port, tls: false, retryAttempts: 0, timeout: "60 seconds" })),
      Context.get(ProxyClient)
    )
    return { client, vendor }
  })

interface Answered {
  readonly text: string
  readonly tier: Tier | undefined
  readonly finishReason: FinishReason | undefined
}

const streamed = (client: ProxyClient["Type"], model: string) =>
  Effect.suspend(() => {
    let answer: Answered = { text: "", tier: undefined, finishReason: undefined }
    const take = (event: AnswerEvent): void => {
      if (event._tag === "Text") answer = { ...answer, text: answer.text + event.text }
      else if (event._tag === "Restart") answer = { ...answer, text: "" }
      else if (event._tag === "Start") answer = { ...answer, tier: event.tier }
      else if (event._tag === "Done") answer = { ...answer, finishReason: event.finishReason }
    }
    return Effect.map(
      Stream.runForEach(client.stream({ model, user: ["how many?"] }), (event) => Effect.sync(() => take(event))),
      () => answer
    )
  })

const whole = (client: ProxyClient["Type"], model: string) =>
  Effect.map(client.execute({ model, user: ["how many?"] }), ({ finishReason, text }): Answered => ({
    text,
    tier: undefined,
    finishReason
  }))

describe("a dialect of the fake vendor", () => {
  for (const name of FakeVendor.dialects) {
    it.scopedLive(`${name} is read to its end, streamed and whole`, () =>
      Effect.gen(function*() {
        const vendor = yield* FakeVendor.make()
        const kind = VendorDialects.of(name).wire
        const config = ServerConfig.layerTest({
          server: { enable_auth: false },
          providers: { p: { kind, base_url: vendor[kind], models: ["m"], max_retries: 0 } }
        })
        const context = yield* Layer.build(
          Layer.provide(ServerLayer.layer, Layer.mergeAll(config, NodeFileSystem.layer))
        )
        const { host, port } = yield* Effect.provide(ServerLayer.Listening, context)
        const client = yield* Effect.map(
          Layer.build(ProxyClient.layer({ host, port, tls: false, retryAttempts: 0, timeout: "60 seconds" })),
          Context.get(ProxyClient)
        )
        const pieces = ["Grüße, ", "😀 ", "world"]
        for (const more of [{}, { thoughts: 2 }, { split: 3 }, { burst: true }]) {
          vendor.otherwise({ ...FakeVendor.dialect(name), pieces, ...more })
          const answer = yield* streamed(client, "p/m")
          assert.deepStrictEqual(answer, { text: pieces.join(""), tier: "real", finishReason: "stop" })
          const { finishReason, metrics, text } = yield* client.execute({ model: "p/m", user: ["how many?"] })
          assert.deepStrictEqual([text, finishReason], [pieces.join(""), "stop"])
          assert.deepInclude(metrics, { inputTokens: 7, outputTokens: 3, estimated: false })
        }
        assert.lengthOf(vendor.requests, 8)
        assert.isTrue(vendor.counts.usage.every(({ reported }) => reported))
        vendor.otherwise({ ...FakeVendor.dialect(name), pieces, fault: { after: 2, how: "end" } })
        assert.isTrue(Either.isLeft(yield* Effect.either(streamed(client, "p/m"))), "what is cut is not OK")
      }), 60_000)
  }
})

for (const { file, table } of tables) {
  describe(`${file}: ${table.kind}`, () => {
    for (const way of ["stream", "execute"] as const) {
      it.scopedLive(`every row holds, by ${way}`, () =>
        Effect.gen(function*() {
          const { client, vendor } = yield* stage(table)
          const rows = table.cases.map((row, index) => ({ row, index })).filter(({ row }) =>
            row.only === undefined || row.only === way
          )
          const answers = yield* Effect.forEach(rows, ({ index }) =>
            Effect.either((way === "stream" ? streamed : whole)(client, `c${index}/m`)), { concurrency: 8 })
          for (const [at, { index, row }] of rows.entries()) {
            const { errorCode, finishReason, requests, text, tier } = row.expect
            const answer = answers[at]!
            if (errorCode !== undefined) {
              assert.isTrue(Either.isLeft(answer), `${row.name}: ${JSON.stringify(answer)}`)
              const reason = Either.isLeft(answer) && answer.left._tag === "CallFailed" ? answer.left.reason : ""
              assert.include([errorCode].flat(), reason, row.name)
            } else {
              assert.isTrue(Either.isRight(answer), `${row.name}: ${JSON.stringify(answer)}`)
              if (Either.isLeft(answer)) {
                continue
              }
              assert.strictEqual(answer.right.text, text, row.name)
              if (finishReason !== undefined) {
                assert.strictEqual(answer.right.finishReason, finishReason, row.name)
              }
              if (tier !== undefined && way === "stream") {
                assert.strictEqual(answer.right.tier, tier, row.name)
              }
            }
            if (requests !== undefined) {
              assert.strictEqual(vendor.requests.get(`c${index}`), requests, row.name)
            }
          }
        }), 120_000)
    }
  })
}
