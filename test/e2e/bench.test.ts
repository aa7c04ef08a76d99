import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { assert, describe, it } from "vitest"

const root = new URL("../..", import.meta.url).pathname

describe("bench/cancel.mjs", () => {
  it("finds every provider connection closed after 1,000 clients have left, in every phase", async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ["bench/cancel.mjs", "1000"], { cwd: root })
    assert.include(stdout, "provider: 573 answers and 143 connections given up by us, 144 answered, 0 still open")
  })
})
