/**
 * What a request to the API is about, as Kubernetes' own authorization sees it.
 */
import { type Resource, resources } from "./Resources.js"

export interface Route {
  /** `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, or `deletecollection`. */
  readonly verb: string
  readonly resource: Resource
  readonly namespace: string | undefined
  readonly name: string | undefined
  readonly subresource: string | undefined
}

/** Undefined for a path of no kind that the fake cluster has. */
export const parse = (method: string, path: string, query: URLSearchParams): Route | undefined => {
  const found = /^\/(?:api|apis\/([^/]+))\/v1\/(.+)$/.exec(path)
  if (found === null) return undefined
  const group = found[1] ?? ""
  const steps = found[2]!.split("/").map(decodeURIComponent)
  const inside = steps[0] === "namespaces" && steps.length > 2 && !["status", "finalize"].includes(steps[2]!)
  const namespace = inside ? steps[1] : undefined
  const [plural, name, subresource] = inside ? steps.slice(2) : steps
  const resource = resources.find((one) => one.group === group && one.plural === plural)
  if (resource === undefined) return undefined
  const verb = verbOf(method, name !== undefined, query.get("watch"))
  return verb === undefined ? undefined : { verb, resource, namespace, name, subresource }
}

// -- internals ---------------------------------------------------------------

const verbOf = (method: string, named: boolean, watch: string | null): string | undefined => {
  switch (method) {
    case "GET":
      if (watch === "true" || watch === "1") return "watch"
      return named ? "get" : "list"
    case "POST":
      return "create"
    case "PUT":
      return "update"
    case "PATCH":
      return "patch"
    case "DELETE":
      return named ? "delete" : "deletecollection"
    default:
      return undefined
  }
}
