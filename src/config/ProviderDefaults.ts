/**
 * The providers that exist without a `providers:` section: those whose usual
 * variables are set, and `demo` when there are none.
 *
 * `OPENAI_API_KEY` and `OPENAI_BASE_URL` are the variables of OpenAI's own SDK
 * (https://github.com/openai/openai-node), the others those of Anthropic's
 * (https://github.com/anthropics/anthropic-sdk-typescript). Each has a twin
 * with `_FILE` that names a file with the value.
 */
import { Effect, Either } from "effect"
import type { Variables } from "./Interpolate.js"
import type { Completed } from "./Load.js"
import * as Problem from "./Problem.js"
import * as ReadFile from "./ReadFile.js"
import * as Tree from "./Tree.js"

/** Adds these providers, and to every provider named after a kind that kind. */
export const complete =
  (kinds: ReadonlyArray<string>) => (given: Tree.Node, variables: Variables): Effect.Effect<Completed> =>
    Tree.at(given, ["providers"]) === undefined
      ? usual(given, variables)
      : Effect.succeed({ root: withKinds(given, kinds), problems: [] })

// -- internals ---------------------------------------------------------------

const usual = (given: Tree.Node, variables: Variables): Effect.Effect<Completed> =>
  Effect.gen(function*() {
    const problems: Array<Problem.Problem> = []
    let root = given
    for (const [name, alone] of vendors) {
      const upper = name.toUpperCase()
      const key = variable(variables, `${upper}_API_KEY`)
      const keyFile = variable(variables, `${upper}_API_KEY_FILE`)
      const url = variable(variables, `${upper}_BASE_URL`)
      const urlFile = variable(variables, `${upper}_BASE_URL_FILE`)
      const first = [key, keyFile, ...alone ? [url, urlFile] : []].find((found) => found !== undefined)
      if (first === undefined) continue
      const path = ["providers", name]
      const set = (field: string, value: string, variableName: string) => {
        const node = Tree.from(value, { _tag: "Variable", name: variableName })
        root = Tree.merge(root, Tree.only([...path, field], node))
      }
      set("kind", name, first.name)
      if (key !== undefined) set("api_key", key.value, key.name)
      if (keyFile !== undefined) set("api_key_file", keyFile.value, keyFile.name)
      if (url !== undefined) set("base_url", url.value, url.name)
      if (urlFile === undefined) continue
      const text = yield* Effect.either(ReadFile.secret(urlFile.value))
      if (Either.isLeft(text)) {
        const fault = `the file ${urlFile.value} ${ReadFile.problem(text.left)}.`
        problems.push(Problem.make(urlFile.name, [...path, "base_url"], fault))
      } else if (url === undefined) {
        set("base_url", text.right, urlFile.name)
      } else {
        problems.push(Problem.make(urlFile.name, [...path, "base_url"], `${url.name} is set too; keep one of them.`))
      }
    }
    if (Tree.at(root, ["providers"]) === undefined) {
      root = Tree.merge(root, Tree.from({ providers: { demo: { kind: "demo" } } }, { _tag: "Default" }))
    }
    return { root, problems }
  })

/** Whether a base URL alone makes the provider exist: local endpoints that speak OpenAI's protocol need no key. */
const vendors = [["openai", true], ["anthropic", false]] as const

const variable = (variables: Variables, name: string) => {
  const value = variables[name]
  return value === undefined || value === "" ? undefined : { name, value }
}

const withKinds = (given: Tree.Node, kinds: ReadonlyArray<string>): Tree.Node => {
  const providers = Tree.at(given, ["providers"])
  if (!Tree.isBranch(providers)) return given
  let root = given
  for (const [name, provider] of providers.content) {
    if (!kinds.includes(name) || !Tree.isBranch(provider) || provider.content.has("kind")) continue
    // Below what is given, so that the provider keeps its place in the file.
    const kind = Tree.only(["providers", name, "kind"], Tree.from(name, { _tag: "Default" }))
    root = Tree.merge(Tree.merge(root, kind), given)
  }
  return root
}
