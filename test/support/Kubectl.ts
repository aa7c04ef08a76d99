/**
 * The real kubectl, where the machine has one.
 */
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"

/** The Debian package that has it. */
export const packages = "kubernetes-client"

/** Its path; undefined where there is none. */
export const kubectl = (process.env["PATH"] ?? "").split(":").map((directory) => Path.join(directory, "kubectl"))
  .find((file) => Fs.existsSync(file))

/** What to add to the name of a test that needs it. */
export const why = kubectl === undefined ? ` (skipped: apt-get install ${packages})` : ""

/** The minor version of the client: 20 is Debian's. It starts a process. */
export const minor = (file: string): number => {
  const said = execFileSync(file, ["version", "--client", "-o", "json"], { encoding: "utf8" })
  return Number(/"minor": "(\d+)/.exec(said)?.[1])
}
