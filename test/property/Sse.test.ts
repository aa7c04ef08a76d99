import { assert, describe, it } from "@effect/vitest"
import { Either, FastCheck } from "effect"
import * as Sse from "../../src/models/Sse.js"

/** The events of `text`, given to the decoder in pieces of these sizes over and over. */
const decode = (text: string, sizes: ReadonlyArray<number> = [Infinity]) => {
  const bytes = new TextEncoder().encode(text)
  const decoder = Sse.make()
  const events: Array<{ readonly event: string; readonly data: string }> = []
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1
    for (const { event, raw } of Either.getOrThrow(decoder.push(bytes.subarray(at, at + size)))) {
      events.push({ event, data: Sse.decode(raw) })
    }
    at += size
  }
  return events
}

const newline = FastCheck.constantFrom("\n", "\r\n", "\r")
const line = FastCheck.oneof(
  FastCheck.string({ unit: "grapheme", maxLength: 8 }).map((text) => `data: ${text.replace(/[\r\n]/g, "")}`),
  FastCheck.constantFrom(
    "",
    "data",
    "data:x",
    "data:  y",
    ": comment",
    "event: error",
    "event:",
    "id: 7",
    "retry: 1",
    "😀"
  )
)
const stream = FastCheck.tuple(FastCheck.constantFrom("", "\ufeff"), FastCheck.array(FastCheck.tuple(line, newline)))
  .map(([mark, lines]) => mark + lines.map(([text, end]) => text + end).join(""))

describe("Sse", () => {
  it("reads the same events however the bytes are split", () => {
    FastCheck.assert(
      FastCheck.property(
        stream,
        FastCheck.array(FastCheck.integer({ min: 1, max: 5 }), { minLength: 1 }),
        (text, sizes) => {
          assert.deepStrictEqual(decode(text, sizes), decode(text))
        }
      ),
      { numRuns: 2000 }
    )
  })

  it("reads back what was written", () => {
    const events = FastCheck.array(FastCheck.record({
      event: FastCheck.constantFrom("message", "error", "ping"),
      data: FastCheck.string({ unit: "grapheme" }).map((text) => text.replace(/\r/g, ""))
    }))
    FastCheck.assert(FastCheck.property(events, newline, FastCheck.nat(7), (events, end, size) => {
      const text = events.map(({ data, event }) =>
        [`event: ${event}`, ...data.split("\n").map((line) => `data: ${line}`), "", ""].join(end)
      ).join("")
      assert.deepStrictEqual(decode(text, [size + 1]), events)
    }))
  })

  it("discards an event that the stream leaves unfinished", () => {
    assert.deepStrictEqual(decode("data: a\n\ndata: b\n"), [{ event: "message", data: "a" }])
  })

  it("refuses an event that never ends, in one line or in many", () => {
    for (const text of [`data: ${"x".repeat(50)}`, "data: xxxxx\n".repeat(10)]) {
      assert.isTrue(Either.isLeft(Sse.make(40).push(new TextEncoder().encode(text))))
    }
  })
})
