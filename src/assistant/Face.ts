/**
 * How a run of the assistant is shown, and who is asked.
 */
import type { Effect, Scope } from "effect"
import type { Verdict } from "../kubectl/Safety.js"
import type { Where } from "../kubectl/Where.js"
import type { Targets } from "./Targets.js"
import type { Totals } from "./Totals.js"

export interface Face {
  /** Something takes time, until the scope closes. */
  readonly busy: (label: string) => Effect.Effect<void, never, Scope.Scope>
  /** The next piece of the answer to the user. */
  readonly answer: (piece: string) => Effect.Effect<void>
  /** The answer is whole. */
  readonly answered: Effect.Effect<void>
  /** All of the answer so far is void. */
  readonly restarted: Effect.Effect<void>
  /** The model cannot stream, so that its answer comes at once. */
  readonly simulated: Effect.Effect<void>
  readonly thought: (text: string) => Effect.Effect<void>
  /** Words of the model's answer that are no part of its plan. */
  readonly ignored: (text: string) => Effect.Effect<void>
  /** A command is about to be run. */
  readonly running: (command: string) => Effect.Effect<void>
  /** A command has run. */
  readonly ran: (command: Ran) => Effect.Effect<void>
  /** Something the user should know. */
  readonly note: (text: string) => Effect.Effect<void>
  /** Secrets were replaced before a request was sent. */
  readonly redacted: (text: string) => Effect.Effect<void>
  /** A command that is shown instead of run. */
  readonly planned: (command: Planned) => Effect.Effect<void>
  /** Asks whether to run a command; undefined when there is nobody to ask. */
  readonly confirm: (command: Planned) => Effect.Effect<Decision | undefined>
  /** Puts the model's question; undefined when there is nobody to ask, or no reply. */
  readonly reply: (question: string) => Effect.Effect<string | undefined>
  /** Whether there is somebody to ask. */
  readonly hasPerson: boolean
  /** Whether a command could have the terminal. */
  readonly hasTerminal: boolean
  /** The run has ended well. */
  readonly ended: (report: Report) => Effect.Effect<void>
}

export interface Planned {
  /** As a person would type it, with placeholders for secrets. */
  readonly command: string
  /** The model's own reason. */
  readonly text: string
  readonly verdict: Verdict
  /** What goes to its standard input, with placeholders; empty for nothing. */
  readonly stdin: string
  /** Where it works; undefined when that is not known, or not looked up. */
  readonly where: Where | undefined
  /** What a destructive command affects; undefined when that is not known. */
  readonly targets: Targets | undefined
  /** Why it is asked about although its verb would not need it. */
  readonly also: string | undefined
}

/** How a command ended, with placeholders for secrets. */
export interface Ran {
  readonly command: string
  readonly exitCode: number
  readonly timedOut: boolean
  /** What kubectl printed of it: of a failure its error, of a change its first lines; empty for what only reads. */
  readonly lines: ReadonlyArray<string>
}

export type Decision = { readonly _tag: "Yes" } | { readonly _tag: "No" } | {
  /** No, and what should be different. */
  readonly _tag: "But"
  readonly text: string
}

export interface Report {
  readonly answer: string
  readonly commands: ReadonlyArray<{
    readonly command: string
    readonly decision: string
    readonly exitCode: number | undefined
  }>
  readonly totals: Totals
}
