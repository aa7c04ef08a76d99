/**
 * The verbs of kubectl 1.32 that only read. Each lists the flags with which it
 * stays harmless; those after them exist too, but read files, reach further or
 * show secrets. What a harmless flag's value may be is Reading.ts's to say.
 */
import * as Flags from "./Flags.js"
import { everywhere, files, make, print, select, type Verb } from "./Verb.js"

const table: Array<Verb> = []

export const readingVerbs: ReadonlyArray<Verb> = table

// -- internals ---------------------------------------------------------------

const reads = (name: string, does: string, harmless: string, other = ""): void => {
  table.push(make(name, `${harmless} ${other}`, {
    effect: "reads",
    does,
    harmless: new Set([...Flags.table(harmless).values()].map((flag) => flag.name)),
    asked: false,
    terminal: false
  }))
}

reads(
  "get",
  "reads resources",
  `${print} ${everywhere} chunk-size field-selector ignore-not-found? label-columns|L no-headers?
  output-watch-events? ${select} server-print? show-kind? show-labels? sort-by subresource watch|w? watch-only?`,
  `${files} raw`
)
reads("describe", "describes resources", `${everywhere} chunk-size ${select} show-events?`, files)
reads(
  "logs",
  "reads logs",
  `all-containers? all-pods? container|c follow|f? ignore-errors? limit-bytes max-log-requests pod-running-timeout
  prefix? previous|p? ${select} since since-time tail timestamps?`,
  "insecure-skip-tls-verify-backend?"
)
reads("events", "reads events", `${print} ${everywhere} chunk-size for no-headers? types watch|w?`)
reads("top node", "reads usage", `no-headers? ${select} show-capacity? sort-by use-protocol-buffers?`)
reads(
  "top pod",
  "reads usage",
  `${everywhere} containers? field-selector no-headers? ${select} sort-by sum? use-protocol-buffers?`
)
reads("explain", "explains a kind", "api-version output|o recursive?")
reads(
  "api-resources",
  "lists the kinds",
  "api-group cached? categories namespaced? no-headers? output|o sort-by verbs"
)
reads("api-versions", "lists the versions of the API", "")
reads("version", "reads the versions", "client? output|o")
reads("cluster-info", "reads the addresses of the cluster", "")
reads(
  "cluster-info dump",
  "reads the state of the cluster",
  `${print} ${everywhere} namespaces pod-running-timeout`,
  "output-directory"
)
reads("auth can-i", "asks for permissions", `${everywhere} list? no-headers? quiet|q? subresource`)
reads("auth whoami", "reads who you are", print)
reads("config view", "reads the kubeconfig", `${print} merge? minify?`, "flatten? raw?")
reads("config current-context", "reads the kubeconfig", "")
reads("config get-contexts", "reads the kubeconfig", "no-headers? output|o")
reads("config get-clusters", "reads the kubeconfig", "")
reads("config get-users", "reads the kubeconfig", "")
reads("rollout history", "reads the history of a rollout", `${print} revision ${select}`, files)
reads("rollout status", "waits for a rollout", `revision ${select} timeout watch|w?`, files)
reads(
  "wait",
  "waits for a condition",
  `${print} all? ${everywhere} field-selector for ${select} timeout`,
  "filename|f local? recursive|R?"
)
reads("help", "prints help", "")
reads("options", "prints help", "")
