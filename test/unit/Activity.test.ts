import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, TestClock } from "effect"
import * as Activity from "../../src/ops/Activity.js"
import * as Metrics from "../../src/telemetry/Metrics.js"
import * as Ops from "../support/Ops.js"

describe("Activity.make", () => {
  it.effect("is what the metrics say, and survives as JSON", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Ops.facts.startedAt.epochMillis + 90_500)
      yield* Metrics.running(["ActivityTest"], 2)
      yield* Metrics.running(["ActivityGone"])
      yield* Metrics.running(["ActivityGone"], -1)
      yield* Metrics.inFlight(["activity-bot"], 2)
      yield* Metrics.calls(["One", "ACTIVITY_TEST"], 3)
      yield* Metrics.calls(["Other", "ACTIVITY_TEST"])
      for (const error of ["", "", "timeout"]) yield* Metrics.attempt(["chat", "activity", "activity/m", error], 0.1)
      yield* Metrics.failedAttempts(["activity", "unary", "PROVIDER_TIMEOUT"])
      yield* Metrics.answers(["activity", "unary", "stop"], 2)
      const store = { kind: "redis", ready: Effect.fail({ message: "gone" }) }
      const found = yield* Activity.make({ ...Ops.facts, store, defaultModel: "" })
      assert.strictEqual(found.uptime_seconds, 90)
      assert.isNull(found.default_model)
      assert.strictEqual(found.log_level, "INFO")
      assert.deepStrictEqual(found.store, { kind: "redis", ready: false, problem: "gone" })
      assert.deepInclude(found.running.methods, { ActivityTest: 2 })
      assert.notProperty(found.running.methods, "ActivityGone")
      assert.deepInclude(found.running.subjects, { "activity-bot": 2 })
      assert.deepInclude(found.calls, { ACTIVITY_TEST: 4 })
      assert.isAtLeast(found.tiers["unary"] ?? 0, 2)
      assert.deepStrictEqual(found.providers["activity"], { attempts: 3, failures: 1, answers: 2 })
      assert.deepStrictEqual(found.providers["quiet"], { attempts: 0, failures: 0, answers: 0 })
      const text = JSON.stringify(yield* Schema.encode(Activity.Activity)(found))
      assert.deepStrictEqual(yield* Schema.decode(Schema.parseJson(Activity.Activity))(text), found)
    }))
})
