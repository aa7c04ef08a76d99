import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, FastCheck as fc } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as AccessRules from "../../src/auth/AccessRules.js"
import { Env } from "../../src/config/Environment.js"
import { ServerConfig } from "../../src/config/ServerConfig.js"
import { type AccessSection, defaults, type LimitsSection } from "../../src/config/ServerSettings.js"
import * as Access from "../../src/domain/Access.js"
import { unlimited } from "../../src/domain/Limits.js"
import * as Property from "../support/Property.js"
import * as Temporary from "../support/Temporary.js"

const none: AccessSection = { subjects: {}, roles: {}, tenants: {} }
const noLimits: LimitsSection = defaults.server.limits

/** Which of these the holder may call. */
const models = ["openai/gpt-4o", "openai/gpt-4o-mini", "anthropic/claude", "ollama/llama3"]
const allowed = (access: AccessSection, subject: string, grants: Partial<Access.Grants> = {}) => {
  const rules = AccessRules.make({ access, limits: noLimits })
  const given = rules({ subject, grants: { ...Access.noGrants, ...grants } })
  return models.filter((model) => Access.allows(given, [model]))
}

const access: AccessSection = {
  default: { models: ["ollama/*"] },
  subjects: { ops: { models: ["*"] }, nobody: { models: [] } },
  roles: { dev: { models: ["openai/gpt-4o*"] }, writer: { models: ["anthropic/*"] } },
  tenants: { acme: { models: ["openai/*", "ollama/*"] } }
}

describe("AccessRules, of models", () => {
  it("allows all where nothing is said", () => assert.deepStrictEqual(allowed(none, "anybody"), models))

  it("takes the subject's own rule, else those of its roles together, else everybody's", () => {
    assert.deepStrictEqual(allowed(access, "anybody"), ["ollama/llama3"])
    assert.deepStrictEqual(allowed(access, "anybody", { roles: ["dev"] }), ["openai/gpt-4o", "openai/gpt-4o-mini"])
    assert.deepStrictEqual(allowed(access, "anybody", { roles: ["dev", "writer", "unheard-of"] }), models.slice(0, 3))
    assert.deepStrictEqual(allowed(access, "anybody", { roles: ["unheard-of"] }), ["ollama/llama3"])
    assert.deepStrictEqual(allowed(access, "ops", { roles: ["dev"] }), models)
    assert.deepStrictEqual(allowed(access, "nobody", { roles: ["dev"] }), [])
  })

  it("lets a tenant and a token only take away", () => {
    assert.deepStrictEqual(allowed(access, "ops", { tenant: "acme" }), models.filter((name) => !/^anth/.test(name)))
    assert.deepStrictEqual(allowed(access, "ops", { tenant: "unheard-of" }), [], "a slip lifts no bound")
    assert.deepStrictEqual(allowed({ ...access, tenants: {} }, "ops", { tenant: "acme" }), models)
    assert.deepStrictEqual(allowed(access, "ops", { models: ["openai/gpt-4o"] }), ["openai/gpt-4o"])
    assert.deepStrictEqual(allowed(access, "anybody", { models: ["*"] }), ["ollama/llama3"])
    assert.deepStrictEqual(allowed(access, "nobody", { models: ["*"], tenant: "acme" }), [])
  })

  it("never gives a token more than the configuration gives its subject or its roles", async () => {
    const word = fc.constantFrom("*", "openai/*", "anthropic/*", "ollama/llama3", "*mini", "", "x")
    const list = fc.array(word, { maxLength: 3 })
    const rule = fc.record({ models: list })
    const section = fc.record({
      default: rule,
      subjects: fc.dictionary(fc.constantFrom("a", "b"), rule),
      roles: fc.dictionary(fc.constantFrom("r", "s"), rule),
      tenants: fc.dictionary(fc.constantFrom("t", "u"), rule)
    })
    const grants = fc.record({
      models: fc.option(list, { nil: undefined }),
      tenant: fc.constantFrom(undefined, "t", "v"),
      roles: fc.subarray(["r", "s", "q"])
    })
    await Property.check(fc.property(section, grants, fc.constantFrom("a", "c"), (section, grants, subject) => {
      const { roles } = grants
      assert.includeMembers(allowed(section, subject, { roles }), allowed(section, subject, grants))
      const named = ["r", "s"].flatMap((role) => roles.includes(role) ? section.roles[role]?.models ?? [] : [])
      const most = [...allowed(section, subject), ...allowed({ ...none, default: { models: named } }, subject)]
      assert.includeMembers(most, allowed(section, subject, grants))
    }))
  })

  it("knows no subject by the names that every object has", () => {
    for (const subject of ["constructor", "__proto__", "toString"]) {
      assert.deepStrictEqual(allowed(access, subject, { roles: [subject] }), ["ollama/llama3"])
      assert.deepStrictEqual(allowed(access, subject, { tenant: subject }), [])
    }
  })
})

