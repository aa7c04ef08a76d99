/**
 * A provider that says what the test tells it to.
 */
import { Effect } from "effect"
import type { Piece, Pieces, Provider } from "../models/Provider.js"

/** Streams `whole answer` in two pieces, unless the script says otherwise. */
export const make = (script: Partial<Provider> = {}): Provider => ({
  name: "fake",
  models: [{ name: "one", streams: true, contextLength: undefined, price: undefined }],
  open: true,
  defaultModel: "one",
  maxRetries: 0,
  complete: () => Effect.succeed({ text: "whole answer", usage: undefined, finishReason: "stop" as const }),
  stream: () => Effect.sync(() => pieces([text("whole "), text("answer"), end()])),
  ...script
})

/** Pulls that give these results one after the other, then never anything. */
export const pieces = (results: Iterable<Pieces>): Pieces => {
  const iterator = results[Symbol.iterator]()
  return Effect.suspend(() => {
    const next = iterator.next()
    return next.done === true ? Effect.never : next.value
  })
}

export const text = (value: string): Pieces => Effect.succeed<Piece>({ _tag: "Text", text: value })

export const end = (usage?: { readonly inputTokens: number; readonly outputTokens: number }): Pieces =>
  Effect.succeed<Piece>({ _tag: "End", usage, finishReason: "stop" })
