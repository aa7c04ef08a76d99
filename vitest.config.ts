import * as Os from "node:os"
import * as Path from "node:path"
import { defineConfig } from "vitest/config"
import { BaseSequencer, type TestSpecification } from "vitest/node"
import * as Slowness from "./test/support/Slowness.js"

/**
 * Where no run before has left its times, vitest takes the longest files first. That is wrong for those that start
 * programs, and they would be what the others wait for at the end: the shortest of them takes the longest.
 */
class ProgramsFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>) {
    const rank = ({ moduleId }: TestSpecification) =>
      moduleId.endsWith("e2e/bench.test.ts") ? 0 : moduleId.includes("/e2e/") ? 1 : 2
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b))
  }
}

/** Measured once, for all workers and for every limit of this run. */
const slowness = process.env[Slowness.variable] === undefined ? await Slowness.measure() : Slowness.ofRun()

const workers = Math.ceil(Os.availableParallelism() * 1.5)

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: "test/support/run.ts",
    setupFiles: "test/support/turns.ts",
    // These end what hangs, and judge no speed: no test has a limit of its own.
    testTimeout: Slowness.testLimitMillis(slowness),
    hookTimeout: Slowness.testLimitMillis(slowness),
    env: {
      [Slowness.variable]: slowness.toFixed(2),
      // `test/support/run.ts` makes it, and removes it.
      TMPDIR: Path.join(Os.tmpdir(), `vibectl-tests-${process.pid}`)
    },
    // More than there are cores: tests of programs mostly wait for them. Both numbers, because without the least one
    // vitest ends workers above the number of cores, and the run with them ("Terminating worker thread").
    minWorkers: workers,
    maxWorkers: workers,
    // Effect is loaded once per worker and not once per file.
    isolate: false,
    // What Node is about to remove fails here first.
    poolOptions: { forks: { execArgv: ["--throw-deprecation"] } },
    sequence: { sequencer: ProgramsFirst },
    // What a passing test logs helps nobody.
    silent: "passed-only"
  }
})
