/**
 * Variables in text: `${NAME}`, `${NAME:-default}`, and `$${` for a literal `${`.
 *
 * As in a shell, the default stands in for a variable that is unset or empty.
 */

/** The variables of the environment, by name. */
export type Variables = Readonly<Record<string, string | undefined>>

export interface Interpolated {
  readonly text: string
  /** The variables used, as they may be shown: `${NAME}`, without the default. Empty when there are none. */
  readonly references: ReadonlyArray<string>
  /** Names of variables that are not set and have no default. */
  readonly missing: ReadonlyArray<string>
  /** Whether there is a `${` that begins no variable. */
  readonly malformed: boolean
}

export const interpolate = (source: string, variables: Variables): Interpolated => {
  const references: Array<string> = []
  const missing: Array<string> = []
  let malformed = false
  const text = source.replace(reference, (whole, inner: string | undefined) => {
    if (whole === "$${") return "${"
    const [, name, fallback] = variable.exec(inner ?? "") ?? []
    if (name === undefined) {
      malformed = true
      return whole
    }
    references.push(`\${${name}}`)
    const value = variables[name]
    if (fallback !== undefined) return value === undefined || value === "" ? fallback : value
    if (value === undefined) missing.push(name)
    return value ?? ""
  })
  return { text, references, missing, malformed }
}

/** `text` written so that {@link interpolate} gives it back. */
export const escape = (text: string): string => text.replaceAll("${", () => "$${")

// -- internals ---------------------------------------------------------------

/** The third alternative matches a `${` without its `}`. */
const reference = /\$\$\{|\$\{([^}]*)\}|\$\{/g

/** Names as POSIX has them (Base Definitions, 8.1). */
const variable = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([^]*))?$/
