import { assert, describe, it } from "@effect/vitest"
import { FastCheck, Redacted } from "effect"
import * as Redactor from "../../src/redaction/Redactor.js"
import * as Corpora from "../support/Corpora.js"
import * as Property from "../support/Property.js"

const runs = 500

const make = () => Redactor.make({ key: Redacted.make("k") })

/** `text` through the filter, in pieces of these sizes over and over. */
const pieces = (filter: Redactor.Filter, text: string, sizes: ReadonlyArray<number>) => {
  let out = ""
  for (let at = 0, turn = 0; at < text.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1
    out += filter.push(text.slice(at, at + size))
    at += size
  }
  return out + filter.end()
}

const secret = FastCheck.string({
  unit: FastCheck.constantFrom(..."abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789-_!+"),
  minLength: 12,
  maxLength: 40
}).filter((text) =>
  /\d/.test(text) && /[a-z]/.test(text) && /[A-Z]/.test(text) && /^[A-Za-z0-9]/.test(text) && /[A-Za-z0-9]$/.test(text)
)

/** Ways to plant a secret. */
const plants: ReadonlyArray<(secret: string) => string> = [
  (secret) => `DB_PASSWORD=${secret}`,
  (secret) => `password: ${secret}`,
  (secret) => `    token: "${secret}"`,
  (secret) => `{"apiKey":"${secret}","b":[1,2]}`,
  (secret) => `msg="{\\"password\\":\\"${secret}\\"}"`,
  (secret) => `postgres://app:${secret}@db/x`,
  (secret) => `run --client-secret ${secret} --x`,
  (secret) => `- name: API_KEY\n  value: ${secret}`,
  (secret) => `Authorization: Bearer ${secret}`,
  (secret) =>
    `\n---\napiVersion: v1\ndata:\n  a: ${Buffer.from(secret).toString("base64")}\n  b: ""\nkind: Secret\n---\n`,
  (secret) => `{"apiVersion":"v1","data":{"a":"${Buffer.from(secret).toString("base64")}"},"kind":"Secret"}`,
  (secret) => `{"apiVersion":"v1","kind":"Secret","stringData":{"a":"${secret}"}}`,
  (secret) => `BOT_TOKEN_ACME=${secret}`,
  (secret) => `[map[name:DB_PASSWORD value:${secret}]]`,
  (secret) => `- {name: DB_PASSWORD, value: "${secret}"}`,
  (secret) => `<add key="DbPassword" value="${secret}" />`,
  (secret) => `DB_PASSWORD\t${secret}`,
  (secret) => `app:${secret}@db:5432`,
  (secret) => `curl -u joe:${secret}`,
  (secret) => `Please use the following password to proceed:\n\n${secret}`,
  (secret) => `-----BEGIN PRIVATE KEY-----\n${secret}\n-----END PRIVATE KEY-----`
]

/** What texts are made of that might confuse a reader of them. */
const noise = FastCheck.oneof(
  FastCheck.string({ unit: "grapheme", maxLength: 12 }),
  FastCheck.string({ unit: "binary", maxLength: 6 }),
  FastCheck.constantFrom(
    "\n",
    "\r\n",
    "\n\n",
    "  ",
    "- ",
    ": ",
    "=",
    "\"",
    "\\\"",
    "'",
    "{",
    "}",
    "[",
    "]",
    ",",
    "data:\n",
    "  a: b\n",
    "kind: ConfigMap\n",
    "kind: Secret\n",
    "apiVersion: v1\n",
    "---\n",
    "{{redacted:password:deadbeef}}",
    "{{redacted:",
    "}}",
    "password",
    "token: ",
    "{name: x, ",
    "value: y}",
    "map[name:PASSWORD value:",
    "use the following password:\n",
    "name: x\n",
    "value: y\n",
    "\"data\":{",
    "\"kind\":\"Secret\"",
    "-----BEGIN CERTIFICATE-----",
    "-----END CERTIFICATE-----\n",
    "key: |\n",
    "🙂",
    "\ud83d",
    "://",
    "@",
    "a@b",
    "Bearer ",
    "--password ",
    "eyJhbGciOiJ",
    ".",
    "AAAA",
    "<",
    "$(X)",
    "the "
  )
)
const text = FastCheck.array(
  FastCheck.oneof(
    { weight: 4, arbitrary: noise },
    {
      weight: 1,
      arbitrary: FastCheck.tuple(FastCheck.constantFrom(...plants), secret).map(([plant, value]) => plant(value))
    },
    {
      weight: 1,
      arbitrary: FastCheck.constantFrom(...Corpora.read("secrets"), ...Corpora.read("harmless")).map(({ text }) => text)
    }
  ),
  { maxLength: 14 }
).map((parts) => parts.join(""))

const sizes = FastCheck.array(FastCheck.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 6 })

describe("Redactor", () => {
  it("restores what it redacted", async () => {
    await Property.check(
      FastCheck.property(text, (text) => {
        const redactor = make()
        assert.strictEqual(redactor.restore(redactor.redact(text, "cluster").text), text)
      }),
      runs
    )
  })

  it("gives the same for the whole as for any pieces, and restores in any pieces", async () => {
    await Property.check(
      FastCheck.property(text, sizes, sizes, (text, sizes, others) => {
        for (const reading of ["cluster", "request", "secret"] as const) {
          const redactor = make()
          const whole = make().redact(text, reading).text
          const redacted = pieces(redactor.redacting(reading), text, sizes)
          assert.strictEqual(redacted, whole)
          assert.strictEqual(pieces(redactor.restoring(), redacted, others), text)
        }
      }),
      runs
    )
  })

  it("hides what is planted on lines of its own among any others", async () => {
    const line = FastCheck.string({ unit: "grapheme", maxLength: 30 }).map((text) =>
      `# ${text.replace(/[\r\n"'{}[\]\\`]/g, "")}`
    )
    await Property.check(
      FastCheck.property(
        FastCheck.constantFrom(...plants),
        secret,
        FastCheck.array(line),
        FastCheck.array(line),
        sizes,
        (plant, value, before, after, sizes) => {
          const text = [...before, plant(value), ...after].join("\n")
          const redacted = pieces(make().redacting("cluster"), text, sizes)
          for (let at = 0; at + 8 <= value.length; at++) assert.notInclude(redacted, value.slice(at, at + 8))
          assert.notInclude(redacted, Buffer.from(value).toString("base64").slice(0, 12))
        }
      ),
      runs
    )
  })

  it("gives one value one placeholder in every run", async () => {
    await Property.check(
      FastCheck.property(text, (text) => {
        assert.deepStrictEqual(make().redact(text, "cluster"), make().redact(text, "cluster"))
      }),
      runs
    )
  })

  it("changes nothing in what it redacted", async () => {
    await Property.check(
      FastCheck.property(
        FastCheck.array(FastCheck.tuple(FastCheck.constantFrom(...plants), secret), { maxLength: 6 }),
        (planted) => {
          const redactor = make()
          const { text } = redactor.redact(planted.map(([plant, value]) => plant(value)).join("\n"), "cluster")
          assert.deepStrictEqual(redactor.redact(text, "cluster").text, text)
        }
      ),
      runs
    )
  })

  it("hides a remembered value everywhere", async () => {
    await Property.check(
      FastCheck.property(secret, FastCheck.array(noise), FastCheck.array(noise), (value, before, after) => {
        const redactor = make()
        redactor.redact(`DB_PASSWORD=${value}`, "request")
        const text = before.join("") + value + after.join("")
        assert.notInclude(redactor.redact(text, "cluster").text, value)
      })
    )
  })
})
