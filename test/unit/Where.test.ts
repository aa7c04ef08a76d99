import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Kubectl } from "../../src/kubectl/Kubectl.js"
import * as Where from "../../src/kubectl/Where.js"

/** Where kubectl is when it prints this. */
const current = (printed: string, exitCode = 0) => {
  const run: Kubectl["Type"]["run"] = (args, { onOutput }) =>
    Effect.sync(() => {
      assert.deepStrictEqual(args, ["config", "view", "--minify", "--output=json"])
      onOutput("stdout", printed.slice(0, 20))
      onOutput("stdout", printed.slice(20))
      return { exitCode, timedOut: false }
    })
  return Where.current(run)
}

const configuration = (context: string, namespace?: string) =>
  JSON.stringify({
    kind: "Config",
    "current-context": context,
    contexts: [{ name: context, context: { cluster: "kind", user: "kind", namespace } }]
  })

describe("where a command works", () => {
  it.effect("is what kubectl's configuration says", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* current(configuration("kind-dev", "shop")), {
        context: "kind-dev",
        namespace: "shop"
      })
      assert.deepStrictEqual(yield* current(configuration("kind-dev")), { context: "kind-dev", namespace: "default" })
    }))

  it.effect("is not known without a configuration, or where it cannot be read", () =>
    Effect.gen(function*() {
      const nowhere = [configuration(""), "{\"current-context\":\"\",\"contexts\":null}", "no JSON", "[]", ""]
      for (const printed of nowhere) assert.isUndefined(yield* current(printed), printed)
      assert.isUndefined(yield* current(configuration("kind-dev"), 1))
    }))

  it("is what the command's own flags say first", () => {
    const here = { context: "dev", namespace: "shop" }
    for (
      const [args, context, namespace] of [
        ["delete pod x", "dev", "shop"],
        ["delete pod x -n web", "dev", "web"],
        ["-nweb delete pod x", "dev", "web"],
        ["delete pod x --namespace=web", "dev", "web"],
        ["delete pod x --context prod", "prod", "its default"],
        ["--context=prod delete pod x -n web", "prod", "web"],
        ["delete pods --all -A", "dev", "all"],
        ["apply -f -", "dev", "shop, or that of the manifest"],
        ["apply -n web -f -", "dev", "web"]
      ] as const
    ) assert.deepStrictEqual(Where.of(args.split(" "), here), { context, namespace }, args)
    assert.isUndefined(Where.of(["delete", "pod", "x"], undefined))
    assert.deepStrictEqual(Where.of(["delete", "pod", "x", "--context", "prod"], undefined), {
      context: "prod",
      namespace: "its default"
    })
  })
})
