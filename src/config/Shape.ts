/**
 * What a schema allows, as the environment, the error messages, the template
 * and `config show` need to know it: one description for all of them.
 */
import { Option, type Schema, SchemaAST } from "effect"

export type Shape = Leaf | Struct | Record

interface Common {
  /** What the setting means, with its unit; empty when the schema does not say. */
  readonly about: string
  /** Completes "expected …". */
  readonly allowed: string
}

export interface Leaf extends Common {
  readonly _tag: "Leaf"
  /** Whether the value is text whatever it looks like. */
  readonly isText: boolean
  /** A secret: it is never shown. */
  readonly isSecret: boolean
  /** Its value stays out of messages, because people put credentials into it. */
  readonly isPrivate: boolean
  readonly isPath: boolean
  /** Whether null is a value of its own; elsewhere it means unset. */
  readonly takesNull: boolean
  /** The values allowed, when they can be listed. */
  readonly choices: ReadonlyArray<string>
  /** A value for the template, as YAML. */
  readonly example: string | undefined
  /** What applies when nothing is set, when that is not one value. */
  readonly unset: string | undefined
  /** For lists: what each item may be. */
  readonly item: Shape | undefined
}

export interface Struct extends Common {
  readonly _tag: "Struct"
  readonly fields: ReadonlyMap<string, Shape>
}

/** A mapping whose keys the user chooses. */
export interface Record extends Common {
  readonly _tag: "Record"
  readonly value: Shape
  /** What its keys must be, as a sentence without its stop. */
  readonly names: string
  /** A key for the template. */
  readonly example: string | undefined
}

/** What a schema can say of a setting beyond its type. */
export interface Note {
  readonly about?: string
  readonly example?: string
  readonly unset?: string
  readonly secret?: boolean
  readonly private?: boolean
  readonly path?: boolean
  readonly names?: string
}

/** Annotation for a field's schema. */
export const note = (about: string, more: Omit<Note, "about"> = {}) => ({ [noteId]: { ...more, about } })

/** Annotation for a type of values: completes "expected …". */
export const expects = (allowed: string, more: Note = {}) => ({ description: allowed, [noteId]: more })

export const of = <A, I>(schema: Schema.Schema<A, I>): Shape => fromAst(schema.ast)

/** The shape of the value at `path`; undefined where the schema knows no such key. */
export const at = (shape: Shape, path: ReadonlyArray<string>): Shape | undefined =>
  path.reduce<Shape | undefined>((parent, key) => {
    if (parent === undefined) return undefined
    if (parent._tag === "Struct") return parent.fields.get(key)
    return parent._tag === "Record" ? parent.value : parent.item
  }, shape)

// -- internals ---------------------------------------------------------------

const noteId = Symbol.for("vibectl/config/Note")

const fromAst = (ast: SchemaAST.AST): Shape => {
  const layers = unwrapped(ast)
  const notes = layers.map(noteOf).reduceRight((inner, outer) => ({ ...inner, ...outer }))
  const common = { about: notes.about ?? "", allowed: allowedBy(layers) }
  const mapping = mappingOf(layers)
  if (mapping !== undefined && mapping.indexSignatures[0] !== undefined) {
    const value = fromAst(mapping.indexSignatures[0].type)
    return { _tag: "Record", ...common, value, names: notes.names ?? "unknown key", example: notes.example }
  }
  if (mapping !== undefined) {
    const fields = mapping.propertySignatures.map((field) => [String(field.name), fromAst(field.type)] as const)
    return { _tag: "Struct", ...common, fields: new Map(fields) }
  }
  const list = layers.find(SchemaAST.isTupleType)?.rest[0]
  return {
    _tag: "Leaf",
    ...common,
    isText: SchemaAST.isStringKeyword(SchemaAST.encodedAST(ast)),
    isSecret: notes.secret ?? false,
    isPrivate: notes.private ?? notes.secret ?? false,
    isPath: notes.path ?? false,
    takesNull: layers.some((layer) =>
      SchemaAST.isUnion(layer) && layer.types.some((type) => SchemaAST.isLiteral(type) && type.literal === null)
    ),
    choices: layers.flatMap(literals),
    example: notes.example,
    unset: notes.unset,
    item: list === undefined ? undefined : fromAst(list.type)
  }
}

/** The AST and what it wraps, outermost first. */
const unwrapped = (ast: SchemaAST.AST): ReadonlyArray<SchemaAST.AST> => {
  if (SchemaAST.isRefinement(ast)) return [ast, ...unwrapped(ast.from)]
  if (SchemaAST.isTransformation(ast)) return [ast, ...unwrapped(ast.to), ...unwrapped(ast.from)]
  return [ast]
}

/** A union of text and a mapping (an item that has a short form) counts as the mapping. */
const mappingOf = (layers: ReadonlyArray<SchemaAST.AST>): SchemaAST.TypeLiteral | undefined =>
  layers.flatMap((layer) => SchemaAST.isUnion(layer) ? layer.types.flatMap(unwrapped) : [layer])
    .find(SchemaAST.isTypeLiteral)

const literals = (ast: SchemaAST.AST): ReadonlyArray<string> =>
  SchemaAST.isUnion(ast)
    ? ast.types.flatMap(literals)
    : SchemaAST.isLiteral(ast) && typeof ast.literal === "string"
    ? [ast.literal]
    : []

const noteOf = (ast: SchemaAST.AST): Note =>
  Option.getOrElse(SchemaAST.getAnnotation<Note>(ast, noteId), (): Note => ({}))

/** Ours are the outermost descriptions; those of Effect's own types lie below. */
const allowedBy = (layers: ReadonlyArray<SchemaAST.AST>): string => {
  for (const layer of layers) {
    const description = SchemaAST.getDescriptionAnnotation(layer)
    if (Option.isSome(description)) return description.value
  }
  return layers.some(SchemaAST.isTypeLiteral) ? "a mapping of keys to values" : "another value"
}
