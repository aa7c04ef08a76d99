/**
 * What a command of a verb that does more than read would do, beyond its name:
 * what it destroys, how far it reaches, whether it needs the terminal.
 */
import type { Concern } from "./Concern.js"
import * as Flags from "./Flags.js"
import { flagsOf, type Invocation } from "./Invocation.js"
import type { Verb } from "./Verb.js"

/** The first of them is what the verb itself does. */
export const concerns = (verb: Verb, invocation: Invocation): ReadonlyArray<Concern> => [
  {
    because: `${verb.name} ${verb.does}${isDryRun(invocation) ? " (as a dry run, which changes nothing)" : ""}`,
    destructive: verb.effect === "destroys",
    interactive: verb.terminal,
    asked: verb.asked
  },
  ...invocation.flags.flatMap((flag): ReadonlyArray<Concern> => {
    if (flag.global || !flag.on) return []
    if (terminal.has(flag.name)) {
      return [{ because: `${flag.written} needs the terminal`, interactive: true, asked: true }]
    }
    const widens = Flags.widening.get(flag.name)
    return widens === undefined
      ? []
      : [{ because: `${flag.written} ${widens}`, destructive: !Flags.nets.has(flag.name), asked: true }]
  }),
  ...ofScale(verb, invocation),
  ...ofRemoval(verb, invocation),
  ...ofReach(verb, invocation),
  ...ofEnv(verb, invocation)
]

/** A dry run by every flag that says so. A request of its own (`--raw`) is sent all the same. */
export const isDryRun = (invocation: Invocation): boolean => {
  const said = flagsOf(invocation, "dry-run")
  return said.length > 0 && said.every((flag) => flag.value === "client" || flag.value === "server") &&
    flagsOf(invocation, "raw").length === 0
}

// -- internals ---------------------------------------------------------------

const terminal: ReadonlySet<string> = Flags.set("stdin tty attach interactive edit")

const ofScale = (verb: Verb, invocation: Invocation): ReadonlyArray<Concern> => {
  if (verb.name !== "scale") return []
  const replicas = flagsOf(invocation, "replicas")
  return replicas.length > 0 && replicas.every((flag) => /^[1-9]\d*$/.test(flag.value))
    ? []
    : [{ because: "scale to no replicas stops a workload", destructive: true, asked: true }]
}

/** `label pod x tier-` takes the label away. */
const ofRemoval = (verb: Verb, invocation: Invocation): ReadonlyArray<Concern> => {
  if (verb.name !== "label" && verb.name !== "annotate") return []
  return operandsOf(invocation).slice(1).some((operand) => operand.endsWith("-"))
    ? [{ because: `${verb.name} with a name that ends in - takes away what is there`, destructive: true, asked: true }]
    : []
}

/** What reaches further than the resources that were named. */
const ofReach = (verb: Verb, invocation: Invocation): ReadonlyArray<Concern> => {
  const operands = operandsOf(invocation)
  const kinds = operands.some((operand) => operand.includes("/")) ? operands : operands.slice(0, 1)
  if (verb.name === "delete" && kinds.some(holdsOthers)) {
    return [{ because: "delete of such a kind takes other resources or data with it", asked: true }]
  }
  if (verb.name.startsWith("rollout ") && operands.length === 1 && !operands[0]?.includes("/")) {
    return [{ because: `${verb.name} without a name affects every resource of the kind`, asked: true }]
  }
  return []
}

/** `set env` can print what Secrets hold, and hand all of a Secret to a workload. */
const ofEnv = (verb: Verb, invocation: Invocation): ReadonlyArray<Concern> =>
  verb.name === "set env"
    ? ["list", "resolve", "from"].flatMap((name) => flagsOf(invocation, name)).filter(({ on }) => on).map((flag) => ({
      because: `${flag.written} shows or hands on what ConfigMaps and Secrets hold`,
      asked: true
    }))
    : []

const operandsOf = (invocation: Invocation): ReadonlyArray<string> => [
  ...invocation.operands,
  ...invocation.rest ?? []
]

/** `ns/x`, `po,nodes`, `crds.v1.apiextensions.k8s.io`: the kinds on which others, or data, depend. */
const holdsOthers = (operand: string): boolean =>
  (operand.split("/")[0] ?? "").split(",").some((kind) => holders.has(kind.split(".")[0]?.toLowerCase() ?? ""))

const holders: ReadonlySet<string> = Flags.set(
  `all namespace namespaces ns node nodes no persistentvolume persistentvolumes pv persistentvolumeclaim
  persistentvolumeclaims pvc customresourcedefinition customresourcedefinitions crd crds apiservice apiservices
  clusterrole clusterroles clusterrolebinding clusterrolebindings storageclass storageclasses sc`
)
