/**
 * A store that another process of this server keeps, so that all of them count
 * together.
 *
 * Questions and answers go in order, and those of one turn of the event loop go
 * together. What a process had reserved when it died is booked as it was
 * estimated, and its places are free again.
 */
import { Effect } from "effect"
import type { Inform } from "./Inform.js"
import {
  abandoned,
  type Ask,
  type Bound,
  type Progress,
  type Refusal,
  type Settlement,
  Store,
  StoreUnavailable,
  type UsageRow
} from "./Store.js"

/** As JSON. One that is answered has a number of its own. */
export type Question =
  | readonly [number: number, kind: "reserve", ask: Ask]
  | readonly [number: number, kind: "inform", bounds: ReadonlyArray<Bound>]
  | readonly [number: number, kind: "settle", ask: string, settlement: Settlement]
  | readonly [number: number, kind: "progress", all: ReadonlyArray<Shown>]
  | readonly [number: number, kind: "usage", range: { readonly from: string; readonly to: string }]
  | readonly [number: number, kind: "outstanding" | "ready"]

/** A {@link Progress}, by the id of its reservation. */
type Shown = readonly [ask: string, spent: Progress["spent"], rows: Progress["rows"]]

/** `failure` says of which store it is. */
export type Answer = readonly [number: number, failure: string | null, found: Found]

export interface Client {
  readonly store: Store["Type"]
  readonly inform: Inform
  /** To be told of every answer. */
  readonly answered: (answers: ReadonlyArray<Answer>) => void
  /** Sends what waits to be sent. */
  readonly flush: () => void
}

/** The store as the other processes have it. */
export const client = (send: (questions: ReadonlyArray<Question>) => void): Client => {
  const open = new Map<number, (answer: Answer) => void>()
  let waiting: Array<Question> = []
  let last = 0

  const flush = () => {
    if (waiting.length === 0) return
    const questions = waiting
    waiting = []
    send(questions)
  }
  const post = (question: Question) => {
    if (waiting.push(question) === 1) setImmediate(flush)
  }
  /** Whoever asked waits for the answer: there is nothing left behind to be given back. */
  const ask = <A>(
    question: (number: number) => Question,
    read: (found: Found) => A
  ): Effect.Effect<A, StoreUnavailable> =>
    Effect.uninterruptible(Effect.async<A, StoreUnavailable>((resume) => {
      last++
      open.set(last, ([, failure, found]) =>
        resume(
          failure === null
            ? Effect.succeed(read(found))
            : Effect.fail(new StoreUnavailable({ store: failure, cause: "told by the process that keeps it" }))
        ))
      post(question(last))
    }))

  return {
    store: Store.of({
      reserve: (wanted) => ask((number) => [number, "reserve", wanted], (found) => refusalOf(wanted.bounds, found)),
      settle: ({ id }, settlement) => Effect.sync(() => post([0, "settle", id, settlement])),
      progress: (all) =>
        ask(
          (number) => [number, "progress", all.map(({ ask, rows, spent }) => [ask.id, spent, rows] as const)],
          () => undefined
        ),
      usage: (range) => ask((number) => [number, "usage", range], (found) => "rows" in found ? found.rows : []),
      outstanding: ask((number) => [number, "outstanding"], (found) => "count" in found ? found.count : 0),
      ready: ask((number) => [number, "ready"], () => undefined)
    }),
    inform: (bounds) => Effect.orDie(ask((number) => [number, "inform", bounds], (found) => refusalOf(bounds, found))),
    answered: (answers) => {
      for (const answer of answers) {
        const resume = open.get(answer[0])
        open.delete(answer[0])
        resume?.(answer)
      }
    },
    flush
  }
}

/** What one of the other processes asks. */
export interface Desk {
  readonly answer: (questions: ReadonlyArray<Question>) => Effect.Effect<ReadonlyArray<Answer>>
  /** That process is no more. */
  readonly abandon: Effect.Effect<void>
}

export const desk = (store: Store["Type"], inform: Inform): Desk => {
  /** What that process has reserved, and what of it was used so far. */
  const held = new Map<string, Progress>()

  const answer = (question: Question): Effect.Effect<Found, StoreUnavailable> => {
    switch (question[1]) {
      case "reserve": {
        const [, , ask] = question
        return Effect.map(store.reserve(ask), (refusal) => {
          if (refusal === undefined) {
            held.set(ask.id, { ask, spent: { tokens: ask.tokens, cost: ask.cost }, rows: abandoned(ask) })
          }
          return told(ask.bounds, refusal)
        })
      }
      case "inform":
        return Effect.map(inform(question[2]), (refusal) => told(question[2], refusal))
      case "settle": {
        const own = held.get(question[2])
        if (own === undefined) return Effect.succeed(nothing)
        held.delete(own.ask.id)
        return Effect.as(store.settle(own.ask, question[3]), nothing)
      }
      case "progress": {
        const shown = question[2].flatMap(([id, spent, rows]): ReadonlyArray<Progress> => {
          const own = held.get(id)
          return own === undefined ? [] : [{ ask: own.ask, spent, rows }]
        })
        for (const own of shown) held.set(own.ask.id, own)
        return Effect.as(store.progress(shown), nothing)
      }
      case "usage":
        return Effect.map(store.usage(question[2]), (rows) => ({ rows }))
      case "outstanding":
        return Effect.map(store.outstanding, (count) => ({ count }))
      case "ready":
        return Effect.as(store.ready, nothing)
    }
  }

  return {
    answer: (questions) =>
      Effect.gen(function*() {
        const answers: Array<Answer> = []
        for (const question of questions) {
          const [number] = question
          const found = yield* Effect.match(answer(question), {
            onFailure: ({ store }): Answer => [number, store, nothing],
            onSuccess: (found): Answer => [number, null, found]
          })
          if (number !== 0) answers.push(found)
        }
        return answers
      }),
    abandon: Effect.suspend(() => {
      const left = [...held.values()]
      held.clear()
      return Effect.forEach(
        left,
        ({ ask, rows, spent }) => store.settle(ask, { charges: ask.bounds.map(() => spent), rows }),
        { discard: true }
      )
    })
  }
}

// -- internals ---------------------------------------------------------------

type Found =
  | Record<string, never>
  | { readonly refused: readonly [bound: number, type: Refusal["type"], retryAfterMs: number] }
  | { readonly rows: ReadonlyArray<UsageRow> }
  | { readonly count: number }

const nothing: Found = {}

const told = (bounds: ReadonlyArray<Bound>, refusal: Refusal | undefined): Found =>
  refusal === undefined ? nothing : {
    refused: [bounds.findIndex(({ key }) => key === refusal.bound.key), refusal.type, refusal.retryAfterMs]
  }

const refusalOf = (bounds: ReadonlyArray<Bound>, found: Found): Refusal | undefined => {
  if (!("refused" in found) || found.refused === undefined) return undefined
  const [index, type, retryAfterMs] = found.refused
  const bound = bounds[index]
  return bound && { bound, type, retryAfterMs }
}
