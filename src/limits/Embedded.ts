/**
 * Counts in this process and a file: for one server, or a few on one machine.
 *
 * Rates are counted by each process for itself; quotas, reservations and the
 * record of usage are in the file, where all processes that have it open count
 * together. Check and take are synchronous, so that nothing comes between.
 */
import type { FileSystem } from "@effect/platform"
import { Effect, Layer, Random, type Scope } from "effect"
import * as Backlog from "./Backlog.js"
import * as Ledger from "./Ledger.js"
import * as LedgerFile from "./LedgerFile.js"
import * as Rates from "./Rates.js"
import { Store, StoreUnavailable } from "./Store.js"

export { LedgerInvalid } from "./LedgerFile.js"

export interface Options {
  readonly file: string
  /** How long the record of usage is kept. */
  readonly keepDays: number
}

/** Fails when the file cannot be used at the start. */
export const layer = (
  options: Options
): Layer.Layer<Store, LedgerFile.LedgerInvalid, FileSystem.FileSystem> =>
  Layer.scoped(
    Store,
    Effect.flatMap(LedgerFile.open(options.file), (db) => make(db, options)).pipe(
      Effect.catchTag("StoreUnavailable", ({ cause }) => LedgerFile.invalid(options.file, cause))
    )
  )

/** The same without a file, for this process alone: there is nothing to close, and nobody to book for. */
export const layerMemory: Layer.Layer<Store> = Layer.effect(
  Store,
  LedgerFile.memory.pipe(
    Effect.flatMap((db) => counting(db, { file: "the memory of this process", keepDays: 3660 })),
    Effect.map(({ store }) => store),
    Effect.orDie
  )
)

// -- internals ---------------------------------------------------------------

/** A quarter of the lease: some may fail. */
const renewal = "5 seconds"

/** After a failure nothing is tried for so long: to wait for a lock stops the whole process. */
const restMillis = 1000

/** Renews the lease of this process until the scope closes, and writes down what it owes. */
const make = (
  db: LedgerFile.Connection,
  options: Options
): Effect.Effect<Store["Type"], StoreUnavailable, Scope.Scope> =>
  Effect.gen(function*() {
    const { backlog, ledger, store, use, wake } = yield* counting(db, options)
    const tell = Backlog.telling("what calls used", { file: options.file })
    yield* Effect.addFinalizer(() =>
      Effect.sync(wake).pipe(
        Effect.zipRight(backlog.write),
        Effect.zipRight(use(ledger.leave)),
        Effect.catchAllCause((cause) => Effect.logError("what the last calls used is not written", cause))
      )
    )
    yield* Effect.forkScoped(
      use(ledger.renew).pipe(
        Effect.zipRight(backlog.write),
        Effect.matchCauseEffect({ onFailure: tell.failed, onSuccess: () => tell.works }),
        Effect.delay(renewal),
        Effect.forever
      )
    )
    return store
  })

/** The store itself, which keeps no lease. */
const counting = (db: LedgerFile.Connection, { file, keepDays }: Options) =>
  Effect.gen(function*() {
    const server = (yield* Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER)).toString(36)
    const rates = Rates.make()
    const ledger = Ledger.make(db, { keepDays, server })
    const { use, wake } = access(file)
    const backlog = Backlog.make(({ ask, settlement }) => use(() => ledger.settle(ask, settlement)))
    yield* use(ledger.renew)
    const store = Store.of({
      reserve: (ask) =>
        use((now) => {
          const limited = rates.refusal(ask, now)
          // Nobody should wait for a minute only to be told to wait for a month.
          if (limited !== undefined) return ledger.refusal(ask, now) ?? limited
          const refusal = ledger.reserve(ask, now)
          if (refusal === undefined) rates.take(ask, now)
          return refusal
        }),
      settle: (ask, settlement) =>
        Effect.clockWith((clock) =>
          Effect.suspend(() => {
            rates.settle(ask, settlement.charges, clock.unsafeCurrentTimeMillis())
            return backlog.settle({ ask, settlement })
          })
        ).pipe(Effect.uninterruptible),
      usage: ({ from, to }) => use(() => ledger.usage(from, to)),
      outstanding: use(ledger.outstanding),
      ready: use(ledger.renew)
    })
    return { backlog, ledger, store, use, wake }
  })

/** Uses the file now, in one synchronous step; after a failure it is left alone for a while, until `wake`. */
const access = (store: string) => {
  let failed: { readonly at: number; readonly error: StoreUnavailable } | undefined
  return {
    use: <A>(work: (now: number) => A): Effect.Effect<A, StoreUnavailable> =>
      Effect.clockWith((clock) =>
        Effect.suspend(() => {
          const now = clock.unsafeCurrentTimeMillis()
          if (failed !== undefined && Math.abs(now - failed.at) < restMillis) return failed.error
          try {
            const done = work(now)
            failed = undefined
            return Effect.succeed(done)
          } catch (cause) {
            if (LedgerFile.isHopeless(cause)) return Effect.die(cause)
            failed = { at: now, error: new StoreUnavailable({ store, cause }) }
            return failed.error
          }
        })
      ),
    wake: () => {
      failed = undefined
    }
  }
}
