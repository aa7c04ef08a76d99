/**
 * A Kubernetes API on the loopback, good enough for the real kubectl: see test/integration/FakeCluster.test.ts for what
 * works against it. It keeps what it has in memory, can fail in the ways that clusters fail, and records all requests.
 *
 * By default it has an online shop: deployments `web` (3 pods, well) and `api` (crashing) in `default`, `ledger` in
 * `payments`, and secrets that no test may let through: {@link Objects.planted}. Names of pods are the same in each run.
 */
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Http from "node:http"
import type * as Net from "node:net"
import * as Path from "node:path"
import * as Api from "./cluster/Api.js"
import * as Failures from "./cluster/Failures.js"
import type { KubeObject } from "./cluster/Json.js"
import * as Logs from "./cluster/Logs.js"
import * as Objects from "./cluster/Objects.js"
import * as Protobuf from "./cluster/Protobuf.js"
import { discovery, ofPlural } from "./cluster/Resources.js"
import * as Reviews from "./cluster/Reviews.js"
import * as Route from "./cluster/Route.js"
import * as Store from "./cluster/Store.js"

export type { KubeObject } from "./cluster/Json.js"
export * as Objects from "./cluster/Objects.js"

export interface Options {
  /** Instead of {@link Objects.defaults}. */
  readonly objects?: ReadonlyArray<KubeObject>
  /** Besides them, or instead of the ones with the same names. */
  readonly more?: ReadonlyArray<KubeObject>
  /** Deployments that are not well, and what their pods wait for. */
  readonly troubled?: Record<string, string>
  /** What containers wrote, by the name of their pod or of its deployment. */
  readonly logs?: Record<string, ReadonlyArray<string>>
  /** Aggregated discovery, which clusters have since 1.26. */
  readonly aggregated?: boolean
}

export interface Request {
  readonly method: string
  readonly path: string
  readonly query: Record<string, string>
  readonly body: unknown
  /** Undefined for what is about no object, e.g. discovery. */
  readonly route: Route.Route | undefined
}

/** Whatever is left out is any. */
export interface Fault {
  readonly verb?: string
  /** Its plural. */
  readonly resource?: string
  readonly namespace?: string
  /** 403, 500, no answer ever, or a connection that breaks. */
  readonly how: "forbidden" | "error" | "hang" | "reset"
}

export interface FakeCluster {
  readonly url: string
  /** All of them, in order. */
  readonly requests: ReadonlyArray<Request>
  /** Those that may have changed something: neither reads, nor dry runs, nor questions for one's own rights. */
  readonly changes: () => ReadonlyArray<Request>
  /** By plural, e.g. `pods`. */
  readonly get: (plural: string, name: string, namespace?: string) => KubeObject | undefined
  readonly names: (plural: string, namespace?: string) => ReadonlyArray<string>
  /** Adds or replaces, as another person would. */
  readonly put: (...objects: ReadonlyArray<KubeObject>) => void
  readonly remove: (plural: string, name: string, namespace?: string) => void
  /** A container writes these lines; who follows its log gets them. */
  readonly log: (pod: string, ...lines: ReadonlyArray<string>) => void
  /** From now on, until `heal`. */
  readonly fail: (fault: Fault) => void
  readonly heal: () => void
  /** Writes `~/.kube/config` below this home directory, and gives its path. */
  readonly kubeconfig: (home: string) => string
  /** Connections are refused until `start`; what it has, it keeps. */
  readonly stop: () => Promise<void>
  readonly start: () => Promise<void>
}

/** Listens until `stop`. */
export const make = async (options: Options = {}): Promise<FakeCluster> => {
  const now = () => new Date()
  const world: Api.World = {
    store: Store.make(now),
    logs: Logs.make(options.logs ?? Objects.logs),
    troubled: options.troubled ?? Objects.troubled,
    now
  }
  const born = new Date(now().getTime() - 3 * 86_400_000).toISOString().replace(/\.\d+/, "")
  const put = (objects: ReadonlyArray<KubeObject>, metadata = {}) => {
    for (const object of objects) Api.put(world, { ...object, metadata: { ...metadata, ...object.metadata } })
  }
  put([...options.objects ?? Objects.defaults(), ...options.more ?? []], { creationTimestamp: born })

  world.store.watch(Infinity, ({ object, plural, type }) => {
    if (plural === "pods" && type === "DELETED") world.logs.end(object.metadata.name)
  })

  const requests: Array<Request> = []
  const faults: Array<Fault> = []
  let server = Http.createServer()
  const listen = async (port: number) => {
    server = Http.createServer((request, response) => {
      void bodyOf(request).then((body) => {
        const asked = ask(request, body)
        requests.push(asked.record)
        const { route } = asked.record
        const fault = faults.find((one) => hits(one, route))
        if (fault?.how === "hang") return
        if (fault?.how === "reset") return void response.socket?.resetAndDestroy()
        if (fault?.how === "error") return respond(response, Failures.internal)
        if (fault !== undefined && route !== undefined) return respond(response, Failures.forbidden(route))
        const review = Reviews.answer(
          asked.record,
          (route) => !faults.some((one) => one.how === "forbidden" && hits(one, route))
        )
        const found = review ?? general(asked.record.path, options.aggregated === false ? "" : asked.accept)
        if (found !== undefined) return respond(response, found)
        respond(response, route === undefined ? Failures.noSuchPath : Api.answer(world, { ...asked, route }))
      })
    })
    // kubectl waits for no second packet.
    server.on("connection", (socket) => socket.setNoDelay(true))
    server.listen(port, "127.0.0.1")
    await once(server, "listening")
    return (server.address() as Net.AddressInfo).port
  }
  const port = await listen(0)
  const url = `http://127.0.0.1:${port}`

  const namespaceOf = (plural: string, namespace = "default") => ofPlural(plural).namespaced ? namespace : undefined
  const get: FakeCluster["get"] = (plural, name, namespace) =>
    world.store.get(plural, namespaceOf(plural, namespace), name)
  return {
    url,
    requests,
    changes: () => requests.filter(isChange),
    get,
    names: (plural, namespace) =>
      world.store.list(plural, namespaceOf(plural, namespace)).map(({ metadata }) => metadata.name),
    put: (...objects) => put(objects),
    remove: (plural, name, namespace) => {
      const object = get(plural, name, namespace)
      if (object !== undefined) world.store.remove(object)
    },
    log: (pod, ...lines) => world.logs.write(pod, lines),
    fail: (fault) => void faults.push(fault),
    heal: () => void faults.splice(0),
    kubeconfig: (home) => writeKubeconfig(home, url),
    stop: async () => {
      const closed = once(server, "close")
      server.close()
      server.closeAllConnections()
      await closed
    },
    start: async () => void await listen(port)
  }
}

