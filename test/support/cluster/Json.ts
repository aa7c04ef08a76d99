/**
 * Objects of the Kubernetes API as plain JSON, and how to look into them.
 */

export interface Json {
  readonly [field: string]: unknown
}

export interface Metadata extends Json {
  readonly name: string
  readonly namespace?: string | undefined
  readonly uid?: string
  readonly labels?: Record<string, string> | undefined
  readonly annotations?: Record<string, string> | undefined
}

export interface KubeObject extends Json {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: Metadata
}

export const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** What stands at a path like `status.phase`; undefined where the path ends early. */
export const at = (value: unknown, path: string): unknown =>
  path.split(".").reduce<unknown>((inner, field) => isObject(inner) ? inner[field] : undefined, value)

export const text = (value: unknown, path: string): string => {
  const found = at(value, path)
  return typeof found === "string" || typeof found === "number" || typeof found === "boolean" ? `${found}` : ""
}

export const number = (value: unknown, path: string): number => {
  const found = at(value, path)
  return typeof found === "number" ? found : 0
}

export const list = (value: unknown, path: string): ReadonlyArray<Json> => {
  const found = at(value, path)
  return Array.isArray(found) ? found.filter(isObject) : []
}

/** A map of strings, e.g. labels. */
export const record = (value: unknown, path: string): Record<string, string> => {
  const found = at(value, path)
  return isObject(found) ? Object.fromEntries(Object.entries(found).map(([key, inner]) => [key, String(inner)])) : {}
}
