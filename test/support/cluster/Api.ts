/**
 * The part of the Kubernetes API that kubectl uses, over a {@link Store}.
 */
import * as Controllers from "./Controllers.js"
import { type Answer, exists, failure, noSuchPath, notFound, unsupported } from "./Failures.js"
import { at, isObject, type Json, type KubeObject, number, record, text } from "./Json.js"
import type * as Logs from "./Logs.js"
import * as Patch from "./Patch.js"
import { groupVersion, ofObject } from "./Resources.js"
import type { Route } from "./Route.js"
import * as Selectors from "./Selectors.js"
import * as Tables from "./Tables.js"

export interface Asked {
  readonly route: Route
  readonly query: URLSearchParams
  readonly accept: string
  readonly contentType: string
  readonly body: unknown
}

/** Written until it ends, or until the client goes away: then what `start` gave is called. */
export interface Streamed {
  readonly type: string
  readonly start: (write: (text: string) => void, end: () => void) => () => void
}

export interface World extends Controllers.World {
  readonly logs: Logs.Logs
}

export const answer = (world: World, asked: Asked): Answer | Streamed => {
  const { route } = asked
  if (route.subresource !== undefined && !route.resource.subresources.includes(route.subresource)) return noSuchPath
  switch (route.verb) {
    case "list":
      return list(world, asked)
    case "watch":
      return watch(world, asked)
    case "create":
      return create(world, asked)
    case "deletecollection":
      for (const object of chosen(world, asked)) if (!isDryRun(asked)) world.store.remove(object)
      return { status: 200, body: { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success" } }
  }
  const object = world.store.get(route.resource.plural, route.namespace, route.name ?? "")
  // Server-side apply makes what is not there.
  if (object === undefined && asked.contentType.startsWith("application/apply-patch")) return create(world, asked)
  if (object === undefined) return notFound(route)
  switch (route.verb) {
    case "get":
      if (route.subresource === "log") return world.logs.answer(object, asked.query)
      if (route.subresource === "scale") return { status: 200, body: scaleOf(object) }
      return ok(world, asked, object)
    case "delete":
      if (!isDryRun(asked)) world.store.remove(object)
      return { status: 200, body: gone(route, object) }
    case "update":
    case "patch":
      return change(world, asked, object)
    default:
      return unsupported(route)
  }
}

/** What another person does to the cluster. */
export const put = (world: World, object: KubeObject): KubeObject => {
  const stored = world.store.put(object)
  if (stored.kind === "Deployment") Controllers.reconcile(world, stored)
  if (stored.kind === "Pod" && text(stored, "status.phase") === "") Controllers.run(world, stored)
  const { metadata } = stored
  return world.store.get(ofObject(stored).plural, metadata.namespace, metadata.name) ?? stored
}

/** A deletion says it in its body. */
export const isDryRun = ({ body, query }: Pick<Asked, "body" | "query">): boolean =>
  query.has("dryRun") || at(body, "dryRun") !== undefined

// -- internals ---------------------------------------------------------------

const chosen = (world: World, { query, route }: Asked) =>
  world.store.list(route.resource.plural, route.namespace).filter(Selectors.matches(query))

const tableOf = (world: World, { query, route }: Asked, objects: ReadonlyArray<KubeObject>) =>
  Tables.table(route.resource.plural, objects, {
    resourceVersion: world.store.version(),
    includeObject: query.get("includeObject") ?? "Metadata",
    now: world.now().getTime()
  })

const ok = (world: World, asked: Asked, object: KubeObject, status = 200): Answer => ({
  status,
  body: Tables.wanted(asked.accept) ? tableOf(world, asked, [object]) : object
})

const list = (world: World, asked: Asked): Answer => {
  const { resource } = asked.route
  const objects = chosen(world, asked)
  return {
    status: 200,
    body: Tables.wanted(asked.accept) ? tableOf(world, asked, objects) : {
      kind: `${resource.kind}List`,
      apiVersion: groupVersion(resource),
      metadata: { resourceVersion: world.store.version() },
      items: objects
    }
  }
}

const watch = (world: World, asked: Asked): Streamed => {
  const { name, namespace, resource } = asked.route
  const matches = Selectors.matches(asked.query)
  const start: Streamed["start"] = (write) =>
    world.store.watch(Number(asked.query.get("resourceVersion") ?? 0), ({ object, plural, type }) => {
      const elsewhere = namespace !== undefined && object.metadata.namespace !== namespace
      const other = name !== undefined && object.metadata.name !== name
      if (plural !== resource.plural || elsewhere || other || !matches(object)) return
      const shown = Tables.wanted(asked.accept) ? tableOf(world, asked, [object]) : object
      write(`${JSON.stringify({ type, object: shown })}\n`)
    })
  return { type: "application/json", start }
}

const create = (world: World, asked: Asked): Answer => {
  const { body, route } = asked
  const object = objectOf(route, body)
  if (object === undefined) return failure(400, "BadRequest", "the body is not an object with a name")
  if (world.store.get(route.resource.plural, route.namespace, object.metadata.name) !== undefined) {
    return exists(route, object.metadata.name)
  }
  return ok(world, asked, isDryRun(asked) ? object : put(world, object), 201)
}

const change = (world: World, asked: Asked, object: KubeObject): Answer => {
  const { body, contentType, route } = asked
  const scaled = route.subresource === "scale"
  const before: Json = scaled ? scaleOf(object) : object
  const after = route.verb === "update" ? body : Patch.apply(contentType, before, body)
  if (!isObject(after)) return unsupported(route)
  const spec = isObject(object["spec"]) ? object["spec"] : {}
  const changed = scaled
    ? { ...object, spec: { ...spec, replicas: number(after, "spec.replicas") } }
    : objectOf(route, after)
  if (changed === undefined) return failure(400, "BadRequest", "the body is not an object with a name")
  const result = isDryRun(asked) ? changed : put(world, changed)
  return scaled ? { status: 200, body: scaleOf(result) } : ok(world, asked, result)
}

/** What a client sent, with what it may leave out. */
const objectOf = (route: Route, body: unknown): KubeObject | undefined => {
  const metadata = isObject(body) ? body["metadata"] : undefined
  const name = text(metadata, "name")
  if (!isObject(body) || !isObject(metadata) || name === "") return undefined
  const { namespace = text(metadata, "namespace") || undefined, resource } = route
  // As the API does with what is written in plain.
  const { stringData: _, ...fields } = body
  const plain = Object.entries(record(body, "stringData"))
    .map(([key, value]) => [key, Buffer.from(value).toString("base64")])
  return {
    ...fields,
    ...plain.length > 0 && { data: { ...record(body, "data"), ...Object.fromEntries(plain) as Json } },
    apiVersion: groupVersion(resource),
    kind: resource.kind,
    metadata: { ...metadata, name, namespace }
  }
}

const scaleOf = (object: KubeObject): Json => ({
  kind: "Scale",
  apiVersion: "autoscaling/v1",
  metadata: object.metadata,
  spec: { replicas: number(object, "spec.replicas") },
  status: { replicas: number(object, "status.replicas") }
})

const gone = ({ resource }: Route, { metadata }: KubeObject): Json => ({
  kind: "Status",
  apiVersion: "v1",
  metadata: {},
  status: "Success",
  details: { name: metadata.name, group: resource.group, kind: resource.plural, uid: metadata.uid }
})
