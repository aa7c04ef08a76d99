/**
 * Which cluster and namespace a command works on.
 */
import { Duration, Effect, Option, Schema } from "effect"
import { flagsOf, parse } from "./Invocation.js"
import type { Kubectl } from "./Kubectl.js"

export interface Where {
  readonly context: string
  readonly namespace: string
}

/** The context and namespace of kubectl's own configuration; undefined when there is none, or it cannot be read. */
export const current = (run: Kubectl["Type"]["run"]): Effect.Effect<Where | undefined> =>
  Effect.gen(function*() {
    let printed = ""
    const { exitCode } = yield* run(["config", "view", "--minify", "--output=json"], {
      timeout: Duration.seconds(5),
      onOutput: (stream, piece) => {
        if (stream === "stdout" && printed.length < maxChars) printed += piece
      }
    })
    if (exitCode !== 0) return undefined
    const { contexts, "current-context": context } = yield* decode(printed)
    const namespace = contexts?.find(({ name }) => name === context)?.context.namespace
    return context === "" ? undefined : { context, namespace: namespace ?? "default" }
  }).pipe(Effect.option, Effect.map(Option.getOrUndefined))

/** Where this command works, which may name another context or namespace than the current one. */
export const of = (args: ReadonlyArray<string>, current: Where | undefined): Where | undefined => {
  const invocation = parse(args)
  const value = (name: string) => flagsOf(invocation, name).at(-1)?.value
  const context = value("context") ?? current?.context
  if (context === undefined) return undefined
  if (flagsOf(invocation, "all-namespaces").some(({ on }) => on)) return { context, namespace: "all" }
  // Another context may have a namespace of its own, and so may a manifest.
  const own = context === current?.context ? current.namespace : "its default"
  const hasManifest = ["filename", "kustomize"].some((name) => flagsOf(invocation, name).length > 0)
  return { context, namespace: value("namespace") ?? (hasManifest ? `${own}, or that of the manifest` : own) }
}

/** Whether its name says that people depend on it. */
export const isProduction = ({ context, namespace }: Where): boolean =>
  [context, namespace].some((name) => /(?:^|[^a-z])(?:prod|prd|live)(?:uction)?(?:[^a-z]|$)/i.test(name))

// -- internals ---------------------------------------------------------------

const maxChars = 1_000_000

const decode = Schema.decodeUnknown(Schema.parseJson(Schema.Struct({
  "current-context": Schema.String,
  contexts: Schema.NullishOr(Schema.Array(Schema.Struct({
    name: Schema.String,
    context: Schema.Struct({ namespace: Schema.optional(Schema.String) })
  })))
})))
