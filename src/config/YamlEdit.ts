/**
 * Changes to a YAML document that leave everything else in it as it is: other
 * keys, and what people wrote beside them.
 *
 * A value that others repeat by an alias is copied there before it goes.
 */
import * as Yaml from "yaml"

/** The mapping at `path`, made where there is none. The file was valid, so nothing else can stand there. */
export const mappingAt = (document: Yaml.Document, path: ReadonlyArray<string>): Yaml.YAMLMap => {
  const root = Yaml.isMap(document.contents) ? document.contents : new Yaml.YAMLMap()
  document.contents = root
  let mapping: Yaml.YAMLMap = root
  for (const key of path) mapping = mappingIn(document, mapping, key)
  return mapping
}

/** Whether there is a key at `path`. */
export const has = (document: Yaml.Document, path: ReadonlyArray<string>): boolean => {
  let node: unknown = document.contents
  for (const key of path) {
    const parent = Yaml.isAlias(node) ? node.resolve(document) : node
    if (!Yaml.isMap(parent) || !parent.has(key)) return false
    node = parent.get(key, true)
  }
  return true
}

/** Sets a key; the comments at the value before stay. */
export const put = (document: Yaml.Document, parent: Yaml.YAMLMap, key: string, value: unknown): void => {
  const old: unknown = parent.get(key, true)
  const node = document.createNode(value, { flow: true })
  if (Yaml.isNode(old)) {
    detach(document, old)
    // A line break between key and value is only right for what is written in lines.
    if (Yaml.isScalar(old) && Yaml.isScalar(node)) {
      node.commentBefore = old.commentBefore ?? null
      node.comment = old.comment ?? null
      if (typeof node.value === "string" && (old.type === "QUOTE_DOUBLE" || old.type === "QUOTE_SINGLE")) {
        node.type = old.type
      }
    } else node.comment = joined(old.commentBefore, old.comment)
  }
  parent.set(key, node)
}

/** Takes a key out. Comments on lines of their own stay. */
export const remove = (document: Yaml.Document, parent: Yaml.YAMLMap, key: string): void => {
  const index = parent.items.findIndex((pair) => nameOf(pair.key) === key)
  const pair = parent.items[index]
  if (pair === undefined) return
  detach(document, pair.value)
  parent.items.splice(index, 1)
  const above = Yaml.isNode(pair.key) ? pair.key.commentBefore : undefined
  if (!above) return
  const next = parent.items[index]?.key
  if (Yaml.isNode(next)) next.commentBefore = joined(above, next.commentBefore)
  else parent.comment = joined(above, parent.comment)
}

/** The name of a key as the file's reader takes it. */
export const nameOf = (key: unknown): string => Yaml.isScalar(key) ? String(key.value) : String(key)

// -- internals ---------------------------------------------------------------

const mappingIn = (document: Yaml.Document, parent: Yaml.YAMLMap, key: string): Yaml.YAMLMap => {
  const existing: unknown = parent.get(key, true)
  if (Yaml.isMap(existing)) {
    if (existing.anchor !== undefined) copyInto(document, new Set([existing]))
    return existing
  }
  const mapping = new Yaml.YAMLMap()
  // An alias is replaced by a copy of what it stands for, so that the edit stays in this one place.
  const target = Yaml.isAlias(existing) ? existing.resolve(document) : undefined
  if (Yaml.isMap(target)) mapping.items = target.items.map((pair) => pair.clone())
  if (Yaml.isNode(existing) && existing.comment) mapping.commentBefore = existing.comment
  parent.set(key, mapping)
  return mapping
}

/** Puts copies in the place of the aliases of `node`, and of what stands in it. */
const detach = (document: Yaml.Document, node: unknown): void => {
  if (!Yaml.isNode(node)) return
  const going = new Set<unknown>()
  Yaml.visit(node, { Node: (_, each) => void going.add(each) })
  copyInto(document, going)
}

/** The aliases of these nodes, except those among them, become copies. */
const copyInto = (document: Yaml.Document, targets: ReadonlySet<unknown>): void =>
  Yaml.visit(document, {
    Alias: (_, alias) => {
      if (targets.has(alias)) return undefined
      const target = alias.resolve(document)
      if (target === undefined || !targets.has(target)) return undefined
      const value: unknown = target.toJS(document)
      const copy = document.createNode(value, { flow: true, aliasDuplicateObjects: false })
      copy.comment = alias.comment ?? null
      copy.commentBefore = alias.commentBefore ?? null
      return copy
    }
  })

const joined = (one: string | null | undefined, other: string | null | undefined): string | null => {
  const lines = [one, other].filter((comment) => typeof comment === "string" && comment !== "")
  return lines.length === 0 ? null : lines.join("\n")
}
