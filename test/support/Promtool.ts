/**
 * Prometheus' own judge of metrics and rules, where it is installed.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"

/** Its path; undefined where there is none. */
export const promtool = (process.env["PATH"] ?? "").split(":").map((directory) => Path.join(directory, "promtool"))
  .find((file) => Fs.existsSync(file))
