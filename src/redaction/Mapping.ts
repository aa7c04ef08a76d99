/**
 * What the keys of one YAML or JSON object say of each other.
 *
 * kubectl sorts keys, so that `data` comes before `kind: Secret`: its values
 * wait until the kind is known. The `value` beside a `name` waits likewise.
 */
import { trait } from "./Keys.js"
import type { Span, Spans } from "./Spans.js"
import { isEncodedSecret, isSecret } from "./Values.js"

export interface Mapping {
  /** The object whose `data` or `stringData` this is a part of. */
  readonly dataOf: Mapping | undefined
  /** It is the `metadata` of an object. */
  readonly isMetadata: boolean
  kind: string | undefined
  /** It says that it is a Kubernetes object; `typed` that it is a Secret's. */
  versioned: boolean
  typed: boolean
  /** What `name` said of `value`. */
  name: string | undefined
  readonly data: Array<{ readonly span: Span; readonly looks: Looks }>
  readonly values: Array<{ readonly span: Span; readonly value: string }>
}

/** The object that is the value of `key` in `parent`. */
export const open = (parent: Mapping | undefined, key: string | undefined): Mapping => {
  if (key === "stringData" && parent?.dataOf === undefined) onlySecret(parent)
  return fresh(parent, key)
}

/** Whether the value of `key` in `parent` is the data of an object, or a part of it. */
export const isData = (parent: Mapping, key: string | undefined): boolean =>
  parent.dataOf !== undefined || key === "data" || key === "stringData"

/** Nothing but a Secret has `stringData`. */
export const onlySecret = (mapping: Mapping | undefined): void => {
  if (mapping !== undefined) mapping.typed = true
}

const fresh = (parent: Mapping | undefined, key: string | undefined): Mapping => ({
  dataOf: parent?.dataOf ?? (parent !== undefined && isData(parent, key) ? parent : undefined),
  isMetadata: key === "metadata" && parent?.dataOf === undefined,
  // What the API answers with itself names the kind of a list once.
  kind: key === "items" && parent?.kind === "SecretList" ? "Secret" : undefined,
  versioned: false,
  typed: false,
  name: undefined,
  data: [],
  values: []
})

/** Takes the value of `key`, which stands from `start` to `end`. */
export const scalar = (
  mapping: Mapping,
  key: string,
  value: string,
  start: number,
  end: number,
  spans: Spans
): void => {
  if (mapping.dataOf !== undefined) datum(mapping.dataOf, value, start, end, spans)
  else if (mapping.isMetadata && telling.get(key)?.test(value) === true) spans.keep(start)
  switch (key) {
    case "kind":
      mapping.kind = value
      for (const { span } of mapping.data.splice(0)) spans.settle(span, value === "Secret")
      return
    case "apiVersion":
      mapping.versioned = true
      return
    case "type":
      if (secretType.test(value)) mapping.typed = true
      return
    case "name":
    case "Name":
    case "key":
    case "Key":
      if (mapping.name !== undefined && trait(mapping.name) !== undefined) return
      mapping.name = value
      for (const { span, value: held } of mapping.values.splice(0)) spans.settle(span, belongs(value, held))
      return
    case "value":
    case "Value":
      if (mapping.name === undefined) {
        mapping.values.push({ span: spans.add(start, end, "password", "waiting"), value })
      } else if (belongs(mapping.name, value)) {
        spans.add(start, end, trait(mapping.name)?.kind ?? "password")
      }
  }
}

/** A stretch of the data of `owner`. */
export const datum = (owner: Mapping, value: string, start: number, end: number, spans: Spans): Span | undefined => {
  if (end <= start || value === "null" || value === "{}" || (owner.kind !== undefined && owner.kind !== "Secret")) {
    return undefined
  }
  if (owner.kind === "Secret") return spans.add(start, end, "secret-data")
  const span = spans.add(start, end, "secret-data", "waiting")
  owner.data.push({ span, looks: looksOf(value) })
  return span
}

/** The object ends. Where it did not say what it is, it is a Secret if its data look so, or its type says it. */
export const close = (mapping: Mapping, spans: Spans): void => {
  const data = mapping.data.splice(0)
  // Of a Secret, all is Base64: one value that is not tells that it is something else. The last may have been cut off.
  const all = mapping.typed || (mapping.versioned &&
    data.every(({ looks }, index) =>
      looks === "encoded" || looks === "secret" || (looks === "cut" && index === data.length - 1)
    ))
  for (const { looks, span } of data) spans.settle(span, all || looks === "secret")
  for (const { span } of mapping.values.splice(0)) spans.settle(span, false)
}

// -- internals ---------------------------------------------------------------

/** What `metadata` tells of any object, and what it looks like. */
const telling = new Map([
  ["name", /^[a-z0-9][a-z0-9.-]{0,252}$/],
  ["namespace", /^[a-z0-9][a-z0-9-]{0,62}$/],
  ["creationTimestamp", /^[0-9TZ:.-]{20,32}$/],
  ["resourceVersion", /^[0-9]{1,20}$/],
  ["uid", /^[0-9a-f-]{36}$/]
])

type Looks = "secret" | "encoded" | "cut" | "plain"

/** Of a value, of its first line, or of as much as was kept of it. */
const looksOf = (value: string): Looks => {
  if (isEncodedSecret(value)) return "secret"
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(value)) return "plain"
  return value.length % 4 === 0 || value.length >= 1024 ? "encoded" : "cut"
}

const secretType = /^(?:Opaque$|kubernetes\.io\/|bootstrap\.kubernetes\.io\/|helm\.sh\/)/

const belongs = (name: string, value: string): boolean => {
  const found = trait(name)
  return found !== undefined &&
    isSecret(value, found, { after: "name", quoted: true, leads: true, apart: true, last: true })
}
