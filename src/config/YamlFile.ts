/**
 * A YAML 1.2 file as a {@link Tree.Node}: every value with its line and column.
 *
 * No message repeats the file's text, since it may be a secret. Every problem
 * is found at once, except that a file with broken syntax is not read further.
 */
import { Effect } from "effect"
import * as Yaml from "yaml"
import { interpolate, type Variables } from "./Interpolate.js"
import * as Problem from "./Problem.js"
import * as ReadFile from "./ReadFile.js"
import * as Tree from "./Tree.js"

export interface Parsed {
  /** Undefined when the syntax is broken. */
  readonly root: Tree.Node | undefined
  readonly problems: ReadonlyArray<Problem.Problem>
}

export interface Context {
  /** The source of a value at this line and column. */
  readonly sourceAt: (line: number, column: number) => Problem.Source
  /** Set when `${VAR}` is to be replaced. */
  readonly variables: Variables | undefined
  /** Whether the value at a path is text whatever it looks like. */
  readonly isText: (path: ReadonlyArray<string>) => boolean
}

/** The file's text; empty when it does not exist, unless it was `named` by the user. */
export const read = (
  file: string,
  named: boolean
): Effect.Effect<string, Problem.ConfigInvalid> =>
  Effect.catchAll(ReadFile.text(file, ReadFile.maxBytes.config), (error) =>
    ReadFile.isMissing(error) && !named
      ? Effect.succeed("")
      : new Problem.ConfigInvalid({ problems: [Problem.make(file, [], `the file ${ReadFile.problem(error)}.`)] }))

/** A whole file: its root must be a mapping, or nothing. */
export const parse = (text: string, file: string, context: Omit<Context, "sourceAt">): Parsed => {
  const sourceAt = (line: number, column: number): Problem.Source => ({ _tag: "File", file, line, column })
  const parsed = parseValue(text, { ...context, sourceAt })
  if (parsed.root === undefined || Tree.isBranch(parsed.root)) return parsed
  if (parsed.root.content === null) return { ...parsed, root: Tree.empty(parsed.root.source) }
  const place = Problem.place(parsed.root.source)
  const problem = Problem.make(place, [], "the file must hold a mapping of keys to values, such as `server:`.")
  return { root: undefined, problems: [...parsed.problems, problem] }
}

/** Any YAML value. */
export const parseValue = (text: string, context: Context): Parsed => {
  const lines = new Yaml.LineCounter()
  const document = Yaml.parseDocument(text, { ...options, lineCounter: lines })
  const sourceAt = (offset: number) => {
    const { col, line } = lines.linePos(offset)
    return context.sourceAt(line, col)
  }
  const faults = [...document.errors, ...document.warnings]
  if (faults.length > 0) {
    const problems = faults.map((fault) =>
      Problem.make(Problem.place(sourceAt(fault.pos[0])), [], `this is not valid YAML: ${explain(fault, text)}.`)
    )
    // One slip often trips the parser several times.
    return { root: undefined, problems: problems.slice(0, 1) }
  }
  return build(document, sourceAt, context)
}

/** What YAML makes of `text` standing alone as a plain scalar; text that is not one stays as it is. */
export const readScalar = (text: string): Tree.Scalar => {
  const { contents, errors } = Yaml.parseDocument(text, options)
  if (contents === null) return text === "" ? null : text
  const isWhole = errors.length === 0 && Yaml.isScalar(contents) && contents.type === "PLAIN" &&
    contents.source === text
  return isWhole ? toScalar(contents.value) : text
}

/** How the client's file is parsed again to be edited. */
export const options = {
  version: "1.2",
  // The messages would quote the file.
  prettyErrors: false,
  stringKeys: true,
  // Found here, so that the key can be named.
  uniqueKeys: false,
  // No binary, sets or dates: no setting is one.
  resolveKnownTags: false
} as const satisfies Yaml.ParseOptions & Yaml.DocumentOptions & Yaml.SchemaOptions

// -- internals ---------------------------------------------------------------

/** More than any real file has; without a limit a small file could describe a huge or endless value. */
const mostAliases = 100

