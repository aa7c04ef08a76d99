/**
 * The models that an endpoint lists itself, for an endpoint that is not the vendor's own and whose models the
 * configuration does not name.
 *
 * Source: https://platform.openai.com/docs/api-reference/models/list and https://docs.anthropic.com/en/api/models-list,
 * and what others answer there: a bare list (Together), `models` instead of `data` (Ollama's own API).
 */
import { Effect, Redacted } from "effect"
import * as Json from "./Json.js"
import * as Reply from "./Reply.js"
import type { Transport } from "./Transport.js"

export interface Source {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly transport: Transport
}

/** No list: `problem` is a short text without an address or key, for the log. */
export interface NotListed {
  readonly _tag: "NotListed"
  readonly problem: string
}

/** The names at the endpoint, in its order: at most {@link maxModels}, within {@link timeoutMillis}. */
export const read = ({ headers, transport, url }: Source): Effect.Effect<ReadonlyArray<string>, NotListed> =>
  Effect.tryPromise({
    try: async (signal) => {
      const dispatcher = transport.pool(timeoutMillis)
      const reply = Reply.of(await transport.fetch(url, { method: "GET", headers: { ...headers }, signal, dispatcher }))
      if (!reply.ok) throw new NoList(`HTTP ${reply.status}`)
      const found = names(Json.parse(await bounded(reply)))
      if (found === undefined) throw new NoList("the answer is no list of models")
      return found
    },
    catch: (thrown): NotListed => ({
      _tag: "NotListed",
      problem: thrown instanceof NoList ? thrown.message : "the endpoint did not answer"
    })
  }).pipe(Effect.timeoutFail({
    duration: timeoutMillis,
    onTimeout: (): NotListed => ({ _tag: "NotListed", problem: `no answer within ${timeoutMillis / 1000} s` })
  }))

/** How a vendor's protocol asks for the list. */
export interface Protocol {
  /** Below the base URL. */
  readonly path: string
  readonly headers: (key: Redacted.Redacted | undefined) => Readonly<Record<string, string>>
}

export const openai: Protocol = {
  path: "/models",
  headers: (key: Redacted.Redacted | undefined) =>
    key === undefined ? {} : { authorization: `Bearer ${Redacted.value(key)}` }
}
export const anthropic: Protocol = {
  path: "/v1/models",
  headers: (key: Redacted.Redacted | undefined) => ({
    "anthropic-version": "2023-06-01",
    ...key === undefined ? {} : { "x-api-key": Redacted.value(key) }
  })
}

/** The first that can hold a conversation, by its name; most endpoints list models of other kinds as well. */
export const favourite = (names: ReadonlyArray<string>): string | undefined =>
  names.find((name) => !otherKinds.test(name)) ?? names[0]

// -- internals ---------------------------------------------------------------

export const timeoutMillis = 3000
const maxModels = 500
const maxBodyBytes = 4 * 1024 * 1024

class NoList extends Error {}

const otherKinds =
  /embed|rerank|whisper|tts|speech|audio|transcri|dall-e|image|vision-preview|moderation|guard|bge-|clip/i

const bounded = async (reply: Reply.Reply): Promise<string> => {
  const decoder = new TextDecoder()
  let [text, bytes] = ["", 0]
  for (;;) {
    const chunk = reply.take()
    if (chunk !== undefined) {
      bytes += chunk.length
      if (bytes > maxBodyBytes) throw new NoList("the list is too long")
      text += decoder.decode(chunk, { stream: true })
    } else if (reply.isOver) return text + decoder.decode()
    else await new Promise<void>((resolve) => reply.wait(resolve))
  }
}

/** Undefined for what is no list; a name that a call could not use is left out. */
const names = (answer: unknown): ReadonlyArray<string> | undefined => {
  const body = Json.object(answer)
  const list = [answer, body?.["data"], body?.["models"]].find(Array.isArray) as ReadonlyArray<unknown> | undefined
  if (list === undefined) return undefined
  const found = list.slice(0, maxModels).flatMap((entry) => {
    const model = Json.object(entry)
    const name = Json.string(entry) ?? Json.string(model?.["id"]) ?? Json.string(model?.["name"])
    return name !== undefined && /^[^\s\p{Cc}]{1,200}$/u.test(name) ? [name] : []
  })
  return [...new Set(found)]
}
