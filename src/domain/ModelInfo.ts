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
}
