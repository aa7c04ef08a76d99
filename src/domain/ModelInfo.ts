/**
 * A model as clients see it.
 */
export interface ModelInfo {
  /** `provider/model`. */
  readonly id: string
  readonly displayName: string
  /** The provider's configured name. */
  readonly provider: string
  readonly streams: boolean
  /** Tokens; undefined when not known. */
  readonly contextLength: number | undefined
  readonly aliases: ReadonlyArray<string>
}

/** US dollars per million tokens. */
export interface Price {
  readonly input: number
  readonly output: number
  /** Of input that was read from the provider's prompt cache; as other input when not given. */
  readonly cacheRead?: number | undefined
  /** Of input that was written to it; as other input when not given. */
  readonly cacheWrite?: number | undefined
  /** Of output that the model only thought; as other output when not given. */
  readonly reasoning?: number | undefined
  /** What all of a call costs instead when its input, from the cache or not, has more tokens than `above`. */
  readonly long?: { readonly above: number; readonly price: Omit<Price, "long"> } | undefined
}
