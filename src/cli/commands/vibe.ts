/**
 * `vibectl vibe "…"`: asks, and prints the answer as it is produced.
 *
 * stdout gets the answer and nothing else, ended by one newline.
 */
import { Args, Command, Options } from "@effect/cli"
import { Effect, Option, Stream } from "effect"
import type { AnswerEvent } from "../../domain/Answer.js"
import { harmless, Output } from "../../terminal/Output.js"
import { UsageInvalid } from "../../terminal/UsageInvalid.js"
import { Connector } from "../Connector.js"
import * as Target from "../Target.js"

export const vibe = Command.make("vibe", {
  request: Args.text({ name: "request" }).pipe(
    Args.withDescription("What to ask, with or without quotes"),
    Args.repeated
  ),
  model: Options.text("model").pipe(
    Options.withDescription("provider/model or an alias, instead of the server's default"),
    Options.optional
  ),
  proxy: Options.text("proxy").pipe(
    Options.withPseudoName("PROFILE"),
    Options.withDescription("The profile to use, instead of the active one"),
    Options.optional
  )
}, (input) =>
  Effect.scoped(Effect.gen(function*() {
    const request = input.request.join(" ").trim()
    if (request === "") {
      return yield* new UsageInvalid({
        summary: "The request is empty.",
        remedy: "Say what you want, e.g. `vibectl vibe \"explain kubernetes pods\"`."
      })
    }
    const options = yield* Target.ofProfile(yield* Target.profile(Option.getOrUndefined(input.proxy)))
    const client = yield* (yield* Connector).connect(options)
    const model = Option.match(input.model, { onNone: () => ({}), onSome: (model) => ({ model }) })
    yield* print(client.stream({ system: [instructions], user: [request], ...model }))
  }))).pipe(Command.withDescription("Ask, and read the answer as it is produced"))

// -- internals ---------------------------------------------------------------

const instructions = "You are vibectl, an assistant for people who run Kubernetes clusters. "
  + "Answer briefly and precisely, in plain text that reads well on a terminal."

const print = <E>(events: Stream.Stream<AnswerEvent, E>) =>
  Effect.gen(function*() {
    const output = yield* Output
    let fresh = true
    const show = (event: AnswerEvent) => {
      switch (event._tag) {
        case "Text": {
          const text = output.isTerminal ? harmless(event.text) : event.text
          if (text !== "") fresh = text.endsWith("\n")
          return output.write(text)
        }
        case "Restart":
          return Effect.zipRight(
            endLine,
            output.note("Warning: The answer was interrupted and starts again; what stands above is void.")
          )
        case "Start":
          return output.isTerminal && event.tier === "simulated"
            ? output.note("Warning: Model doesn't support streaming, falling back to simulated")
            : Effect.void
        default:
          return Effect.void
      }
    }
    const endLine = Effect.suspend(() => {
      if (fresh) return Effect.void
      fresh = true
      return output.write("\n")
    })
    yield* Effect.ensuring(Stream.runForEach(events, show), endLine)
  })
