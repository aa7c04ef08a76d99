/**
 * What the redactor does beyond the sizes up to which it looks at a text as a
 * whole, and with texts that were made to keep it busy.
 */
import { assert, describe, it } from "@effect/vitest"
import { Redacted } from "effect"
import * as Redactor from "../../src/redaction/Redactor.js"
import * as Corpora from "../support/Corpora.js"
import * as Property from "../support/Property.js"

const make = () => Redactor.make({ key: Redacted.make("k") })

const repeated = (unit: string, length: number) => unit.repeat(Math.ceil(length / unit.length)).slice(0, length)

/** Redacts `text` as a whole and in pieces, checks that both are the same and restored, and gives the result. */
const redact = (text: string, sizes: ReadonlyArray<number> = [4093, 70_001]) => {
  const redactor = make()
  const whole = redactor.redact(text, "cluster").text
  assert.isTrue(redactor.restore(whole) === text, "restores")
  const filter = make().redacting("cluster")
  let out = ""
  for (let at = 0, turn = 0; at < text.length; turn++) {
    const size = sizes[turn % sizes.length]!
    out += filter.push(text.slice(at, at + size))
    at += size
  }
  assert.isTrue(out + filter.end() === whole, "the same in pieces")
  return whole
}

const hides = (secret: string, text: string, sizes?: ReadonlyArray<number>) => {
  const redacted = redact(text, sizes)
  for (let at = 0; at + 8 <= secret.length; at += 8) {
    assert.isFalse(redacted.includes(secret.slice(at, at + 8)), `leaks at ${at} of ${secret.length}`)
  }
  return redacted
}

/** Nothing repeats in it. */
const random = (length: number, alphabet = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789") => {
  let state = 42
  return Array.from({ length }, () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return alphabet[Math.floor(state / 65_536) % alphabet.length]!
  }).join("")
}

const line = 65_536
const held = 262_144

describe("a line that is too long to be looked at as a whole", () => {
  it("hides a secret wherever the line is cut", () => {
    const secret = "Kestrel42-amber"
    // Before the secret there are so many characters that a part ends around it.
    for (let before = line - 60; before <= line + 4; before += 3) {
      for (
        const planted of [
          `--password ${secret} x`,
          `"password": "${secret}", "a": 1`,
          `Authorization: Bearer ${secret} x`,
          `password is ${secret} x`
        ]
      ) {
        const redacted =
          make().redact(`${repeated("word ", before)} ${planted} ${repeated("word ", 500)}`, "cluster").text
        assert.isFalse(redacted.includes("Kestrel") || redacted.includes("42-amber"), `${planted} after ${before}`)
      }
    }
  })

  it("hides all of a value that is longer", async () => {
    const long = random(2 * line + 9000)
    const words = random(2 * line + 9000, "abcdefghijkmnop qrst uvwxyz23 456789")
    for (
      const [value, text] of [
        [long, `{"a":1,"password":"${long}","b":2}`],
        [long, `PASSWORD=${long} x`],
        [long, `https://a.example/?token=${long}&a=b`],
        [long, `kind: Secret\nstringData:\n  a: ${long}\n`],
        [long, `apiVersion: v1\ndata:\n  a: ${long}\nkind: Secret\n`],
        [long, `see ${long} end`],
        [words, `{"a":1,"password":"${words}","b":2}`],
        [words, `kind: Secret\nstringData:\n  a: ${words}\n`],
        [words, `{"apiVersion":"v1","kind":"Secret","stringData":{"a":"${words}"}}`],
        [words, `{"apiVersion":"v1","stringData":{"a":"${words}"},"kind":"Secret"}`],
        [words, `password: ${words}`],
        [words, `Cookie: ${words}`]
      ] as const
    ) {
      await Property.turn()
      hides(value, text)
    }
  })

  it("does not take the next line for a part of it", () => {
    const words = random(2 * line, "abcdefghijkmnop qrst uvwxyz23 456789")
    for (const text of [`password="${words}\n`, `password: ${words}\n`, `DB_PASSWORD=${random(2 * line)}\n`]) {
      assert.match(redact(`${text}the next line"\n`), /\}\}\s*\nthe next line"\n$/)
    }
  })

  it("hides the data of Secrets in one line of JSON", () => {
    const values = Array.from(
      { length: 1500 },
      (_, index) => Buffer.from(`value ${index} of ${random(12)}`).toString("base64")
    )
    const items = values.map((value, index) => ({
      apiVersion: "v1",
      data: { a: value },
      kind: "Secret",
      metadata: { name: `n${index}` }
    }))
    const redacted = redact(JSON.stringify({ apiVersion: "v1", items, kind: "List" }))
    for (const value of values) assert.isFalse(redacted.includes(value))
    assert.include(redacted, "\"kind\":\"Secret\",\"metadata\":{\"name\":\"n1499\"}")
  })

  it("leaves what is harmless", () => {
    const items = Array.from(
      { length: 1500 },
      (_, index) => ({ apiVersion: "v1", data: { a: `text ${index}` }, kind: "ConfigMap" })
    )
    const text = JSON.stringify({ apiVersion: "v1", items, kind: "List" })
    assert.isTrue(redact(text) === text)
    const words = repeated("some words, and 1,2,3 more ", 3 * line)
    assert.isTrue(redact(words) === words)
  })
})

