// A model provider on this machine, for trying out what clients see when one fails.
//
// Usage: npm run build && node bench/fake-provider.mjs [PORT] [BEHAVIOUR]
// BEHAVIOUR is JSON, see `Behaviour` in src/testing/FakeVendor.ts, e.g. '{"pace":200,"fault":{"after":2,"how":"reset"}}',
// or a list of them: one for each request, the last for all further ones.
import { Effect } from "effect"
import { FakeVendor } from "vibectl/testing"

const [port = "11434", behaviour = "{}"] = process.argv.slice(2)
const behaviours = [JSON.parse(behaviour)].flat()

const program = Effect.scoped(Effect.gen(function*() {
  const vendor = yield* FakeVendor.make(Number(port))
  vendor.script(...behaviours.slice(0, -1))
  vendor.otherwise(behaviours.at(-1) ?? {})
  console.log(`OpenAI wire:    OPENAI_API_KEY=any OPENAI_BASE_URL=${vendor.openai} vibectl-server`)
  console.log(`Anthropic wire: ANTHROPIC_API_KEY=any ANTHROPIC_BASE_URL=${vendor.anthropic} vibectl-server`)
  console.log(`Never connects: OPENAI_API_KEY=any OPENAI_BASE_URL=${vendor.unreachable} vibectl-server`)
  let seen = ""
  yield* Effect.forever(Effect.delay(
    Effect.sync(() => {
      const counts = JSON.stringify({ requests: vendor.requests.length, ...vendor.counts })
      if (counts !== seen) console.log(counts)
      seen = counts
    }),
    "1 second"
  ))
}))

await Effect.runPromise(program)
