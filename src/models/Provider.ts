/**
 * What the proxy needs from a model provider.
 *
 * One implementation per kind of provider lives beside this file and in the
 * table of `Kinds.ts`. The proxy sees only this contract.
 */
import { Chunk, Data, type Duration, Effect, Option, type Scope, Stream } from "effect"
import type { Completion, FinishReason, Usage } from "../domain/Answer.js"
import type { InvalidRequest, ProviderFailure } from "../domain/Errors.js"
import type { Price } from "../domain/ModelInfo.js"
import type { Trace } from "../telemetry/Traceparent.js"
import type { NotListed } from "./Listing.js"
import type { ResponseHead } from "./ResponseHead.js"
import type { ResponseSchema } from "./ResponseSchema.js"

export interface Provider {
  /** The part before the first `/` of a full model name: the provider's name in the configuration. */
  readonly name: string
  /** Models to advertise. */
  readonly models: ReadonlyArray<ModelSpec>
  /** Whether a model that is not in `models` may be called. */
  readonly open: boolean
  /** What is known of a model that may be called and is not in `models`. */
  readonly unlisted?: (model: string) => ModelSpec | undefined
  /** The model to use when nobody chose one, without the provider's prefix. */
  readonly defaultModel: string | undefined
  /** The names that its endpoint lists; undefined where `models` is all that there is to know. */
  readonly list?: Effect.Effect<ReadonlyArray<string>, NotListed> | undefined
  /** How often a call that failed before its first text may be made again. */
  readonly maxRetries: number
  /**
   * How long a model may take to its first text while another model could be tried in its place, retries and all.
   * Undefined means as long as its other limits allow. The last model to be tried is never cut by it.
   */
  readonly failoverAfter?: (model: string) => Duration.Duration | undefined
  /** Why it cannot answer this request, whatever happens; undefined when it may. */
  readonly accepts?: (request: ProviderRequest) => InvalidRequest | undefined
  /** The fields of requests that a model turned out to refuse. */
  readonly refused?: (model: string) => ReadonlyArray<string>
  /**
   * Whether it calls {@link ProviderRequest.onSent}. An attempt of one that does not counts as sent from its beginning: it is
   * charged, also where it was given up while it waited for a connection.
   */
  readonly reportsSent?: boolean
  /** The whole answer in one piece. Interruption closes the provider's socket. */
  readonly complete: (request: ProviderRequest) => Effect.Effect<Completion, ProviderFailure>
  /**
   * Opens the answer as it is produced. Closing the scope, or interrupting the
   * opening, closes the provider's socket.
   */
  readonly stream: (
    request: ProviderRequest
  ) => Effect.Effect<Pieces, ProviderFailure | StreamingUnsupported, Scope.Scope>
}

export interface ModelSpec {
  /** The model's name at the provider. */
  readonly name: string
  readonly streams: boolean
  /** Tokens. */
  readonly contextLength: number | undefined
  /** US dollars per million tokens. */
  readonly price: Price | undefined
}

export interface ProviderRequest {
  /** The model's name at the provider. */
  readonly model: string
  /** The system prompt; empty when there is none. */
  readonly system: string
  readonly user: string
  readonly schema: ResponseSchema | undefined
  /**
   * Told of the counts each time that the provider reports them, the latest for all of the answer so far: so the last
   * ones are known of an answer that breaks or is given up, too. They may be told more than once, and must not throw.
   */
  readonly onUsage?: ((usage: Usage) => void) | undefined
  /** Called when the first byte of the request may leave this machine; perhaps more than once. Must not throw. */
  readonly onSent?: (() => void) | undefined
  /** Called with the head of each HTTP response of the provider. Must not throw. */
  readonly onResponse?: ((head: ResponseHead) => void) | undefined
  /** Tells the provider which trace the request belongs to. */
  readonly trace?: Trace | undefined
}

/** Pulls what is ready next, all of it at once. After an `End` it must not be pulled again. */
export type Pieces = Effect.Effect<Piece, ProviderFailure>

/** `text` is never empty. `End` comes only when the provider finished its answer, not when its stream broke. */
export type Piece =
  | { readonly _tag: "Text"; readonly text: string }
  | {
    readonly _tag: "End"
    readonly usage: Usage | undefined
    /** Undefined means `unknown`. */
    readonly finishReason?: FinishReason | undefined
  }

/** The provider cannot stream this model. `answer` is set when it sent the whole answer instead. */
export class StreamingUnsupported extends Data.TaggedError("StreamingUnsupported")<{
  readonly provider: string
  readonly answer: Completion | undefined
}> {}

/** A stream of text as the pieces of an answer whose usage is not known. */
export const fromStream = (
  text: Stream.Stream<string, ProviderFailure>
): Effect.Effect<Pieces, never, Scope.Scope> =>
  Effect.map(Stream.toPull(Stream.filter(text, (piece) => piece.length > 0)), (pull) =>
    pull.pipe(
      Effect.map((chunk): Piece => ({ _tag: "Text", text: Chunk.join(chunk, "") })),
      Effect.catchAll((end) =>
        Option.match(end, {
          onNone: () => Effect.succeed<Piece>({ _tag: "End", usage: undefined, finishReason: "stop" }),
          onSome: Effect.fail
        })
      )
    ))
