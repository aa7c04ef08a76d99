/**
 * The primary process, as a worker has it.
 */
import { Data, Deferred, Effect, Queue } from "effect"
import type { Answer } from "../../limits/Remote.js"
import { type FromWorker, type Start, type ToWorker, variable } from "./Messages.js"

/** The variable is set, and there is no primary process. */
export class WorkerAlone extends Data.TaggedError("WorkerAlone") {
  readonly summary = `${variable} is set, and no server has started this process.`
  readonly remedy = "Unset it: a server sets it for the processes that it starts itself."
}

export interface Parent {
  readonly start: Start
  readonly send: (message: FromWorker) => void
  /** What it says, apart from answers. */
  readonly said: Queue.Dequeue<Exclude<ToWorker, { readonly is: "start" | "answers" | "stop" | "hurry" }>>
  /** Completes when this process is to stop. */
  readonly stopped: Effect.Effect<void>
  /** Completes when it is to end the calls that still run. */
  readonly hurried: Effect.Effect<void>
  /** Says the last word, and leaves. Nothing of this process goes on after it. */
  readonly leave: (last: FromWorker) => Effect.Effect<void>
}

/** Says hello, and waits for what is needed to start. */
export const connect = (answered: (answers: ReadonlyArray<Answer>) => void): Effect.Effect<Parent, WorkerAlone> =>
  Effect.gen(function*() {
    const send = process.send?.bind(process)
    if (send === undefined) return yield* new WorkerAlone()
    const started = yield* Deferred.make<Start>()
    const stopped = yield* Deferred.make<void>()
    const hurried = yield* Deferred.make<void>()
    const said = yield* Queue.unbounded<Exclude<ToWorker, { readonly is: "start" | "answers" | "stop" | "hurry" }>>()
    process.on("message", (given) => {
      // The other end is this program.
      const message = given as ToWorker
      if (message.is === "answers") answered(message.answers)
      else if (message.is === "start") Deferred.unsafeDone(started, Effect.succeed(message.start))
      else if (message.is === "stop") Deferred.unsafeDone(stopped, Effect.void)
      else if (message.is === "hurry") Deferred.unsafeDone(hurried, Effect.void)
      else said.unsafeOffer(message)
    })
    const tell = (message: FromWorker) => void send(message, undefined, undefined, () => {})
    tell({ is: "hello" })
    return {
      start: yield* Deferred.await(started),
      send: tell,
      said,
      stopped: Deferred.await(stopped),
      hurried: Deferred.await(hurried),
      leave: (last) =>
        Effect.async((resume) => {
          send(last, undefined, undefined, () => {
            // Node ends a worker that has disconnected.
            process.disconnect()
            resume(Effect.never)
          })
        })
    }
  })
