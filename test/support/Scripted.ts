/**
 * Providers that follow a random script on virtual time, and remember what was
 * asked of them.
 */
import { Duration, Effect, FastCheck as fc } from "effect"
import { ProviderFailure } from "../../src/domain/Errors.js"
import { limited } from "../../src/models/Permits.js"
import { type Pieces, type Provider, type ProviderRequest, StreamingUnsupported } from "../../src/models/Provider.js"
import * as FakeProvider from "../../src/testing/FakeProvider.js"
import type { VirtualTime } from "./VirtualTime.js"

export const reasons = [
  "PROVIDER_RATE_LIMITED",
  "PROVIDER_UNAVAILABLE",
  "PROVIDER_TIMEOUT",
  "PROVIDER_REJECTED"
] as const

/** How one call to a provider goes; `delay` is milliseconds before each of its steps. */
const delay = fc.constantFrom(0, 1, 40, 300)
const ending = fc.oneof(
  { weight: 4, arbitrary: fc.constant("end" as const) },
  { weight: 4, arbitrary: fc.constantFrom(...reasons) },
  { weight: 1, arbitrary: fc.constant("hang" as const) }
)
const stream = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("pieces" as const), pieces: fc.nat(4), ending, delay }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("refused" as const), reason: fc.constantFrom(...reasons) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("unsupported" as const), answer: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant({ kind: "hang" as const }) }
)
const whole = fc.record({ length: fc.nat(250), ending, delay })

export const provider = fc.record({
  streams: fc.boolean(),
  maxRetries: fc.nat(2),
  /** What a refusal asks for, in milliseconds. */
  retryAfter: fc.constantFrom(undefined, undefined, 0, 700, 30_000),
  failoverAfter: fc.constantFrom(undefined, undefined, 90),
  maxConcurrent: fc.constantFrom(undefined, undefined, 1),
  /** One for each call, the last for all further ones. */
  calls: fc.array(fc.record({ stream, whole }), { minLength: 1, maxLength: 3 })
})
export type Script = typeof provider extends fc.Arbitrary<infer A> ? A : never

/** A text of so many UTF-16 code units, most of them halves of pairs. */
const wide = (length: number): string => "w".repeat(length % 3) + "😀".repeat((length - length % 3) / 2)

export interface Attempt {
  /** The user's text of the request: which call it is for. */
  readonly call: string
  readonly provider: string
  readonly real: boolean
  /** What it would say in all, if nothing breaks. */
  text: string
  readonly begunAt: number
  endedAt: number
  how: "open" | "done" | "failed" | "interrupted"
  retryAfter: number | undefined
}

export interface World {
  readonly time: VirtualTime
  readonly attempts: Array<Attempt>
  /** Calls that a provider is serving at this moment, and at most. */
  readonly served: Map<string, { now: number; most: number }>
  /** Providers now answer at once, whatever their script says. */
  probing: boolean
}

