/**
 * The kinds that the fake cluster knows, and how it tells clients of them: plain and aggregated discovery.
 */
import type { KubeObject } from "./Json.js"

export interface Resource {
  /** Empty for the core group. */
  readonly group: string
  readonly version: string
  readonly plural: string
  readonly kind: string
  readonly namespaced: boolean
  readonly shortNames: ReadonlyArray<string>
  /** Whether `kubectl get all` shows it. */
  readonly all: boolean
  readonly subresources: ReadonlyArray<string>
}

const resource = (
  groupVersion: string,
  kind: string,
  shortNames: ReadonlyArray<string> = [],
  rest: Partial<Resource> = {}
): Resource => ({
  group: groupVersion.includes("/") ? groupVersion.split("/")[0]! : "",
  version: groupVersion.split("/").at(-1)!,
  plural: /(s|ss)$/.test(kind) ? `${kind.toLowerCase()}es` : `${kind.toLowerCase()}s`,
  kind,
  namespaced: true,
  shortNames,
  all: false,
  subresources: [],
  ...rest
})

const workload = { all: true, subresources: ["status", "scale"] }

export const resources: ReadonlyArray<Resource> = [
  resource("v1", "Pod", ["po"], { all: true, subresources: ["log", "status", "eviction"] }),
  resource("v1", "Service", ["svc"], { all: true }),
  resource("v1", "ConfigMap", ["cm"]),
  resource("v1", "Secret"),
  resource("v1", "ServiceAccount", ["sa"]),
  resource("v1", "PersistentVolumeClaim", ["pvc"]),
  resource("v1", "Endpoints", ["ep"], { plural: "endpoints" }),
  resource("v1", "Event", ["ev"]),
  resource("v1", "Node", ["no"], { namespaced: false }),
  resource("v1", "Namespace", ["ns"], { namespaced: false, subresources: ["status", "finalize"] }),
  resource("apps/v1", "Deployment", ["deploy"], workload),
  resource("apps/v1", "ReplicaSet", ["rs"], workload),
  resource("apps/v1", "StatefulSet", ["sts"], workload),
  resource("apps/v1", "DaemonSet", ["ds"], { all: true }),
  resource("batch/v1", "Job", [], { all: true }),
  resource("batch/v1", "CronJob", ["cj"], { all: true }),
  resource("networking.k8s.io/v1", "Ingress", ["ing"])
]

export const groupVersion = ({ group, version }: Pick<Resource, "group" | "version">): string =>
  group === "" ? version : `${group}/${version}`

export const ofObject = (object: Pick<KubeObject, "apiVersion" | "kind">): Resource => {
  const found = resources.find((one) => groupVersion(one) === object.apiVersion && one.kind === object.kind)
  if (found === undefined) throw new Error(`the fake cluster has no ${object.apiVersion} ${object.kind}`)
  return found
}

export const ofPlural = (plural: string): Resource => {
  const found = resources.find((one) => one.plural === plural)
  if (found === undefined) throw new Error(`the fake cluster has no ${plural}`)
  return found
}

/** What `/api`, `/apis` and what is below them answer; undefined for other paths. */
export const discovery = (
  path: string,
  accept: string
): { readonly type?: string; readonly body: unknown } | undefined => {
  const form = aggregated.find((candidate) => accept.includes(candidate))
  if (form !== undefined && (path === "/api" || path === "/apis")) {
    const apiVersion = `apidiscovery.k8s.io/${/v=(\w+)/.exec(form)?.[1]}`
    const items = groups.filter((group) => (group === "") === (path === "/api")).map((group) => ({
      metadata: { name: group, creationTimestamp: null },
      versions: [{ version: "v1", freshness: "Current", resources: inGroup(group).map(aggregatedResource) }]
    }))
    const body = { kind: "APIGroupDiscoveryList", apiVersion, metadata: {}, items }
    return { type: `application/json;${form}`, body }
  }
  if (path === "/api") return { body: { kind: "APIVersions", versions: ["v1"], serverAddressByClientCIDRs: [] } }
  if (path === "/apis") return { body: { kind: "APIGroupList", apiVersion: "v1", groups: named.map(groupOf) } }
  const group = path === "/api/v1" ? "" : named.find((name) => path === `/apis/${name}/v1`)
  if (group === undefined) return undefined
  const list = inGroup(group).flatMap((one) => [plain(one), ...one.subresources.map((name) => plain(one, name))])
  const groupVersion = group === "" ? "v1" : `${group}/v1`
  return { body: { kind: "APIResourceList", apiVersion: "v1", groupVersion, resources: list } }
}

// -- internals ---------------------------------------------------------------

/** What clients of 1.30 and later ask for, and those since 1.26. */
const aggregated = [
  "g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
  "g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
]

const groups = [...new Set([...resources.map(({ group }) => group), "authorization.k8s.io"])]
const named = groups.filter((group) => group !== "")

/** What is only created, and never kept. */
const review = { ...resource("authorization.k8s.io/v1", "SelfSubjectAccessReview"), namespaced: false }

const inGroup = (group: string) => [...resources, review].filter((one) => one.group === group)

const verbsOf = (one: Resource) =>
  one === review
    ? ["create"]
    : ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]

const rest = (one: Resource) => ({
  ...one.shortNames.length > 0 && { shortNames: one.shortNames },
  ...one.all && { categories: ["all"] }
})

const plain = (one: Resource, subresource?: string) =>
  subresource === undefined
    ? {
      name: one.plural,
      singularName: one.kind.toLowerCase(),
      namespaced: one.namespaced,
      kind: one.kind,
      verbs: verbsOf(one),
      ...rest(one)
    }
    : {
      name: `${one.plural}/${subresource}`,
      singularName: "",
      namespaced: one.namespaced,
      ...kindOf(one, subresource),
      verbs: ["get", "patch", "update"]
    }

const kindOf = (one: Resource, subresource: string) =>
  subresource === "scale" ? { group: "autoscaling", version: "v1", kind: "Scale" } : { kind: one.kind }

const aggregatedResource = (one: Resource) => ({
  resource: one.plural,
  responseKind: { group: one.group, version: one.version, kind: one.kind },
  scope: one.namespaced ? "Namespaced" : "Cluster",
  singularResource: one.kind.toLowerCase(),
  verbs: verbsOf(one),
  ...rest(one),
  subresources: one.subresources.map((subresource) => ({
    subresource,
    responseKind: { group: one.group, version: one.version, ...kindOf(one, subresource) },
    verbs: ["get", "patch", "update"]
  }))
})

const groupOf = (name: string) => {
  const version = { groupVersion: `${name}/v1`, version: "v1" }
  return { name, versions: [version], preferredVersion: version }
}
