import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { assert, describe, it } from "vitest"

const root = new URL("../..", import.meta.url).pathname

describe("bench/cancel.mjs", () => {
  it("finds every provider connection closed after 300 clients have left, in every phase", async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ["bench/cancel.mjs", "300"], { cwd: root })
    assert.include(stdout, "provider: 173 answers and 43 connections given up by us, 44 answered, 0 still open")
  })
})

describe("bench/identity.mjs", () => {
  it(
    "rotates keys and revokes callers under load: no good token is refused, and every stream of a revoked one ends",
    async () => {
      const { stdout } = await promisify(execFile)(process.execPath, ["bench/identity.mjs", "300", "1", "2"], {
        cwd: root
      })
      assert.include(stdout, "revocation: 10 streams cut, 0 still open at the provider, 0 others refused")
    }
  )
})

describe("bench/overhead/run.mjs", () => {
  it("gets whole and right answers in every scenario, of the server and of the bare proxy", async () => {
    const args = ["bench/overhead/run.mjs", "--smoke"]
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root })
    assert.strictEqual(stdout.trim().split("\n").at(-1), "336 whole answers of 14 runs")
  })
})
