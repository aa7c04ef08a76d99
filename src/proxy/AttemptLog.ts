/**
 * What the log has of each attempt at DEBUG: its number, how it ended, the status and the request id of the provider,
 * and the milliseconds from its beginning to each phase. Nothing of it is a prompt, an answer or a key.
 *
 * At any other level nothing is measured, and an attempt is left as it is.
 */
import { Effect, FiberRef, HashMap, Logger, LogLevel } from "effect"
import type { ResponseHead } from "../models/ResponseHead.js"
import * as LogLine from "../telemetry/LogLine.js"
import type { Attempt } from "./Attempt.js"

/** Writes a line of the call's log. */
export type Write = (message: string, values: LogLine.Values) => void

/** For what the fiber does, with its annotations; undefined above DEBUG. */
export const writer: Effect.Effect<Write | undefined> = Effect.withFiberRuntime((fiber) => {
  const isQuiet = () => LogLevel.greaterThan(fiber.getFiberRef(FiberRef.currentMinimumLogLevel), LogLevel.Debug)
  if (isQuiet()) return Effect.succeed(undefined)
  const around = Object.fromEntries(HashMap.map(fiber.getFiberRef(FiberRef.currentLogAnnotations), String))
  const source = LogLine.sourceOf(fiber)
  return Effect.succeed((message: string, values: LogLine.Values) => {
    if (isQuiet()) return
    // An attempt may end where no effect runs: when its scope closes.
    const line = LogLine.make(source, LogLevel.Debug, message, Object.assign({}, around, values))
    for (const logger of fiber.getFiberRef(FiberRef.currentLoggers)) {
      // It would add the line to the span, which has the same as attributes.
      if (logger !== Logger.tracerLogger) logger.log(line)
    }
  })
})

export interface About {
  /** 1 for the first of the call. */
  readonly number: number
  /** `provider/model`. */
  readonly model: string
  readonly streamed: boolean
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  readonly now: () => number
}

/** The same attempt, which leaves a line in the log when it ends. */
export const observed = (
  attempt: Attempt,
  { model, now, number, startedAt, streamed }: About,
  write: Write
): Attempt => {
  const since = (at: number) => Math.max(0, Math.round(at - startedAt))
  const { onResponse, onSent } = attempt.request
  /** Of the last request, where a field that the provider refused made it another one. */
  let head: ResponseHead | undefined
  let phases: { connectMs?: number; headersMs?: number; firstTextMs?: number } = {}
  let isWritten = false

  const ended = (at: number, detail?: string) => {
    if (isWritten) return
    isWritten = true
    const error = attempt.error()
    write("attempt ended", {
      attempt: number,
      attemptedModel: model,
      streamed,
      attemptOutcome: error === undefined ? "CANCELLED" : error === "" ? "OK" : error,
      ...detail !== undefined && { attemptDetail: detail },
      ...head !== undefined && { httpStatus: head.status },
      ...head?.requestId !== undefined && { providerRequestId: head.requestId },
      ...phases,
      attemptMs: since(at)
    })
  }

  return {
    request: Object.assign({}, attempt.request, {
      onSent: () => {
        head = undefined
        phases = { connectMs: since(now()) }
        onSent?.()
      },
      onResponse: (response: ResponseHead) => {
        head = response
        phases.headersMs = since(now())
        onResponse?.(response)
      }
    }),
    text: (text) => {
      phases.firstTextMs ??= since(now())
      attempt.text(text)
    },
    completed: (usage, at) => {
      attempt.completed(usage, at)
      ended(at)
    },
    failed: (failure, at) => {
      attempt.failed(failure, at)
      ended(at, failure._tag === "ProviderFailure" ? failure.detail : undefined)
    },
    error: attempt.error,
    spent: attempt.spent,
    close: (at) => {
      ended(at)
      attempt.close(at)
    }
  }
}
