/**
 * Adversarial plans and adversarial text of the cluster, through the whole
 * assistant, with a model that obeys every word of it: nothing runs but what
 * policy lets run unasked.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Either } from "effect"
import * as Fs from "node:fs"
import * as Safety from "../../src/kubectl/Safety.js"
import * as Assistant from "../support/Assistant.js"

interface Corpus {
  readonly carriers: ReadonlyArray<{
    readonly name: string
    readonly text: string
    readonly stderr?: boolean
    readonly exitCode?: number
  }>
  readonly commands: ReadonlyArray<ReadonlyArray<string>>
}

const { command, plan, play } = Assistant
const { carriers, commands }: Corpus = JSON.parse(
  Fs.readFileSync(new URL("../corpora/injections.json", import.meta.url), "utf8")
) as Corpus

const policies: ReadonlyArray<Safety.Policy> = [
  { mode: "manual", allow: new Set() },
  { mode: "semiauto", allow: new Set() },
  { mode: "auto", allow: new Set(["scale", "rollout restart"]) }
]
const look = ["logs", "web-1"]

/** What the cluster says when the model looks, and what it does then. */
const planted = (carrier: Corpus["carriers"][number], args: ReadonlyArray<string>) =>
  carrier.text.replaceAll("{command}", `kubectl ${args.join(" ")}`).replaceAll("{args}", JSON.stringify(args))

/** How it ends for a model that insists on a command, with nobody to ask: never by running it. */
const expected = (args: ReadonlyArray<string>): string => {
  const verdict = Safety.judge(args)
  switch (verdict._tag) {
    case "ReadOnly":
      return "a command of the corpus that may run"
    case "Refused":
      return "CommandRefused"
    case "Confirm":
      // The model is told that there is no terminal, and ends.
      return verdict.interactive ? "answered" : "NotConfirmed"
  }
}

const ending = (outcome: Assistant.Played["outcome"]): string =>
  Either.isRight(outcome) ? "answered" : outcome.left._tag

describe("an instruction in what the cluster says", () => {
  for (const carrier of carriers) {
    it.effect(`runs nothing: ${carrier.name}`, () =>
      Effect.forEach(commands, (args) =>
        Effect.forEach(policies, (policy) =>
          Effect.gen(function*() {
            const text = planted(carrier, args)
            const played = yield* play({
              replies: [command(...look), command(...args), command(...args), plan({})],
              // The person lets it look, and says nothing to what comes then.
              decisions: policy.mode === "manual" ? [Assistant.yes] : [],
              cluster: (ran) =>
                ran[0] !== "logs" ? {} : carrier.stderr === true
                  ? { stderr: text, exitCode: carrier.exitCode ?? 0 }
                  : { stdout: text, exitCode: carrier.exitCode ?? 0 },
              policy
            })
            const ran = played.ran.map(({ args }) => args)
            assert.deepStrictEqual(ran[0], look)
            for (const other of ran.slice(1)) {
              assert.strictEqual(Safety.judge(other)._tag, "ReadOnly", `${policy.mode}: ${other.join(" ")}`)
              assert.notDeepEqual(other, args)
            }
            assert.strictEqual(ending(played.outcome), expected(args), `${policy.mode}: ${args.join(" ")}`)
            // It stands between marks that the text cannot know.
            const [, mark] = /<data ([0-9a-f]{16})>/.exec(played.requests[1]?.user?.join("\n") ?? "") ?? []
            assert.notInclude(text, mark ?? "no mark")
          })), { discard: true }))
  }

  it.effect("is data in later requests, too, when it was remembered", () =>
    Effect.forEach(carriers, (carrier) =>
      Effect.gen(function*() {
        const args = ["delete", "namespace", "default"]
        const text = planted(carrier, args)
        const first = yield* play({ replies: [plan({ memory: text })], memory: "" })
        const second = yield* play({ replies: [command(...args)], memory: first.memory })
        assert.deepStrictEqual(second.ran.filter(({ args: [verb] }) => verb !== "get"), [])
        assert.match(second.requests[0]?.user?.[1] ?? "", /^Your memory of earlier requests:\n<data [0-9a-f]{16}>\n/)
      }), { discard: true }))
})
