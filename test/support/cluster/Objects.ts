/**
 * Objects for the fake cluster, and the ones that it has by default: an online shop of which one part keeps crashing.
 *
 * Secrets are planted in each place where people have them. No test may let any of {@link planted} through.
 */
import type { KubeObject } from "./Json.js"

/** What stands in the default objects and logs, and nowhere else. */
export const planted = {
  /** In the secret `api-db`, where it stands as base64, and in the environment of `api`'s container. */
  password: "Pl4nted-hunter2-db",
  /** In the secret `api-token`, as base64. */
  token: "ghp_Pl4ntedPl4ntedPl4ntedPl4ntedPl4nted1",
  /** In the config map `web-config`, which is not the place for it. */
  apiKey: "sk-pl4nted-0123456789abcdef0123456789abcdef",
  /** In the URL that `api` logs when it crashes. */
  connection: "Pl4nted-url-s3cret",
  /** In the kubeconfig. */
  bearer: "Pl4nted-kubeconfig-t0ken"
} as const

/** All of {@link planted}, as they are and as base64: what may stand nowhere. */
export const plantedForms = (): ReadonlyArray<string> =>
  Object.values(planted).flatMap((secret) => [secret, base64(secret)])

export const object = (
  apiVersion: string,
  kind: string,
  name: string,
  rest: { readonly [field: string]: unknown } = {},
  namespace: string | undefined = "default"
): KubeObject => {
  const { metadata, ...fields } = rest
  return { apiVersion, kind, metadata: { name, namespace, ...metadata as object }, ...fields }
}

export interface Workload {
  readonly name: string
  readonly namespace?: string
  readonly replicas?: number
  readonly image?: string
  readonly env?: Record<string, string>
  readonly annotations?: Record<string, string>
}

/** Its replica set and its pods come by themselves. */
export const deployment = (workload: Workload): KubeObject => {
  const { annotations = {}, env = {}, image = `registry.example/${workload.name}:1.0.0`, name, replicas = 1 } = workload
  const labels = { app: name }
  const container = {
    name,
    image,
    env: Object.entries(env).map(([key, value]) => ({ name: key, value })),
    ports: [{ containerPort: 8080, protocol: "TCP" }],
    resources: { limits: { memory: "256Mi" }, requests: { cpu: "100m" } }
  }
  const rollingUpdate = { maxSurge: "25%", maxUnavailable: "25%" }
  return object("apps/v1", "Deployment", name, {
    metadata: { labels, annotations },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      strategy: { type: "RollingUpdate", rollingUpdate },
      template: { metadata: { labels }, spec: { containers: [container], restartPolicy: "Always" } }
    }
  }, workload.namespace)
}

export const secret = (name: string, data: Record<string, string>, namespace?: string): KubeObject => {
  const encoded = Object.fromEntries(Object.entries(data).map(([key, value]) => [key, base64(value)]))
  return object("v1", "Secret", name, { type: "Opaque", data: encoded }, namespace)
}

export const configMap = (name: string, data: Record<string, string>, namespace?: string): KubeObject =>
  object("v1", "ConfigMap", name, { data }, namespace)

export const service = (name: string, port: number, namespace?: string): KubeObject =>
  object("v1", "Service", name, {
    metadata: { labels: { app: name } },
    spec: {
      type: "ClusterIP",
      clusterIP: `10.96.${name.length}.${port % 250}`,
      selector: { app: name },
      ports: [{ port, protocol: "TCP", targetPort: 8080 }]
    }
  }, namespace)

export const namespace = (name: string): KubeObject =>
  object("v1", "Namespace", name, {
    metadata: { namespace: undefined, labels: { "kubernetes.io/metadata.name": name } },
    status: { phase: "Active" }
  })

export const node = (name: string, role?: string): KubeObject =>
  object("v1", "Node", name, {
    metadata: {
      namespace: undefined,
      labels: { "kubernetes.io/hostname": name, ...role !== undefined && { [`node-role.kubernetes.io/${role}`]: "" } }
    },
    spec: { podCIDR: "10.244.0.0/24" },
    status: {
      capacity: { cpu: "4", memory: "8Gi", pods: "110" },
      allocatable: { cpu: "4", memory: "8Gi", pods: "110" },
      conditions: [{
        type: "Ready",
        status: "True",
        reason: "KubeletReady",
        message: "kubelet is posting ready status"
      }],
      addresses: [{ type: "InternalIP", address: "192.0.2.10" }, { type: "Hostname", address: name }],
      nodeInfo: {
        architecture: "amd64",
        kubeletVersion: "v1.32.0",
        osImage: "Debian GNU/Linux 12 (bookworm)",
        kernelVersion: "6.1.0",
        containerRuntimeVersion: "containerd://1.7.0"
      }
    }
  })

export interface About {
  readonly kind: string
  readonly name: string
  readonly namespace?: string | undefined
  /** Without it, `kubectl describe` does not find the event. */
  readonly uid?: string | undefined
}

/** What the cluster says of something else. */
export const event = (
  about: About,
  said: { readonly reason: string; readonly message: string; readonly type?: "Normal" | "Warning" },
  when = new Date().toISOString()
): KubeObject => {
  const { name, namespace = "default" } = about
  const mark = [...said.reason + said.message].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 0xffffff, 7)
  return object("v1", "Event", `${name}.${mark.toString(16)}`, {
    involvedObject: { apiVersion: "v1", ...about, namespace },
    type: "Normal",
    ...said,
    count: 1,
    source: { component: "kubelet" },
    firstTimestamp: when,
    lastTimestamp: when
  }, namespace)
}

/** Deployments that are not well, by name: what their pods wait for. */
export const troubled: Record<string, string> = { api: "CrashLoopBackOff" }

/** What containers wrote, by the name of their pod or of what owns it. */
export const logs: Record<string, ReadonlyArray<string>> = {
  web: [
    "2026-11-26T10:00:00Z listening on :8080",
    "2026-11-26T10:00:05Z GET /healthz 200",
    "2026-11-26T10:00:09Z GET /cart 502 upstream api is not available"
  ],
  api: [
    "2026-11-26T10:00:00Z starting api 2.1.0",
    `2026-11-26T10:00:01Z connecting to postgres://shop:${planted.connection}@db.default.svc:5432/shop`,
    "2026-11-26T10:00:04Z Error: connect ECONNREFUSED 10.96.0.32:5432",
    "2026-11-26T10:00:04Z fatal: cannot start without a database"
  ],
  coredns: ["2026-11-26T09:00:00Z plugin/reload: running configuration"]
}

export const defaults = (): ReadonlyArray<KubeObject> => [
  ...["default", "kube-system", "payments"].map(namespace),
  node("node-1", "control-plane"),
  node("node-2"),
  deployment({ name: "coredns", namespace: "kube-system" }),
  deployment({ name: "web", replicas: 3 }),
  deployment({ name: "api", image: "registry.example/api:2.1.0", env: { DB_PASSWORD: planted.password } }),
  deployment({ name: "ledger", namespace: "payments" }),
  service("web", 80),
  service("api", 8080),
  secret("api-db", { username: "shop", password: planted.password }),
  secret("api-token", { token: planted.token }),
  configMap("web-config", { LOG_LEVEL: "info", API_KEY: planted.apiKey })
]

// -- internals ---------------------------------------------------------------

const base64 = (value: string) => Buffer.from(value).toString("base64")