export const make = (name: string, script: Script, world: World): Provider => {
  let asked = 0
  const next = () => script.calls[Math.min(asked++, script.calls.length - 1)]!
  const failure = (reason: ProviderFailure["reason"]) =>
    new ProviderFailure({
      provider: name,
      reason,
      detail: undefined,
      retryAfter: script.retryAfter === undefined ? undefined : Duration.millis(script.retryAfter),
      cause: "scripted"
    })
  /** An attempt begins when it is asked for; it may wait for a permit first, and end while it waits. */
  const attempts = new WeakMap<ProviderRequest, Attempt>()
  const begun = <A, E, R>(
    request: ProviderRequest,
    real: boolean,
    call: (request: ProviderRequest) => Effect.Effect<A, E, R>
  ) =>
    Effect.suspend(() => {
      if (world.probing) return call(request)
      const own = { ...request }
      const attempt = begin(request.user, real)
      attempts.set(own, attempt)
      return Effect.onInterrupt(call(own), () =>
        Effect.sync(() => {
          if (attempt.how === "open") attempt.how = "interrupted"
          attempt.endedAt = Math.min(attempt.endedAt, world.time.now())
        }))
    })
  const begin = (call: string, real: boolean): Attempt => {
    const begunAt = world.time.now()
    const attempt: Attempt = {
      call,
      provider: name,
      real,
      text: "",
      begunAt,
      endedAt: Infinity,
      how: "open",
      retryAfter: undefined
    }
    world.attempts.push(attempt)
    return attempt
  }
  const fail = (attempt: Attempt, reason: ProviderFailure["reason"]) =>
    Effect.suspend(() => {
      attempt.how = "failed"
      attempt.endedAt = world.time.now()
      attempt.retryAfter = script.retryAfter
      return failure(reason)
    })
  const served = { now: 0, most: 0 }
  world.served.set(name, served)
  /** The socket: whatever closes it before the answer has ended has interrupted it. */
  const socket = (attempt: Attempt) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        served.now += 1
        served.most = Math.max(served.most, served.now)
      }),
      () =>
        Effect.sync(() => {
          served.now -= 1
          if (attempt.how === "open") attempt.how = "interrupted"
          attempt.endedAt = Math.min(attempt.endedAt, world.time.now())
        })
    )

  const complete = (request: ProviderRequest) =>
    Effect.scoped(Effect.gen(function*() {
      if (world.probing) return { text: "", usage: undefined }
      const { whole } = next()
      const attempt = attempts.get(request)!
      yield* socket(attempt)
      yield* Effect.sleep(whole.delay)
      if (whole.ending === "hang") return yield* Effect.never
      if (whole.ending !== "end") return yield* fail(attempt, whole.ending)
      attempt.text = `<${world.attempts.length}${wide(whole.length)}>`
      attempt.how = "done"
      return { text: attempt.text, usage: undefined }
    }))

  const open = (request: ProviderRequest) =>
    Effect.gen(function*() {
      const { stream: plan, whole } = next()
      const attempt = attempts.get(request)!
      yield* socket(attempt)
      if (plan.kind === "hang") return yield* Effect.never
      if (plan.kind === "refused") return yield* fail(attempt, plan.reason)
      if (plan.kind === "unsupported") {
        // Finding out is part of the attempt that follows.
        attempt.how = "done"
        world.attempts.splice(world.attempts.indexOf(attempt), 1)
        if (!plan.answer) return yield* new StreamingUnsupported({ provider: name, answer: undefined })
        const text = wide(whole.length)
        world.attempts.push({ ...attempt, real: false, text, endedAt: world.time.now() })
        return yield* new StreamingUnsupported({ provider: name, answer: { text, usage: undefined } })
      }
      const pieces = Array.from({ length: plan.pieces }, (_, index) => `(${world.attempts.length}.${index})`)
      attempt.text = pieces.join("")
      const done = Effect.tap(FakeProvider.end(), () => {
        attempt.how = "done"
      })
      const last: Pieces = plan.ending === "end"
        ? done
        : plan.ending === "hang"
        ? Effect.never
        : fail(attempt, plan.ending)
      return FakeProvider.pieces(
        [...pieces.map(FakeProvider.text), last].map((pull) => Effect.zipRight(Effect.sleep(plan.delay), pull))
      )
    })

  const calls = script.maxConcurrent === undefined
    ? { complete, stream: open }
    : limited(script.maxConcurrent, { complete, stream: open })
  const failover = script.failoverAfter === undefined ? undefined : Duration.millis(script.failoverAfter)
  return FakeProvider.make({
    name,
    maxRetries: script.maxRetries,
    models: [{ name: "one", streams: script.streams, contextLength: undefined, price: undefined }],
    failoverAfter: () => failover,
    complete: (request) => begun(request, false, calls.complete),
    stream: (request) => begun(request, true, calls.stream)
  })
}
