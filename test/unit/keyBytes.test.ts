import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Either, Layer, Redacted } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { Env } from "../../src/config/Environment.js"
import * as Secrets from "../../src/config/Secrets.js"
import * as ServerConfig from "../../src/config/ServerConfig.js"
import * as Temporary from "../support/Temporary.js"

interface Cases {
  readonly key: string
  readonly cases: ReadonlyArray<{ readonly value: string; readonly expect: string; readonly where?: string }>
}
const { cases, key } = JSON.parse(
  Fs.readFileSync(new URL("../cases/key-bytes.json", import.meta.url), "utf8")
) as Cases

/** The keys and warnings of a server with these variables and this file. */
const resolve = (variables: { readonly [name: string]: string }, yaml = "") => {
  const file = Path.join(Temporary.directory(), "config.yaml")
  Fs.writeFileSync(file, yaml)
  return ServerConfig.load({ file, kinds: ["openai", "anthropic", "demo"] }).pipe(
    Effect.flatMap((loaded) => Secrets.resolveSecrets(loaded)),
    Effect.either,
    Effect.map(Either.map((settings) => ({
      keys: Object.values(settings.providers).map(({ api_key }) => api_key && Redacted.value(api_key)),
      warnings: Secrets.doubtfulKeys(settings)
    }))),
    Effect.provide(Layer.merge(Env.layerTest({ HOME: "/nowhere", ...variables }), NodeContext.layer))
  )
}

const inFile = (value: string): string => {
  const path = Path.join(Temporary.directory(), "key")
  Fs.writeFileSync(path, value)
  return path
}

const ways: Record<string, (value: string) => ReturnType<typeof resolve>> = {
  OPENAI_API_KEY: (value) => resolve({ OPENAI_API_KEY: value }),
  ANTHROPIC_API_KEY: (value) => resolve({ ANTHROPIC_API_KEY: value }),
  "VIBECTL_PROVIDERS__Q__API_KEY": (value) =>
    resolve({ VIBECTL_PROVIDERS__Q__API_KEY: value }, "providers:\n  q: { kind: openai }\n"),
  "${VAR}": (value) => resolve({ Q: value }, "providers:\n  q: { kind: openai, api_key: \"${Q}\" }\n"),
  OPENAI_API_KEY_FILE: (value) => resolve({ OPENAI_API_KEY_FILE: inFile(value) }),
  api_key_file: (value) => resolve({}, `providers:\n  q: { kind: openai, api_key_file: ${inFile(value)} }\n`)
}

describe("what stands round a key", () => {
  for (const { expect, value, where } of cases) {
    for (const [way, read] of Object.entries(ways)) {
      if (where !== undefined && where !== way) continue
      // A byte order mark belongs to a file.
      const isMark = value.startsWith("\ufeff") && way.includes("file".toUpperCase()) ||
        value.startsWith("\ufeff") && way === "api_key_file"
      it.live(`${JSON.stringify(value)} in ${way}: ${isMark ? "the mark of the file is dropped" : expect}`, () =>
        Effect.gen(function*() {
          const found = yield* read(value)
          if (isMark || expect.includes("stripped")) {
            assert.deepStrictEqual(found, Either.right({ keys: [key], warnings: [] }))
          } else if (expect.startsWith("refused")) {
            const message = Either.isLeft(found) ? found.left.message : "accepted"
            assert.match(
              message,
              /holds the character U\+(FEFF|200B|0425), which no header can carry, after \d+ characters?/
            )
            assert.notInclude(message, key.slice(0, 8))
          } else {
            assert.deepStrictEqual(Either.map(found, ({ warnings }) => warnings.length), Either.right(1))
            assert.notInclude(JSON.stringify(Either.map(found, ({ warnings }) => warnings)), key)
          }
        }))
    }
  }

  it.live("is refused with the file's name when the file holds more than one line", () =>
    Effect.gen(function*() {
      const file = inFile(`${key}\n${key}\n`)
      const found = yield* resolve({}, `providers:\n  q: { kind: openai, api_key_file: ${file} }\n`)
      assert.match(
        Either.isLeft(found) ? found.left.message : "",
        new RegExp(`the file ${file} holds a line end after \\d+`)
      )
    }))
})
