/**
 * Counts in this process and a file: for one server, or a few on one machine.
 *
 * Rates are counted by each process for itself; quotas, reservations and the
 * record of usage are in the file, where all processes that have it open count
 * together. Check and take are synchronous, so that nothing comes between.
 * What need not be in the file before a call goes on is written a moment later,
 * together with that of others.
 */
import type { FileSystem } from "@effect/platform"
import { Effect, Exit, Layer, Random, type Scope } from "effect"
import { actEager } from "../effect/Eager.js"
import * as Ahead from "./Ahead.js"
import * as Backlog from "./Backlog.js"
import * as Ledger from "./Ledger.js"
import * as LedgerFile from "./LedgerFile.js"
import * as LedgerGuard from "./LedgerGuard.js"
import * as Quotas from "./Quotas.js"
import * as Rates from "./Rates.js"
import { type Ask, type Refusal, Store, StoreUnavailable } from "./Store.js"

export { LedgerInvalid } from "./LedgerFile.js"

export interface Options {
  readonly file: string
  /** How long the record of usage is kept. */
  readonly keepDays: number
  /** What happens to calls while a file that was deleted cannot be made anew; they are counted in what is still open. */
  readonly onUnavailable?: "refuse" | "allow"
}

/** Fails when the file cannot be used at the start. */
export const layer = (
  options: Options
): Layer.Layer<Store, LedgerFile.LedgerInvalid, FileSystem.FileSystem> =>
  Layer.scoped(
    Store,
    Effect.flatMap(LedgerGuard.open(options.file), (guard) => make(guard, options)).pipe(
      Effect.catchTag("StoreUnavailable", ({ cause }) => LedgerFile.invalid(options.file, cause))
    )
  )

/** The same without a file, for this process alone: there is nothing to close, and nobody to book for. */
export const layerMemory: Layer.Layer<Store> = Layer.effect(
  Store,
  LedgerFile.memory.pipe(
    Effect.flatMap((db) => counting(neverLost(db), { file: "the memory of this process", keepDays: 3660 })),
    Effect.map(({ store }) => store),
    Effect.orDie
  )
)

// -- internals ---------------------------------------------------------------

/** A quarter of the lease: some may fail. */
const renewal = "5 seconds"

/** How long what is counted may not be in the file yet; so much of it is lost with the process, should it die. */
const delay = "50 millis"

/** So many are written at once, also before that. */
const together = 512

/** After a failure nothing is tried for so long: to wait for a lock stops the whole process. */
const restMillis = 1000

/** Renews the lease of this process until the scope closes, and writes down what it owes. */
const make = (
  guard: LedgerGuard.Guard,
  options: Options
): Effect.Effect<Store["Type"], StoreUnavailable, Scope.Scope> =>
  Effect.gen(function*() {
    const { ahead, backlog, flush, ledger, store, use, waits, wake } = yield* counting(guard, options)
    const tell = Backlog.telling("what calls used", { file: options.file })
    yield* Effect.addFinalizer(() =>
      Effect.sync(wake).pipe(
        Effect.zipRight(flush),
        Effect.zipRight(backlog.write),
        Effect.zipRight(use(() => ahead.free(true))),
        Effect.zipRight(use(ledger.leave)),
        Effect.catchAllCause((cause) => Effect.logError("what the last calls used is not written", cause))
      )
    )
    yield* Effect.forkScoped(
      use(ledger.renew).pipe(
        Effect.zipRight(backlog.write),
        Effect.zipRight(flush),
        Effect.zipRight(use(() => ahead.free())),
        Effect.matchCauseEffect({ onFailure: tell.failed, onSuccess: () => tell.works }),
        Effect.delay(renewal),
        Effect.forever
      )
    )
    yield* Effect.forkScoped(
      waits.await.pipe(
        Effect.zipRight(Effect.sleep(delay)),
        Effect.zipRight(waits.close),
        Effect.zipRight(flush),
        Effect.forever
      )
    )
    return store
  })

