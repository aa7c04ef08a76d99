/**
 * Directories for the files of tests: all of them are in one directory of the run, which is removed after it.
 */
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"

/** A new, empty directory; `name` is for people who look. */
export const directory = (name = "test"): string => Fs.mkdtempSync(Path.join(Os.tmpdir(), `vibectl-${name}-`))
