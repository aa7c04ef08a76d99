/**
 * What can be wrong with a configuration, and how it is said.
 *
 * A problem never holds the value of a secret or of a variable; whoever makes
 * one passes only what may be shown.
 */
import { Data } from "effect"

/** Where a setting was made. Line and column count from 1. */
export type Source =
  | { readonly _tag: "Default" }
  | { readonly _tag: "File"; readonly file: string; readonly line: number; readonly column: number }
  | { readonly _tag: "Variable"; readonly name: string }
  | { readonly _tag: "Flag"; readonly flag: string }

export interface Problem {
  /** `file:line:column`, `VIBECTL_…`, `--flag` or `default`. */
  readonly source: string
  /** `server.port`; empty when the problem is the whole file's. */
  readonly key: string
  /** As it may be shown; undefined when the value is not the problem. */
  readonly found: string | undefined
  readonly allowed: string | undefined
  /** The valid names most like the given one, best first. */
  readonly nearest: ReadonlyArray<string>
  /** All of the above on one line. */
  readonly message: string
}

/** A problem in words of its own; `text` is a sentence. */
export const make = (
  source: string,
  path: ReadonlyArray<string>,
  text: string,
  facts: Partial<Pick<Problem, "found" | "allowed" | "nearest">> = {}
): Problem => {
  const key = keyOf(path)
  return {
    source,
    key,
    found: facts.found,
    allowed: facts.allowed,
    nearest: facts.nearest ?? [],
    message: [source, key, text].filter((part) => part !== "").join(": ")
  }
}

/** A key or variable that does not exist; `allowed` says which do. */
export const unknown = (
  source: string,
  path: ReadonlyArray<string>,
  what: string,
  nearest: ReadonlyArray<string>,
  allowed: string | undefined
): Problem => {
  const guess = nearest.length === 0 ? "" : ` Did you mean ${nearest.map((name) => `"${name}"`).join(" or ")}?`
  const rest = allowed === undefined ? "" : ` Allowed: ${allowed}.`
  return make(source, path, `${what}.${guess}${rest}`, { allowed, nearest })
}

/** A value that is not one of those allowed; without `found`, a value that is missing. */
export const wrong = (
  source: string,
  path: ReadonlyArray<string>,
  found: string | undefined,
  allowed: string,
  nearest: ReadonlyArray<string> = []
): Problem => {
  const guess = nearest.length === 0 ? "" : ` Did you mean ${nearest.map((name) => `"${name}"`).join(" or ")}?`
  const fault = found === undefined ? "is missing" : `found ${found}`
  return make(source, path, `${fault}, expected ${allowed}.${guess}`, { found, allowed, nearest })
}

/** The configuration cannot be used; `problems` is never empty. */
export class ConfigInvalid extends Data.TaggedError("ConfigInvalid")<{
  readonly problems: ReadonlyArray<Problem>
}> {
  get summary() {
    const count = this.problems.length === 1 ? "a problem" : `${this.problems.length} problems`
    return `The configuration has ${count}:\n${this.problems.map((problem) => `  ${problem.message}`).join("\n")}`
  }
  get remedy() {
    return "Correct what is named above and run the command again."
  }
  override get message() {
    return `${this.summary}\n${this.remedy}`
  }
}

/** A change would make the configuration invalid, and was not made. */
export class SettingInvalid extends Data.TaggedError("SettingInvalid")<{
  readonly problems: ReadonlyArray<Problem>
}> {
  /** Without the place: it is one in a file that was never written. */
  get summary() {
    return this.problems.map(({ message, source }) => message.replace(`${source}: `, "")).join("\n")
  }
  get remedy() {
    return "Nothing was changed; give a value that is allowed."
  }
  override get message() {
    return `${this.summary}\n${this.remedy}`
  }
}

/** A configuration file could not be written. */
export class ConfigNotWritten extends Data.TaggedError("ConfigNotWritten")<{
  readonly summary: string
  readonly remedy: string
}> {
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** As a problem names it. */
export const place = (source: Source): string =>
  source._tag === "File" ? `${source.file}:${source.line}:${source.column}` : origin(source)

/** As `config show` names it: without the column. */
export const origin = (source: Source): string => {
  switch (source._tag) {
    case "Default":
      return "default"
    case "File":
      return `${source.file}:${source.line}`
    case "Variable":
      return source.name
    case "Flag":
      return source.flag
  }
}

/** `server.port`; a part that holds what a terminal would obey is quoted. */
export const keyOf = (path: ReadonlyArray<string>): string =>
  path.map((part) => /^[^\s\p{Cc}\p{Cf}]+$/u.test(part) ? part : JSON.stringify(part)).join(".")
