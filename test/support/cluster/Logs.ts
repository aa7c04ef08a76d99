/**
 * What containers write, and `kubectl logs` reads.
 */
import type { Streamed } from "./Api.js"
import { type Answer, failure } from "./Failures.js"
import { at, type KubeObject, list, number, text } from "./Json.js"

export interface Logs {
  readonly answer: (pod: KubeObject, query: URLSearchParams) => Answer | Streamed
  readonly write: (pod: string, lines: ReadonlyArray<string>) => void
  /** The pod is gone: nobody follows its log any longer. */
  readonly end: (pod: string) => void
}

/** `given`: by the name of a pod, or of what owns it. */
export const make = (given: Record<string, ReadonlyArray<string>>): Logs => {
  const written = new Map<string, Array<string>>()
  const followers = new Set<(pod: string, line: string | undefined) => void>()

  const linesOf = (pod: string) => {
    const known = written.get(pod)
    if (known !== undefined) return known
    const owner = Object.keys(given).filter((name) => pod === name || pod.startsWith(`${name}-`))
      .sort((one, other) => other.length - one.length)[0]
    const lines = [...owner === undefined ? [] : given[owner]!]
    written.set(pod, lines)
    return lines
  }

  return {
    answer: (pod, query) => {
      const { name } = pod.metadata
      const names = list(pod, "spec.containers").map((container) => text(container, "name"))
      const container = query.get("container") ?? ""
      if (container === "" ? names.length > 1 : !names.includes(container)) {
        return failure(
          400,
          "BadRequest",
          `a container name must be specified for pod ${name}, choose one of: [${names.join(" ")}]`
        )
      }
      const restarts = list(pod, "status.containerStatuses").some((status) => number(status, "restartCount") > 0)
      if (query.get("previous") === "true" && !restarts) {
        return failure(400, "BadRequest", `previous terminated container "${names[0]}" in pod "${name}" not found`)
      }
      if (at(pod, "status.phase") === "Pending") {
        return failure(400, "BadRequest", `container "${names[0]}" in pod "${name}" is waiting to start`)
      }
      const tail = query.get("tailLines")
      const lines = linesOf(name)
      const recent = (tail === null ? lines : lines.slice(lines.length - Number(tail))).map((line) => `${line}\n`).join(
        ""
      )
      const start: Streamed["start"] = (write, end) => {
        write(recent)
        const told = (other: string, line: string | undefined) => {
          if (other !== name) return
          if (line === undefined) end()
          else write(`${line}\n`)
        }
        if (query.get("follow") !== "true") end()
        else followers.add(told)
        return () => followers.delete(told)
      }
      return { type: "text/plain", start }
    },
    write: (pod, lines) => {
      linesOf(pod).push(...lines)
      for (const line of lines) for (const told of followers) told(pod, line)
    },
    end: (pod) => {
      written.delete(pod)
      for (const told of followers) told(pod, undefined)
    }
  }
}