describe("Access.matches", () => {
  it("matches as the regular expression with .* for each star", async () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "/", "*"), maxLength: 8 })
    await Property.check(
      fc.property(text, text, (pattern, name) => {
        const expression = new RegExp(`^${pattern.split("*").map(escape).join(".*")}$`)
        assert.strictEqual(Access.matches(pattern, name), expression.test(name), `${pattern} ~ ${name}`)
      }),
      2000
    )
  })

  const escape = (text: string) => text.replace(/[/]/g, "\\$&")
})

interface Row {
  readonly limits: { readonly global?: object; readonly per_token?: object }
  readonly sub: string | null
  readonly effective: { readonly [key: string]: number | null }
}
const reference = JSON.parse(
  Fs.readFileSync(new URL("../conformance/limits_merge.json", import.meta.url), "utf8")
) as { readonly cases: ReadonlyArray<Row> }

/** The limits of `sub` under a configuration with this section; what is wrong with it otherwise. */
const limitsOf = ({ limits, sub }: Row) =>
  Effect.gen(function*() {
    const directory = Temporary.directory()
    const file = Path.join(directory, "config.yaml")
    Fs.writeFileSync(file, JSON.stringify({ server: { limits } }))
    const settings = yield* Effect.provide(ServerConfig, ServerConfig.layer({ file, kinds: ["demo"] }))
    const rules = AccessRules.make({ access: settings.access, limits: settings.server.limits })
    return rules(AccessRules.holderOf(sub ?? "anybody")).limits
  }).pipe(
    Effect.provide([NodeContext.layer, Env.layer]),
    Effect.withConfigProvider(ConfigProvider.fromMap(new Map()))
  )

describe("AccessRules, of limits, as the reference", () => {
  it.effect("merges key by key, null being unlimited; what is no limit stops the server instead of being ignored", () =>
    Effect.gen(function*() {
      assert.lengthOf(reference.cases, 6)
      for (const row of reference.cases) {
        const wrong = /"bad"|:0/.exec(JSON.stringify(row.limits))
        const found = yield* Effect.either(limitsOf(row))
        if (wrong !== null) {
          // The deployed system drops every limit of the file, of everybody.
          assert.strictEqual(found._tag, "Left")
          assert.include(String(found._tag === "Left" && found.left.message), "max_requests_per_minute")
          continue
        }
        const { effective } = row
        assert.deepStrictEqual<unknown>(found._tag === "Right" && found.right, {
          ...unlimited,
          maxRequestsPerMinute: effective["max_requests_per_minute"] ?? undefined,
          maxConcurrentRequests: effective["max_concurrent_requests"] ?? undefined,
          maxInputLength: effective["max_input_length"] ?? undefined,
          requestTimeoutSeconds: effective["request_timeout_seconds"] ?? undefined
        })
      }
    }))

  it("counts a token's own limits apart, and shows the smaller ones", () => {
    const limits: LimitsSection = {
      ...noLimits,
      global: { max_requests_per_minute: 10, max_input_length: 100 },
      per_token: { a: { max_requests_per_minute: 20 } }
    }
    const asked = { ...unlimited, maxRequestsPerMinute: 15, maxInputLength: 1000 }
    const given = AccessRules.make({ access: none, limits })({
      subject: "a",
      grants: { ...Access.noGrants, limits: asked }
    })
    assert.strictEqual(given.limits.maxRequestsPerMinute, 20)
    assert.deepStrictEqual(given.tokenLimits, asked)
    assert.deepStrictEqual(Access.effective(given), {
      ...unlimited,
      maxRequestsPerMinute: 15,
      maxInputLength: 100
    })
  })
})
