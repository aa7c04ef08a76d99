/** The corpus of planned kubectl commands, with the verdict that each must get. */
import * as Fs from "node:fs"

export interface Plan {
  readonly args: ReadonlyArray<string>
  /** What comes on standard input; `true`: a manifest. */
  readonly stdin?: boolean | string
  readonly verdict: "ReadOnly" | "Confirm" | "Refused"
  /** These three of `Confirm` only. */
  readonly destructive?: boolean
  readonly interactive?: boolean
  readonly allowable?: boolean
}

/** What stands on its standard input. */
export const given = ({ stdin }: { readonly stdin?: boolean | string | undefined }): { readonly stdin: string } => ({
  stdin: typeof stdin === "string" ? stdin : stdin === true ? "kind: ConfigMap\n" : ""
})

const read = (): Record<string, ReadonlyArray<Plan>> =>
  JSON.parse(Fs.readFileSync(new URL("../corpora/plans.json", import.meta.url), "utf8")) as Record<
    string,
    ReadonlyArray<Plan>
  >

/** By the name of the group. */
export const groups: ReadonlyMap<string, ReadonlyArray<Plan>> = new Map(Object.entries(read()))

export const all: ReadonlyArray<Plan> = [...groups.values()].flat()
