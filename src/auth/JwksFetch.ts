/**
 * One download of a key set: small, soon, from the very address that was
 * configured, or not at all.
 */
import { Data, Duration, Effect } from "effect"
import * as Fs from "node:fs"
import * as Tls from "node:tls"
import * as Egress from "../network/Egress.js"

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

export interface Source {
  readonly url: URL
  /** A file of the bearer token that is asked for there. */
  readonly tokenFile?: string | undefined
  /** A PEM file of the CAs of its certificate. */
  readonly caFile?: string | undefined
}

/** The text at the source's address. Its files are read each time: who gives them out replaces them often. */
export const download = (source: Source): Effect.Effect<string, KeysUnreachable> => {
  const unreachable = (problem: string) => new KeysUnreachable({ address: addressOf(source.url), problem })
  return Effect.flatMap(
    Effect.mapError(Egress.load, ({ message }) => unreachable(`is not asked: ${message}`)),
    (egress) =>
      Effect.tryPromise({
        try: (signal) => read(source, egress, signal),
        catch: (error) =>
          unreachable(error instanceof Unacceptable ? error.problem : `cannot be reached: ${words(error)}`)
      })
  ).pipe(
    Effect.timeoutFail({
      duration: timeout,
      onTimeout: () => unreachable(`did not answer within ${Duration.toSeconds(timeout)} seconds`)
    })
  )
}

// -- internals ---------------------------------------------------------------

class Unacceptable extends Data.Error<{ readonly problem: string }> {}

const read = async (source: Source, egress: Egress.Egress, signal: AbortSignal): Promise<string> => {
  const token = source.tokenFile === undefined ? undefined : tokenIn(source.tokenFile, await textOf(source.tokenFile))
  const ca = source.caFile === undefined ? undefined : caIn(source.caFile, await textOf(source.caFile))
  const [Connector, { Agent, fetch }] = await Promise.all([import("../network/Connector.js"), import("undici")])
  const agent = new Agent({ connect: Connector.make({ egress, ca, timeout: Duration.toMillis(timeout) }) })
  try {
    const response = await fetch(source.url, {
      dispatcher: agent,
      signal,
      // It could lead to a place that nobody configured, out of TLS, and the token with it.
      redirect: "error",
      headers: {
        accept: "application/jwk-set+json, application/json",
        ...token === undefined ? {} : { authorization: `Bearer ${token}` }
      }
    })
    const { status } = response
    const body: AsyncIterable<Uint8Array> | null = response.body
    if (status !== 200) {
      const isSecret = (status === 401 || status === 403) && token === undefined
      throw new Unacceptable({
        problem: `answered with status ${status}${isSecret ? "; jwks_token_file names a file of a token for it" : ""}`
      })
    }
    const chunks: Array<Uint8Array> = []
    let size = 0
    for await (const chunk of body ?? []) {
      size += chunk.byteLength
      // Counted, because a length in the header is only a claim.
      if (size > largest) throw new Unacceptable({ problem: `sent more than ${largest} bytes` })
      chunks.push(chunk)
    }
    return new TextDecoder().decode(Buffer.concat(chunks))
  } finally {
    // Keys are fetched too seldom for a connection to be kept.
    void agent.destroy()
  }
}

const textOf = async (file: string): Promise<string> => {
  try {
    return await Fs.promises.readFile(file, "utf8")
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown"
    throw new Unacceptable({ problem: `is not asked: ${file} cannot be read (${code})` })
  }
}

/** What else stands there would be a wrong header, or throw an error that quotes it. */
const tokenIn = (file: string, text: string): string => {
  const token = text.trim()
  if (/^[\x21-\x7e]{1,16384}$/.test(token)) return token
  throw new Unacceptable({ problem: `is not asked: ${file} does not hold one token of visible ASCII characters` })
}

const caIn = (file: string, text: string): string => {
  try {
    if (!text.includes("-----BEGIN CERTIFICATE-----")) throw new Error("no certificate")
    Tls.createSecureContext({ ca: text })
    return text
  } catch {
    throw new Unacceptable({ problem: `is not asked: ${file} holds no PEM certificate` })
  }
}

/** What fetch throws says only that it failed; the reason is inside. */
const words = (error: unknown): string => {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error
  if (!(inner instanceof Error)) return "for an unknown reason"
  return inner.message || ("code" in inner && String(inner.code)) || inner.name
}
