/**
 * One download of a key set: small, soon, from the very address that was
 * configured, or not at all.
 */
import { Data, Duration, Effect } from "effect"

/** How long a download may take. */
export const timeout = Duration.seconds(5)

/** In bytes, after decompression. */
export const largest = 1024 * 1024

/** The address gives no key set now. */
export class KeysUnreachable extends Data.TaggedError("KeysUnreachable")<{
  readonly address: string
  readonly problem: string
}> {
  override get message() {
    return `${this.address} ${this.problem}`
  }
}

/** For people: a query may hold a secret. */
export const addressOf = ({ origin, pathname }: URL): string => origin + pathname

/** The text at `url`. */
export const download = (url: URL): Effect.Effect<string, KeysUnreachable> => {
  const unreachable = (problem: string) => new KeysUnreachable({ address: addressOf(url), problem })
  return Effect.tryPromise({
    try: (signal) => read(url, signal),
    catch: (error) => unreachable(error instanceof Unacceptable ? error.problem : `cannot be reached: ${words(error)}`)
  }).pipe(
    Effect.timeoutFail({
      duration: timeout,
      onTimeout: () => unreachable(`did not answer within ${Duration.toSeconds(timeout)} seconds`)
    })
  )
}

// -- internals ---------------------------------------------------------------

class Unacceptable extends Data.Error<{ readonly problem: string }> {}

const read = async (url: URL, signal: AbortSignal): Promise<string> => {
  // A redirect could lead to a place that nobody configured, and out of TLS.
  const response = await fetch(url, { signal, redirect: "error", headers: { accept: "application/json" } })
  const reader: ReadableStreamDefaultReader<Uint8Array> | undefined = response.body?.getReader()
  const giveUp = (problem: string) => {
    // Closes the connection; nobody waits for it, or cares how it went.
    reader?.cancel().catch(() => {})
    return new Unacceptable({ problem })
  }
  if (response.status !== 200) throw giveUp(`answered with status ${response.status}`)
  const chunks: Array<Uint8Array> = []
  let size = 0
  for (let chunk = await reader?.read(); chunk?.value !== undefined; chunk = await reader?.read()) {
    size += chunk.value.byteLength
    // Counted, because a length in the header is only a claim.
    if (size > largest) throw giveUp(`sent more than ${largest} bytes`)
    chunks.push(chunk.value)
  }
  return new TextDecoder().decode(Buffer.concat(chunks))
}

/** What fetch throws says only that it failed; the reason is inside. */
const words = (error: unknown): string => {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error
  if (!(inner instanceof Error)) return "for an unknown reason"
  return inner.message || ("code" in inner && String(inner.code)) || inner.name
}
