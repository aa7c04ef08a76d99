import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 20_000,
    hookTimeout: 60_000,
    // One less than there are is one, on a machine with two cores.
    maxWorkers: "100%",
    // Effect is loaded once per worker and not once per file.
    isolate: false,
    // What a passing test logs helps nobody.
    silent: "passed-only"
  }
})
