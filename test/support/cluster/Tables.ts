/**
 * Objects as `meta.k8s.io/v1` tables, which are what `kubectl get` shows: columns as the real API has them.
 */
import { type Json, type KubeObject, list, number, record, text } from "./Json.js"

/** What `as=Table` asks for. */
export const wanted = (accept: string): boolean => accept.includes("as=Table")

export const table = (
  plural: string,
  objects: ReadonlyArray<KubeObject>,
  options: { readonly resourceVersion: string; readonly includeObject: string; readonly now: number }
): Json => {
  // Events are told apart by what they are about.
  const columns = [...(plural === "events" ? [] : [name]), ...of[plural] ?? [age]]
  return {
    kind: "Table",
    apiVersion: "meta.k8s.io/v1",
    metadata: { resourceVersion: options.resourceVersion },
    columnDefinitions: columns.map(([title, type, priority]) => ({
      name: title,
      type,
      format: title === "Name" ? "name" : "",
      description: "",
      priority
    })),
    rows: objects.map((object) => ({
      cells: columns.map(([, , , cell]) => cell(object, options.now)),
      object: options.includeObject === "Object" ? object : {
        kind: "PartialObjectMetadata",
        apiVersion: "meta.k8s.io/v1",
        metadata: object.metadata
      }
    }))
  }
}

/** What stands under STATUS of a pod. */
export const podStatus = (pod: KubeObject): string => {
  if (text(pod, "metadata.deletionTimestamp") !== "") return "Terminating"
  const reasons = list(pod, "status.containerStatuses").flatMap((status) => {
    const reason = text(status, "state.waiting.reason") || text(status, "state.terminated.reason")
    return reason === "" ? [] : [reason]
  })
  return reasons[0] ?? (text(pod, "status.reason") || text(pod, "status.phase"))
}

// -- internals ---------------------------------------------------------------

type Column = readonly [
  name: string,
  type: string,
  priority: number,
  cell: (object: KubeObject, now: number) => unknown
]

const column = (name: string, cell: Column[3], priority = 0): Column => [name, "string", priority, cell]
const wide = (name: string, cell: Column[3]): Column => column(name, cell, 1)
const count = (name: string, cell: (object: KubeObject) => number): Column => [name, "integer", 0, cell]
const none = (value: string) => value === "" ? "<none>" : value

const name = column("Name", ({ metadata }) => metadata.name)
const age = column("Age", (object, now) => since(text(object, "metadata.creationTimestamp"), now))

/** As kubectl writes ages: the two largest units while they are small. */
const since = (timestamp: string, now: number): string => {
  const seconds = Math.floor((now - Date.parse(timestamp)) / 1000)
  if (Number.isNaN(seconds)) return "<unknown>"
  if (seconds < 120) return `${seconds}s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 10) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m${seconds % 60}s`
  if (minutes < 180) return `${minutes}m`
  const hours = Math.floor(minutes / 60)
  if (hours < 8) return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`
  return hours < 48 ? `${hours}h` : `${Math.floor(hours / 24)}d`
}

const joined = (labels: Record<string, string>) => Object.entries(labels).map((pair) => pair.join("=")).join(",")
const containers = (object: KubeObject, field: string) =>
  list(object, "spec.template.spec.containers").map((container) => text(container, field)).join(",")
const address = (node: KubeObject, type: string) =>
  text(list(node, "status.addresses").find((one) => text(one, "type") === type), "address")

const ofContainers = [
  wide("Containers", (object) => containers(object, "name")),
  wide("Images", (object) => containers(object, "image")),
  wide("Selector", (object) => joined(record(object, "spec.selector.matchLabels")))
]

const restarts = (pod: KubeObject) =>
  list(pod, "status.containerStatuses").reduce((sum, status) => sum + number(status, "restartCount"), 0)

const of: Record<string, ReadonlyArray<Column>> = {
  pods: [
    column("Ready", (pod) => {
      const statuses = list(pod, "status.containerStatuses")
      return `${statuses.filter(({ ready }) => ready === true).length}/${list(pod, "spec.containers").length}`
    }),
    column("Status", podStatus),
    column("Restarts", (pod) => `${restarts(pod)}`),
    age,
    wide("IP", (pod) => none(text(pod, "status.podIP"))),
    wide("Node", (pod) => none(text(pod, "spec.nodeName"))),
    wide("Nominated Node", () => "<none>"),
    wide("Readiness Gates", () => "<none>")
  ],
  deployments: [
    column("Ready", (one) => `${number(one, "status.readyReplicas")}/${number(one, "spec.replicas")}`),
    count("Up-to-date", (one) => number(one, "status.updatedReplicas")),
    count("Available", (one) => number(one, "status.availableReplicas")),
    age,
    ...ofContainers
  ],
  replicasets: [
    count("Desired", (one) => number(one, "spec.replicas")),
    count("Current", (one) => number(one, "status.replicas")),
    count("Ready", (one) => number(one, "status.readyReplicas")),
    age,
    ...ofContainers
  ],
  services: [
    column("Type", (service) => text(service, "spec.type")),
    column("Cluster-IP", (service) => none(text(service, "spec.clusterIP"))),
    column("External-IP", () => "<none>"),
    column(
      "Port(s)",
      (service) =>
        list(service, "spec.ports").map((port) => `${text(port, "port")}/${text(port, "protocol") || "TCP"}`).join(",")
    ),
    age,
    wide("Selector", (service) => none(joined(record(service, "spec.selector"))))
  ],
  nodes: [
    column(
      "Status",
      (node) =>
        list(node, "status.conditions").some(({ status, type }) => type === "Ready" && status === "True")
          ? "Ready"
          : "NotReady"
    ),
    column("Roles", (node) =>
      none(
        Object.keys(record(node, "metadata.labels")).flatMap((label) =>
          /^node-role\.kubernetes\.io\/(.+)$/.exec(label)?.[1] ?? []
        ).join(",")
      )),
    age,
    column("Version", (node) => text(node, "status.nodeInfo.kubeletVersion")),
    wide("Internal-IP", (node) => none(address(node, "InternalIP"))),
    wide("External-IP", (node) => none(address(node, "ExternalIP"))),
    wide("OS-Image", (node) => text(node, "status.nodeInfo.osImage")),
    wide("Kernel-Version", (node) => text(node, "status.nodeInfo.kernelVersion")),
    wide("Container-Runtime", (node) => text(node, "status.nodeInfo.containerRuntimeVersion"))
  ],
  namespaces: [column("Status", (one) => text(one, "status.phase")), age],
  configmaps: [count("Data", (one) => Object.keys(record(one, "data")).length), age],
  secrets: [
    column("Type", (one) => text(one, "type")),
    count("Data", (one) => Object.keys(record(one, "data")).length),
    age
  ],
  serviceaccounts: [count("Secrets", (one) => list(one, "secrets").length), age],
  events: [
    column("Last Seen", (event, now) => since(text(event, "lastTimestamp"), now)),
    column("Type", (event) => text(event, "type")),
    column("Reason", (event) => text(event, "reason")),
    column(
      "Object",
      (event) => `${text(event, "involvedObject.kind").toLowerCase()}/${text(event, "involvedObject.name")}`
    ),
    column("Message", (event) => text(event, "message"))
  ]
}
