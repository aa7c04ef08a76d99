/**
 * `grpc-status-details-bin`: the machine-readable face of a failure.
 *
 * A `google.rpc.Status` whose details any standard gRPC client can read.
 * Source: https://google.aip.dev/193, https://grpc.io/docs/guides/error/
 */
import { Duration, Option, Schema } from "effect"
import * as NodePath from "node:path"
import Protobuf from "protobufjs"
import type { ProxyError } from "../domain/Errors.js"
import * as Utf16 from "../domain/Utf16.js"
import { protoDirectory } from "./Proto.js"

/** The metadata key that carries the details. */
export const key = "grpc-status-details-bin"

/** What a client needs to know of a failure, beside its status code. */
export interface Details {
  readonly reason: string
  readonly summary: string | undefined
  readonly remedy: string | undefined
  readonly retryAfter: Duration.Duration | undefined
}

/** What a failure says, cut to the length that headers have room for. */
export interface Words {
  readonly message: string
  readonly summary: string
  readonly remedy: string
  /** Cuts a name that somebody else has chosen. */
  readonly name: (name: string) => string
}

/** The message of the status is `words.message`, as gRPC libraries ask for. */
export const encode = (code: number, error: ProxyError, words: Words): Buffer => {
  const details = [
    pack("ErrorInfo", {
      reason: error.reason,
      domain,
      metadata: { summary: words.summary, remedy: words.remedy }
    }),
    ...specifics(error, words)
  ]
  return Buffer.from(types.Status.encode({ code, message: Utf16.wellFormed(words.message), details }).finish())
}

/** None when the bytes are not ours to read: a foreign `domain`, or no `ErrorInfo` at all. */
export const decode = (bytes: Uint8Array): Option.Option<Details> =>
  Option.gen(function*() {
    const status = yield* read("Status", Status, bytes)
    const info = yield* find(status, "ErrorInfo", ErrorInfo)
    if (info.domain !== domain) return yield* Option.none()
    const retry = Option.getOrUndefined(find(status, "RetryInfo", RetryInfo))
    return {
      reason: info.reason,
      summary: info.metadata["summary"],
      remedy: info.metadata["remedy"],
      retryAfter: retry?.retry_delay ?
        Duration.millis(
          retry.retry_delay.seconds * 1000 + Math.round(retry.retry_delay.nanos / 1e6)
        ) :
        undefined
    }
  })

/** `google.rpc.RetryInfo.retry_delay`, for the errors that know when to come back. */
export const retryAfter = (error: ProxyError): Duration.Duration | undefined =>
  error._tag === "LimitExceeded" || error._tag === "ProviderFailure" || error._tag === "ServerBusy"
    ? error.retryAfter
    : undefined

// -- internals ---------------------------------------------------------------

const domain = "vibectl"

const root = new Protobuf.Root()
root.resolvePath = (_origin, target) =>
  // protobufjs brings google/protobuf/*.proto itself.
  target.startsWith("google/protobuf/") ? target : NodePath.join(protoDirectory, target)
root.loadSync("google/rpc/status.proto", { keepCase: true })

const types = {
  Status: root.lookupType("google.rpc.Status"),
  ErrorInfo: root.lookupType("google.rpc.ErrorInfo"),
  RetryInfo: root.lookupType("google.rpc.RetryInfo"),
  QuotaFailure: root.lookupType("google.rpc.QuotaFailure"),
  BadRequest: root.lookupType("google.rpc.BadRequest"),
  ResourceInfo: root.lookupType("google.rpc.ResourceInfo")
}
type TypeName = keyof typeof types

const pack = (name: TypeName, message: Record<string, unknown>) => ({
  type_url: `type.googleapis.com/google.rpc.${name}`,
  value: types[name].encode(types[name].fromObject(wellFormed(message))).finish()
})

/**
 * Without halves of surrogate pairs, which the subject of a token may hold: they would be written as bytes that are no
 * UTF-8, and other languages refuse the whole message.
 */
const wellFormed = (value: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, wellFormedIn(inner)]))

const wellFormedIn = (value: unknown): unknown => {
  if (typeof value === "string") return Utf16.wellFormed(value)
  if (Array.isArray(value)) return value.map(wellFormedIn)
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype
    ? wellFormed({ ...value })
    : value
}

/** No `default`: an error without a face here does not compile. */
const specifics = (error: ProxyError, { name }: Words): ReadonlyArray<ReturnType<typeof pack>> => {
  switch (error._tag) {
    case "LimitExceeded":
      return [
        ...retryInfo(error),
        pack("QuotaFailure", {
          violations: [{ subject: `${error.scope}:${name(error.name)}`, description: error.limit }]
        })
      ]
    case "InvalidRequest":
      return [pack("BadRequest", { field_violations: [{ field: name(error.field) }] })]
    case "ModelNotFound":
      return [
        // Without a description: the list of models is in the message.
        pack("ResourceInfo", { resource_type: "model", resource_name: name(error.requested) })
      ]
    case "ModelNotAllowed":
      return [
        pack("ResourceInfo", { resource_type: "model", resource_name: name(error.model), owner: name(error.subject) })
      ]
    case "ProviderFailure":
    case "ServerBusy":
      return retryInfo(error)
    case "Unauthenticated":
    case "IdentityUnavailable":
    case "LimitsUnavailable":
    case "RequestTimeout":
    case "StreamInterrupted":
    case "ShuttingDown":
    case "VersionIncompatible":
      return []
  }
}

const retryInfo = (error: ProxyError) => {
  const after = retryAfter(error)
  return after === undefined ? [] : [pack("RetryInfo", { retry_delay: toWireDuration(after) })]
}

const toWireDuration = (duration: Duration.Duration) => {
  const millis = Duration.toMillis(duration)
  return { seconds: Math.floor(millis / 1000), nanos: Math.round((millis % 1000) * 1e6) }
}

const Status = Schema.Struct({
  details: Schema.Array(Schema.Struct({ type_url: Schema.String, value: Schema.Uint8ArrayFromSelf }))
})
const ErrorInfo = Schema.Struct({
  reason: Schema.String,
  domain: Schema.String,
  metadata: Schema.Record({ key: Schema.String, value: Schema.String })
})
const RetryInfo = Schema.Struct({
  retry_delay: Schema.NullOr(Schema.Struct({ seconds: Schema.Number, nanos: Schema.Number }))
})

/** Bytes from a peer: what does not parse is none, not a defect. */
const read = <A, I>(name: TypeName, schema: Schema.Schema<A, I>, bytes: Uint8Array): Option.Option<A> => {
  const decoded = Option.liftThrowable(() =>
    types[name].toObject(types[name].decode(bytes), { longs: Number, defaults: true, arrays: true, objects: true })
  )()
  return Option.flatMap(decoded, Schema.decodeUnknownOption(schema))
}

const find = <A, I>(status: typeof Status.Type, name: TypeName, schema: Schema.Schema<A, I>): Option.Option<A> => {
  const any = status.details.find(({ type_url }) => type_url.endsWith(`/google.rpc.${name}`))
  return any === undefined ? Option.none() : read(name, schema, any.value)
}
