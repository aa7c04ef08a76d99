/**
 * What a configured provider can do, found out by asking it: does it stream, report its usage, answer by a schema, and
 * which fields of requests does it refuse.
 *
 * Two requests of a token each, which the provider bills. Nothing of its answers is shown but whether they came.
 */
import { Effect, Either, Option } from "effect"
import type { Completion } from "../domain/Answer.js"
import type { ProviderFailure } from "../domain/Errors.js"
import type { Piece, Provider, ProviderRequest } from "../models/Provider.js"

/** `null` where it could not be found out. */
export interface Report {
  readonly provider: string
  /** At the provider; `null` when the configuration names none. */
  readonly model: string | null
  readonly ok: boolean
  readonly streams: boolean | null
  /** Whether it reports the tokens that were used. */
  readonly usage: boolean | null
  readonly structured_output: boolean | null
  /** Fields that the server sends and the provider refuses. */
  readonly refused_fields: ReadonlyArray<string>
  readonly problem: string | null
  readonly remedy: string | null
}

export const check = (provider: Provider): Effect.Effect<Report> =>
  Effect.gen(function*() {
    const model = provider.defaultModel
    if (model === undefined) {
      return failed(provider.name, null, {
        problem: "No model of this provider is known.",
        remedy: `Set providers.${provider.name}.default_model or .models.`
      })
    }
    const request: ProviderRequest = { model, system: "Answer in one word.", user: "Say yes.", schema: undefined }
    const streamed = yield* stream(provider, request)
    if (streamed.failure !== undefined) return failed(provider.name, model, explained(provider.name, streamed.failure))
    const structured = yield* Effect.either(provider.complete({ ...request, schema }))
    const failure = Option.getOrUndefined(Either.getLeft(structured))
    const refused = provider.refused?.(model) ?? []
    const isRefused = refused.some((field) => schemaFields.has(field))
    return {
      provider: provider.name,
      model,
      ok: failure === undefined || isCutOff(failure),
      streams: streamed.streams,
      usage: streamed.usage,
      structured_output: isRefused ? false : failure === undefined || isCutOff(failure) ? true : null,
      refused_fields: refused,
      ...failure === undefined || isCutOff(failure)
        ? { problem: null, remedy: null }
        : explained(provider.name, failure)
    }
  })

// -- internals ---------------------------------------------------------------

const schemaFields = new Set(["response_format", "output_config", "tool_choice"])

const schema = {
  name: "check",
  json: {
    type: "object",
    properties: { yes: { type: "boolean" } },
    required: ["yes"],
    additionalProperties: false
  }
}

interface Streamed {
  readonly streams: boolean
  readonly usage: boolean
  readonly failure: ProviderFailure | undefined
}

const stream = (provider: Provider, request: ProviderRequest): Effect.Effect<Streamed> =>
  Effect.scoped(Effect.gen(function*() {
    const pieces = yield* provider.stream(request)
    for (;;) {
      const piece: Piece = yield* pieces
      if (piece._tag === "End") return { streams: true, usage: piece.usage !== undefined, failure: undefined }
    }
  })).pipe(
    Effect.catchTags({
      StreamingUnsupported: ({ answer }) =>
        answer === undefined
          ? Effect.match(provider.complete(request), {
            onFailure: (failure) => given(false, isCutOff(failure) ? undefined : failure),
            onSuccess: (completion: Completion) => ({
              ...given(false, undefined),
              usage: completion.usage !== undefined
            })
          })
          : Effect.succeed({ ...given(false, undefined), usage: answer.usage !== undefined }),
      ProviderFailure: (failure) => Effect.succeed(given(true, isCutOff(failure) ? undefined : failure))
    })
  )

const given = (streams: boolean, failure: ProviderFailure | undefined): Streamed => ({ streams, usage: false, failure })

/** One token is not enough for a model that thinks: it ran into the limit, and works. */
const isCutOff = ({ detail, reason }: ProviderFailure): boolean =>
  reason === "PROVIDER_EMPTY" && (detail === "length" || detail === "only reasoning")

const failed = (provider: string, model: string | null, why: Why): Report => ({
  provider,
  model,
  ok: false,
  streams: null,
  usage: null,
  structured_output: null,
  refused_fields: [],
  ...why
})

interface Why {
  readonly problem: string
  readonly remedy: string
}

const explained = (name: string, failure: ProviderFailure): Why => ({
  problem: failure.summary,
  remedy: failure.account === undefined ? remedyOf(name, failure) : accountRemedies[failure.account](name)
})

const accountRemedies: Record<NonNullable<ProviderFailure["account"]>, (name: string) => string> = {
  key: (name) => `Check providers.${name}.api_key or api_key_file; a new key comes from the provider's console.`,
  credit: () => "Check the billing, the credit and the quota of the account at the provider.",
  access: () => "Check at the provider that the account is active and may use this model from here."
}

const remedyOf = (name: string, failure: ProviderFailure): string => {
  switch (failure.reason) {
    case "PROVIDER_RATE_LIMITED":
      return "Wait and check again, or ask the provider for higher limits."
    case "PROVIDER_TIMEOUT":
      return `Check providers.${name}.base_url and the network; slow models need higher timeouts.`
    case "PROVIDER_UNAVAILABLE":
      return `Check providers.${name}.base_url, the network and the state of the provider.`
    case "PROVIDER_REJECTED":
      return `Check the model's name (providers.${name}.default_model or models) and base_url, whose path is often /v1.`
    case "PROVIDER_EMPTY":
      return "Check that the model answers in text."
  }
}
