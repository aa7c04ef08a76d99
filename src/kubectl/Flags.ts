/**
 * The flags of kubectl: how they are written, which of them every command
 * takes, and what makes one of them more than a detail.
 *
 * A table is written as text, one word per flag: `selector|l` takes a value and
 * has a short form, `watch|w?` is a boolean, and `dry-run~` takes its value only
 * after a `=` (pflag's `NoOptDefVal`). The tables follow kubectl 1.32; a test
 * compares them with the kubectl of the machine.
 */

export interface FlagSpec {
  readonly name: string
  readonly short: string | undefined
  /** `optional`: only `--flag=value` gives a value; `--flag` alone stands for a default. */
  readonly takes: "value" | "boolean" | "optional"
  /** One that every command takes, and not one of this verb. */
  readonly global: boolean
}

/** By long name, and by `-` and the short one. */
export type FlagTable = ReadonlyMap<string, FlagSpec>

export const table = (text: string, global = false): FlagTable => {
  const flags = new Map<string, FlagSpec>()
  for (const word of text.split(/\s+/)) {
    const [, name, short, mark] = /^([a-z-]+)(?:\|(.))?([?~]?)$/.exec(word) ?? []
    if (name === undefined) continue
    const takes = mark === "?" ? "boolean" : mark === "~" ? "optional" : "value"
    const spec: FlagSpec = { name, short, takes, global }
    flags.set(name, spec)
    if (short !== undefined) flags.set(`-${short}`, spec)
  }
  return flags
}

export const set = (text: string): ReadonlySet<string> => new Set(text.split(/\s+/).filter((word) => word !== ""))

/** What `kubectl options` lists, `--help`, and what later versions add. */
export const global: FlagTable = table(
  `as as-group as-uid as-user-extra cache-dir certificate-authority client-certificate client-key cluster context
  disable-compression? help|h? insecure-skip-tls-verify? kubeconfig kuberc log-flush-frequency match-server-version?
  namespace|n password profile profile-output proxy-url request-timeout server|s tls-server-name token user username v|v
  vmodule warnings-as-errors?`,
  true
)

/** Global flags that change neither where a command goes, nor as whom, nor what it writes here. */
export const harmlessGlobal: ReadonlySet<string> = set(
  "disable-compression help log-flush-frequency match-server-version namespace request-timeout v warnings-as-errors"
)

/** Global flags that choose another cluster, another identity or a less safe connection. */
export const redirecting: ReadonlySet<string> = set(
  `as as-group as-uid as-user-extra certificate-authority client-certificate client-key cluster context
  insecure-skip-tls-verify kubeconfig kuberc password proxy-url server tls-server-name token user username`
)

/** Global flags that write files on this machine, or log what the cluster sent. */
export const recording: ReadonlySet<string> = set("cache-dir profile profile-output vmodule")

/** Flags that read files or URLs; `-` is standard input for the first of them only. */
export const reading: ReadonlySet<string> = set(
  "filename kustomize patch-file from-file from-env-file cert key"
)

/** Flags whose values are templates, where what means something to a shell is ordinary. */
export const templates: ReadonlySet<string> = set("output template sort-by for")

/** What flags of changing verbs do that goes beyond the one thing that was named. */
export const widening: ReadonlyMap<string, string> = new Map([
  ["all", "affects every resource of the kind"],
  ["all-namespaces", "affects every namespace"],
  ["selector", "affects every resource that matches"],
  ["field-selector", "affects every resource that matches"],
  ["pod-selector", "affects every resource that matches"],
  ["recursive", "affects all that is found below"],
  ["force", "skips a safeguard"],
  ["force-conflicts", "takes fields from their owners"],
  ["grace-period", "changes the time a pod has to end properly"],
  ["now", "leaves a pod no time to end properly"],
  ["prune", "deletes what is not in the manifest"],
  ["prune-allowlist", "deletes what is not in the manifest"],
  ["overwrite", "replaces values that are there"],
  ["delete-emptydir-data", "deletes the data of pods"],
  ["disable-eviction", "goes around disruption budgets"],
  ["remove-extra-permissions", "takes permissions away"],
  ["remove-extra-subjects", "takes permissions away"],
  ["replace", "deletes the original"],
  ["raw", "sends a request of its own to the cluster"],
  ["privileged", "gives a container all rights on its node"],
  ["overrides", "changes anything of what is made"]
])

/** Those of them that are no more than a wide net: what the verb does decides whether it destroys. */
export const nets: ReadonlySet<string> = set("selector field-selector recursive overrides privileged")
