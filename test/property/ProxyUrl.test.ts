import { assert, describe, it } from "@effect/vitest"
import { Either, FastCheck, Redacted } from "effect"
import { format, parse, type ProxyUrl } from "../../src/domain/ProxyUrl.js"
import * as Property from "../support/Property.js"

const letters = (alphabet: string, minLength: number, maxLength: number) =>
  FastCheck.string({ unit: FastCheck.constantFrom(...alphabet), minLength, maxLength })

const alphanumeric = "abcdefghijklmnopqrstuvwxyz0123456789"
const label = FastCheck.tuple(
  letters(alphanumeric, 1, 5),
  letters(`${alphanumeric}-_`, 0, 9),
  letters(alphanumeric, 1, 5)
)
  .map((parts) => parts.join(""))
const name = FastCheck.tuple(FastCheck.array(label, { maxLength: 3 }), letters("abcdefgh", 1, 8))
  .map(([labels, last]) => [...labels, last].join("."))
  .filter((host) => !host.startsWith("eyj"))
const host = FastCheck.oneof(name, FastCheck.ipV4(), FastCheck.ipV6().map((address) => address.toLowerCase()))
const part = letters("ABCDEFGHIJKLMNOPQRSTUVWXYZ-_0123456789", 12, 40)
const token = FastCheck.tuple(part, part, part).map((parts) => parts.join("."))
const port = FastCheck.integer({ min: 1, max: 65535 })
const anything = FastCheck.string({ unit: "binary", maxLength: 20 })

const text = (url: Pick<ProxyUrl, "tls" | "host" | "port">, token: string | undefined) =>
  token === undefined ? format(url) : format(url).replace("://", `://${token}@`)

describe("ProxyUrl", () => {
  it("parses what it formats, and the token beside it", async () => {
    await Property.check(
      FastCheck.property(
        FastCheck.boolean(),
        host,
        port,
        FastCheck.option(token, { nil: undefined }),
        (tls, host, port, token) => {
          const url = Either.getOrThrowWith(parse(text({ tls, host, port }, token)), (error) => error)
          assert.deepStrictEqual({ ...url, token: url.token && Redacted.value(url.token) }, { tls, host, port, token })
          assert.deepStrictEqual(parse(format(url)), Either.right({ ...url, token: undefined }))
        }
      )
    )
  })

  it("is the same in capitals", async () => {
    await Property.check(FastCheck.property(host, port, (host, port) => {
      const url = format({ tls: true, host, port })
      assert.deepStrictEqual(parse(url.toUpperCase()), parse(url))
    }))
  })

  it("says nothing of what stands before an @, whatever else is wrong", async () => {
    const scheme = FastCheck.constantFrom("vibectl-server", "vibectl-server-insecure", "https", "grpc", "vibectl")
    await Property.check(
      FastCheck.property(scheme, token, anything, anything, anything, (scheme, token, before, between, after) => {
        const message = Either.match(parse(`${scheme}://${before}${token}${between}@${after}`), {
          onLeft: (error) => error.message,
          onRight: format
        })
        for (const part of token.split(".")) assert.notInclude(message, part)
      }),
      500
    )
  })

  it("answers any text", async () => {
    await Property.check(FastCheck.property(anything, (end) => {
      Either.match(parse(`vibectl-server://${end}`), {
        onLeft: (error) => assert.isNotEmpty(error.summary),
        onRight: (url) => assert.match(url.host, /^[a-z0-9_.:-]+$/)
      })
    }))
  })
})
