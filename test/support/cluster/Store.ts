/**
 * What the fake cluster has, and who watches it. Every change has a resource version of its own.
 */
import { randomUUID } from "node:crypto"
import { isObject, type KubeObject, text } from "./Json.js"
import { ofObject, ofPlural } from "./Resources.js"

export interface Change {
  readonly version: number
  readonly plural: string
  readonly type: "ADDED" | "MODIFIED" | "DELETED"
  readonly object: KubeObject
}

export interface Store {
  readonly version: () => string
  readonly get: (plural: string, namespace: string | undefined, name: string) => KubeObject | undefined
  /** Of all namespaces where none is given; by namespace and name. */
  readonly list: (plural: string, namespace?: string) => ReadonlyArray<KubeObject>
  /** Adds or replaces; gives what is stored, with what a cluster fills in. */
  readonly put: (object: KubeObject) => KubeObject
  /** Removes it and what it owns; of a namespace, what is in it. */
  readonly remove: (object: KubeObject) => void
  /** What happened after a version, and from then on until the function it gives is called. */
  readonly watch: (after: number, told: (change: Change) => void) => () => void
}

export const make = (now: () => Date): Store => {
  const objects = new Map<string, KubeObject>()
  const changes: Array<Change> = []
  const watchers = new Set<(change: Change) => void>()
  let version = 1000

  const tell = (type: Change["type"], object: KubeObject) => {
    const change = { version, plural: ofObject(object).plural, type, object }
    changes.push(change)
    for (const told of watchers) told(change)
  }

  const list: Store["list"] = (plural, namespace) =>
    [...objects.entries()]
      .filter(([key, { metadata }]) =>
        key.startsWith(`${plural}/`) && (namespace === undefined || metadata.namespace === namespace)
      )
      .sort(([one], [other]) => one < other ? -1 : 1)
      .map(([, object]) => object)

  const get: Store["get"] = (plural, namespace, name) =>
    objects.get(keyOf(plural, ofPlural(plural).namespaced ? namespace : undefined, name))

  const put: Store["put"] = (object) => {
    const { namespaced, plural } = ofObject(object)
    const { metadata } = object
    const namespace = namespaced ? metadata.namespace ?? "default" : undefined
    const old = get(plural, namespace, metadata.name)
    version += 1
    const generation = Number(old?.metadata["generation"] ?? 0)
      + (JSON.stringify(old?.["spec"]) === JSON.stringify(object["spec"]) ? 0 : 1)
    const stored: KubeObject = {
      ...object,
      metadata: {
        ...metadata,
        namespace,
        uid: old?.metadata.uid ?? randomUUID(),
        creationTimestamp: old?.metadata["creationTimestamp"] ?? metadata["creationTimestamp"]
          ?? now().toISOString().replace(/\.\d+/, ""),
        resourceVersion: `${version}`,
        ...generation > 0 && { generation }
      }
    }
    objects.set(keyOf(plural, namespace, metadata.name), stored)
    tell(old === undefined ? "ADDED" : "MODIFIED", stored)
    return stored
  }

  const remove: Store["remove"] = (object) => {
    const { plural } = ofObject(object)
    const { name, namespace, uid } = object.metadata
    if (!objects.delete(keyOf(plural, namespace, name))) return
    version += 1
    tell("DELETED", { ...object, metadata: { ...object.metadata, resourceVersion: `${version}` } })
    for (const other of [...objects.values()]) {
      const inside = plural === "namespaces" && other.metadata.namespace === name
      if (inside || owners(other).includes(uid ?? "")) remove(other)
    }
  }

  return {
    version: () => `${version}`,
    get,
    list,
    put,
    remove,
    watch: (after, told) => {
      for (const change of changes) if (change.version > after) told(change)
      watchers.add(told)
      return () => watchers.delete(told)
    }
  }
}

// -- internals ---------------------------------------------------------------

const keyOf = (plural: string, namespace: string | undefined, name: string) => `${plural}/${namespace ?? ""}/${name}`

const owners = ({ metadata }: KubeObject): ReadonlyArray<string> => {
  const { ownerReferences } = metadata
  return Array.isArray(ownerReferences) ? ownerReferences.filter(isObject).map((owner) => text(owner, "uid")) : []
}