const build = (document: Yaml.Document, sourceAt: (offset: number) => Problem.Source, context: Context): Parsed => {
  const problems: Array<Problem.Problem> = []
  let aliases = 0

  const scalar = (node: Yaml.Scalar, path: ReadonlyArray<string>, source: Problem.Source): Leaf => {
    if (typeof node.value !== "string" || context.variables === undefined) {
      return { content: toScalar(node.value), shown: undefined }
    }
    const { malformed, missing, references, text } = interpolate(node.value, context.variables)
    const place = Problem.place(source)
    for (const name of missing) {
      const remedy = `Set it, or give a default: \${${name}:-…}`
      problems.push(Problem.make(place, path, `the variable ${name} is not set. ${remedy}.`, { found: `\${${name}}` }))
    }
    if (malformed) {
      problems.push(Problem.make(place, path, "found `${` without a variable name and `}`; write `$${` for the text."))
    }
    if (references.length === 0) return { content: text, shown: undefined }
    const isPlain = node.type === "PLAIN"
    const value = isPlain ? readScalar(text) : text
    return { content: context.isText(path) && value !== null ? text : value, shown: references.join(" and ") }
  }

  const mapping = (map: Yaml.YAMLMap, path: ReadonlyArray<string>): ReadonlyMap<string, Tree.Node> => {
    const content = new Map<string, Tree.Node>()
    for (const { key, value } of map.items) {
      const name = Yaml.isScalar(key) ? String(key.value) : String(key)
      const keySource = sourceAt(Yaml.isNode(key) ? key.range?.[0] ?? 0 : 0)
      const first = content.get(name)
      if (first !== undefined) {
        const where = Problem.origin(first.keySource)
        problems.push(Problem.make(Problem.place(keySource), [...path, name], `the key is already set at ${where}.`))
        continue
      }
      content.set(name, node(value, [...path, name], keySource))
    }
    return content
  }

  const node = (value: unknown, path: ReadonlyArray<string>, keySource: Problem.Source): Tree.Node => {
    // An empty value has no place of its own worth showing: its key's is better.
    const isEmpty = !Yaml.isNode(value) || Yaml.isScalar(value) && value.value === null && value.source === ""
    const source = isEmpty ? keySource : sourceAt(value.range?.[0] ?? 0)
    if (Yaml.isAlias(value) && ++aliases <= mostAliases) {
      const target = value.resolve(document)
      if (target !== undefined) return { ...node(target, path, keySource), source }
      problems.push(Problem.make(Problem.place(source), path, "found an alias (`*…`) that has no anchor (`&…`)."))
    }
    if (Yaml.isMap(value)) return { content: mapping(value, path), source, keySource, shown: undefined }
    if (Yaml.isSeq(value)) {
      const content = value.items.map((item, index) => node(item, [...path, String(index)], source))
      return { content, source, keySource, shown: undefined }
    }
    return Yaml.isScalar(value)
      ? { ...scalar(value, path, source), source, keySource }
      : { content: null, source, keySource, shown: undefined }
  }

  const root = node(document.contents, [], sourceAt(0))
  if (aliases <= mostAliases) return { root, problems }
  const text = `the file uses aliases (\`*…\`) more than ${mostAliases} times.`
  return { root: undefined, problems: [Problem.make(Problem.place(root.source), [], text)] }
}

type Leaf = Pick<Tree.Node, "content" | "shown"> & { readonly content: Tree.Scalar }

/** The core schema, without big integers, has no other scalars. */
const toScalar = (value: unknown): Tree.Scalar =>
  typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? value : null

const explain = (fault: Yaml.YAMLError, text: string): string => {
  // In `{ … }` and `[ … ]` the brace of a plain `${VAR}` opens a mapping.
  if (fault.code === "UNEXPECTED_TOKEN" && text.slice(0, fault.pos[0]).endsWith("$")) {
    return "put \"${…}\" in quotes inside of { } and [ ]"
  }
  return explanations[fault.code] ?? "unexpected text; check indentation, quotes and brackets"
}

const explanations: { readonly [code in Yaml.ErrorCode]?: string } = {
  BAD_DIRECTIVE: "unknown directive",
  BAD_DQ_ESCAPE: "unknown escape sequence in double quotes; use single quotes to take \\ literally",
  BAD_INDENT: "wrong indentation",
  BAD_SCALAR_START: "a value that begins with this character must be in quotes",
  BLOCK_AS_IMPLICIT_KEY: "a mapping cannot begin here; put a value that holds \": \" in quotes",
  MISSING_CHAR: "a quote, bracket or comma is missing",
  MULTILINE_IMPLICIT_KEY: "a key must be on one line; is a \":\" missing?",
  MULTIPLE_DOCS: "the file holds more than one document (`---`)",
  NON_STRING_KEY: "keys must be text",
  TAB_AS_INDENT: "tabs cannot indent; use spaces",
  TAG_RESOLVE_FAILED: "unknown tag"
}
