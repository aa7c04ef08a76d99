/**
 * What the head of a provider's HTTP response says of the request, for the operator's log.
 */

export interface ResponseHead {
  readonly status: number
  /** What the provider calls the request, to quote to its support; undefined when it says nothing of the kind. */
  readonly requestId: string | undefined
}

/** Undefined for an id that is long, of other characters than ids have, or holds `secret`. */
export const requestIdOf = (
  header: (name: string) => string | null | undefined,
  secret: string | undefined
): string | undefined => {
  for (const name of names) {
    const value = header(name)
    if (value === null || value === undefined || !grammar.test(value)) continue
    if (secret === undefined || secret === "" || !value.includes(secret)) return value
  }
  return undefined
}

// -- internals ---------------------------------------------------------------

/** OpenAI and most others; Anthropic; Azure; Bedrock. */
const names = ["x-request-id", "request-id", "apim-request-id", "x-amzn-requestid"]

const grammar = /^[A-Za-z0-9_.:/+=-]{1,128}$/
