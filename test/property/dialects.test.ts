/**
 * A fuzzer of dialects: answers in any mixture of the known shapes, framed, padded, repeated, reordered, cut and split
 * in any way. An answer that is complete has exactly the text that a person reads in it; one that is not is never OK; and
 * one that is whole is never thrown away.
 *
 * `FUZZ_FULL=1 FUZZ_RUNS=40 npx vitest run test/property/dialects.test.ts` has 100,000 runs.
 */
import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import { afterEach, vi } from "vitest"
import type { FinishReason } from "../../src/domain/Answer.js"
import type * as AnswersModule from "../../src/models/vendors/Answers.js"
import * as ChatReader from "../../src/models/vendors/ChatReader.js"
import type * as FramesModule from "../../src/models/vendors/Frames.js"
import * as MessagesReader from "../../src/models/vendors/MessagesReader.js"
import * as Dialects from "../support/Dialects.js"
import * as Property from "../support/Property.js"

type MakeReader = (wire: Dialects.Wire) => AnswersModule.Reader

const makeReader: MakeReader = (wire) =>
  wire === "openai" ? ChatReader.make(undefined) : MessagesReader.make(undefined, undefined)

interface Read {
  readonly text: string
  readonly end: AnswersModule.End
}

const read = (reader: AnswersModule.Reader, body: Buffer, sizes: ReadonlyArray<number>): Read => {
  let text = ""
  for (let at = 0, turn = 0; at < body.length; turn++) {
    const size = sizes[turn % sizes.length] ?? body.length
    const heard = reader.push(body.subarray(at, at + size))
    text += heard.text
    if (heard.end !== undefined) return { text, end: heard.end }
    at += size
  }
  const last = reader.bodyEnded()
  if (last.end === undefined) throw new Error("a body that ended has no end")
  return { text: text + last.text, end: last.end }
}

const check = (make: MakeReader) => (story: Dialects.Story): void => {
  const { body, expected } = Dialects.toBody(story)
  const split = read(make(story.wire), body, story.sizes)
  assert.deepStrictEqual(split, read(make(story.wire), body, [body.length]), "however the bytes are split")
  assert.notMatch(split.text, /\p{Surrogate}/u, "no half of a pair leaves")
  const seen = `${JSON.stringify(body.toString())} ${JSON.stringify(split)}`
  if (expected._tag === "Complete") {
    assert.strictEqual(split.end._tag, "Complete", seen)
    assert.strictEqual(split.text, expected.text, seen)
    const reason: FinishReason | undefined = split.end._tag === "Complete" ? split.end.finishReason : undefined
    assert.strictEqual(reason, expected.finishReason, seen)
  } else {
    assert.notStrictEqual(split.end._tag, "Complete", seen)
    assert.isTrue(expected.text.startsWith(split.text), seen)
  }
}

const holds = (make: MakeReader, runs: number) => Property.check(fc.property(Dialects.story, check(make)), runs)

describe("an answer in any dialect", () => {
  afterEach(() => {
    vi.doUnmock("../../src/models/vendors/Answers.js")
    vi.doUnmock("../../src/models/vendors/Frames.js")
    vi.resetModules()
  })

  it("is OK only with exactly the text that a person reads in it", () => holds(makeReader, 2500), 1_800_000)

  /** The readers with one module replaced. */
  const planted = async (): Promise<MakeReader> => {
    vi.resetModules()
    const chat = await import("../../src/models/vendors/ChatReader.js")
    const messages = await import("../../src/models/vendors/MessagesReader.js")
    return (wire) => wire === "openai" ? chat.make(undefined) : messages.make(undefined, undefined)
  }
  const fails = async (make: MakeReader): Promise<void> => {
    const failure = await holds(make, 2500).then(() => undefined, (error: unknown) => error)
    assert.instanceOf(failure, Error, "the fuzzer finds it")
  }

  it("is not what a reader takes it for to which the unknown is empty", async () => {
    vi.doMock("../../src/models/vendors/Frames.js", async (original) => {
      const actual = await original<typeof FramesModule>()
      const known = (frames: ReadonlyArray<FramesModule.Frame>) => frames.filter(({ kind }) => kind !== "broken")
      return {
        ...actual,
        make: (limit?: number): FramesModule.Decoder => {
          const decoder = actual.make(limit)
          return { push: (bytes) => known(decoder.push(bytes)), end: () => known(decoder.end()) }
        }
      }
    })
    await fails(await planted())
  })

  it("is not what a reader takes it for that ignores an error after text", async () => {
    vi.doMock("../../src/models/vendors/Answers.js", async (original) => {
      const actual = await original<typeof AnswersModule>()
      const deaf = (wire: AnswersModule.Wire): AnswersModule.Wire => {
        let hasText = false
        return (root, event, answer) =>
          wire(root, event, {
            ...answer,
            text: (text) => {
              hasText ||= text !== ""
              answer.text(text)
            },
            fail: (failure) => {
              if (!hasText) answer.fail(failure)
            }
          })
      }
      return { ...actual, reader: (wire, onUsage) => actual.reader(deaf(wire), onUsage) } satisfies typeof AnswersModule
    })
    await fails(await planted())
  })

  it("is not what a reader takes it for that leaves out what it does not know of a text", async () => {
    vi.doMock("../../src/models/vendors/Answers.js", async (original) => {
      const actual = await original<typeof AnswersModule>()
      const stringsOnly = (wire: AnswersModule.Wire): AnswersModule.Wire => (root, event, answer) =>
        JSON.stringify(root).includes("\"type\":\"output_text\"") ? undefined : wire(root, event, answer)
      return {
        ...actual,
        reader: (wire, onUsage) => actual.reader(stringsOnly(wire), onUsage)
      } satisfies typeof AnswersModule
    })
    await fails(await planted())
  })
})