// -- internals ---------------------------------------------------------------

const hits = (fault: Fault, route: Route.Route | undefined): boolean => {
  if (route === undefined) return fault.verb === undefined && fault.resource === undefined && fault.how !== "forbidden"
  return (fault.verb ?? route.verb) === route.verb
    && (fault.resource ?? route.resource.plural) === route.resource.plural
    && (fault.namespace ?? route.namespace) === route.namespace
}

const isChange = ({ body, method, query, route }: Request): boolean =>
  route !== undefined && method !== "GET" && !Api.isDryRun({ body, query: new URLSearchParams(query) })

const ask = (request: Http.IncomingMessage, bytes: Buffer) => {
  const url = new URL(request.url ?? "/", "http://cluster")
  const { method = "GET" } = request
  const body = parse(bytes)
  const route = Route.parse(method, url.pathname, url.searchParams)
  const record: Request = { method, path: url.pathname, query: Object.fromEntries(url.searchParams), body, route }
  const { accept = "", "content-type": contentType = "" } = request.headers
  return { record, query: url.searchParams, accept, contentType, body }
}

/** What is neither JSON nor Kubernetes' protobuf stays as it is. */
const parse = (bytes: Buffer): unknown => {
  if (bytes.length === 0) return undefined
  try {
    return Protobuf.decode(bytes) ?? JSON.parse(bytes.toString("utf8"))
  } catch {
    return bytes
  }
}

const bodyOf = async (request: Http.IncomingMessage): Promise<Buffer> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

const respond = (response: Http.ServerResponse, answer: Failures.Answer | Api.Streamed): void => {
  if ("start" in answer) {
    response.writeHead(200, { "content-type": answer.type })
    response.flushHeaders()
    const stop = answer.start((text) => void response.write(text), () => void response.end())
    response.once("close", stop)
    return
  }
  response.writeHead(answer.status, { "content-type": answer.type ?? "application/json" })
  response.end(Buffer.isBuffer(answer.body) ? answer.body : JSON.stringify(answer.body))
}

/** What is about the server, and not about its objects. */
const general = (path: string, accept: string): Failures.Answer | undefined => {
  if (path === "/version") return { status: 200, body: version }
  if (["/healthz", "/readyz", "/livez"].includes(path)) {
    return { status: 200, body: Buffer.from("ok"), type: "text/plain" }
  }
  if (path === "/openapi/v2") return accept.includes("json") ? openapi.json : openapi.protobuf
  const found = discovery(path, accept)
  return found === undefined ? undefined : { status: 200, ...found }
}

const version = {
  major: "1",
  minor: "32",
  gitVersion: "v1.32.0",
  gitCommit: "0000000000000000000000000000000000000000",
  gitTreeState: "clean",
  buildDate: "2026-01-01T00:00:00Z",
  goVersion: "go1.23.3",
  compiler: "gc",
  platform: "linux/amd64"
}

/** Says of no kind how its objects must be: kubectl takes any then. */
const openapi = {
  json: { status: 200, body: { swagger: "2.0", info: { title: "Kubernetes", version: "v1.32.0" }, paths: {} } },
  protobuf: {
    status: 200,
    type: "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
    // gnostic's Document{1: swagger, 2: Info{1: title, 2: version}, 8: Paths{}}.
    body: Buffer.from("\x0a\x032.0\x12\x15\x0a\x0aKubernetes\x12\x07v1.32.0\x42\x00", "latin1")
  }
}

const writeKubeconfig = (home: string, server: string): string => {
  const file = Path.join(home, ".kube/config")
  Fs.mkdirSync(Path.dirname(file), { recursive: true })
  const config = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": "fake",
    clusters: [{ name: "fake", cluster: { server } }],
    users: [{ name: "tester", user: { token: Objects.planted.bearer } }],
    contexts: [{ name: "fake", context: { cluster: "fake", user: "tester", namespace: "default" } }]
  }
  // JSON is YAML.
  Fs.writeFileSync(file, JSON.stringify(config, undefined, 2), { mode: 0o600 })
  return file
}
