/**
 * What a destructive command affects, looked up before anybody is asked.
 */
import { Effect } from "effect"
import * as Preview from "../kubectl/Preview.js"
import * as Safety from "../kubectl/Safety.js"
import type { AuditLog } from "./AuditLog.js"
import type { Deps } from "./Execute.js"

export interface Targets {
  /** The first of them, a line each. */
  readonly names: ReadonlyArray<string>
  readonly count: number
  /** There may be others that no command lists. */
  readonly isPartial: boolean
}

/** Undefined when that cannot be known, or when nothing may be run to know it. */
export const of = (
  deps: Deps,
  args: ReadonlyArray<string>,
  record: (preview: ReadonlyArray<string>, exitCode: number) => ReturnType<AuditLog["Type"]["record"]>
) =>
  Effect.scoped(Effect.gen(function*() {
    const preview = Preview.of(args)
    // It runs unasked, so it must be one of those that may.
    if (preview === undefined || Safety.decide(Safety.judge(preview), deps.policy) !== "run") return undefined
    yield* deps.face.busy("Listing what it affects…")
    const lines = counting()
    const { exitCode } = yield* deps.kubectl.run(preview, {
      timeout: deps.timeout,
      onOutput: (stream, piece) => stream === "stdout" ? lines.push(piece) : undefined
    })
    yield* record(preview, exitCode)
    if (exitCode !== 0) return undefined
    const namespace = Preview.namespaceOf(args)
    const { count, first } = lines.end()
    const names = first.map((name) => deps.redactor.redact(name, "cluster").text)
    return namespace === undefined
      ? { names, count, isPartial: false }
      : { names: [`namespace/${namespace}`, ...names].slice(0, most), count: count + 1, isPartial: true }
  }))

/** Names that are kept: more than that nobody reads. */
export const most = 20

// -- internals ---------------------------------------------------------------

/** Counts the lines of a text, and keeps the first of them. */
const counting = () => {
  const first = new Array<string>()
  let count = 0
  let rest = ""
  const take = (line: string) => {
    if (line.trim() === "") return
    count++
    if (first.length < most) first.push(line)
  }
  return {
    push: (piece: string) => {
      const lines = (rest + piece).split("\n")
      rest = lines.pop() ?? ""
      for (const line of lines) take(line)
    },
    end: () => {
      take(rest)
      return { first, count }
    }
  }
}
