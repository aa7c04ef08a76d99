/**
 * Keys of the client's configuration as people type them, such as
 * `proxy.profiles.work.security.audit_logging`, and their values.
 */
import { Data, Either } from "effect"
import { nearest } from "../domain/Nearest.js"
import { type ClientSettings, description } from "./ClientSettings.js"
import { keyOf } from "./Problem.js"
import * as Shape from "./Shape.js"
import * as Tree from "./Tree.js"
import * as YamlFile from "./YamlFile.js"

export interface Setting {
  readonly path: ReadonlyArray<string>
  readonly shape: Shape.Leaf
}

/** There is no such key, or it is a section. */
export class KeyUnknown extends Data.TaggedError("KeyUnknown")<{
  readonly summary: string
  readonly remedy: string
}> {
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** The setting of this key. Names of profiles may hold dots, so only those that exist are known. */
export const find = (key: string, settings: ClientSettings): Either.Either<Setting, KeyUnknown> => {
  const names = Object.keys(settings.proxy.profiles)
  const found = walk(root, key, names, [])
  if (found?.shape._tag === "Leaf") return Either.right({ path: found.path, shape: found.shape })
  if (found !== undefined) return Either.left(isSection(key, found.path, settings))
  const [, missing] = /^proxy\.profiles\.([^.]+)(?:\.|$)/.exec(key) ?? []
  const isProfile = missing !== undefined &&
    !names.some((name) => key === `proxy.profiles.${name}` || key.startsWith(`proxy.profiles.${name}.`))
  return Either.left(isProfile ? noProfile(missing, names) : unknown(key, settings))
}

/** Every key there is, in the order of the file. */
export const all = (settings: ClientSettings): ReadonlyArray<string> =>
  below(root, Object.keys(settings.proxy.profiles), []).map(keyOf)

/**
 * A value as it is typed: text to the letter, a list as `a,b` or `[a, b]`, all
 * else as YAML. `null` unsets.
 */
export const read = (shape: Shape.Leaf, text: string): Either.Either<unknown, string> => {
  const parsed = () => plainOf(YamlFile.parseValue(text, { sourceAt, variables: undefined, isText: () => false }))
  if (text.trim() !== "" && YamlFile.readScalar(text) === null) return Either.right(null)
  if (shape.item === undefined) return shape.isText ? Either.right(text) : parsed()
  if (text.trimStart().startsWith("[")) return parsed()
  return Either.right(text.split(",").map((item) => item.trim()).filter((item) => item !== ""))
}

/** A value as {@link read} takes it, on one line; `undefined` is the empty text. */
export const write = (value: unknown): string => {
  if (value === undefined) return ""
  if (!Array.isArray(value)) return typeof value === "string" ? value : JSON.stringify(value)
  const items: ReadonlyArray<unknown> = value
  const simple = items.every((item) => typeof item === "string" && /^[^\s,[][^,]*$/.test(item) && item === item.trim())
  return simple ? items.join(",") : JSON.stringify(items)
}

// -- internals ---------------------------------------------------------------

const root = Shape.of(description.schema)

const sourceAt = () => ({ _tag: "Flag", flag: "the value" } as const)

const plainOf = ({ problems, root }: YamlFile.Parsed): Either.Either<unknown, string> => {
  const [problem] = problems
  if (root === undefined || problem !== undefined) {
    return Either.left(problem?.message ?? "the value is not valid YAML.")
  }
  return Either.right(Tree.toPlain(root))
}

interface Reached {
  readonly path: ReadonlyArray<string>
  readonly shape: Shape.Shape
}

/** Every name that may lead on to a key is followed: `a.security` may be a profile, or the section of `a`. */
const walk = (
  shape: Shape.Shape,
  rest: string,
  names: ReadonlyArray<string>,
  path: ReadonlyArray<string>
): Reached | undefined => {
  if (rest === "") return path.length === 0 ? undefined : { path, shape }
  const fields = fieldsOf(shape, names).filter(([name]) => rest === name || rest.startsWith(`${name}.`))
  for (const [name, field] of fields) {
    const reached = walk(field, rest.slice(name.length + 1), names, [...path, name])
    if (reached !== undefined) return reached
  }
  return undefined
}

const fieldsOf = (
  shape: Shape.Shape,
  names: ReadonlyArray<string>
): ReadonlyArray<readonly [string, Shape.Shape]> => {
  if (shape._tag === "Leaf") return []
  return shape._tag === "Struct" ? [...shape.fields] : names.map((name) => [name, shape.value] as const)
}

const below = (
  shape: Shape.Shape,
  names: ReadonlyArray<string>,
  path: ReadonlyArray<string>
): ReadonlyArray<ReadonlyArray<string>> =>
  shape._tag === "Leaf"
    ? [path]
    : fieldsOf(shape, names).flatMap(([name, field]) => below(field, names, [...path, name]))

const isSection = (key: string, path: ReadonlyArray<string>, settings: ClientSettings) => {
  const inside = all(settings).filter((each) => each.startsWith(`${keyOf(path)}.`))
  return new KeyUnknown({
    summary: `\`${key}\` is a section and has no value of its own.`,
    remedy: inside.length === 0
      ? "There is nothing in it; a profile is added with `vibectl setup-proxy configure NAME URL`."
      : `Name one of its keys: ${inside.join(", ")}.`
  })
}

const noProfile = (name: string, names: ReadonlyArray<string>) => {
  const [guess] = nearest(name, names, 1)
  const known = names.length === 0 ? "" : ` Profiles: ${names.join(", ")}.`
  return new KeyUnknown({
    summary: `There is no profile ${JSON.stringify(name)}.${guess === undefined ? "" : ` Did you mean "${guess}"?`}`,
    remedy: `A profile is added with \`vibectl setup-proxy configure NAME URL\`.${known}`
  })
}

const unknown = (key: string, settings: ClientSettings) => {
  const keys = all(settings)
  const same = keys.filter((each) => each.endsWith(`.${key}`))
  const guesses = same.length > 0 ? same.slice(0, 3) : nearest(key, keys)
  const meant = guesses.length === 0 ? "" : ` Did you mean ${guesses.map((guess) => `"${guess}"`).join(" or ")}?`
  return new KeyUnknown({
    summary: `There is no setting ${JSON.stringify(key)}.${meant}`,
    remedy: "`vibectl config show` lists every key there is."
  })
}
