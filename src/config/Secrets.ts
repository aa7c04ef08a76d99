/**
 * The server's secrets: those in files of their own are read, and all of them are such that a header can carry them.
 */
import { Effect, Either, Redacted } from "effect"
import type { Loaded } from "./Load.js"
import * as Problem from "./Problem.js"
import * as ReadFile from "./ReadFile.js"
import * as RedisUrl from "./RedisUrl.js"
import type { Settings } from "./ServerSettings.js"

/**
 * Fills `server.jwt_secret`, `state.url` and every provider's `api_key` from the file that is named beside it, and takes
 * away the line ends around a key. Without `providers`, not the last: who makes a token need not be able to read the keys.
 */
export const resolveSecrets = (
  loaded: Loaded<Settings>,
  options: { readonly providers: boolean } = { providers: true }
): Effect.Effect<Settings, Problem.ConfigInvalid> =>
  Effect.gen(function*() {
    const { providers, server, state, ...others } = loaded.value
    const problems: Array<Problem.Problem> = []
    const report = (path: ReadonlyArray<string>, text: string) =>
      void problems.push(Problem.make(loaded.places.get(Problem.keyOf(path)) ?? loaded.file, path, text))
    const read = (file: string | undefined, path: ReadonlyArray<string>) =>
      file === undefined ? Effect.succeed(undefined) : Effect.map(Effect.either(ReadFile.secret(file)), (text) => {
        if (Either.isRight(text) && text.right !== "") return Redacted.make(text.right)
        const fault = Either.isLeft(text) ? ReadFile.problem(text.left) : "is empty"
        report(path, `the file ${file} ${fault}; it must exist and hold the secret.`)
        return undefined
      })
    const usable = (key: Redacted.Redacted, path: ReadonlyArray<string>, file: string | undefined) => {
      const text = ReadFile.withoutLineEnds(Redacted.value(key))
      const fault = faultOf(text)
      if (fault !== undefined) report(path, `the key${file === undefined ? "" : ` in the file ${file}`} ${fault}.`)
      return Redacted.make(text)
    }

    const jwtSecret = yield* read(server.jwt_secret_file, ["server", "jwt_secret_file"])
    const url = yield* read(state.url_file, ["state", "url_file"])
    const fault = url === undefined ? undefined : RedisUrl.fault(Redacted.value(url))
    if (fault !== undefined) report(["state", "url_file"], `in this file, ${fault}`)
    const resolved = options.providers
      ? yield* Effect.forEach(Object.entries(providers), ([name, provider]) => {
        const file = provider.api_key_file
        const path = ["providers", name, file === undefined ? "api_key" : "api_key_file"]
        return Effect.map(read(file, path), (found) => {
          const key = found ?? provider.api_key
          return [name, key === undefined ? provider : { ...provider, api_key: usable(key, path, file) }] as const
        })
      })
      : Object.entries(providers)
    if (problems.length > 0) {
      return yield* new Problem.ConfigInvalid({ problems })
    }
    return {
      ...others,
      state: url === undefined ? state : { ...state, url },
      server: jwtSecret === undefined ? server : { ...server, jwt_secret: jwtSecret },
      providers: Object.fromEntries(resolved)
    }
  })

/** A sentence for each provider's key that can be sent, but hardly is what the provider gave out. */
export const doubtfulKeys = ({ providers }: Pick<Settings, "providers">): ReadonlyArray<string> =>
  Object.entries(providers).flatMap(([name, { api_key }]) => {
    const key = api_key === undefined ? "" : Redacted.value(api_key)
    return doubts.flatMap(([looks, what]) => looks.test(key) ? [`the key of providers.${name} ${what}`] : []).slice(
      0,
      1
    )
  })

// -- internals ---------------------------------------------------------------

/** What keeps a key from being sent in a header, without the key. */
const faultOf = (key: string): string | undefined => {
  const control = ReadFile.controlIn(key)
  if (control !== undefined) return `${control}; it must be one line`
  const at = key.search(/[^\x20-\xff]/)
  if (at < 0) return key === "" ? "is empty" : undefined
  const code = (key.codePointAt(at) ?? 0).toString(16).toUpperCase().padStart(4, "0")
  return `holds the character U+${code}, which no header can carry, after ${at} ${
    at === 1 ? "character" : "characters"
  }; `
    + "copy it anew from the provider"
}

const doubts: ReadonlyArray<readonly [RegExp, string]> = [
  [/^\$\{.*\}$/, "is the name of a variable and not its value: it is not replaced there"],
  [/^(["']).*\1$/, "stands in quotes, which are sent with it"],
  [/^bearer /i, "begins with the word Bearer, which is sent twice then"],
  [/\s#/, "ends with a comment, which is sent with it"],
  [/^\s|\s$/, "begins or ends with a blank, which is sent with it"],
  [/\s/, "holds a blank"],
  [/[^\x20-\x7e]/, "holds a character that is not ASCII"]
]
