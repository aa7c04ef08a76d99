/**
 * The read-only command that lists what a destructive one affects.
 *
 * It names the same resources, in the same namespace and by the same selectors,
 * and carries nothing else over. Where that would list something else than what
 * is hit (a manifest, another cluster, a flag that cannot be read), there is none.
 */
import * as Flags from "./Flags.js"
import { flagsOf, type Invocation, parse } from "./Invocation.js"
import * as Safety from "./Safety.js"

/** An argument list that `Safety.judge` finds `ReadOnly`, or undefined when what is hit cannot be known. */
export const of = (args: ReadonlyArray<string>): ReadonlyArray<string> | undefined => {
  const invocation = parse(args)
  if (invocation.problems.length > 0 || invocation.rest !== undefined) return undefined
  if (invocation.flags.some((flag) => hides.has(flag.name) || (flag.global && !Flags.harmlessGlobal.has(flag.name)))) {
    return undefined
  }
  const preview = listOf(invocation)
  return preview !== undefined && Safety.judge(args, { stdin: "a manifest" })._tag === "Confirm" &&
      Safety.judge(preview)._tag === "ReadOnly"
    ? preview
    : undefined
}

/** The namespace that a command deletes, with all that is in it: what `of` lists of that is not everything. */
export const namespaceOf = (args: ReadonlyArray<string>): string | undefined => {
  const invocation = parse(args)
  return invocation.verb === "delete" ? onlyNamespace(invocation) : undefined
}

// -- internals ---------------------------------------------------------------

/** Flags with which something else is hit than what the operands say. */
const hides: ReadonlySet<string> = Flags.set("filename kustomize raw local")

const listOf = (invocation: Invocation): ReadonlyArray<string> | undefined => {
  const { operands, verb } = invocation
  switch (verb) {
    case "delete":
      return ofNamespace(invocation) ?? ofNamed(operands, invocation)
    case "scale":
    case "patch":
    case "edit":
    case "label":
    case "annotate":
      return ofNamed(beforeChanges(operands), invocation)
    case "set env":
    case "set image":
    case "set resources":
    case "set selector":
      return ofNamed(beforeChanges(operands), invocation)
    case "set serviceaccount":
      return ofNamed(operands.slice(0, -1), invocation)
    case "rollout restart":
    case "rollout undo":
      // Without a name these take every resource of the kind, as `get` does.
      return operands.length === 0 ? undefined : get(operands, invocation)
    case "taint":
      return ofNamed(operands.filter((operand) => !/[=:]|-$/.test(operand)), invocation)
    case "cordon":
    case "drain":
      return ofNodes(invocation)
    case "certificate deny":
      return operands.length === 0 ? undefined : get(["certificatesigningrequests", ...operands], invocation)
    default:
      return undefined
  }
}

/** kubectl wants names, a selector or `--all` from these verbs; `get` alone would list too much. */
const ofNamed = (operands: ReadonlyArray<string>, invocation: Invocation): ReadonlyArray<string> | undefined => {
  const named = operands.length > 1 || operands[0]?.includes("/") === true
  const selected = ["all", "selector", "field-selector"].some((name) => flagsOf(invocation, name).some(({ on }) => on))
  return operands.length > 0 && (named || selected) ? get(operands, invocation) : undefined
}

/** What goes with a namespace. `all` leaves much out; nothing lists the rest of it in one command. */
const ofNamespace = (invocation: Invocation): ReadonlyArray<string> | undefined => {
  const name = onlyNamespace(invocation)
  return name === undefined
    ? undefined
    : ["get", "all,configmaps,secrets,persistentvolumeclaims,ingresses", `--namespace=${name}`, "--output=name"]
}

const onlyNamespace = ({ operands }: Invocation): string | undefined => {
  const [first = "", second] = operands
  const [kind = "", name = second] = first.split("/")
  const isOne = operands.length === (first.includes("/") ? 1 : 2)
  return isOne && name !== undefined && isName(name) && /^(?:ns|namespaces?)$/i.test(kind) ? name : undefined
}

const ofNodes = (invocation: Invocation): ReadonlyArray<string> | undefined => {
  const nodes = invocation.operands.map((operand) => operand.replace(/^(?:no|nodes?)\//i, ""))
  if (!nodes.every(isName)) return undefined
  const [node] = nodes
  if (invocation.verb === "drain" && nodes.length === 1 && flagsOf(invocation, "selector").length === 0) {
    const pods = flagsOf(invocation, "pod-selector").flatMap(({ value }) => [`--selector=${value}`])
    return ["get", "pods", "--all-namespaces", `--field-selector=spec.nodeName=${node}`, ...pods, "--no-headers"]
  }
  return nodes.length > 0 || flagsOf(invocation, "selector").length > 0
    ? get(["nodes", ...nodes], invocation)
    : undefined
}

/** Up to the first `key=value` or `key-`. */
const beforeChanges = (operands: ReadonlyArray<string>): ReadonlyArray<string> => {
  const change = operands.findIndex((operand) => /=|-$/.test(operand))
  return change < 0 ? operands : operands.slice(0, change)
}

const get = (operands: ReadonlyArray<string>, invocation: Invocation): ReadonlyArray<string> => {
  const carried = invocation.flags.flatMap((flag) => {
    if (flag.name === "all-namespaces") return flag.on ? ["--all-namespaces"] : []
    return ["namespace", "selector", "field-selector"].includes(flag.name) ? [`--${flag.name}=${flag.value}`] : []
  })
  // Names alone do not say in which namespace they are.
  const form = carried.includes("--all-namespaces") ? ["--no-headers"] : ["--output=name"]
  return ["get", ...operands, ...carried, ...form]
}

/** As Kubernetes names things; a comma would be another condition of a field selector. */
const isName = (text: string): boolean => /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(text)
