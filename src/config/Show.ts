/**
 * The effective configuration, setting by setting, with secrets hidden.
 */
import { Either } from "effect"
import * as ProxyUrl from "../domain/ProxyUrl.js"
import type { Loaded } from "./Load.js"
import { keyOf } from "./Problem.js"
import type * as Shape from "./Shape.js"

export interface Row {
  /** `server.port`. */
  readonly key: string
  /** As JSON would have it; undefined when nothing is set. */
  readonly value: unknown
  /** `default`, `file:line`, a variable or a flag. */
  readonly source: string
  /** What applies where nothing is set, in words; undefined where nothing does. */
  readonly unset: string | undefined
}

/** A row for every key there is, set or not, in the order of the schema. */
export const rows = <A>(shape: Shape.Shape, loaded: Loaded<A>): ReadonlyArray<Row> =>
  below(shape, loaded.value, [], loaded.sources)

export const redacted = "<redacted>"

/** An address without what may be a key to it: a token, or a query. */
export const address = (text: string): string =>
  /^https?:/i.test(text)
    ? text.replace(/[?#].*$/s, `?${redacted}`)
    : Either.match(ProxyUrl.parse(text), { onLeft: () => redacted, onRight: ProxyUrl.format })

// -- internals ---------------------------------------------------------------

const shown = (leaf: Shape.Leaf, value: unknown): unknown => {
  if (leaf.isSecret) return value === undefined ? undefined : redacted
  return leaf.isPrivate && typeof value === "string" ? address(value) : value
}

const below = (
  shape: Shape.Shape,
  value: unknown,
  path: ReadonlyArray<string>,
  sources: ReadonlyMap<string, string>
): ReadonlyArray<Row> => {
  if (shape._tag === "Leaf") {
    const key = keyOf(path)
    return [{ key, value: shown(shape, value), source: sources.get(key) ?? "default", unset: shape.unset }]
  }
  const entries = new Map(Object.entries(typeof value === "object" && value !== null ? value : {}))
  const inner: ReadonlyArray<readonly [string, Shape.Shape]> = shape._tag === "Struct"
    ? [...shape.fields]
    : [...entries.keys()].map((key): readonly [string, Shape.Shape] => [key, shape.value])
  return inner.flatMap(([key, field]) => below(field, entries.get(key), [...path, key], sources))
}
