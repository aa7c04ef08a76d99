import * as Fs from "node:fs"
import { createRequire } from "node:module"
import { assert, describe, it } from "vitest"

/** The package under its own name, as those who install it import it. */
const load = async (entry: string) => Object.keys(await import(entry) as object).sort()

describe("the published package", () => {
  it("has the entry points of its manifest", async () => {
    assert.deepStrictEqual(await load("vibectl"), [
      "Access",
      "Answer",
      "ClientErrors",
      "Compatibility",
      "Cost",
      "Errors",
      "Lifetime",
      "Limits",
      "ProxyUrl",
      "packageVersion"
    ])
    assert.deepStrictEqual(await load("vibectl/client"), ["Answer", "ClientErrors", "ProxyClient", "ProxyUrl"])
    assert.deepStrictEqual(await load("vibectl/server"), [
      "Audit",
      "Catalog",
      "Env",
      "Issuers",
      "Keyring",
      "Kinds",
      "Limits",
      "LlmProxy",
      "LogLevel",
      "Ops",
      "Otlp",
      "Provider",
      "Revocations",
      "ServerConfig",
      "ServerLayer",
      "SigningKey",
      "State",
      "Store",
      "Tokens",
      "Trust"
    ])
    assert.deepStrictEqual(await load("vibectl/testing"), ["FakeProvider", "FakeVendor", "TestServer"])
  })

  it("brings the wire contract along", () => {
    const proto = createRequire(import.meta.url).resolve("vibectl/llm_proxy.proto")
    assert.include(Fs.readFileSync(proto, "utf8"), "service VibectlLLMProxy")
  })
})
