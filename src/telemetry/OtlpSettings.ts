/**
 * What the standard `OTEL_*` variables ask for.
 *
 * A variable that is empty is as if it were not set. Nothing is sent anywhere
 * unless an endpoint, or the exporter `otlp`, is named, and nothing either when
 * something cannot be done as it is asked; no error repeats a value, which may
 * be a secret.
 * Sources: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and
 * https://opentelemetry.io/docs/specs/otel/protocol/exporter/
 */
import { Config, Data, Duration, Effect, Either, Option, Redacted } from "effect"
import * as GenAi from "./GenAi.js"
import * as Sampling from "./Sampling.js"

/** The variables ask for something that is not possible. */
export class OtlpInvalid extends Data.TaggedError("OtlpInvalid")<{
  readonly summary: string
  readonly remedy: string
}> {
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** Where the data of one signal goes. */
export interface Target {
  /** Without credentials. */
  readonly url: URL
  /** Names in lower case. */
  readonly headers: Redacted.Redacted<Pairs>
  readonly protocol: "http/protobuf" | "http/json"
  /** For one request. */
  readonly timeout: Duration.Duration
  /** How often there is one. */
  readonly interval: Duration.Duration
}

export interface Settings {
  readonly traces: Target | undefined
  readonly metrics: Target | undefined
  readonly sampler: Sampling.Sampler
  /** With a `service.name`. */
  readonly resource: Pairs
}

export type Pairs = Readonly<Record<string, string>>

export interface Loaded {
  /** Undefined when nothing is exported. */
  readonly settings: Settings | undefined
  /** Why, where it is not as the variables ask. */
  readonly invalid: OtlpInvalid | undefined
  readonly warning: string | undefined
}

export const load: Effect.Effect<Loaded> = Effect.suspend(() =>
  Effect.forEach(
    variables,
    (name) => Effect.map(Effect.option(Config.string(name)), (value) => [name, Option.getOrUndefined(value)] as const)
  )
).pipe(Effect.map((entries) => {
  const environment = Object.fromEntries(entries)
  const parsed = parse(environment)
  return {
    settings: Either.getOrUndefined(parsed),
    invalid: Either.getOrUndefined(Either.flip(parsed)),
    warning: disabledWarning(environment["OTEL_SDK_DISABLED"])
  }
}))

/** Only `true` counts, in any case; the specification forbids others, and wants a warning of them. */
export const disabledWarning = (value: string | undefined): string | undefined =>
  ["", "true", "false"].includes(value?.trim().toLowerCase() ?? "")
    ? undefined
    : "the variable OTEL_SDK_DISABLED counts as false: only true disables, in upper or lower case"

/** Undefined when nothing is to be sent. */
export const parse = (
  environment: Readonly<Record<string, string | undefined>>
): Either.Either<Settings | undefined, OtlpInvalid> =>
  Either.gen(function*() {
    const get = (name: string) => {
      const value = environment[name]?.trim()
      return value === "" ? undefined : value
    }
    if (get("OTEL_SDK_DISABLED")?.toLowerCase() === "true") return undefined
    const traces = yield* target(get, "TRACES", yield* millis(get, "OTEL_BSP_SCHEDULE_DELAY", 5_000))
    const metrics = yield* target(get, "METRICS", yield* millis(get, "OTEL_METRIC_EXPORT_INTERVAL", 60_000))
    if (traces === undefined && metrics === undefined) return undefined
    if (GenAi.captureOf(get(GenAi.captureVariable)) === undefined) {
      return yield* invalid(GenAi.captureVariable, "is none of true and false", "Set it to one of these, or unset it.")
    }
    const attributes = yield* pairs(get, "OTEL_RESOURCE_ATTRIBUTES")
    const name = get("OTEL_SERVICE_NAME") ?? attributes["service.name"] ?? "vibectl-server"
    return { traces, metrics, sampler: yield* sampler(get), resource: { ...attributes, "service.name": name } }
  })

// -- internals ---------------------------------------------------------------

type Get = (name: string) => string | undefined

/** Not supported: what a setting of security asks for is not to be ignored. */
const certificates = ["CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"]

const variables: ReadonlyArray<string> = [
  "OTEL_SDK_DISABLED",
  "OTEL_SERVICE_NAME",
  "OTEL_RESOURCE_ATTRIBUTES",
  "OTEL_TRACES_EXPORTER",
  "OTEL_METRICS_EXPORTER",
  "OTEL_TRACES_SAMPLER",
  "OTEL_TRACES_SAMPLER_ARG",
  "OTEL_BSP_SCHEDULE_DELAY",
  "OTEL_METRIC_EXPORT_INTERVAL",
  GenAi.captureVariable,
  ...["", "TRACES_", "METRICS_"].flatMap((signal) =>
    ["ENDPOINT", "HEADERS", "PROTOCOL", "TIMEOUT", ...certificates].map((name) => `OTEL_EXPORTER_OTLP_${signal}${name}`)
  )
]

const invalid = (variable: string, fault: string, remedy: string) =>
  Either.left(new OtlpInvalid({ summary: `The variable ${variable} ${fault}.`, remedy }))

const target = (
  get: Get,
  signal: "TRACES" | "METRICS",
  interval: Duration.Duration
): Either.Either<Target | undefined, OtlpInvalid> =>
  Either.gen(function*() {
    const chooser = `OTEL_${signal}_EXPORTER`
    const exporter = get(chooser)
    if (exporter === "none") return undefined
    if (exporter !== undefined && exporter !== "otlp") {
      return yield* invalid(chooser, "is none of otlp and none", "Set it to one of these, or unset it.")
    }
    /** The variable that says it for this signal, else the one that says it for all. */
    const which = (name: string) => {
      const own = `OTEL_EXPORTER_OTLP_${signal}_${name}`
      return get(own) === undefined ? `OTEL_EXPORTER_OTLP_${name}` : own
    }
    const endpoint = which("ENDPOINT")
    if (get(endpoint) === undefined && exporter === undefined) return undefined
    for (const name of certificates.map(which)) {
      if (get(name) !== undefined) {
        return yield* invalid(
          name,
          "is not supported",
          "Unset it. For a collector with a CA of its own, name that in NODE_EXTRA_CA_CERTS."
        )
      }
    }
    const timeout = which("TIMEOUT")
    return {
      url: yield* urlOf(get, endpoint, endpoint.includes(signal) ? "" : `/v1/${signal.toLowerCase()}`),
      headers: Redacted.make(yield* headers(get, which("HEADERS"))),
      protocol: yield* protocol(get, which("PROTOCOL")),
      timeout: yield* millis(get, timeout, 10_000),
      interval
    }
  })

const urlOf = (get: Get, variable: string, path: string): Either.Either<URL, OtlpInvalid> => {
  const text = get(variable) ?? "http://localhost:4318"
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    return invalid(variable, "is not an http or https URL", "Write it as in http://localhost:4318.")
  }
  if (url.username !== "" || url.password !== "") {
    return invalid(variable, "holds credentials", "Put them into OTEL_EXPORTER_OTLP_HEADERS.")
  }
  if (path !== "") url.pathname = url.pathname.replace(/\/*$/, path)
  return Either.right(url)
}

const protocol = (get: Get, variable: string): Either.Either<Target["protocol"], OtlpInvalid> => {
  const name = get(variable) ?? "http/protobuf"
  if (name === "http/protobuf" || name === "http/json") return Either.right(name)
  return name === "grpc"
    ? invalid(
      variable,
      "is grpc, which is not supported",
      "Set it to http/protobuf and name the collector's HTTP port, mostly 4318, in the endpoint."
    )
    : invalid(variable, "is none of http/protobuf and http/json", "Set it to one of these, or unset it.")
}

const millis = (get: Get, variable: string, otherwise: number): Either.Either<Duration.Duration, OtlpInvalid> => {
  const text = get(variable) ?? String(otherwise)
  // The longest that a timer can wait.
  return /^[1-9][0-9]{0,9}$/.test(text) && Number(text) <= 0x7fff_ffff
    ? Either.right(Duration.millis(Number(text)))
    : invalid(variable, "is not a number of milliseconds", "Set it to a whole number above 0, or unset it.")
}

const sampler = (get: Get): Either.Either<Sampling.Sampler, OtlpInvalid> => {
  const [chooser, variable] = ["OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"]
  const given = get(chooser) ?? "parentbased_always_on"
  const name = Sampling.names.find((known) => known === given)
  if (name === undefined) {
    return invalid(chooser, `is none of ${Sampling.names.join(", ")}`, "Set it to one of these, or unset it.")
  }
  const text = get(variable) ?? "1"
  if (name.endsWith("ratio") && !(/^[0-9.]+(e-[0-9]+)?$/i.test(text) && Number(text) <= 1)) {
    return invalid(variable, "is not a number from 0 to 1", "Set it to the share of traces to keep, as in 0.1.")
  }
  return Either.right(Sampling.sampler(name, Number(text)))
}

/** HTTP allows these in names and values. */
const headers = (get: Get, variable: string): Either.Either<Pairs, OtlpInvalid> =>
  Either.flatMap(pairs(get, variable), (found) => {
    const entries = Object.entries(found).map(([name, value]) => [name.toLowerCase(), value] as const)
    return entries.every(([name, value]) => /^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name) && /^[\x20-\x7e]*$/.test(value))
      ? Either.right(Object.fromEntries(entries))
      : invalid(variable, "holds what cannot be an HTTP header", "Use ASCII only, without line breaks.")
  })

/** `name=value,name=value`, with percent-encoding. */
const pairs = (get: Get, variable: string): Either.Either<Pairs, OtlpInvalid> => {
  const parts = (get(variable) ?? "").split(",").map((part) => part.trim()).filter((part) => part !== "")
  const found = parts.map((part) => /^([^=]*[^=\s])\s*=\s*(.*)$/s.exec(part)?.slice(1).map(decoded) ?? [])
  return found.every(([name, value]) => name !== undefined && value !== undefined)
    ? Either.right(Object.fromEntries(found.map(([name = "", value = ""]) => [name, value])))
    : invalid(
      variable,
      "is not a list as in name=value,name=value",
      "Write what is not plain text in a value with percent signs, as in %20 for a space."
    )
}

/** Undefined for a percent sign without two digits. */
const decoded = (text: string): string | undefined => Either.getOrUndefined(Either.try(() => decodeURIComponent(text)))
