/**
 * A restart of three servers with one Redis, one after the other, while calls run: behind the proxies of docs/proxies.md,
 * and from a client that balances by itself.
 */
import { execFile, execFileSync } from "node:child_process"
import { promisify } from "node:util"
import { assert, describe, it } from "vitest"

const root = new URL("../..", import.meta.url).pathname

const has = (program: string): boolean => {
  try {
    execFileSync("which", [program], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
}

const missing = ["redis-server", "nginx", "haproxy"].filter((program) => !has(program))
const why = missing.length > 0 ? ` (skipped: no ${missing.join(", ")})` : ""

describe("a rolling restart", () => {
  it.skipIf(missing.length > 0)(
    `fails and cuts no call behind nginx, HAProxy and with round robin, and has none made twice, with default settings${why}`,
    async () => {
      const args = ["bench/rolling.mjs", "--streams", "24"]
      const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root })
      for (const front of ["nginx", "haproxy", "round-robin"]) {
        // Whole, failed, cut; a call that no server took may be sent again.
        assert.match(stdout, new RegExp(`^${front} +24 +0 +0 `, "m"), stdout)
      }
      assert.include(stdout, "asked twice of the provider: 0")
    }
  )
})
