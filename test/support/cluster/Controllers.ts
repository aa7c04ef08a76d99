/**
 * What a cluster does by itself when a deployment changes, all of it at once: a replica set per template, its pods,
 * and their state. A pod that was deleted does not come back before its deployment changes again.
 */
import { createHash } from "node:crypto"
import { at, isObject, type Json, type KubeObject, list, number, record, text } from "./Json.js"
import * as Objects from "./Objects.js"
import type { Store } from "./Store.js"

export interface World {
  readonly store: Store
  readonly now: () => Date
  /** What the pods of deployments wait for that are not well. */
  readonly troubled: Record<string, string>
}

/** Names are the same in each run: `web-` and of what the template is, and of which pod it is. */
export const reconcile = (world: World, deployment: KubeObject): void => {
  const { store } = world
  const { name, namespace } = deployment.metadata
  const template = at(deployment, "spec.template")
  const hash = letters(`${name} ${JSON.stringify(canonical(template))}`, 10)
  const replicas = number(deployment, "spec.replicas")
  const trouble = world.troubled[name]
  const ready = trouble === undefined ? replicas : 0
  const mine = store.list("replicasets", namespace).filter(isOwnedBy(deployment))
  for (const other of mine.filter(({ metadata }) => metadata.name !== `${name}-${hash}`)) {
    store.put({ ...other, spec: { ...other["spec"] as Json, replicas: 0 }, status: counts(0, 0) })
    for (const pod of store.list("pods", namespace).filter(isOwnedBy(other))) store.remove(pod)
  }
  const known = mine.find(({ metadata }) => metadata.name === `${name}-${hash}`)
  const revision = `${Math.max(0, ...mine.filter((one) => one !== known).map(revisionOf)) + 1}`
  const labels = { ...record(template, "metadata.labels"), "pod-template-hash": hash }
  const set = store.put(Objects.object("apps/v1", "ReplicaSet", `${name}-${hash}`, {
    metadata: { labels, annotations: { [revisionKey]: revision }, ownerReferences: [ownedBy(deployment)] },
    spec: { replicas, selector: { matchLabels: labels }, template },
    status: counts(replicas, ready)
  }, namespace))
  scalePods(world, set, { labels, replicas, trouble })
  store.put({
    ...deployment,
    metadata: { ...deployment.metadata, annotations: { ...deployment.metadata.annotations, [revisionKey]: revision } },
    status: {
      ...counts(replicas, ready),
      observedGeneration: number(deployment, "metadata.generation"),
      updatedReplicas: replicas,
      ...ready < replicas && { unavailableReplicas: replicas - ready },
      conditions: conditions(ready === replicas)
    }
  })
}

/** A pod of nobody's. */
export const run = (world: World, pod: KubeObject): void => {
  const spec = { nodeName: "node-1", ...at(pod, "spec") as Json }
  world.store.put({ ...pod, spec, status: podStatus(spec, undefined, "10.244.0.99", when(world, 0)) })
}

// -- internals ---------------------------------------------------------------

/** Without what says nothing, and in an order of its own. */
const canonical = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(canonical)
  if (!isObject(value)) return value
  const entries = Object.entries(value).map(([key, inner]) => [key, canonical(inner)] as const)
    .filter(([, inner]) => inner !== null && !["{}", "[]"].includes(JSON.stringify(inner)))
  return Object.fromEntries(entries.sort(([one], [other]) => one < other ? -1 : 1))
}

const revisionKey = "deployment.kubernetes.io/revision"
const revisionOf = (set: KubeObject) => Number(set.metadata.annotations?.[revisionKey] ?? 0)

const isOwnedBy = (owner: KubeObject) => (object: KubeObject) =>
  list(object, "metadata.ownerReferences").some((reference) => text(reference, "uid") === owner.metadata.uid)

const ownedBy = ({ apiVersion, kind, metadata }: KubeObject) => ({
  apiVersion,
  kind,
  name: metadata.name,
  uid: metadata.uid,
  controller: true,
  blockOwnerDeletion: true
})

/** The letters that Kubernetes makes names of, so that they spell nothing. */
const letters = (seed: string, length: number): string =>
  [...createHash("sha256").update(seed).digest().subarray(0, length)]
    .map((byte) => "bcdfghjklmnpqrstvwxz2456789"[byte % 27]).join("")

const counts = (replicas: number, readyReplicas: number) => ({
  replicas,
  readyReplicas,
  availableReplicas: readyReplicas
})

const conditions = (available: boolean) => [
  available
    ? { type: "Available", status: "True", reason: "MinimumReplicasAvailable" }
    : { type: "Available", status: "False", reason: "MinimumReplicasUnavailable" },
  { type: "Progressing", status: "True", reason: "NewReplicaSetAvailable" }
]

interface Wanted {
  readonly labels: Record<string, string>
  readonly replicas: number
  readonly trouble: string | undefined
}

const scalePods = (world: World, set: KubeObject, { labels, replicas, trouble }: Wanted): void => {
  const { store } = world
  const { name, namespace } = set.metadata
  const pods = store.list("pods", namespace).filter(isOwnedBy(set))
  for (const pod of pods.slice(replicas)) store.remove(pod)
  for (let index = 0, have = pods.length; have < replicas; index++) {
    const pod = `${name}-${letters(`${name} ${index}`, 5)}`
    if (store.get("pods", namespace, pod) !== undefined) continue
    have += 1
    const spec = { nodeName: `node-${1 + index % 2}`, ...at(set, "spec.template.spec") as Json }
    const { metadata } = store.put(Objects.object("v1", "Pod", pod, {
      metadata: {
        labels,
        annotations: record(set, "spec.template.metadata.annotations"),
        ownerReferences: [ownedBy(set)],
        creationTimestamp: when(world, 90)
      },
      spec,
      status: podStatus(spec, trouble, `10.244.0.${10 + index}`, when(world, 60))
    }, namespace))
    store.put(podEvent({ kind: "Pod", name: pod, namespace, uid: metadata.uid }, spec, trouble, when(world, 5)))
  }
}

/** So many seconds ago. */
const when = ({ now }: World, seconds: number): string =>
  new Date(now().getTime() - seconds * 1000).toISOString().replace(/\.\d+/, "")

const podStatus = (spec: Json, trouble: string | undefined, podIP: string, startedAt: string) => ({
  phase: trouble === "ImagePullBackOff" ? "Pending" : "Running",
  hostIP: "192.0.2.10",
  podIP,
  startTime: startedAt,
  conditions: [{ type: "Ready", status: trouble === undefined ? "True" : "False" }],
  containerStatuses: list(spec, "containers").map((container) => ({
    name: text(container, "name"),
    image: text(container, "image"),
    ready: trouble === undefined,
    restartCount: trouble === "CrashLoopBackOff" ? 7 : 0,
    state: trouble === undefined
      ? { running: { startedAt } }
      : { waiting: { reason: trouble, message: "back-off 5m0s restarting failed container" } },
    ...trouble === "CrashLoopBackOff" && { lastState: { terminated: { exitCode: 1, reason: "Error", startedAt } } }
  }))
})

const podEvent = (
  about: Objects.About,
  spec: Json,
  trouble: string | undefined,
  at: string
): KubeObject =>
  Objects.event(
    about,
    trouble === undefined
      ? {
        reason: "Started",
        message: `Started container ${list(spec, "containers").map(({ name }) => name).join(", ")}`
      }
      : { type: "Warning", reason: "BackOff", message: `Back-off restarting failed container (${trouble})` },
    at
  )
