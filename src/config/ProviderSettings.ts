/**
 * Settings of one model provider.
 */
import { Schema } from "effect"
import * as Fields from "./Fields.js"
import * as Shape from "./Shape.js"

/** A provider of one of these kinds. */
export const provider = (kinds: ReadonlyArray<string>) =>
  Schema.Struct({
    kind: Fields.oneOfNames(kinds).annotations(note(`What it speaks: ${kinds.join(", ")}.`, {
      example: "openai",
      unset: "the provider's name, if that is a kind"
    })),
    api_key: Fields.optional(Fields.secret.annotations(
      note("Its key. Best given as a variable or in a file.", {
        secret: true,
        example: "\"${OPENAI_API_KEY}\"",
        unset: "no key is sent"
      })
    )),
    api_key_file: Fields.optional(Fields.path.annotations(
      note("A file that holds the key, instead of api_key.", { path: true, example: "/run/secrets/openai" })
    )),
    base_url: Fields.optional(Fields.baseUrl.annotations(
      note("Where it is.", {
        private: true,
        example: "https://api.openai.com/v1",
        unset: "the vendor's own"
      })
    )),
    models: Fields.optional(
      Schema.Array(model).annotations(Shape.expects("a list of models", {
        about: "The only models it serves, each a name or { name, streaming, context_length (tokens) }.",
        example: "[gpt-4o, { name: gpt-4, streaming: true, context_length: 8192 }]",
        unset: "every model it has"
      }))
    ),
    default_model: Fields.optional(Fields.text.annotations(
      note("Its model when nobody chose one, without the provider's name.", {
        example: "gpt-4o",
        unset: "well-known for its kind, else the first of models"
      })
    )),
    max_output_tokens: Fields.optional(
      Fields.wholeNumber(1).annotations(
        note("Tokens that one answer may have.", { example: "4096", unset: "the vendor's limit" })
      )
    ),
    omit: Fields.optional(
      Schema.Array(Fields.oneOf("stream_options", "response_format", "output_config")).annotations(
        Shape.expects("a list of stream_options, response_format and output_config", {
          about: "Fields that are never sent to it, because it refuses them.",
          example: "[stream_options]",
          unset: "what it refuses is found out by itself"
        })
      )
    ),
    max_tokens_field: Fields.optional(
      Fields.oneOf("max_tokens", "max_completion_tokens").annotations(
        note("What its field for max_output_tokens is called.", {
          example: "max_completion_tokens",
          unset: "max_completion_tokens at OpenAI's own endpoint, else max_tokens; the other one where that is refused"
        })
      )
    ),
    system_role: Fields.optional(
      Fields.oneOf("system", "developer", "user").annotations(
        note("The role of the system's text: system, developer, or user, which puts it before the user's.", {
          example: "user",
          unset: "system; another one where that is refused"
        })
      )
    ),
    max_retries: Fields.optional(
      Fields.wholeNumber(0, 10).annotations(
        note("How often a call that failed before its first text is made again, 0 to 10.", {
          example: "2",
          unset: "2"
        })
      )
    ),
    max_concurrent_requests: Fields.optional(
      Fields.wholeNumber(1).annotations(
        note("Requests to it at the same time; further ones wait for their turn.", {
          example: "4",
          unset: "any number"
        })
      )
    ),
    ...timeouts,
    model_timeouts: Fields.optional(
      Schema.Record({ key: Fields.name, value: Schema.Struct(timeouts) })
        .annotations(note("Where a model needs other times than its provider, by its name without the provider's.", {
          example: "o3",
          names: "a model's name is not empty and has no spaces"
        }))
    )
  })

// -- internals ---------------------------------------------------------------

const note = Shape.note

const model = Schema.Union(
  Fields.text,
  Schema.Struct({
    name: Fields.text,
    streaming: Fields.optional(Fields.boolean),
    context_length: Fields.optional(Fields.wholeNumber(1))
  })
).annotations(Shape.expects("a model's name, or { name, streaming, context_length }"))

const timeouts = {
  connect_seconds: Fields.optional(Fields.timeout.annotations(
    note("Seconds until a connection stands.", { example: "10", unset: "10" })
  )),
  first_token_seconds: Fields.optional(Fields.timeout.annotations(
    note("Seconds from a request to the first token of its stream.", { example: "300", unset: "300" })
  )),
  between_tokens_seconds: Fields.optional(Fields.timeout.annotations(
    note("Seconds from one token of a stream to the next.", { example: "60", unset: "60" })
  )),
  total_seconds: Fields.optional(Fields.timeout.annotations(
    note("Seconds from a request to the end of its answer.", { example: "600", unset: "600" })
  )),
  failover_seconds: Fields.optional(Fields.timeout.annotations(
    note("Seconds to the first text before the next of its fallbacks is tried; the last one is not cut by it.", {
      example: "15",
      unset: "no limit of its own"
    })
  ))
}
