/**
 * Properties: one way to run them all, which gives the event loop its turns and ends in time.
 *
 * A failure prints its seed and its path; `FUZZ_SEED` plays it again. A property that takes long on this machine ends
 * after half a minute and prints how far it came. With `FUZZ_FULL=1` there is no such limit, and `FUZZ_RUNS=10` has
 * ten times as many runs, all of them.
 */
import { Effect, FastCheck as fc } from "effect"
import { expect } from "vitest"

/** How many runs a property has that names no number. */
export const usualRuns = 100

/** Runs a property, of values or of promises, and rejects as `fc.assert` does when it does not hold. */
export const check = async <Ts>(property: fc.IRawProperty<Ts>, numRuns = usualRuns): Promise<void> => {
  const wanted = Math.ceil(numRuns * multiplier)
  const name = expect.getState().currentTestName ?? "a property"
  const began = now()
  const isOver = () => isBounded && now() - began > boundMillis
  const details = await fc.check(givingTurns(property, isOver), {
    numRuns: wanted,
    ...process.env["FUZZ_SEED"] === undefined ? {} : { seed: Number(process.env["FUZZ_SEED"]) }
  })
  if (details.failed) throw new Error(await fc.asyncDefaultReportMessage(details), { cause: details.errorInstance })
  if (details.numRuns < wanted) {
    const seconds = Math.round((now() - began) / 1000)
    process.stderr.write(`${name}: ${details.numRuns} of ${wanted} runs in ${seconds} s (seed ${details.seed})\n`)
  }
}

/** A property of effects. */
export const forAll = <A>(
  arbitrary: fc.Arbitrary<A>,
  numRuns: number,
  holds: (value: A) => Effect.Effect<void>
): Effect.Effect<void> =>
  Effect.promise(() => check(fc.asyncProperty(arbitrary, (value) => Effect.runPromise(holds(value))), numRuns))

/** Waits for the event loop when it has been held for long enough: for the inside of long loops. */
export const turn = async (): Promise<void> => {
  if (now() - lastTurn < turnMillis) return
  await new Promise<void>((resolve) => setImmediate(resolve))
  lastTurn = now()
}

/** The same between effects. */
export const turnEffect: Effect.Effect<void> = Effect.promise(turn)

// -- internals ---------------------------------------------------------------

/** As they are before a test puts a clock of its own in their place. */
const { process: { hrtime }, setImmediate } = globalThis

const now = (): number => Number(hrtime.bigint()) / 1e6

const multiplier = Number(process.env["FUZZ_RUNS"] ?? 1)

/** Whoever asks for so many runs has the time for them. */
const isBounded = process.env["FUZZ_FULL"] === undefined && multiplier <= 1

/** How long a property may take that is not asked to run in full; a quiet machine needs less for each that we have. */
const boundMillis = 30_000

/** How long the event loop may be held: vitest's worker has to answer, and other tests wait for their sockets. */
const turnMillis = 50

let lastTurn = now()

const givingTurns = <Ts>(property: fc.IRawProperty<Ts>, isOver: () => boolean): fc.IRawProperty<Ts, true> => ({
  isAsync: () => true,
  generate: (random, run) => property.generate(random, run),
  shrink: (value) => property.shrink(value),
  runBeforeEach: async () => property.runBeforeEach?.(),
  runAfterEach: async () => property.runAfterEach?.(),
  run: async (value, isHooked) => {
    await turn()
    return isOver() ? new fc.PreconditionFailure(true) : property.run(value, isHooked)
  }
})
