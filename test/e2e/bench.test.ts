import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { assert, describe, it } from "vitest"

const root = new URL("../..", import.meta.url).pathname

describe("bench/cancel.mjs", () => {
  it("finds every provider connection closed after its client has left", async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ["bench/cancel.mjs", "50"], { cwd: root })
    assert.include(stdout, "provider: 40 connections closed by us, 10 refusals answered, 0 still open")
  })
})
