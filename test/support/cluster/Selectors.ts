/**
 * `labelSelector` and `fieldSelector` of a list.
 */
import { type KubeObject, record, text } from "./Json.js"

export const matches = (query: URLSearchParams) => {
  const label = query.get("labelSelector") ?? ""
  const field = query.get("fieldSelector") ?? ""
  return (object: KubeObject): boolean =>
    labelled(label, record(object, "metadata.labels")) && fielded(field, (path) => text(object, path))
}

// -- internals ---------------------------------------------------------------

const labelled = (selector: string, labels: Record<string, string>): boolean =>
  terms(selector).every((term) => {
    const set = /^(\S+)\s+(in|notin)\s+\(([^)]*)\)$/.exec(term)
    if (set !== null) {
      const [, key = "", operator, values = ""] = set
      const found = values.split(",").map((value) => value.trim()).includes(labels[key] ?? "") && key in labels
      return operator === "in" ? found : !found
    }
    const compared = compare(term)
    if (compared !== undefined) return (labels[compared.key] === compared.value) === compared.equal
    return term.startsWith("!") ? !(term.slice(1) in labels) : term in labels
  })

const fielded = (selector: string, field: (path: string) => string): boolean =>
  terms(selector).every((term) => {
    const compared = compare(term)
    return compared !== undefined && (field(compared.key) === compared.value) === compared.equal
  })

/** At the commas that are not inside of `(…)`. */
const terms = (selector: string): ReadonlyArray<string> =>
  selector.split(/,(?![^(]*\))/).map((term) => term.trim()).filter((term) => term !== "")

const compare = (term: string) => {
  const found = /^([^=!\s]+)\s*(!=|==?)\s*(.*)$/.exec(term)
  if (found === null) return undefined
  const [, key = "", operator, value = ""] = found
  return { key, value, equal: operator !== "!=" }
}
