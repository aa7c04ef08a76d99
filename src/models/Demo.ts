/**
 * The provider of a server that has none: no network, no key, no cost.
 *
 * Its answers are deterministic and say that no LLM was called. `echo` streams
 * and `whole` does not, so that both ways can be tried.
 */
import { Effect } from "effect"
import { type ModelSpec, type Piece, type Provider, type ProviderRequest, StreamingUnsupported } from "./Provider.js"

export const make = (name: string): Provider => ({
  name,
  models,
  open: false,
  maxRetries: 0,
  defaultModel: "echo",
  complete: (request) =>
    Effect.map(answer(name, request), (text) => ({ text, usage: undefined, finishReason: "stop" as const })),
  stream: (request) =>
    request.model === "whole"
      ? new StreamingUnsupported({ provider: name, answer: undefined })
      : Effect.map(answer(name, request), (text) => {
        const words = text.match(/\s*\S+\s*$|\s*\S+/g) ?? [text]
        let next = 0
        return Effect.suspend(() => {
          const word = words[next++]
          const piece: Piece = word === undefined
            ? { _tag: "End", usage: undefined, finishReason: "stop" }
            : { _tag: "Text", text: word }
          return next === 1 || word === undefined ? Effect.succeed(piece) : Effect.delay(Effect.succeed(piece), pace)
        })
      })
})

// -- internals ---------------------------------------------------------------

/** Between two words: slow enough to be seen as a stream. */
const pace = "20 millis"

const spec = (name: string, streams: boolean): ModelSpec => ({
  name,
  streams,
  contextLength: undefined,
  price: { input: 0, output: 0 }
})

const models = [spec("echo", true), spec("whole", false)]

/** Like a model without structured output, it takes a schema for a part of the prompt. */
const answer = (name: string, request: ProviderRequest): Effect.Effect<string> =>
  Effect.succeed(
    `No LLM was called: this is vibectl's built-in demo provider (${name}/${request.model}). ` +
      `You asked: ${request.user}\n\n` +
      "For real answers, set OPENAI_API_KEY or ANTHROPIC_API_KEY for the server, " +
      "or add a provider under `providers:` in its configuration file, and restart it."
  )
