/**
 * Each planned command of the corpus through the whole assistant, under each policy: what runs is what may.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Either } from "effect"
import * as Safety from "../../src/kubectl/Safety.js"
import * as Assistant from "../support/Assistant.js"
import * as Plans from "../support/Plans.js"

/** Every verb there is, so that only what is `allowable` decides. */
const everything = new Set(
  Plans.all.flatMap(({ args, stdin }) => {
    const verdict = Safety.judge(args, Plans.given({ stdin }))
    return verdict._tag === "Refused" ? [] : [verdict.verb]
  })
)

const policies: ReadonlyArray<Safety.Policy> = [
  { mode: "manual", allow: everything },
  { mode: "semiauto", allow: everything },
  { mode: "auto", allow: new Set() },
  { mode: "auto", allow: everything }
]

const mayRun = ({ allowable, verdict }: Plans.Plan, { allow, mode }: Safety.Policy): boolean =>
  mode !== "manual" && (verdict === "ReadOnly" || (mode === "auto" && allow.size > 0 && allowable === true))

const played = (plan: Plans.Plan, script: Partial<Assistant.Script>) => {
  const reply = Assistant.plan({
    action: "COMMAND",
    text: "because",
    args: plan.args,
    ...Plans.given(plan)
  })
  return Assistant.play({ replies: [reply, Assistant.plan({})], ...script })
}

/** The assistant forgives the program's name in front, and judges what comes after it: those are cases of their own. */
const groups = [...Plans.groups].map(([name, plans]) =>
  [name, plans.filter(({ args }) => args[0] !== "kubectl")] as const
)

describe.each(groups)("a planned command of the group '%s'", (_, plans) => {
  it.effect("runs unasked only if policy lets it, and nothing else does but a look at what it affects", () =>
    Effect.forEach(plans, (plan) =>
      Effect.forEach(policies, (policy) =>
        Effect.gen(function*() {
          const { asked, outcome, ran } = yield* played(plan, { policy })
          const where = `${policy.mode}: ${plan.args.join(" ")}`
          if (mayRun(plan, policy)) {
            assert.deepStrictEqual(ran.map(({ args }) => args), [plan.args], where)
            assert.lengthOf(asked, 0, where)
            return
          }
          for (const { args } of ran) {
            assert.isTrue(plan.destructive, where)
            assert.strictEqual(Safety.judge(args)._tag, "ReadOnly", where)
            assert.notDeepEqual(args, plan.args, where)
          }
          const isAsked = plan.verdict !== "Refused" && plan.interactive !== true
          assert.lengthOf(asked, isAsked ? 1 : 0, where)
          assert.strictEqual(Either.isLeft(outcome) && outcome.left._tag === "NotConfirmed", isAsked, where)
        })), { discard: true }))

  it.effect("runs as it was shown when a person confirms it, and does not when they do not", () =>
    Effect.forEach(plans, (plan) =>
      Effect.forEach([Assistant.yes, Assistant.no], (decision) =>
        Effect.gen(function*() {
          const { asked, ran } = yield* played(plan, {
            policy: { mode: "manual", allow: new Set() },
            hasTerminal: true,
            decisions: [decision]
          })
          const where = `${decision._tag}: ${plan.args.join(" ")}`
          const done = ran.filter(({ args }) => JSON.stringify(args) === JSON.stringify(plan.args))
          // Who has the terminal cannot be given a manifest.
          const isPossible = plan.verdict !== "Refused" &&
            !(plan.interactive === true && Plans.given(plan).stdin !== "")
          const isRun = isPossible && decision._tag === "Yes"
          assert.lengthOf(done, isRun ? 1 : 0, where)
          assert.lengthOf(asked, isPossible ? 1 : 0, where)
          if (isRun) assert.strictEqual(done[0]?.attached, plan.interactive === true, where)
        })), { discard: true }))
})
