/**
 * `SelfSubjectAccessReview`: what `kubectl auth can-i` asks.
 */
import type { Answer } from "./Failures.js"
import { at, text } from "./Json.js"
import { resources } from "./Resources.js"
import type { Route } from "./Route.js"

/** Undefined when the request is none. */
export const answer = (
  asked: { readonly method: string; readonly path: string; readonly body: unknown },
  allowed: (route: Route) => boolean
): Answer | undefined => {
  if (asked.path !== "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews") return undefined
  const spec = at(asked.body, "spec")
  const attribute = (name: string) => text(spec, `resourceAttributes.${name}`) || undefined
  const resource = resources.find(({ plural }) => plural === attribute("resource"))
  const route = resource && {
    verb: attribute("verb") ?? "",
    resource,
    namespace: attribute("namespace"),
    name: attribute("name"),
    subresource: attribute("subresource")
  }
  const review = { apiVersion: "authorization.k8s.io/v1", kind: "SelfSubjectAccessReview", metadata: {}, spec }
  return { status: 201, body: { ...review, status: { allowed: route === undefined || allowed(route) } } }
}