/** The store itself, which keeps no lease. */
const counting = (guard: LedgerGuard.Guard, { file, keepDays, onUnavailable }: Options) =>
  Effect.gen(function*() {
    const server = (yield* Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER)).toString(36)
    const rates = Rates.make()
    const ledger = Ledger.make(guard.connection(), { keepDays, server })
    const { hasFailed, use, wake } = yield* access(file, {
      isLost: guard.isLost,
      restore: Effect.map(guard.restore, ledger.moveTo),
      goesOn: onUnavailable === "allow"
    })
    const ahead = Ahead.make(ledger)
    const backlog = Backlog.make(({ ask, settlement }) => use(() => ledger.settle(ask, settlement)))
    /** Opens when something waits to be written. */
    const waits = Effect.unsafeMakeLatch()
    yield* use(ledger.renew)

    /** Never fails: what cannot be written now is kept, or told where it never can. */
    const flush = Effect.suspend(() =>
      ahead.waiting() === 0 ? Effect.void : Effect.matchEffect(use(() => ahead.write()), {
        onFailure: () => Effect.forEach(ahead.handOver(), backlog.settle, { discard: true }),
        onSuccess: (causes) =>
          Effect.forEach(causes, (cause) => Effect.logError("what a call used cannot be booked", cause), {
            discard: true
          })
      })
    )

    const reserveInFile = (ask: Ask) =>
      Effect.zipRight(
        flush,
        use((now) => {
          const limited = rates.refusal(ask, now)
          // Nobody should wait for a minute only to be told to wait for a month.
          if (limited !== undefined) return ahead.refusal(ask, now) ?? limited
          const refusal = ahead.reserve(ask, now)
          if (refusal === undefined) rates.take(ask, now)
          return refusal
        })
      )

    /** In memory; undefined where that is not possible. */
    const reserveAhead = (ask: Ask, now: number): { readonly refusal: Refusal | undefined } | undefined => {
      const limited = rates.refusal(ask, now)
      if (limited !== undefined) return Quotas.hasQuotas(ask.bounds) ? undefined : { refusal: limited }
      if (!ahead.take(ask, now)) return undefined
      rates.take(ask, now)
      waits.unsafeOpen()
      return { refusal: undefined }
    }

    const store = Store.of({
      reserve: (ask, moment) =>
        actEager(moment, ({ at }) => {
          // Nothing passes ahead of a file that may not be there.
          const taken = hasFailed() ? undefined : reserveAhead(ask, at)
          return taken === undefined ? reserveInFile(ask) : Exit.succeed(taken.refusal)
        }),
      settle: (ask, settlement, moment) =>
        actEager(moment, ({ at }) => {
          rates.settle(ask, settlement.charges, at)
          ahead.settle({ ask, settlement })
          waits.unsafeOpen()
          return ahead.waiting() < together ? Exit.void : Effect.uninterruptible(flush)
        }),
      // What is not in the file yet is there in a moment, and asked for again.
      progress: (all) => Effect.zipRight(flush, use(() => ledger.progress(all))),
      usage: ({ from, to }) => Effect.zipRight(flush, use(() => ledger.usage(from, to))),
      outstanding: Effect.zipRight(flush, use(ledger.outstanding)),
      ready: use(ledger.renew)
    })
    return { ahead, backlog, flush, ledger, store, use, waits, wake }
  })

/** What has no name cannot be taken away. */
const neverLost = (db: LedgerFile.Connection): LedgerGuard.Guard => ({
  connection: () => db,
  isLost: () => false,
  restore: Effect.succeed(db)
})

interface Losing {
  readonly isLost: () => boolean
  readonly restore: Effect.Effect<void, LedgerFile.LedgerInvalid>
  /** Whether what is still open is used as long as that fails. */
  readonly goesOn: boolean
}

/**
 * Uses the file now, in one synchronous step; after a failure it is left alone for a while, until `wake`. One that was
 * deleted or replaced is restored first.
 */
const access = (store: string, { goesOn, isLost, restore }: Losing) =>
  Effect.map(Effect.makeSemaphore(1), (restoring) => {
    let failed: { readonly at: number; readonly error: StoreUnavailable } | undefined
    let triedAt = -Infinity
    let isReported = false
    const isRecent = (now: number, at: number) => Math.abs(now - at) < restMillis
    const isResting = (now: number) => failed !== undefined && isRecent(now, failed.at)

    const run = <A>(work: (now: number) => A, now: number): Effect.Effect<A, StoreUnavailable> => {
      try {
        const done = work(now)
        failed = undefined
        return Effect.succeed(done)
      } catch (cause) {
        if (LedgerFile.isHopeless(cause)) return Effect.die(cause)
        failed = { at: now, error: new StoreUnavailable({ store, cause }) }
        return failed.error
      }
    }

    const report = ({ remedy, summary }: LedgerFile.LedgerInvalid) =>
      Effect.suspend(() => {
        if (isReported) return Effect.void
        isReported = true
        const consequence = goesOn
          ? "calls go on, and what they use is lost with this process"
          : "calls are refused until there is one"
        return Effect.annotateLogs(Effect.logError(`the record of usage has no file; ${consequence}`), {
          file: store,
          reason: summary,
          remedy
        })
      })

    const restored = (now: number): Effect.Effect<void, StoreUnavailable> =>
      Effect.suspend(() => {
        if (!isLost() || (goesOn && isRecent(now, triedAt))) return Effect.void
        if (failed !== undefined && isResting(now)) return failed.error
        triedAt = now
        return Effect.matchEffect(restore, {
          onSuccess: () => {
            isReported = false
            return Effect.void
          },
          onFailure: (invalid) =>
            Effect.zipRight(
              report(invalid),
              Effect.suspend(() => {
                if (goesOn) return Effect.void
                failed = { at: now, error: new StoreUnavailable({ store, cause: invalid }) }
                return failed.error
              })
            )
        })
      }).pipe(restoring.withPermits(1))

    return {
      /** Whether it failed when it was used last. */
      hasFailed: () => failed !== undefined,
      use: <A>(work: (now: number) => A): Effect.Effect<A, StoreUnavailable> =>
        Effect.clockWith((clock) =>
          Effect.suspend(() => {
            const now = clock.unsafeCurrentTimeMillis()
            if (failed !== undefined && isResting(now)) return failed.error
            return isLost() ? Effect.zipRight(restored(now), Effect.suspend(() => run(work, now))) : run(work, now)
          })
        ),
      wake: () => {
        failed = undefined
        triedAt = -Infinity
      }
    }
  })
