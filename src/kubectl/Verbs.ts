/**
 * The verbs of kubectl, found by their whole path. Whatever is not here is
 * unknown, and unknown is taken for dangerous: a plugin, another version's verb,
 * an invention.
 */
import { changingVerbs } from "./ChangingVerbs.js"
import { readingVerbs } from "./ReadingVerbs.js"
import type { Verb } from "./Verb.js"

/** Every verb that is known. */
export const all: ReadonlyArray<Verb> = [...readingVerbs, ...changingVerbs]

export const find = (name: string): Verb | undefined => verbs.get(name)

/** Whether further words of the verb can follow: `rollout` alone is none, `apply` is one as well. */
export const isParent = (name: string): boolean => parents.has(name)

/** The name that a verb has here: `create ns` is `create namespace`. */
export const unaliased = (name: string): string => aliases.get(name) ?? name

/**
 * Whether a configuration may name it as a verb that runs unasked. A name allows
 * exactly itself: `rollout` is no name, and `create` is `create -f` only.
 */
export const isVerb = (name: string): boolean => verbs.get(name)?.asked === false

/** All names for which `isVerb` holds, to suggest the nearest of them. */
export const names = (): ReadonlyArray<string> => [...verbs.keys()].filter(isVerb).sort()

// -- internals ---------------------------------------------------------------

const verbs: ReadonlyMap<string, Verb> = new Map(all.map((verb) => [verb.name, verb]))

const parents: ReadonlySet<string> = new Set(
  all.flatMap(({ name }) => {
    const words = name.split(" ")
    return words.slice(1).map((_, index) => words.slice(0, index + 1).join(" "))
  })
)

const aliases: ReadonlyMap<string, string> = new Map(
  Object.entries({
    "create cm": "create configmap",
    "create cj": "create cronjob",
    "create deploy": "create deployment",
    "create ing": "create ingress",
    "create ns": "create namespace",
    "create pdb": "create poddisruptionbudget",
    "create pc": "create priorityclass",
    "create resourcequota": "create quota",
    "create svc": "create service",
    "create sa": "create serviceaccount",
    "set sa": "set serviceaccount",
    "top nodes": "top node",
    "top no": "top node",
    "top pods": "top pod",
    "top po": "top pod",
    "config use": "config use-context"
  })
)
