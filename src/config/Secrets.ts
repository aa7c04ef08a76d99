/**
 * The server's secrets that are kept in files of their own.
 */
import type { FileSystem } from "@effect/platform"
import { Effect, Redacted } from "effect"
import type { Loaded } from "./Load.js"
import * as Problem from "./Problem.js"
import { readValueFile } from "./ProviderDefaults.js"
import type { Settings } from "./ServerSettings.js"

/**
 * Fills `server.jwt_secret` and every provider's `api_key` from the file that
 * is named beside it, without the file's last line end. Without `providers`,
 * only the first: who makes a token need not be able to read the keys.
 */
export const resolveSecrets = (
  loaded: Loaded<Settings>,
  options: { readonly providers: boolean } = { providers: true }
): Effect.Effect<Settings, Problem.ConfigInvalid, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const { providers, server, ...others } = loaded.value
    const problems: Array<Problem.Problem> = []
    const read = (file: string | undefined, path: ReadonlyArray<string>) =>
      file === undefined ? Effect.succeed(undefined) : Effect.map(readValueFile(file), (text) => {
        if (text !== undefined && text !== "") return Redacted.make(text)
        const fault = text === undefined ? `the file ${file} cannot be read` : `the file ${file} is empty`
        const place = loaded.places.get(Problem.keyOf(path)) ?? loaded.file
        problems.push(Problem.make(place, path, `${fault}; it must exist and hold the secret.`))
        return undefined
      })

    const jwtSecret = yield* read(server.jwt_secret_file, ["server", "jwt_secret_file"])
    const resolved = options.providers
      ? yield* Effect.forEach(Object.entries(providers), ([name, provider]) =>
        Effect.map(read(provider.api_key_file, ["providers", name, "api_key_file"]), (key) =>
          [name, key === undefined ? provider : { ...provider, api_key: key }] as const))
      : Object.entries(providers)
    if (problems.length > 0) {
      return yield* new Problem.ConfigInvalid({ problems })
    }
    return {
      ...others,
      server: jwtSecret === undefined ? server : { ...server, jwt_secret: jwtSecret },
      providers: Object.fromEntries(resolved)
    }
  })
