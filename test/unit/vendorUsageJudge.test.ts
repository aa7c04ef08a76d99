import { assert, describe, it } from "@effect/vitest"
import * as VendorUsage from "../../src/models/VendorUsage.js"

/** A prompt of 200 tokens, and an answer of 1,000. */
const page = { inputTokens: 200, inputLength: 800, outputTokens: 1000, outputLength: 4000 }
/** Four letters for four letters. */
const word = { inputTokens: 1, inputLength: 4, outputTokens: 1, outputLength: 4 }
const usage = (inputTokens: number, outputTokens: number) => ({ inputTokens, outputTokens })

describe("VendorUsage.judge", () => {
  for (
    const [name, reported, known, counts, estimated] of [
      ["nothing reported", undefined, page, [200, 1000], true],
      ["as reported", usage(210, 940), page, [210, 940], false],
      ["zeros beside a page", usage(0, 0), page, [200, 1000], true],
      ["no input beside a prompt", usage(0, 940), page, [200, 940], true],
      ["no output beside a page", usage(210, 0), page, [210, 1000], true],
      ["one token for a page", usage(210, 1), page, [210, 1000], true],
      ["half of our estimate", usage(100, 500), page, [100, 500], false],
      ["an empty answer", usage(210, 0), { ...page, outputTokens: 0, outputLength: 0 }, [210, 0], false],
      ["900 million for four letters", usage(1, 900_000_000), word, [1, 1], true],
      ["a million for four letters", usage(1_000_000, 2), word, [1, 2], true],
      ["long thoughts before four letters", usage(9, 64_000), word, [9, 64_000], false],
      ["no input for four letters", usage(0, 1), word, [1, 1], true]
    ] as const
  ) {
    it(name, () => {
      const judged = VendorUsage.judge(reported, known)
      assert.deepStrictEqual(judged, { usage: usage(counts[0], counts[1]), estimated })
    })
  }

  it("keeps the parts of a side that it believes, and drops those of one that it does not", () => {
    const parts = { cachedInputTokens: 150, cacheWriteTokens: 10, reasoningTokens: 5 }
    assert.deepStrictEqual(VendorUsage.judge({ ...usage(210, 0), ...parts }, page).usage, {
      ...usage(210, 1000),
      cachedInputTokens: 150,
      cacheWriteTokens: 10
    })
    assert.deepStrictEqual(VendorUsage.judge({ ...usage(0, 940), ...parts }, page).usage, {
      ...usage(200, 940),
      reasoningTokens: 5
    })
  })
})

describe("VendorUsage.larger", () => {
  for (
    const [name, earlier, later, counts] of [
      ["the first", undefined, usage(1, 2), [1, 2]],
      ["growing", usage(812, 1), usage(812, 120), [812, 120]],
      ["a later 0", usage(812, 990), usage(0, 0), [812, 990]],
      ["each side by itself", usage(812, 1), usage(0, 120), [812, 120]],
      ["an impossible one later", usage(812, 120), usage(812, 900_000_000), [812, 120]],
      ["an impossible one before", usage(812, 900_000_000), usage(812, 120), [812, 120]]
    ] as const
  ) {
    it(name, () => assert.deepStrictEqual(VendorUsage.larger(earlier, later, page), usage(counts[0], counts[1])))
  }
})

describe("VendorUsage.cumulative", () => {
  for (
    const [name, start, delta, input, cached] of [
      ["a later 0 is no correction", { input_tokens: 812 }, { input_tokens: 0 }, 812, undefined],
      [
        "a cache read that becomes 0",
        { input_tokens: 3, cache_read_input_tokens: 809 },
        {
          input_tokens: 3,
          cache_read_input_tokens: 0
        },
        812,
        809
      ],
      [
        "the same tokens as another part",
        { input_tokens: 812 },
        { input_tokens: 3, cache_read_input_tokens: 809 },
        812,
        809
      ],
      ["null is not counted again", { input_tokens: 812 }, { input_tokens: null, cache_read_input_tokens: 5 }, 817, 5]
    ] as const
  ) {
    it(name, () => {
      const counts = VendorUsage.cumulative({ ...start, output_tokens: 7 }, { ...delta, output_tokens: 5 })
      const usage = VendorUsage.ofAnthropic(counts)
      assert.strictEqual(usage?.inputTokens, input)
      assert.strictEqual(usage?.cachedInputTokens, cached)
      assert.strictEqual(usage?.outputTokens, 7)
    })
  }
})
