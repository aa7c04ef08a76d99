/**
 * What the processes of one server say to each other. All of it is JSON, and
 * both ends are this program in the same version.
 */
import type { Answer, Question } from "../../limits/Remote.js"
import type * as LogLevel from "../../telemetry/LogLevel.js"
import type { Snapshot } from "../../telemetry/Several.js"

/** What a worker needs to know before it starts. */
export interface Start {
  /** From 1 on. */
  readonly number: number
  readonly count: number
  /** Of the configuration file, as the primary process has read it. */
  readonly text: string
  /** TCP; 0 only where the primary process found none to be free. */
  readonly port: number
  readonly level: LogLevel.Name
  /** Whether the primary process keeps what is counted; else each has a connection of its own. */
  readonly shared: boolean
}

export type ToWorker =
  | { readonly is: "start"; readonly start: Start }
  | { readonly is: "answers"; readonly answers: ReadonlyArray<Answer> }
  /** Asks for its metrics. */
  | { readonly is: "collect"; readonly number: number }
  | { readonly is: "level"; readonly level: LogLevel.Name }
  /** Lets its calls end, and ends. */
  | { readonly is: "stop" }
  /** Ends the calls that still run after a stop. */
  | { readonly is: "hurry" }

export type FromWorker =
  /** It listens to what it is told. */
  | { readonly is: "hello" }
  /** It takes calls. */
  | { readonly is: "ready"; readonly caFile: string | undefined }
  /** It takes no more of them. */
  | { readonly is: "closing" }
  /** It cannot start. */
  | { readonly is: "failed"; readonly summary: string; readonly remedy: string }
  | { readonly is: "questions"; readonly questions: ReadonlyArray<Question> }
  /** `number` is that of the question; 0 for the last ones, which nobody has asked for. */
  | { readonly is: "metrics"; readonly number: number; readonly snapshot: Snapshot }

/** The variable that makes a process of this program a worker; its value is the worker's number. */
export const variable = "VIBECTL_WORKER"
