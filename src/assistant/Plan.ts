/**
 * What a model answers when it is asked for the next step: one action.
 *
 * On the wire it is a flat JSON object with every key present, since that is
 * what the strict structured outputs of all providers take; here it is read
 * into one of six actions, and what does not fit exactly is malformed.
 */
import { Data, Either, ParseResult, Schema } from "effect"
import * as LooseJson from "./LooseJson.js"

export type Plan = Command | Thought | Feedback | Wait | Done | Failed

/** Run kubectl with `args`, and `stdin` if it is not empty; `text` says why. */
export interface Command {
  readonly action: "COMMAND"
  readonly text: string
  readonly args: ReadonlyArray<string>
  readonly stdin: string
  readonly memory: string
}

/** What the model thinks, for people who want to follow. */
export interface Thought {
  readonly action: "THOUGHT"
  readonly text: string
  readonly memory: string
}

/** A question to the user, without whose answer the model cannot go on. */
export interface Feedback {
  readonly action: "FEEDBACK"
  readonly text: string
  readonly memory: string
}

/** Wait before the next step, because something in the cluster needs time. */
export interface Wait {
  readonly action: "WAIT"
  readonly text: string
  readonly seconds: number
  readonly memory: string
}

/** The answer. */
export interface Done {
  readonly action: "DONE"
  readonly text: string
  readonly memory: string
}

/** It cannot be done; `text` says why. */
export interface Failed {
  readonly action: "ERROR"
  readonly text: string
  readonly memory: string
}

/** What a model answered is no plan. */
export class Malformed extends Data.TaggedError("Malformed")<{
  /** What is wrong with it, in a sentence, for the model to correct and for people. */
  readonly problem: string
}> {
  override get message() {
    return this.problem
  }
}

/** The action of this name, in whatever letter case. */
export const actionOf = (name: unknown): Plan["action"] | undefined => {
  const upper = typeof name === "string" ? name.trim().toUpperCase() : ""
  return actions.find((action) => action === upper)
}

/** Reads an object whose `action` is one of ours; `null` counts as absent. */
export const decode = (action: Plan["action"], object: LooseJson.JsonObject): Either.Either<Plan, Malformed> => {
  const present = [...object].filter(([, value]) => value !== null)
  const doubled = present.find(([, value]) => value === LooseJson.twice)
  if (doubled !== undefined) {
    return Either.left(
      new Malformed({ problem: `The key "${doubled[0]}" stands twice in the plan, with different values.` })
    )
  }
  return Either.mapLeft(
    decoders[action](Object.fromEntries([...present, ["action", action]])),
    (error) => new Malformed({ problem: problemOf(action, error) })
  )
}

/** Why an object is no plan. */
export const notAPlan = (action: LooseJson.Json | undefined): Malformed =>
  new Malformed({
    problem: `${
      typeof action === "string"
        ? `The plan's "action" is "${action.slice(0, 40)}"`
        : "The answer is JSON without an \"action\""
    }; it must be one of ${actions.map((name) => `"${name}"`).join(", ")}.`
  })

/** The actions whose text is for the user, to be shown while it is produced. */
export const isAnswer = (action: string): action is "DONE" | "FEEDBACK" => action === "DONE" || action === "FEEDBACK"

/** The most a plan may wait, in seconds. */
export const longestWait = 300

/**
 * JSON Schema text of a plan: strict, and with `action` before `text`, so that
 * an answer can be shown while it is produced. No unions and no bounds: not
 * every provider takes them.
 * Source: https://platform.openai.com/docs/guides/structured-outputs
 */
export const jsonSchema: string = JSON.stringify({
  title: "vibectl_plan",
  type: "object",
  additionalProperties: false,
  required: ["action", "text", "args", "stdin", "seconds", "memory"],
  properties: {
    action: { type: "string", enum: ["COMMAND", "THOUGHT", "FEEDBACK", "WAIT", "DONE", "ERROR"] },
    text: { type: "string", description: "For DONE the whole answer; for the others one or two sentences." },
    args: {
      type: "array",
      items: { type: "string" },
      description: "COMMAND only: the arguments of kubectl, one per item, without `kubectl`. Else empty."
    },
    stdin: { type: "string", description: "COMMAND with `-f -` only: the manifest. Else empty." },
    seconds: { type: "integer", description: `WAIT only: 1 to ${longestWait}. Else 0.` },
    memory: { type: "string", description: "The whole new memory, when it is to change. Else empty." }
  }
})

// -- internals ---------------------------------------------------------------

const actions = ["COMMAND", "THOUGHT", "FEEDBACK", "WAIT", "DONE", "ERROR"] as const

const text = Schema.String.pipe(Schema.filter((value) => value.trim() !== "" || "a text that is not empty"))

/** Absent counts as empty, for models that are not held to the schema. */
const absent = {
  args: Schema.optionalWith(Schema.Tuple(), { default: () => [] as const }),
  stdin: Schema.optionalWith(Schema.Literal(""), { default: () => "" as const }),
  seconds: Schema.optionalWith(Schema.Number, { default: () => 0 })
}

const memory = Schema.optionalWith(Schema.String, { default: () => "" })

const said = <A extends string>(action: A) => Schema.Struct({ action: Schema.Literal(action), text, ...absent, memory })

const strict = { onExcessProperty: "error" } as const

const decoders: {
  readonly [A in Plan["action"]]: (object: unknown) => Either.Either<Plan, ParseResult.ParseError>
} = {
  COMMAND: Schema.decodeUnknownEither(
    Schema.Struct({
      action: Schema.Literal("COMMAND"),
      text: Schema.optionalWith(Schema.String, { default: () => "" }),
      args: Schema.Array(Schema.String).pipe(Schema.minItems(1)),
      stdin: Schema.optionalWith(Schema.String, { default: () => "" }),
      seconds: absent.seconds,
      memory
    }),
    strict
  ),
  THOUGHT: Schema.decodeUnknownEither(said("THOUGHT"), strict),
  FEEDBACK: Schema.decodeUnknownEither(said("FEEDBACK"), strict),
  WAIT: Schema.decodeUnknownEither(
    Schema.Struct({
      action: Schema.Literal("WAIT"),
      text: Schema.optionalWith(Schema.String, { default: () => "" }),
      args: absent.args,
      stdin: absent.stdin,
      seconds: Schema.Number.pipe(Schema.between(1, longestWait)),
      memory
    }),
    strict
  ),
  DONE: Schema.decodeUnknownEither(said("DONE"), strict),
  ERROR: Schema.decodeUnknownEither(said("ERROR"), strict)
}

/** In a sentence, of the first thing that is wrong. */
const problemOf = (action: Plan["action"], error: ParseResult.ParseError): string => {
  const [issue] = ParseResult.ArrayFormatter.formatErrorSync(error)
  const key = String(issue?.path[0] ?? "")
  const isCommand = action === "COMMAND"
  const rules: { readonly [key: string]: string } = {
    text: `"text" of ${action} must be text${isCommand || action === "WAIT" ? "" : " that is not empty"}.`,
    args: isCommand
      ? "\"args\" of COMMAND must be a list of strings that is not empty."
      : `"args" of ${action} must be empty.`,
    stdin: isCommand ? "\"stdin\" of COMMAND must be text." : `"stdin" of ${action} must be empty.`,
    seconds: action === "WAIT"
      ? `"seconds" of WAIT must be a number from 1 to ${longestWait}.`
      : "\"seconds\" must be a number.",
    memory: "\"memory\" must be text."
  }
  return rules[key] ?? `"${key.slice(0, 40)}" is no key of a plan.`
}
