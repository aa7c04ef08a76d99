import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import type { Usage } from "../../src/domain/Answer.js"
import * as VendorUsage from "../../src/models/VendorUsage.js"
import * as Property from "../support/Property.js"

const runs = 3000

/** Numbers that a vendor means, and everything else that JSON has. */
const value = fc.oneof(
  { weight: 6, arbitrary: fc.nat(3000) },
  { weight: 2, arbitrary: fc.constantFrom(-1, 0, 0.5, 1e9, 1e9 + 1, Number.MAX_SAFE_INTEGER, 1e300, "7", null, true) },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 1 }) }
)
const some = <A>(shape: { [key in keyof A]: fc.Arbitrary<A[key]> }) => fc.record(shape, { requiredKeys: [] })
const openai = fc.oneof(
  {
    weight: 8,
    arbitrary: some({
      prompt_tokens: value,
      completion_tokens: value,
      total_tokens: value,
      prompt_cache_hit_tokens: value,
      prompt_tokens_details: fc.oneof(value, some({ cached_tokens: value, cache_write_tokens: value })),
      completion_tokens_details: fc.oneof(value, some({ reasoning_tokens: value }))
    })
  },
  { weight: 1, arbitrary: fc.jsonValue() }
)
const anthropic = fc.oneof(
  {
    weight: 8,
    arbitrary: some({
      input_tokens: value,
      output_tokens: value,
      cache_read_input_tokens: value,
      cache_creation_input_tokens: value,
      output_tokens_details: fc.oneof(value, some({ thinking_tokens: value }))
    })
  },
  { weight: 1, arbitrary: fc.jsonValue() }
)

const sound = (usage: Usage | undefined): void => {
  if (usage === undefined) return
  const { cacheWriteTokens = 0, cachedInputTokens = 0, inputTokens, outputTokens, reasoningTokens = 0 } = usage
  for (const tokens of Object.values(usage)) {
    assert.isTrue(Number.isSafeInteger(tokens) && tokens >= 0 && tokens <= 1e9, JSON.stringify(usage))
  }
  assert.isAtMost(cachedInputTokens + cacheWriteTokens, inputTokens)
  assert.isAtMost(reasoningTokens, outputTokens)
}

describe("VendorUsage", () => {
  it("makes sound counts of whatever OpenAI's or another's `usage` holds", async () => {
    await Property.check(fc.property(openai, (json) => sound(VendorUsage.ofOpenAi(json))), runs)
  })

  it("makes sound counts of whatever Anthropic's `usage` holds, in one or in many events", async () => {
    await Property.check(
      fc.property(fc.array(anthropic, { minLength: 1, maxLength: 4 }), (events) => {
        for (const event of events) sound(VendorUsage.ofAnthropic(event))
        sound(VendorUsage.ofAnthropic(events.reduce<Record<string, unknown>>(VendorUsage.cumulative, {})))
      }),
      runs
    )
  })

  it("gives back what was meant", async () => {
    const meant = fc.tuple(fc.nat(1000), fc.nat(1000), fc.nat(1000), fc.nat(1000), fc.nat(1000))
    await Property.check(fc.property(meant, ([plain, cached, written, spoken, thought]) => {
      const usage: Usage = {
        inputTokens: plain + cached + written,
        outputTokens: spoken + thought,
        cachedInputTokens: cached,
        cacheWriteTokens: written,
        reasoningTokens: thought
      }
      const details = {
        prompt_tokens_details: { cached_tokens: cached, cache_write_tokens: written },
        completion_tokens_details: { reasoning_tokens: thought }
      }
      const total_tokens = usage.inputTokens + usage.outputTokens
      const [prompt_tokens, completion_tokens] = [usage.inputTokens, usage.outputTokens]
      assert.deepStrictEqual(
        VendorUsage.ofOpenAi({ prompt_tokens, completion_tokens, total_tokens, ...details }),
        usage
      )
      // As xAI reports it.
      assert.deepStrictEqual(
        VendorUsage.ofOpenAi({ prompt_tokens, completion_tokens: spoken, total_tokens, ...details }),
        usage
      )
      const output = { output_tokens: usage.outputTokens, output_tokens_details: { thinking_tokens: thought } }
      const input = { input_tokens: plain, cache_read_input_tokens: cached, cache_creation_input_tokens: written }
      assert.deepStrictEqual(VendorUsage.ofAnthropic({ ...input, ...output }), usage)
      const start = VendorUsage.cumulative({}, { ...input, output_tokens: 1, output_tokens_details: null })
      const end = VendorUsage.cumulative(start, { ...output, input_tokens: null })
      assert.deepStrictEqual(VendorUsage.ofAnthropic(end), usage)
    }))
  })

  it("understands DeepSeek's names, and leaves out what is not reported", () => {
    const usage = { prompt_tokens: 9, completion_tokens: 3, prompt_cache_hit_tokens: 4, prompt_cache_miss_tokens: 5 }
    assert.deepStrictEqual(VendorUsage.ofOpenAi(usage), { inputTokens: 9, outputTokens: 3, cachedInputTokens: 4 })
    assert.deepStrictEqual(VendorUsage.ofOpenAi({ prompt_tokens: 9, completion_tokens: 3 }), {
      inputTokens: 9,
      outputTokens: 3
    })
    assert.isUndefined(VendorUsage.ofOpenAi({ prompt_tokens: 9 }))
    assert.isUndefined(VendorUsage.ofAnthropic({ output_tokens: 9 }))
  })

  it("does not let a part exceed its whole", () => {
    assert.deepStrictEqual(
      VendorUsage.ofOpenAi({
        prompt_tokens: 10,
        completion_tokens: 2,
        prompt_tokens_details: { cached_tokens: 8, cache_write_tokens: 8 },
        completion_tokens_details: { reasoning_tokens: 5 }
      }),
      { inputTokens: 10, outputTokens: 2, cachedInputTokens: 8, cacheWriteTokens: 2, reasoningTokens: 2 }
    )
  })
})
