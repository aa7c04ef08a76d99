/**
 * Whether a planned kubectl command may run.
 *
 * The command is an argument list without `kubectl`; no shell ever sees it.
 * `ReadOnly` is only what is known to read, flag by flag: whatever is not known
 * (a plugin, a later version's flag, another spelling) is asked about, and taken
 * for destructive. `Refused` is what nobody can mean. The judgement is of the
 * exact list: what is judged must be what is run.
 */
import * as Changing from "./Changing.js"
import * as Concern from "./Concern.js"
import { flagsOf, type Invocation, parse } from "./Invocation.js"
import * as Reading from "./Reading.js"
import * as Text from "./Text.js"
import * as Verbs from "./Verbs.js"

export type Verdict =
  | { readonly _tag: "ReadOnly"; readonly verb: string }
  | {
    readonly _tag: "Confirm"
    readonly verb: string
    /** Clauses joined by `; `, without a full stop: "delete deletes resources; --all affects every resource of the kind". */
    readonly because: string
    /** It can lose something or interrupt a service. */
    readonly destructive: boolean
    /** It needs the terminal, or does not end by itself. */
    readonly interactive: boolean
    /** A configuration that names the verb may let it run unasked. */
    readonly allowable: boolean
  }
  | {
    readonly _tag: "Refused"
    /** A sentence without its end. */
    readonly because: string
    /** What may have been meant, as a command without `kubectl`. */
    readonly instead: string | undefined
  }

/** `stdin`: what the command is given on standard input, which `-f -` reads; empty or left out: nothing. */
export const judge = (args: ReadonlyArray<string>, options: { readonly stdin?: string } = {}): Verdict => {
  const { stdin = "" } = options
  const refusal = Text.refusal(args) ?? Text.refusalOfInput(stdin)
  if (refusal !== undefined) return { _tag: "Refused", ...refusal }
  const invocation = parse(args)
  const { known, verb } = invocation
  const general = Concern.ofAny(invocation)
  if (general.length === 0 && isHelp(invocation)) return { _tag: "ReadOnly", verb: "help" }
  if (verb === "") return refused("there is no verb")
  if (/^\S*[/\\]/.test(verb)) return refused(`${Text.shown(verb)} is a path, and no verb of kubectl`)
  if (stdin === "" && readsStandardInput(invocation)) {
    return refused(`${verb} would wait for standard input, and nothing comes from there`)
  }
  if (known === undefined) return confirm(Text.shown(verb), [...ofUnknown(invocation), ...general])
  const concerns = known.effect === "reads"
    ? [...Reading.concerns(known, invocation), ...general]
    : [...Changing.concerns(known, invocation), ...general]
  if (concerns.length === 0) return { _tag: "ReadOnly", verb }
  const verdict = confirm(verb, concerns)
  return Changing.isDryRun(invocation) ? { ...verdict, destructive: false } : verdict
}

/**
 * Whether what it prints may be secret values without anything around them that tells so, as a template picks them, of
 * Secrets, of environments or by a name that speaks; the whole of an object, in YAML or JSON, says what it is.
 */
export const printsSecretValues = (args: ReadonlyArray<string>): boolean => {
  const { flags, operands, rest = [] } = parse(args)
  const ofSecrets = Reading.namesSecrets([...operands, ...rest])
  return flags.some(({ name, value }) =>
    (name === "template" || (name === "output" && /^(?:jsonpath|go-template|template|custom-columns)/.test(value))) &&
    (ofSecrets || /\benv\b|passw|secret|token|api[_-]?key|credential/i.test(value))
  )
}

/** Whether its verb is one that only reads, whatever it is asked about for. */
export const hasReadingVerb = (args: ReadonlyArray<string>): boolean => parse(args).known?.effect === "reads"

/** Whether it prints a line for each resource that it changed, and nothing of what is in them. */
export const namesWhatItChanged = (args: ReadonlyArray<string>): boolean => {
  const invocation = parse(args)
  return invocation.known !== undefined && invocation.known.effect !== "reads"
    && flagsOf(invocation, "output").every(({ value }) => value === "name")
}

export interface Policy {
  /**
   * `manual`: a person is asked about everything. `semiauto`: what only reads runs, all else is asked about.
   * `auto`: as `semiauto`, and what `allow` names runs too, as far as it is allowable.
   */
  readonly mode: "manual" | "semiauto" | "auto"
  /** Names of verbs (`Verbs.isVerb`); each allows exactly that verb. */
  readonly allow: ReadonlySet<string>
}

/** Run unasked, ask a person, or refuse. */
export const decide = (verdict: Verdict, policy: Policy): "run" | "ask" | "refuse" => {
  if (verdict._tag === "Refused") return "refuse"
  if (policy.mode === "manual") return "ask"
  if (verdict._tag === "ReadOnly") return "run"
  return policy.mode === "auto" && verdict.allowable && policy.allow.has(verdict.verb) ? "run" : "ask"
}

// -- internals ---------------------------------------------------------------

const refused = (because: string): Verdict => ({ _tag: "Refused", because, instead: undefined })

const confirm = (verb: string, concerns: ReadonlyArray<Concern.Concern>) => {
  const some = (holds: (concern: Concern.Concern) => boolean | undefined) =>
    concerns.some((concern) => holds(concern) === true)
  return {
    _tag: "Confirm" as const,
    verb,
    because: clauses(concerns.map((concern) => concern.because)),
    destructive: some((concern) => concern.destructive),
    interactive: some((concern) => concern.interactive),
    allowable: !some((concern) => concern.asked)
  }
}

/** No more of them than a person reads. */
const clauses = (reasons: ReadonlyArray<string>): string => {
  const distinct = [...new Set(reasons)]
  const more = distinct.length - mostClauses
  return [...distinct.slice(0, mostClauses), ...more > 0 ? [`and ${more} more`] : []].join("; ")
}

const mostClauses = 8

/**
 * Help is printed instead of anything else, but only by a verb of kubectl itself:
 * a plugin does what it likes with `--help`.
 */
const isHelp = ({ flags, known, operands, verb }: Invocation): boolean =>
  flags.some((flag) => flag.name === "help") &&
  flags.every((flag) => flag.global && flag.on) &&
  (known !== undefined || (operands.length === 0 && (verb === "" || Verbs.isParent(verb))))

/** `-f -`, `set env … -` and `cp - …`. */
const readsStandardInput = (invocation: Invocation): boolean =>
  flagsOf(invocation, "filename").some((flag) => flag.value.split(",").includes("-")) ||
  (/^(?:set env|cp)$/.test(invocation.verb) && invocation.operands.includes("-"))

const ofUnknown = (invocation: Invocation): ReadonlyArray<Concern.Concern> => {
  const { operands, verb } = invocation
  if (Verbs.find(verb) !== undefined) {
    return [{ because: `${verb} cannot be read with certainty`, destructive: true, asked: true }]
  }
  if (Verbs.isParent(verb) && operands.length === 0) {
    return [{ because: `${verb} needs another word`, asked: true }]
  }
  const lower = verb.toLowerCase()
  const hint = lower !== verb && Verbs.find(lower) !== undefined ? `, which writes it ${lower}` : ""
  return [{
    because: `${
      Text.shown(verb)
    } is no verb that is known of kubectl${hint}; it may be a plugin, which can do anything`,
    destructive: true,
    asked: true
  }]
}
