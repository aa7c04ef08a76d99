/**
 * How slow this machine is at the moment: 1 when it is as quick as a quiet one with two cores, 5 when the same work
 * takes five times as long. Loads nothing but Node, because `vitest.config.ts` measures with it before the first test.
 */
import { spawn } from "node:child_process"
import * as Os from "node:os"

/** Where the factor of a run is, for all of its processes; set it yourself to save the measurement. */
export const variable = "TEST_SLOWNESS"

/**
 * Starts a program per core, each of which has something to do, and compares the time with that of a quiet machine:
 * what tests wait for is mostly that a program starts and gets its turns.
 */
export const measure = async (): Promise<number> => {
  let slowest = 0
  for (let round = 0; round < rounds; round++) {
    const began = hrtime.bigint()
    await Promise.all(Array.from({ length: Os.availableParallelism() }, work))
    slowest = Math.max(slowest, Number(hrtime.bigint() - began) / 1e6)
  }
  return within(slowest / quietMillis)
}

/** The factor of this run: what was measured before it began. */
export const ofRun = (): number => within(Number(process.env[variable] ?? 1))

/**
 * The limit of a test and of a hook, in milliseconds. It ends what hangs and judges no speed: a test that has come
 * this far would not end at all. `FUZZ_FULL` and `FUZZ_RUNS` ask for more than fits.
 */
export const testLimitMillis = (slowness: number): number =>
  120_000 * slowness
  * (process.env["FUZZ_FULL"] === undefined && process.env["FUZZ_RUNS"] === undefined ? 1 : 30)

// -- internals ---------------------------------------------------------------

/** As it is before a test puts a clock of its own in its place. */
const { hrtime } = process

const rounds = 3

/** What a round takes on a quiet machine with two cores. */
const quietMillis = 140

const within = (slowness: number): number => Number.isFinite(slowness) ? Math.min(20, Math.max(1, slowness)) : 1

const work = () =>
  new Promise<void>((resolve, reject) => {
    const child = spawn(process.execPath, ["-e", "for (let i = 0, x = 0; i < 1e7; i++) x = (x * 31 + i) | 0"], {
      stdio: "ignore",
      env: {}
    })
    child.once("error", reject)
    child.once("exit", () => resolve())
  })
