/**
 * What callers may use, enforced: a call is let in when all of its bounds let it
 * pass, and booked with what it used, however it ends.
 */
import { Clock, Context, Effect, Either, Exit, Layer, Random, type Scope } from "effect"
import type { Releasing } from "../call/Call.js"
import type { LimitsSection } from "../config/ServerSettings.js"
import type { Caller } from "../domain/Answer.js"
import * as Cost from "../domain/Cost.js"
import { InvalidRequest, type LimitExceeded, LimitsUnavailable, ModelNotAllowed } from "../domain/Errors.js"
import type { Price } from "../domain/ModelInfo.js"
import {
  flatMapEager,
  mapEager,
  mapErrorEager,
  matchEffectEager,
  type Moment,
  uninterruptibleEager
} from "../effect/Eager.js"
import * as Metrics from "../telemetry/Metrics.js"
import * as Bounds from "./Bounds.js"
import { exceeded } from "./Exceeded.js"
import * as Inform from "./Inform.js"
import * as Line from "./Line.js"
import * as Progress from "./Progress.js"
import * as Spending from "./Spending.js"
import { type Account, type Ask, type Bound, Store, type StoreUnavailable } from "./Store.js"

/** What a call asks for, before its first attempt. */
export interface Asking {
  readonly caller: Caller
  /** `provider/model`, the first that is tried. */
  readonly model: string
  /** Whether the model is one that its provider lists, and no name that the caller may have made up. */
  readonly listed: boolean
  /** Of that model; undefined when it is not known. */
  readonly price: Price | undefined
  /** Of the input, in UTF-16 code units. */
  readonly length: number
  /** Our estimate of the tokens of the input. */
  readonly inputTokens: number
  /** What it used, asked when it ends. */
  readonly spending: () => Spending.Spending
  /** What it has used so far, asked now and then while it runs. */
  readonly soFar: () => ReadonlyArray<Spending.Attempted>
}

/** The call that is let in. */
export interface Admitting extends Releasing {
  /** Milliseconds since the epoch. */
  now(): number
  readonly face: { readonly isDebugging: boolean }
}

export type Refused = InvalidRequest | LimitExceeded | LimitsUnavailable | ModelNotAllowed

export class Limits extends Context.Tag("vibectl/limits/Limits")<Limits, {
  /**
   * Lets the call in until it ends, and yields the milliseconds that it waited in line. Interrupting it while it waits
   * leaves nothing behind.
   */
  readonly admit: (asking: Asking, call: Admitting) => Effect.Effect<number, Refused>
  /** Whether the caller may try a model of this price: where dollars are limited, only one whose price is known. */
  readonly mayPay: (caller: Caller, model: string, price: Price | undefined) => boolean
  /**
   * Lets a call that was admitted try another model too: only what limits that model and not the first one counts
   * anew. Nobody waits for it.
   */
  readonly admitModel: (
    asking: Asking,
    model: string,
    price: Price | undefined,
    call: Admitting
  ) => Effect.Effect<void, Refused>
  /** Lets a caller ask for something that costs no model: within its requests per minute, which are counted apart here. */
  readonly inform: (caller: Caller, moment?: Moment) => Effect.Effect<void, LimitExceeded>
  /** How long one answer of the model may take, in seconds. */
  readonly requestTimeout: (caller: Caller, model: string) => number | undefined
}>() {
  static readonly layer = (options: Options): Layer.Layer<Limits, never, Store> =>
    Layer.scoped(this, Effect.flatMap(Store, (store) => make(options, store)))
}

export interface Options {
  readonly models: LimitsSection["models"]
  readonly queue: LimitsSection["queue"]
  readonly reserveOutputTokens: number
  /** What happens to calls while the store cannot be used. */
  readonly onUnavailable: "refuse" | "allow"
  /** Who counts the requests that cost no model; this process by itself where it is not given. */
  readonly inform?: Inform.Inform
}

