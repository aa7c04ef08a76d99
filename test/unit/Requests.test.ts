import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { Abort } from "../../src/models/Abort.js"
import type { Endpoint } from "../../src/models/Endpoint.js"
import * as HttpBody from "../../src/models/HttpBody.js"
import * as Requests from "../../src/models/Requests.js"
import * as Timeouts from "../../src/models/Timeouts.js"

const sent: Array<string> = []
const ok = { ok: true } as Response
const endpoint: Endpoint = {
  name: "fake",
  apiKey: undefined,
  baseUrl: undefined,
  maxOutputTokens: undefined,
  timeouts: () => Timeouts.defaults,
  transport: {
    fetch: () => Promise.resolve(ok),
    post: ({ body }) => {
      sent.push(body)
      return Promise.resolve(ok)
    },
    pool: () => ({}) as ReturnType<Endpoint["transport"]["pool"]>
  }
}

/** Requests of which one was made by the SDK before. */
const known = Effect.promise(async () => {
  const requests = Requests.make(endpoint, { ofStatus: () => new Error("status"), ofConnection: (cause) => cause })
  const send = (body: object, abort = new Abort()) =>
    requests.send(
      { body, stream: false, timeouts: Timeouts.defaults, abort, hooks: {} },
      (options) => requests.fetch("https://vendor.test/v1", { method: "POST", headers: options.headers, body: "{}" })
    )
  await send({})
  return send
})

const circular = (): object => {
  const body: { self?: unknown } = {}
  body.self = body
  return body
}

describe("Requests.send", () => {
  it.effect("sends what the SDK has sent before by itself", () =>
    Effect.gen(function*() {
      const send = yield* known
      yield* Effect.promise(() => send({ model: "one" }))
      assert.strictEqual(sent.at(-1), `{"model":"one"}`)
    }))

  it.effect("a body that cannot be written down is not sent, and is no failure of the provider", () =>
    Effect.gen(function*() {
      const send = yield* known
      const before = sent.length
      const exit = yield* Effect.exit(
        HttpBody.whole((abort) => send(circular(), abort), { millis: 60_000, limit: "total" })
      )
      assert.isTrue(
        Exit.isFailure(exit) && exit.cause._tag === "Fail" && exit.cause.error.cause instanceof Requests.NotBuilt
      )
      assert.strictEqual(sent.length, before)
    }))
})
