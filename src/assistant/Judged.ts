/**
 * A planned command: as it would be run, with the secrets that it carries, and as people, the model and records may see it.
 */
import * as Display from "../kubectl/Display.js"
import * as Safety from "../kubectl/Safety.js"
import * as Text from "../kubectl/Text.js"
import type { Redactor } from "../redaction/Redactor.js"
import type * as Plan from "./Plan.js"

export interface Judged {
  /** What is run, and judged. */
  readonly args: ReadonlyArray<string>
  readonly stdin: string
  /** The same with placeholders for secrets. */
  readonly written: ReadonlyArray<string>
  /** `written` as a person would type it. */
  readonly command: string
  /** Of `args` and `stdin`; its words hold no secret. */
  readonly verdict: Safety.Verdict
  readonly secrets: ReturnType<Redactor["mentioned"]>
  /** Looks like a placeholder, and no secret is known for it. */
  readonly stranger: string | undefined
}

export const of = (redactor: Redactor, plan: Plan.Command): Judged => {
  const written = Text.withoutProgram(plan.args)
  const args = written.map(redactor.restore)
  const stdin = redactor.restore(plan.stdin)
  const secrets = redactor.mentioned([...written, plan.stdin].join("\n"))
  const verdict = Safety.judge(args, { stdin })
  return {
    args,
    stdin,
    written,
    command: Display.command(written),
    verdict: secrets.length === 0 ? verdict : veiled(verdict, Safety.judge(written, { stdin: plan.stdin })),
    secrets,
    stranger: placeholder.exec([...args, stdin].join("\n"))?.[0]
  }
}

/** An argument list without the secrets in it, for a record. */
export const recorded = (redactor: Redactor, args: ReadonlyArray<string>): ReadonlyArray<string> =>
  args.map((arg, index) => {
    // `--password x`: what an argument is, the one before it tells.
    const before = index === 0 ? "" : `${args[index - 1] ?? ""} `
    const { text } = redactor.redact(before + arg, "request")
    return text.startsWith(before) ? text.slice(before.length) : redactor.redact(arg, "request").text
  })

// -- internals ---------------------------------------------------------------

/** What is judged has the secrets in it, and so would the words of the judgement; those of `told` have placeholders. */
const veiled = (real: Safety.Verdict, told: Safety.Verdict): Safety.Verdict => {
  if (real._tag === "ReadOnly") return real
  const because = told._tag === real._tag ? told.because : "the secret in it makes it so"
  return real._tag === "Refused" ? { ...real, because, instead: undefined } : { ...real, because }
}

const placeholder = /\{\{redacted:[^{}\s]*\}\}/
