/**
 * What the failures in `test/cases/vendors*.json` mean for the account, the model and the time to wait, of a stream and of a
 * whole body, also when text came first.
 */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Schema } from "effect"
import * as Fs from "node:fs"
import * as VendorFailure from "../../src/models/VendorFailure.js"
import * as ChatReader from "../../src/models/vendors/ChatReader.js"
import * as MessagesReader from "../../src/models/vendors/MessagesReader.js"

const Case = Schema.Struct({
  name: Schema.String,
  raw: Schema.optional(Schema.String),
  wholeRaw: Schema.optional(Schema.String),
  expect: Schema.Struct({
    errorCode: Schema.optional(Schema.Union(Schema.String, Schema.Array(Schema.String))),
    account: Schema.optional(Schema.String),
    waitMs: Schema.optional(Schema.Number),
    unknownModel: Schema.optional(Schema.Boolean)
  })
})
const Cases = Schema.parseJson(Schema.Struct({ cases: Schema.Array(Case) }))

const source = { provider: "p", apiKey: undefined, isTimeout: () => false }
const wires = {
  vendors: {
    before: "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n",
    stream: () => ChatReader.make(undefined),
    whole: (body: string) => ChatReader.ofBody(body, undefined)
  },
  "vendors-anthropic": {
    before:
      "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\n",
    stream: () => MessagesReader.make(undefined, undefined),
    whole: (body: string) => MessagesReader.ofBody(body, undefined, undefined)
  }
}

for (const [file, { before, stream, whole }] of Object.entries(wires)) {
  describe(file, () => {
    const { cases } = Schema.decodeSync(Cases)(
      Fs.readFileSync(new URL(`../cases/${file}.json`, import.meta.url), "utf8")
    )
    const streamed = (body: string) => {
      const reader = stream()
      const { end } = reader.push(Buffer.from(body))
      return end ?? reader.bodyEnded().end
    }
    for (const { expect, name, raw, wholeRaw } of cases) {
      if (expect.errorCode === undefined) continue
      const ends = [
        ...raw === undefined ? [] : [streamed(raw), streamed(before + raw)],
        ...wholeRaw === undefined ? [] : [whole(wholeRaw).end]
      ]
      for (const [index, end] of ends.entries()) {
        if (end?._tag !== "Failed") continue
        it(`${name} (${index})`, () => {
          const failure = VendorFailure.fromEvent(source, end.failure.body, Date.UTC(2026, 10, 30, 12))
          const { account, reason, retryAfter, unknownModel } = failure
          assert.include([expect.errorCode].flat(), reason)
          assert.deepStrictEqual(
            [account, retryAfter && Duration.toMillis(retryAfter), unknownModel],
            [expect.account, expect.waitMs, expect.unknownModel ?? false]
          )
        })
      }
    }
  })
}
