/**
 * Before the first test and after the last one: a directory for everything that tests write to temporary places,
 * removed also when a test was cut off before it could clear up.
 */
import * as Fs from "node:fs"
import type { TestProject } from "vitest/node"

export default ({ config }: TestProject) => {
  const directory = config.env["TMPDIR"]!
  Fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
  return () => Fs.rmSync(directory, { recursive: true, force: true, maxRetries: 3 })
}
