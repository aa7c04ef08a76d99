/**
 * What turns a command of a verb that reads into one that a person is asked
 * about: a flag that is not known to be harmless, a Secret's content, an end
 * that does not come by itself.
 */
import type { Concern } from "./Concern.js"
import * as Flags from "./Flags.js"
import { type Flag, flagsOf, type Invocation } from "./Invocation.js"
import * as Text from "./Text.js"
import type { Verb } from "./Verb.js"

/** Nothing, for a command that only reads and ends by itself. */
export const concerns = (verb: Verb, invocation: Invocation): ReadonlyArray<Concern> => [
  ...invocation.flags.flatMap((flag) => ofFlag(verb, flag)),
  ...[...invocation.operands, ...invocation.rest ?? []]
    .filter((operand) => operand.startsWith("-"))
    .map((operand): Concern => ({
      because: `${Text.shown(operand)} is written like a flag and is none here`,
      asked: true
    })),
  ...ofSecret(verb, invocation),
  ...ofWaiting(verb, invocation)
]

/** Whether an operand names the kind Secret: `secret`, `Secrets`, `po,secret`, `secrets.v1`, `secret/x`. */
export const namesSecrets = (operands: ReadonlyArray<string>): boolean => {
  // With a `/` anywhere, every operand is KIND/NAME; without, only the first one is a kind.
  const kinds = operands.some((operand) => operand.includes("/")) ? operands : operands.slice(0, 1)
  return kinds.some((operand) =>
    (operand.split("/")[0] ?? "").split(",").some((kind) => /^\s*secrets?(?:[.\s]|$)/i.test(kind))
  )
}

/** The longest wait that may begin unasked, in seconds. */
export const longestWait = 600

// -- internals ---------------------------------------------------------------

const ofFlag = (verb: Verb, flag: Flag): ReadonlyArray<Concern> => {
  if (endless.has(flag.name)) {
    if (!flag.on || verb.name === "rollout status") return []
    return [{ because: `${flag.written} goes on until it is stopped`, interactive: true, asked: true }]
  }
  if (flag.name === "subresource" && verb.name === "get" && !/^(?:status|scale|resize)$/.test(flag.value)) {
    return [{ because: `${flag.written} reads more than a status or a scale`, asked: true }]
  }
  if (flag.global ? Flags.harmlessGlobal.has(flag.name) : verb.harmless.has(flag.name)) return []
  // These are of concern in any command.
  if (Flags.redirecting.has(flag.name) || Flags.recording.has(flag.name)) return []
  if (Flags.reading.has(flag.name) && flag.value !== "-") return []
  return [{ because: otherwise.get(flag.name) ?? `${flag.written} is not known to be harmless`, asked: true }]
}

const endless: ReadonlySet<string> = Flags.set("watch watch-only follow")

/** Flags of verbs that read with which they do something else. */
const otherwise: ReadonlyMap<string, string> = new Map([
  ["raw", "--raw shows what is hidden otherwise, or sends a request of its own to the cluster"],
  ["filename", "-f reads whatever a manifest names"],
  ["flatten", "--flatten shows the credentials of the kubeconfig"],
  ["output-directory", "--output-directory writes files on this machine"],
  ["insecure-skip-tls-verify-backend", "--insecure-skip-tls-verify-backend trusts any node"]
])

/** A table and names show no content; every other form can, and `describe` shows the token of a service account. */
const ofSecret = (verb: Verb, invocation: Invocation): ReadonlyArray<Concern> => {
  if (!showsContent.has(verb.name) || !namesSecrets([...invocation.operands, ...invocation.rest ?? []])) return []
  if (verb.name === "describe") return [{ because: "describe shows the tokens that a Secret holds", asked: true }]
  const shows = invocation.flags.filter((flag) =>
    flag.name === "template" || (flag.name === "for" && /jsonpath/i.test(flag.value)) ||
    (flag.name === "output" && !/^(?:|name|wide)$/.test(flag.value))
  )
  return shows.map((flag) => ({ because: `${flag.written} shows what a Secret holds`, asked: true }))
}

const showsContent: ReadonlySet<string> = new Set(["get", "wait", "describe"])

const ofWaiting = (verb: Verb, invocation: Invocation): ReadonlyArray<Concern> => {
  const long = flagsOf(invocation, "pod-running-timeout").find((flag) => !isBounded(flag.value))
  if (long !== undefined) return [{ because: `${long.written} can wait very long; 60s bounds it` }]
  if (verb.name !== "rollout status" && verb.name !== "wait") return []
  const watches = flagsOf(invocation, "watch")
  if (watches.length > 0 && watches.every((flag) => !flag.on)) return []
  const timeouts = flagsOf(invocation, "timeout")
  // `wait` gives up after 30 seconds unless told otherwise, and looks once when told 0.
  const bounded = timeouts.length > 0
    ? timeouts.every((flag) => isBounded(flag.value) || (verb.name === "wait" && /^0s?$/.test(flag.value)))
    : verb.name === "wait"
  return bounded
    ? []
    : [{ because: `${verb.name} can wait very long; --timeout=60s bounds it` }]
}

/** A Go duration of more than nothing, and of at most `longestWait`. `0` is no bound for `rollout status`. */
const isBounded = (duration: string): boolean => {
  if (!/^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/.test(duration)) return false
  const seconds = [...duration.matchAll(/([\d.]+)(ms|s|m|h)/g)]
    .reduce((sum, [, count, unit]) => sum + Number(count) * (secondsOf.get(unit ?? "") ?? Infinity), 0)
  return seconds > 0 && seconds <= longestWait
}

const secondsOf: ReadonlyMap<string, number> = new Map([["ms", 0.001], ["s", 1], ["m", 60], ["h", 3600]])
