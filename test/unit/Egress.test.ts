import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import * as Egress from "../../src/network/Egress.js"

const address = (url: string): Egress.Address => new URL(url)

/** The variable of the proxy for this URL, or none. */
const proxyOf = (variables: Record<string, string>, url: string) =>
  Effect.map(Egress.parse(variables), ({ proxyFor }) => proxyFor(address(url))?.variable ?? "none")

describe("Egress", () => {
  it.effect("chooses the proxy by the address's protocol, lower case first, and none without a variable", () =>
    Effect.gen(function*() {
      const [one, other] = ["http://one:1", "http://other:2"]
      const cases: ReadonlyArray<readonly [Record<string, string>, string, string]> = [
        [{}, "https://a.example", "none"],
        [{ HTTPS_PROXY: " " }, "https://a.example", "none"],
        [{ HTTPS_PROXY: one }, "https://a.example", "HTTPS_PROXY"],
        [{ HTTPS_PROXY: one }, "http://a.example", "none"],
        [{ HTTPS_PROXY: one, https_proxy: other }, "https://a.example", "https_proxy"],
        [{ HTTP_PROXY: one }, "http://a.example", "HTTP_PROXY"],
        [{ HTTP_PROXY: one }, "https://a.example", "none"],
        [{ ALL_PROXY: one }, "https://a.example", "ALL_PROXY"],
        [{ all_proxy: one, HTTP_PROXY: other }, "http://a.example", "HTTP_PROXY"],
        ...["localhost", "127.0.0.1", "127.9.9.9", "[::1]", "x.localhost"].map((host) =>
          [{ HTTP_PROXY: one, HTTPS_PROXY: one }, `https://${host}:8443`, "none"] as const
        )
      ]
      for (const [variables, url, expected] of cases) {
        assert.strictEqual(yield* proxyOf(variables, url), expected, JSON.stringify([variables, url]))
      }
    }))

  it.effect("goes directly to what NO_PROXY names, and to nothing else", () =>
    Effect.gen(function*() {
      const direct: ReadonlyArray<readonly [string, string]> = [
        ["*", "https://a.example"],
        ["a.example", "https://a.example"],
        ["a.example", "https://deep.b.a.example"],
        ["A.Example.", "https://a.example"],
        [".svc", "https://kubernetes.default.svc"],
        ["*.example", "https://a.example"],
        ["x, a.example", "https://a.example"],
        ["x a.example", "https://a.example"],
        ["a.example:8443", "https://a.example:8443"],
        ["a.example:443", "https://a.example"],
        ["10.0.0.0/8,.svc", "https://10.1.2.3"],
        ["10.1.2.3", "https://10.1.2.3:99"],
        ["fd00::/8", "https://[fd12::1]"],
        ["[fd12::1]", "https://[fd12:0::1]"],
        ["fd12::1", "https://[fd12::1]"],
        ["host", "https://sub.host"]
      ]
      const proxied: ReadonlyArray<readonly [string, string]> = [
        ["", "https://a.example"],
        ["host", "https://myhost"],
        ["a.example", "https://xa.example"],
        ["a.example", "https://a.example.evil"],
        ["a.example:8443", "https://a.example"],
        ["10.0.0.0/8", "https://11.0.0.1"],
        ["10.0.0.0/8", "https://a.example"],
        ["10.0.0.0/99", "https://10.0.0.1"],
        ["fd00::/8", "https://10.0.0.1"],
        ["*example", "https://a.example"]
      ]
      for (const [rules, expected] of [[direct, "none"], [proxied, "HTTPS_PROXY"]] as const) {
        for (const [noProxy, url] of rules) {
          for (const name of ["NO_PROXY", "no_proxy"]) {
            const found = yield* proxyOf({ HTTPS_PROXY: "http://proxy:1", [name]: noProxy }, url)
            assert.strictEqual(found, expected, `${noProxy} and ${url}`)
          }
        }
      }
      assert.deepStrictEqual((yield* Egress.parse({ NO_PROXY: "10.0.0.0/99 a.b,*x" })).ignored, ["10.0.0.0/99", "*x"])
    }))

  it.effect("reads user and password, and tells nobody", () =>
    Effect.gen(function*() {
      const { proxies: [proxy] } = yield* Egress.parse({ HTTPS_PROXY: "http://ann:hunter%402@proxy.corp:3128" })
      assert.deepInclude(proxy, { hostname: "proxy.corp", port: 3128, where: "proxy.corp:3128", secure: false })
      const basic = `Basic ${Buffer.from("ann:hunter@2").toString("base64")}`
      assert.strictEqual(proxy?.authorization && Redacted.value(proxy.authorization), basic)
      assert.notInclude(JSON.stringify(proxy), "hunter")
      assert.deepInclude((yield* Egress.parse({ HTTP_PROXY: "proxy:8080" })).proxies[0], { port: 8080 })
      for (const value of ["socks5://hunter2:hunter2@p", "http://", "http://u:%hunter2@p", "http://p:hunter2", "::"]) {
        const { message } = yield* Effect.flip(Egress.parse({ HTTPS_PROXY: value }))
        assert.match(message, /^The variable HTTPS_PROXY /, value)
        assert.notInclude(message, "hunter2")
      }
    }))
})
