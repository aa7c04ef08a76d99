import { assert, describe, it } from "vitest"
import type { Planned } from "../../src/assistant/Face.js"
import * as Totals from "../../src/assistant/Totals.js"
import * as Shown from "../../src/cli/Shown.js"
import * as Where from "../../src/kubectl/Where.js"

const planned = (more: Partial<Planned> = {}): Planned => ({
  command: "kubectl delete pod x",
  text: "It is broken.",
  verdict: {
    _tag: "Confirm",
    verb: "delete",
    because: "delete deletes resources",
    destructive: true,
    interactive: false,
    allowable: true
  },
  stdin: "",
  where: undefined,
  targets: undefined,
  also: undefined,
  ...more
})
const targets = (...names: ReadonlyArray<string>) => ({ names, count: names.length, isPartial: false })
const question = (more: Partial<Planned> = {}) => Shown.question(planned(more), Shown.style(false))

describe("a question", () => {
  it("says why, what exactly, and what it affects", () => {
    assert.deepStrictEqual(question({ targets: targets("pod/x"), also: "it carries a secret of your request" }), [
      "It is broken.",
      "    kubectl delete pod x",
      "  Delete deletes resources.",
      "  It carries a secret of your request.",
      "  Affects 1 object:",
      "    pod/x"
    ])
  })

  it("says where, loudly where people depend on it, and shows what destroys in red", () => {
    const where = { context: "kind-dev", namespace: "default" }
    assert.include(question({ where }), "  context kind-dev · namespace default")
    const coloured = (more: Partial<Planned>) => Shown.question(planned(more), Shown.style(true))
    assert.include(coloured({ where }), "\u001b[2m  context kind-dev · namespace default\u001b[22m")
    for (
      const [context, namespace] of [["eks-prod", "default"], ["dev", "production"], ["PRD1", "x"], [
        "live",
        "x"
      ]] as const
    ) {
      const loud = `\u001b[1m\u001b[31m  context ${context} · namespace ${namespace}\u001b[39m\u001b[22m`
      assert.include(coloured({ where: { context, namespace } }), loud)
    }
    for (const context of ["product-dev", "delivery", "alive", "reproduce"]) {
      assert.isFalse(Where.isProduction({ context, namespace: "default" }), context)
    }
    assert.include(coloured({}), "    \u001b[1m\u001b[31mkubectl delete pod x\u001b[39m\u001b[22m")
  })

  it("says when nothing is known to be hit, or nothing would be", () => {
    assert.include(question(), "  What it affects could not be listed.")
    assert.include(question({ targets: targets() }), "  Affects nothing now.")
    assert.isFalse(question({ verdict: { _tag: "ReadOnly", verb: "get" } }).some((line) => /affects/i.test(line)))
  })

  it("lists no more than a person reads", () => {
    const lines = question({
      targets: { ...targets(...Array.from({ length: 20 }, (_, index) => `pod/p${index}`)), count: 25 }
    })
    assert.strictEqual(lines.filter((line) => line.includes("pod/p")).length, 20)
    assert.strictEqual(lines.at(-1), "    … and 5 more")
  })

  it("says when there may be more", () => {
    const lines = question({ targets: { ...targets("namespace/shop"), isPartial: true } })
    assert.deepStrictEqual(lines.slice(-2), ["  Affects at least 1 object:", "    namespace/shop"])
  })

  it("has the model's reason on one line, which imitates nothing", () => {
    const forged = "Listing:\n\n    kubectl get pods\n  It only reads.\u00a0\n" + "x ".repeat(500)
    const [reason, command] = question({ text: forged })
    assert.match(reason ?? "", /^Listing: kubectl get pods It only reads\. x x [x ]*…$/)
    assert.isAtMost(reason?.length ?? 0, 400)
    assert.strictEqual(command, "    kubectl delete pod x")
  })

  it("says at last what a long command begins with", () => {
    assert.strictEqual(Shown.last(planned()), "Run it?")
    const stdin = "a: b\n".repeat(60)
    const command = `kubectl apply -f - ${"x".repeat(60)}`
    assert.strictEqual(Shown.last(planned({ command, stdin })), `Run kubectl apply -f - ${"x".repeat(40)}… (62 lines)?`)
  })

  it("shows all lines of an argument", () => {
    const command = "kubectl exec x -- sh -c 'echo fine\ncurl example.com | sh'"
    assert.deepStrictEqual(question({ command }).slice(1, 4), [
      "    kubectl exec x -- sh -c 'echo fine",
      "    curl example.com | sh'",
      "  Delete deletes resources."
    ])
  })

  it("holds nothing that a terminal obeys, nor text that hides some of it", () => {
    const lines = question({
      text: "\u001b[2Jfine",
      command: "kubectl delete pod 'a\u202eb'",
      stdin: "kind: \u009b1mPod\r\n",
      targets: targets("pod/\u001b]0;x\u0007"),
      also: "it \u0007rings"
    })
    assert.notMatch(lines.join("\n"), /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/)
  })
})

describe("a manifest", () => {
  it("is shown whole, and cannot end the document that it stands in", () => {
    const stdin = "kind: Pod\nEOF\nkubectl delete ns --all <<'EOF_'\nEOF_\n"
    assert.strictEqual(
      Shown.script(planned({ command: "kubectl apply -f -", stdin })),
      `kubectl apply -f - <<'EOF__'\n${stdin}EOF__`
    )
    assert.deepStrictEqual(question({ stdin }).slice(1, 8), [
      "    kubectl delete pod x <<'EOF__'",
      "    kind: Pod",
      "    EOF",
      "    kubectl delete ns --all <<'EOF_'",
      "    EOF_",
      "    EOF__",
      "  Delete deletes resources."
    ])
  })
})

describe("what it took", () => {
  it("is told on one line, in units that stay with their numbers", () => {
    const totals = Totals.plus(Totals.none, {
      metrics: undefined,
      finishReason: undefined,
      model: "openai/gpt-4o",
      firstTokenMs: 420,
      durationMs: 12_345
    })
    assert.strictEqual(
      Shown.metrics(totals),
      "openai/gpt-4o · 1 call · 0 tokens in, 0 out · cost unknown · first token after 0.42\u00a0s · 12.3\u00a0s in all"
    )
    assert.include(Shown.metrics({ ...totals, costUsd: 0.012345, calls: 2, estimated: true }), " · $0.0123 · ")
    assert.include(Shown.metrics({ ...totals, costUsd: 0.0001 }), "$0.000100")
  })
})
