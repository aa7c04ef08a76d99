/**
 * Answers of models that were met, as they stand in test/cases, through the whole assistant.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Either, Stream } from "effect"
import * as Fs from "node:fs"
import type { AnswerEvent } from "../../src/domain/Answer.js"
import * as Assistant from "../support/Assistant.js"

interface Case {
  readonly name: string
  readonly answers: ReadonlyArray<string>
  readonly expect: {
    readonly kubectl?: ReadonlyArray<string>
    readonly exit?: number
    readonly stdout?: string
    readonly note?: string
  }
}

const read = <A>(name: string): A =>
  JSON.parse(Fs.readFileSync(new URL(`../cases/${name}.json`, import.meta.url), "utf8")) as A

const cases = ["text-round-the-plan", "nulls-and-twice"].flatMap((file) =>
  read<{ cases: ReadonlyArray<Case> }>(file).cases
)
const done = Assistant.plan({ text: "One node." })

describe("a plan as models write it", () => {
  it.effect.each(cases)("$name", ({ answers, expect }) =>
    Effect.gen(function*() {
      const { answer, outcome, ran } = yield* Assistant.play({
        request: "how many nodes",
        // A model that goes on in its way is done at some time.
        replies: [...answers, done],
        maxSteps: 3
      })
      const isAmbiguous = expect.kubectl === undefined && expect.stdout === undefined
      const commands = ran.map(({ args }) => args.join(" "))
      if (isAmbiguous) assert.notInclude(answer, "\"action\"")
      if (expect.kubectl !== undefined) assert.deepStrictEqual([...new Set(commands)], expect.kubectl)
      if (expect.note === "runs once") assert.lengthOf(commands, answers.length)
      if (expect.exit === 0) assert.isTrue(Either.isRight(outcome), JSON.stringify(outcome))
      if (expect.stdout !== undefined) assert.strictEqual(`${answer}\n`, expect.stdout)
    }))
})

describe("blanks behind a plan", () => {
  const { cases } = read<{ cases: ReadonlyArray<{ readonly name: string; readonly first: string }> }>(
    "blanks-without-end"
  )
  it.effect.each(cases)("end it: $name", ({ first }) =>
    Effect.gen(function*() {
      let blanks = 0
      let isCancelled = false
      const endless = Stream.fromIterable<AnswerEvent>([{ _tag: "Text", text: first }]).pipe(
        Stream.concat(Stream.repeatEffect(Effect.sync((): AnswerEvent => {
          blanks += 2
          return { _tag: "Text", text: " \n" }
        }))),
        Stream.ensuring(Effect.sync(() => void (isCancelled = true)))
      )
      const { answer, outcome } = yield* Assistant.play({ replies: [endless, done], maxSteps: 3 })
      assert.isTrue(isCancelled)
      assert.isAtMost(blanks, 100)
      assert.isTrue(Either.isRight(outcome))
      assert.strictEqual(answer, "One node.")
    }))
})

describe("a command with text around it", () => {
  it.effect("is asked about although its verb is allowed, and says what was ignored", () =>
    Effect.gen(function*() {
      const policy = { mode: "auto", allow: new Set(["scale"]) } as const
      const command = Assistant.command("scale", "deployment/web", "--replicas=3")
      const clear = yield* Assistant.play({ policy, replies: [`<think>hm</think>${command}`, done] })
      assert.lengthOf(clear.ran, 1)
      const { asked, audit, ran, seen } = yield* Assistant.play({
        policy,
        replies: [`For example:\n${command}`, done],
        decisions: [Assistant.yes]
      })
      assert.lengthOf(asked, 1)
      assert.lengthOf(ran, 1)
      assert.include(asked[0]?.also, "may be an example")
      assert.include(seen, "ignored: For example:")
      assert.deepInclude(audit.find(({ event }) => event === "response"), { readAs: "COMMAND", ignoredCharacters: 12 })
      const nobody = yield* Assistant.play({ policy, replies: [`For example:\n${command}`] })
      assert.lengthOf(nobody.ran, 0)
    }))
})
