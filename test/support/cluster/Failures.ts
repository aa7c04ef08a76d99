/**
 * `Status` objects that the API refuses with, in Kubernetes' own words.
 */
import type { Json } from "./Json.js"
import { groupVersion } from "./Resources.js"
import type { Route } from "./Route.js"

export interface Answer {
  readonly status: number
  readonly body: unknown
  /** Without it, JSON. */
  readonly type?: string
}

export const failure = (code: number, reason: string, message: string, details: Json = {}): Answer => ({
  status: code,
  body: { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message, reason, details, code }
})

export const notFound = (route: Route): Answer =>
  failure(404, "NotFound", `${qualified(route)} "${route.name}" not found`, details(route))

export const exists = (route: Route, name: string): Answer =>
  failure(409, "AlreadyExists", `${qualified(route)} "${name}" already exists`, { ...details(route), name })

/** By a role that lacks a right. */
export const forbidden = (route: Route): Answer => {
  const { name, namespace, resource, subresource, verb } = route
  const what = subresource === undefined ? resource.plural : `${resource.plural}/${subresource}`
  const where = namespace === undefined ? "at the cluster scope" : `in the namespace "${namespace}"`
  const message = `${qualified(route)}${name === undefined ? "" : ` "${name}"`} is forbidden: User "tester" cannot `
    + `${verb} resource "${what}" in API group "${resource.group}" ${where}`
  return failure(403, "Forbidden", message, details(route))
}

export const unsupported = (route: Route): Answer =>
  failure(
    415,
    "UnsupportedMediaType",
    `the fake cluster cannot ${route.verb} ${groupVersion(route.resource)} like this`
  )

export const internal: Answer = failure(500, "InternalError", "Internal error occurred: etcdserver: leader changed")

/** Of a path that is not there. */
export const noSuchPath: Answer = failure(404, "NotFound", "the server could not find the requested resource")

// -- internals ---------------------------------------------------------------

const qualified = ({ resource }: Route) =>
  resource.group === "" ? resource.plural : `${resource.plural}.${resource.group}`

const details = ({ name, resource }: Route): Json => ({ name, group: resource.group, kind: resource.plural })