export const make = (options: Options, store: Store["Type"]): Effect.Effect<Limits["Type"], never, Scope.Scope> =>
  Effect.gen(function*() {
    const models = Bounds.modelLimits(options.models)
    const { max_wait_seconds, max_waiting } = options.queue
    const line = max_waiting === 0 ? Line.none(store) : yield* Line.make(store, max_waiting)
    const inform = options.inform ?? Inform.make()
    const warning = yield* rarely(Effect.logWarning("calls pass without limits: their store cannot be used"))

    const running = yield* Progress.make(store)

    // Servers that share a store must not make the same one.
    const server = yield* randomId
    let calls = 0

    /** The reservation that is taken, whose settlement is sure; with what `also` begins and ends. */
    const take = (
      ask: Ask,
      until: number,
      asking: Asking,
      call: Admitting,
      booked: boolean,
      also: During = nothing
    ): Effect.Effect<Ask, LimitExceeded | LimitsUnavailable> => {
      const settle = (taken: Ask) => {
        running.remove(taken)
        const account = booked ? accountOf(taken, asking) : undefined
        return mapEager(
          store.settle(taken, Spending.settlement(taken, account, asking.spending()), { at: call.now() }),
          () => {
            line.freed(taken)
            also.end()
          }
        )
      }
      const taken = (taken: Ask) => {
        also.begin()
        running.add(taken, asking)
        call.onEnd(() => settle(taken))
        return Exit.succeed(taken)
      }
      return uninterruptibleEager(matchEffectEager(line.pass(ask, until), {
        onSuccess: (found): Effect.Effect<Ask, LimitExceeded | LimitsUnavailable> =>
          Either.isRight(found) ? taken(found.right) : Exit.fail(exceeded(found.left, ask)),
        onFailure: (failure) => Effect.flatMap(unavailable(options.onUnavailable, failure, warning, ask), taken)
      }))
    }

    const askFor = (
      call: Asking,
      model: string,
      price: Price | undefined,
      bounds: ReadonlyArray<Bound>,
      at: number
    ): Ask => {
      const usage = { inputTokens: call.inputTokens, outputTokens: options.reserveOutputTokens }
      const { access, subject } = call.caller
      return {
        id: `${server}.${(calls++).toString(36)}`,
        at,
        bounds,
        tokens: usage.inputTokens + usage.outputTokens,
        inputTokens: usage.inputTokens,
        cost: price === undefined ? 0 : Cost.ofUsage(price, usage),
        account: { subject, tenant: access.tenant ?? "", model }
      }
    }

    const admit = (asking: Asking, call: Admitting, sub: string): Effect.Effect<number, Refused> => {
      Metrics.requests.unsafe([sub])
      const { caller, length, model, price } = asking
      const most = Bounds.ofRequest(caller.access, models, model, "maxInputLength")
      if (most !== undefined && length > most) return Exit.fail(tooLong(length, most))
      const bounds = [...Bounds.ofCaller(caller), ...Bounds.ofModel(models, model)]
      const unpriced = price === undefined ? Bounds.countsDollars(bounds) : undefined
      if (unpriced !== undefined) return Exit.fail(notPriced(unpriced, model, caller))
      const ask = askFor(asking, model, price, bounds, call.now())
      const seconds = Bounds.ofRequest(caller.access, models, model, "requestTimeoutSeconds") ?? Infinity
      const until = Math.min(ask.at + Math.min(max_wait_seconds, seconds) * 1000, caller.deadline)
      const during = {
        begin: () => Metrics.inFlight.unsafe([sub], 1),
        end: () => Metrics.inFlight.unsafe([sub], -1)
      }
      return flatMapEager(take(ask, until, asking, call, true, during), (taken) => {
        const waited = taken.at - ask.at
        return call.face.isDebugging ? Effect.as(debugging(ask), waited) : Exit.succeed(waited)
      })
    }

    const admitModel = (asking: Asking, model: string, price: Price | undefined, call: Admitting) => {
      const held = new Set(Bounds.ofModel(models, asking.model).map(({ key }) => key))
      const bounds = Bounds.ofModel(models, model).filter(({ key }) => !held.has(key))
      if (bounds.length === 0) return Exit.void
      const ask = askFor(asking, model, price, bounds, call.now())
      return mapEager(take(Object.assign(ask, { isFurther: true }), 0, asking, call, false), () => {})
    }

    return {
      admit: (asking, call) => {
        const sub = Metrics.subjects.of(asking.caller.subject)
        return mapErrorEager(admit(asking, call, sub), (refused) => {
          if (refused._tag === "LimitExceeded") Metrics.limited.unsafe([sub, refused.type])
          return refused
        })
      },
      admitModel,
      inform: (caller, moment) =>
        flatMapEager(inform(Bounds.ofCaller(caller), moment), (refusal) => {
          if (refusal === undefined) return Exit.void
          Metrics.limited.unsafe([Metrics.subjects.of(caller.subject), refusal.type])
          return Exit.fail(exceeded(refusal))
        }),
      mayPay: (caller, model, price) =>
        price !== undefined ||
        Bounds.countsDollars([...Bounds.ofCaller(caller), ...Bounds.ofModel(models, model)]) === undefined,
      requestTimeout: ({ access }, model) => Bounds.ofRequest(access, models, model, "requestTimeoutSeconds")
    }
  })

// -- internals ---------------------------------------------------------------

/** The record of usage must not grow by every name that somebody makes up. */
const accountOf = ({ account }: Ask, { listed, spending }: Asking): Account =>
  listed || spending().attempts.length > 0
    ? account
    : Object.assign({}, account, { model: Spending.unlisted(account.model) })

const randomId = Effect.map(
  Effect.all([Random.nextIntBetween(0, 2 ** 48), Random.nextIntBetween(0, 2 ** 48)]),
  ([one, other]) => one.toString(36) + other.toString(36)
)

/** What goes on while a call does. */
interface During {
  readonly begin: () => void
  readonly end: () => void
}

const nothing: During = { begin: () => {}, end: () => {} }

const debugging = ({ bounds, tokens }: Ask): Effect.Effect<void> =>
  Effect.annotateLogs(Effect.logDebug("the call was let in"), {
    bounds: bounds.map(({ key }) => key),
    reservedTokens: tokens
  })

const unavailable = (
  choice: Options["onUnavailable"],
  failure: StoreUnavailable,
  warning: Effect.Effect<void>,
  ask: Ask
): Effect.Effect<Ask, LimitsUnavailable> =>
  choice === "allow"
    ? Metrics.storeUnavailable(["allowed"]).pipe(Effect.zipRight(warning), Effect.as(ask))
    : Effect.zipRight(Metrics.storeUnavailable(["refused"]), new LimitsUnavailable({ cause: failure }))

/** Dollars that cannot be counted cannot be limited. */
const notPriced = (bound: Bound, model: string, { subject }: Caller) =>
  new ModelNotAllowed({
    model,
    subject,
    because: `the dollars of the ${bound.scope} '${bound.name}' are limited, and the model has no price here`
  })

const tooLong = (length: number, most: number) =>
  new InvalidRequest({
    reason: "INPUT_TOO_LONG",
    field: "user_fragments",
    summary: `The request has ${length} characters; ${most} are allowed.`,
    remedy: "Send less text, or ask the operator of the server for a higher limit."
  })

/** At most once a minute. */
const rarely = (effect: Effect.Effect<void>) =>
  Effect.sync(() => {
    let next = -Infinity
    return Effect.flatMap(Clock.currentTimeMillis, (now) => {
      if (now < next) return Effect.void
      next = now + 60_000
      return effect
    })
  })
