import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { kindNames } from "../../src/models/Kinds.js"
import * as Providers from "../../src/server/commands/providers.js"
import * as FakeVendor from "../../src/testing/FakeVendor.js"
import * as Commands from "../support/Commands.js"
import * as RawVendor from "../support/RawVendor.js"

const execute = Commands.executor(Commands.program(Providers.make(kindNames)))
const key = "sk-canary-0123456789abcdef"

/** Types `providers` and these words with providers at these places, by name. */
const type = (providers: Record<string, object>, ...words: ReadonlyArray<string>) =>
  Commands.inDirectory((file, files) =>
    Effect.gen(function*() {
      yield* files.makeDirectory(file.slice(0, file.lastIndexOf("/")), { recursive: true })
      yield* files.writeFileString(file, JSON.stringify({ providers }))
      return yield* execute(...words)
    })
  )

interface Report {
  readonly provider: string
  readonly ok: boolean
}

describe("providers check", () => {
  it.scopedLive("says first that it costs tokens, and shows what each provider can do", () =>
    Effect.gen(function*() {
      const [good, claude] = [yield* FakeVendor.make(), yield* FakeVendor.make()]
      claude.otherwise({ usage: "absent" })
      const picky = yield* RawVendor.make(({ body }) =>
        "stream_options" in body
          ? { status: 400, body: { error: { message: "unknown field stream_options" } } }
          : "response_format" in body
          ? { status: 400, body: { error: { message: "response_format is not supported" } } }
          : body["stream"] === true
          ? {
            events: ["data: {\"choices\":[{\"delta\":{\"content\":\"y\"},\"finish_reason\":\"stop\"}]}", "data: [DONE]"]
          }
          : { body: { choices: [{ message: { content: "y" }, finish_reason: "length" }] } }
      )
      const providers = {
        good: { kind: "openai", base_url: good.openai, api_key: key, default_model: "m" },
        claude: { kind: "anthropic", base_url: claude.anthropic, api_key: key, default_model: "m" },
        picky: { kind: "openai", base_url: picky.openai, api_key: key, models: ["n"] }
      }
      const { error, stderr, stdout } = yield* type(providers, "check", "--output", "json")
      assert.isUndefined(error)
      assert.include(stderr, "good, claude, picky gets two requests")
      const report = { model: "m", ok: true, streams: true, problem: null, remedy: null }
      assert.deepStrictEqual(JSON.parse(stdout), [
        { provider: "good", ...report, usage: true, structured_output: true, refused_fields: [] },
        { provider: "claude", ...report, usage: false, structured_output: true, refused_fields: [] },
        {
          provider: "picky",
          ...report,
          model: "n",
          usage: false,
          structured_output: false,
          refused_fields: ["stream_options", "response_format"]
        }
      ])
      assert.lengthOf(good.requests, 2)
      assert.deepStrictEqual(good.requests.map(({ body }) => (body as RawVendor.Asked["body"])["max_tokens"]), [1, 1])
      const table = yield* type(providers, "check", "picky")
      assert.match(table.stdout, /picky +│ n +│ yes +│ yes +│ no +│ no +│ stream_options, response_format/)
      assert.lengthOf(good.requests, 2, "only the one that was named is asked")
    }))

  it.scopedLive("names what fails and its remedy, fails itself, and shows no key", () =>
    Effect.gen(function*() {
      const vendor = yield* RawVendor.make(() => ({
        status: 401,
        body: { error: { message: `Incorrect API key provided: ${key}`, code: "invalid_api_key" } }
      }))
      const good = yield* FakeVendor.make()
      const providers = {
        bad: { kind: "openai", base_url: vendor.openai, api_key: key, default_model: "m" },
        none: { kind: "openai", base_url: vendor.openai, api_key: key },
        good: { kind: "openai", base_url: good.openai, api_key: key, default_model: "m" }
      }
      for (const output of ["table", "json"]) {
        const { error, stderr, stdout } = yield* type(providers, "check", "--output", output)
        const shown = `${error ?? ""}${stderr}${stdout}`
        assert.include(error, "bad, none do not answer.")
        assert.include(shown, "providers.bad.api_key")
        assert.include(shown, "Set providers.none.default_model or .models.")
        assert.notInclude(shown, "canary")
        if (output === "json") {
          const reports = JSON.parse(stdout) as ReadonlyArray<Report>
          assert.deepStrictEqual(reports.map(({ ok }) => ok), [false, false, true])
        }
      }
      assert.include((yield* type(providers, "check", "nobody")).error, "Name one of bad, none, good")
      assert.lengthOf(vendor.requests, 2)
    }))
})
