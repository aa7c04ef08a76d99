import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"

/**
 * Keeps some objects, makes many others that live long enough to be taken for old and are garbage after that, and says
 * to how many bytes the old ones grew.
 */
const program = `
  import * as V8 from "node:v8"
  if (process.argv[1] !== undefined) (await import(process.argv[1])).tune()
  const make = () => Array.from({ length: 100 }, (_, index) => ({ index, text: String(index) }))
  const kept = Array.from({ length: 6000 }, make)
  const passing = Array.from({ length: 3000 }, make)
  let most = 0
  for (let turn = 0; turn < 60_000; turn++) {
    passing[turn % passing.length] = make()
    if (turn % 200 > 0) continue
    for (const space of V8.getHeapSpaceStatistics()) {
      if (space.space_name === "old_space") most = Math.max(most, space.space_used_size)
    }
  }
  console.log(most, kept.length)
`

const grown = (flags: ReadonlyArray<string>, ...parameters: ReadonlyArray<string>): number => {
  const args = [...flags, "--input-type=module", "-e", program, "--", ...parameters]
  const out = execFileSync(process.execPath, args, { encoding: "utf8" })
  return Number(out.split(" ")[0])
}

const engine = new URL("../../dist/server/Engine.js", import.meta.url).href

describe("Engine.tune", () => {
  it.effect(
    "lets old garbage grow to half as much at most as without, unless the program was started with another share",
    () =>
      Effect.sync(() => {
        const tuned = grown([], engine)
        assert.isAbove(tuned, 20_000_000)
        assert.isBelow(tuned, 0.6 * grown([]))
        assert.isBelow(tuned, 0.8 * grown(["--heap-growing-percent=200"], engine))
      })
  )
})