describe("a structure that is too large to be held back", () => {
  const entries = (count: number) =>
    Array.from({ length: count }, (_, index) => `  k${index}: ${random(60)}${index}`).join("\n")

  it("is taken for a Secret, and held no longer", () => {
    const filter = make().redacting("cluster")
    let out = ""
    let fed = 0
    const feed = (text: string) => {
      out += filter.push(text)
      fed += text.length
    }
    feed("apiVersion: v1\ndata:\n")
    for (const entry of entries(6000).split("\n")) feed(`${entry}\n`)
    assert.isAtLeast(fed, held)
    assert.isAtLeast(out.length, held / 8)
    assert.notMatch(out, /k\d+: [^{\n]/)
    feed("kind: Secret\n")
    out += filter.end()
    assert.notMatch(out, /k\d+: [^{\n]/)
  })

  it("leaks nothing, in YAML and in JSON, whatever the size", () => {
    for (const count of [4200]) {
      hides(random(60), `apiVersion: v1\ndata:\n${entries(count)}\nkind: Secret\n`)
      const data = Object.fromEntries(
        entries(count).split("\n").map((
          entry
        ) => [entry.slice(2, entry.indexOf(":")), entry.slice(entry.indexOf(":") + 2)])
      )
      hides(random(60), JSON.stringify({ apiVersion: "v1", data, kind: "Secret" }, null, 2))
      hides(random(60), JSON.stringify({ apiVersion: "v1", data, kind: "Secret" }))
    }
  })

  it("is left as it is up to that size, when it is none", () => {
    const text = `apiVersion: v1\ndata:\n${entries(3000)}\nkind: ConfigMap\n`
    assert.isBelow(text.length, held)
    assert.isTrue(redact(text) === text)
  })

  it("hides a PEM block that never ends", () => {
    const body = random(400_010).replace(/.{64}/g, "$&\n")
    hides(body.replaceAll("\n", "").slice(0, 8000), `-----BEGIN ${"RSA PRIVATE KEY"}-----\n${body}`)
    const redacted = redact(`-----BEGIN ${"RSA PRIVATE KEY"}-----\n${body}\nand so on it goes`)
    assert.notMatch(redacted, /[A-Za-z0-9]{20}/)
    assert.match(redacted, /\}\}\nand so on it goes$/)
  })
})

describe("hostile texts", () => {
  const units = [
    "=",
    "a",
    ":",
    "\"",
    "\\",
    "\\\"",
    "'",
    "{",
    "[",
    "{\"",
    "{\"a\":",
    "{\"data\":{\"a\":\"",
    "}",
    "<",
    "-",
    "- ",
    "a: ",
    " ",
    "\t",
    "\n",
    "\r",
    ".",
    "🙂",
    "\ud83d",
    "-----BEGIN",
    "-----BEGIN A PRIVATE KEY-----",
    "-----BEGIN A PRIVATE KEY-----\"",
    "LS0tLS1CRUdJTi",
    "://",
    "://:@",
    "://a:b@",
    "@tcp(",
    "&sig=",
    "password",
    "password=",
    "password: ",
    "password=\"a",
    "password='",
    "password=a,",
    "password=(",
    "password:\\\"",
    "authorization: ",
    "authorization:",
    "Bearer ",
    "eyJ",
    "eyJhbGciOi.",
    "sk-",
    "--a",
    "--password ",
    "secret: abcde-",
    "secret: a.",
    "key=aA1",
    "curl -u ",
    "mysql -p",
    "docker login ",
    "{a: ",
    "{a: 'b",
    "{a: \"\\\"",
    "map[name:PASSWORD value:",
    "<add key=\"a\" value=\"",
    "DB_PASSWORD ",
    "DB_PASSWORD=a'b ",
    "password=a&",
    "user:pw@h:",
    "://a:'",
    "*:*:*:",
    "password is: ",
    "use the following password:\n",
    "identified by '",
    "password is ",
    "login a ",
    "data:\n a: b\n",
    "data:\n",
    "apiVersion: v1\ndata:\n  a: |\n   b\n",
    "{{redacted:",
    "{{redacted:password:",
    "{{redacted:password:12345678}}",
    "password={{redacted:password:12345678}}",
    "password:\n----\n",
    "- --token\n"
  ]

  it("take time in proportion to their length", async () => {
    // The time limit of the test is the watchdog: where time grew with the square, any one of them would take minutes.
    for (const unit of units) {
      for (
        const text of [
          repeated(unit, 80_000),
          repeated(`${repeated(unit, 78)}\n`, 16_384),
          `password: "${repeated(unit, 20_000)}`
        ]
      ) {
        await Property.turn()
        const redactor = make()
        assert.isTrue(redactor.restore(redactor.redact(text, "cluster").text) === text, JSON.stringify(unit))
      }
    }
  })

  it("take little time, however often a structure begins", () => {
    const spent = (text: string) => {
      const before = process.cpuUsage()
      make().redact(text, "cluster")
      const { system, user } = process.cpuUsage(before)
      return (system + user) / 1000
    }
    const words = spent(repeated("some words, and more. ", 400_000))
    for (const unit of ["[[", "a@tcp("]) {
      assert.isBelow(spent(repeated(unit, 400_000)), 20 * words + 500, unit)
    }
  })

  it("take no more time when there is much to remember", () => {
    const values = Array.from({ length: 5000 }, (_, index) => `aaaaaa${index}${"b".repeat(index % 90)}`)
    const redactor = make()
    redactor.redact(values.map((value) => `password=${value}`).join("\n"), "cluster")
    const text = repeated("aaaaaa", 100_000)
    assert.isTrue(redactor.restore(redactor.redact(text, "cluster").text) === text)
  })

  it("five megabytes of pods pass as they are", () => {
    const pod = Corpora.read("harmless").find(({ name }) => name === "manifests: pod")!.text
    const text = repeated(`${pod}\n---\n`, 5_000_000)
    assert.isTrue(make().redact(text, "cluster").text === text)
  })
})
