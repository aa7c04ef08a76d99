import { assert, describe, it } from "@effect/vitest"
import { Cause, FiberId, HashMap, List, type Logger, LogLevel } from "effect"
import * as PrettyLog from "../../src/server/PrettyLog.js"

const line = (
  message: unknown,
  annotations: Record<string, unknown>,
  more: Partial<Logger.Logger.Options<unknown>> = {}
) =>
  PrettyLog.render({
    message: [message],
    annotations: HashMap.fromIterable(Object.entries(annotations)),
    cause: Cause.empty,
    context: undefined as never,
    date: new Date(2026, 10, 30, 22, 4, 10),
    fiberId: FiberId.none,
    logLevel: LogLevel.Info,
    spans: List.empty(),
    ...more
  }, false)

const call = {
  rpc: "/vibectl.llm_proxy.VibectlLLMProxy/StreamExecute",
  peer: "127.0.0.1:40000",
  subject: "my-client",
  requestId: "30db97b4-1111-4222-8333-444455556666",
  model: "openai/gpt-4o",
  tier: "real",
  inputTokens: 100,
  outputTokens: 506,
  costUsd: 0.005,
  retries: 0,
  durationMs: 8600,
  outcome: "OK"
}

describe("the log on a terminal", () => {
  it("has one line for a call, in the order in which a person reads it", () => {
    assert.strictEqual(
      line("call ended", call),
      "22:04:10 ok StreamExecute my-client openai/gpt-4o real 100 in 506 out 8.6 s 30db97b4"
    )
  })

  it("has the code and the reason of a call that failed, and how often it was tried again", () => {
    const { inputTokens: _, outputTokens: __, ...failed } = call
    const outcome = {
      outcome: "PROVIDER_UNAVAILABLE",
      detail: "The provider 'openai' failed.",
      retries: 2,
      durationMs: 80
    }
    assert.strictEqual(
      line("call ended", { ...failed, ...outcome }),
      "22:04:10 PROVIDER_UNAVAILABLE StreamExecute my-client openai/gpt-4o real 2 retries 80 ms 30db97b4 "
        + "The provider 'openai' failed."
    )
  })

  it("has other events with their level, message and annotations, in one line", () => {
    assert.strictEqual(
      line("listening", { address: "127.0.0.1:50051", tls: true, ca: "/a b/ca.crt" }, { logLevel: LogLevel.Warning }),
      "22:04:10 WARN  listening address=127.0.0.1:50051 ca=\"/a b/ca.crt\" tls=true"
    )
    assert.strictEqual(line("two\nlines", { list: ["a", 1] }), "22:04:10 INFO  two lines list=\"[\\\"a\\\",1]\"")
  })

  it("has a cause below its line", () => {
    const text = line("a defect", {}, { cause: Cause.die(new TypeError("broken")), logLevel: LogLevel.Error })
    assert.match(text, /^22:04:10 ERROR a defect\n {2}TypeError: broken\n {6}at /)
  })

  it("holds nothing that a terminal obeys", () => {
    const evil = "x\u001b]0;title\u0007\u202e\r\n22:04:10 ok"
    for (const text of [line(evil, { evil }), line("call ended", { ...call, subject: evil, detail: evil })]) {
      assert.notMatch(text, /[\u0000-\u001f\u202e]/)
    }
  })
})
