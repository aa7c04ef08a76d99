/**
 * Properties of effects. A failure prints its seed and its path; `FUZZ_SEED`
 * plays it again, and `FUZZ_RUNS` multiplies the runs.
 */
import { Effect, FastCheck as fc } from "effect"

export const forAll = <A>(
  arbitrary: fc.Arbitrary<A>,
  numRuns: number,
  holds: (value: A) => Effect.Effect<void>
): Effect.Effect<void> =>
  Effect.promise(() =>
    fc.assert(fc.asyncProperty(arbitrary, (value) => Effect.runPromise(holds(value))), {
      numRuns: numRuns * Number(process.env["FUZZ_RUNS"] ?? 1),
      ...process.env["FUZZ_SEED"] === undefined ? {} : { seed: Number(process.env["FUZZ_SEED"]) }
    })
  )
