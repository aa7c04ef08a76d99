/**
 * What a running server does: the counts of its metrics, and what they do not know.
 */
import { DateTime, Effect, Metric, type MetricPair, MetricState, Schema } from "effect"
import { packageVersion } from "../domain/PackageVersion.js"
import * as LogLevel from "../telemetry/LogLevel.js"
import * as Readiness from "./Readiness.js"

const Counts = Schema.Record({ key: Schema.String, value: Schema.Number })

/** As JSON of `GET /info`; counts are since the start. */
export const Activity = Schema.Struct({
  version: Schema.String,
  /** `host:port` of the calls. */
  address: Schema.String,
  started_at: Schema.DateTimeUtc,
  uptime_seconds: Schema.Number,
  /** `provider/model`; null when no model can be called. */
  default_model: Schema.NullOr(Schema.String),
  log_level: Schema.Literal(...LogLevel.names),
  store: Schema.Struct({
    /** `embedded` or `redis`. */
    kind: Schema.String,
    ready: Schema.Boolean,
    /** Why it is not ready, else null. */
    problem: Schema.NullOr(Schema.String)
  }),
  /** The processes that take the calls, where there are several. */
  workers: Schema.optional(Schema.Struct({
    /** As many as there should be. */
    wanted: Schema.Number,
    /** Those that take calls now. */
    ready: Schema.Number,
    /** How often one has taken the place of another that ended. */
    replaced: Schema.Number
  })),
  running: Schema.Struct({
    /** Calls that run now, by method; those without one are left out. */
    methods: Counts,
    /** Calls to a model that run now, by subject; those without one are left out. */
    subjects: Counts
  }),
  /** Calls that ended, by outcome. */
  calls: Counts,
  /** Answers given whole, by how their text was produced. */
  tiers: Counts,
  providers: Schema.Record({
    key: Schema.String,
    value: Schema.Struct({
      /** Those that ended. */
      attempts: Schema.Number,
      failures: Schema.Number,
      /** Answers given whole. */
      answers: Schema.Number,
      /** What it refused because of this server's account there, by cause; those without one are left out. */
      account: Schema.optional(Schema.Record({
        key: Schema.String,
        value: Schema.Struct({ failures: Schema.Number, last_at: Schema.NullOr(Schema.DateTimeUtc) })
      }))
    })
  })
})
export type Activity = typeof Activity.Type

/** What no metric says. */
export interface Facts {
  readonly address: string
  readonly startedAt: DateTime.Utc
  /** Empty when no model can be called. */
  readonly defaultModel: string
  /** Every one that is configured, also without a call. */
  readonly providers: ReadonlyArray<string>
  readonly store: { readonly kind: string; readonly ready: Readiness.Check }
  readonly level: LogLevel.LogLevel["Type"]
  /** The metrics; those of this process where it is not given. */
  readonly pairs?: Effect.Effect<ReadonlyArray<MetricPair.MetricPair.Untyped>>
  /** Where several processes take the calls. */
  readonly workers?: Effect.Effect<NonNullable<Activity["workers"]>>
}

export const make = (facts: Facts): Effect.Effect<Activity> =>
  Effect.gen(function*() {
    const now = yield* DateTime.now
    const problem = yield* Effect.match(Readiness.bounded(facts.store.ready), {
      onFailure: ({ message }) => message,
      onSuccess: () => null
    })
    const pairs = yield* facts.pairs ?? Metric.snapshot
    const workers = facts.workers && (yield* facts.workers)
    const [attempts, failures, answers] = [
      sums(pairs, "gen_ai.client.operation.duration", "gen_ai.provider.name"),
      sums(pairs, "vibectl_attempts_failed_total", "provider"),
      sums(pairs, "vibectl_answers_total", "provider")
    ]
    const names = new Set([...facts.providers, ...attempts.keys(), ...failures.keys(), ...answers.keys()])
    return {
      version: packageVersion,
      address: facts.address,
      started_at: facts.startedAt,
      uptime_seconds: Math.max(0, Math.floor(DateTime.distance(facts.startedAt, now) / 1000)),
      default_model: facts.defaultModel === "" ? null : facts.defaultModel,
      log_level: yield* facts.level.get,
      store: { kind: facts.store.kind, ready: problem === null, problem },
      ...workers && { workers },
      running: {
        methods: someOf(sums(pairs, "vibectl_calls_running", "method")),
        subjects: someOf(sums(pairs, "vibectl_concurrent_in_flight", "sub"))
      },
      calls: Object.fromEntries(sums(pairs, "vibectl_calls_total", "outcome")),
      tiers: Object.fromEntries(sums(pairs, "vibectl_answers_total", "tier")),
      providers: Object.fromEntries(
        [...names].map((name) => [name, {
          attempts: attempts.get(name) ?? 0,
          failures: failures.get(name) ?? 0,
          answers: answers.get(name) ?? 0,
          ...accountOf(pairs, name)
        }])
      )
    }
  })

// -- internals ---------------------------------------------------------------

const accountOf = (
  pairs: ReadonlyArray<MetricPair.MetricPair.Untyped>,
  provider: string
): Pick<Activity["providers"][string], "account"> => {
  const own = pairs.filter(({ metricKey }) =>
    metricKey.tags.some(({ key, value }) => key === "provider" && value === provider)
  )
  const moments = sums(own, "vibectl_account_failed_timestamp_seconds", "account")
  const causes = [...sums(own, "vibectl_account_failures_total", "account")].map(([cause, failures]) => {
    const at = moments.get(cause)
    return [cause, { failures, last_at: at === undefined ? null : DateTime.unsafeMake(at * 1000) }] as const
  })
  return causes.length === 0 ? {} : { account: Object.fromEntries(causes) }
}

/** Of one instrument, by the values of one label; of a histogram, how many values it has. */
const sums = (pairs: ReadonlyArray<MetricPair.MetricPair.Untyped>, name: string, label: string) => {
  const found = new Map<string, number>()
  for (const { metricKey, metricState } of pairs) {
    if (metricKey.name !== name) continue
    const value = metricKey.tags.find(({ key }) => key === label)?.value ?? ""
    found.set(value, (found.get(value) ?? 0) + amount(metricState))
  }
  return found
}

const amount = (state: MetricState.MetricState.Untyped): number => {
  if (MetricState.isGaugeState(state)) return Number(state.value)
  return MetricState.isCounterState(state) || MetricState.isHistogramState(state) ? Number(state.count) : 0
}

const someOf = (counts: ReadonlyMap<string, number>) =>
  Object.fromEntries([...counts].filter(([, count]) => count !== 0))
