/**
 * How the assistant works: the section `assistant` of the client's configuration.
 */
import { Schema } from "effect"
import * as Fields from "./Fields.js"
import * as Shape from "./Shape.js"

export type AssistantSection = typeof assistant.Type

export const assistant = Schema.Struct({
  mode: Fields.oneOf("manual", "semiauto", "auto").annotations(
    Shape.expects("manual, semiauto or auto", {
      about: "What runs unasked: manual (nothing), semiauto (what only reads) or auto (allow_verbs, too)."
    })
  ),
  model: Fields.optional(Fields.text.annotations(
    Shape.note("provider/model or an alias, for all requests.", {
      example: "claude-4-sonnet",
      unset: "the server's default"
    })
  )),
  allow_verbs: Schema.Array(
    Schema.String.pipe(Schema.pattern(/^[a-z][a-z-]*(?: [a-z][a-z-]*)?$/)).annotations(
      Shape.expects("a kubectl verb in lower case, such as scale or \"rollout restart\"")
    )
  ).annotations(
    Shape.expects("a list of kubectl verbs", {
      about: "Verbs that mode auto runs unasked, though they change something.",
      example: "[scale, rollout restart]"
    })
  ),
  max_steps: Fields.wholeNumber(1, 100).annotations(Shape.note("Most actions for one request, 1 to 100.")),
  kubectl: Schema.String.pipe(Schema.pattern(/^(?:[^\s/\p{Cc}]+|\/[^\p{Cc}]+)$/u)).annotations(
    // A relative path would be another program in every directory.
    Shape.expects("the name of a program on PATH, or its absolute path", { about: "The kubectl to run." })
  ),
  kubectl_timeout_seconds: Fields.timeout.annotations(Shape.note("Seconds that one kubectl command may take.")),
  show_kubectl: Fields.boolean.annotations(Shape.note("Whether commands are shown as they run.")),
  show_metrics: Fields.boolean.annotations(Shape.note("Whether tokens, cost and time are shown after an answer.")),
  memory: Fields.boolean.annotations(Shape.note("Whether requests carry what `vibectl memory` holds.")),
  memory_max_chars: Fields.wholeNumber(100, 100_000).annotations(
    Shape.note("Most characters of the memory, 100 to 100000.")
  )
}).annotations(Shape.note("The assistant: what it may do unasked, and what it shows."))
