/**
 * Texts of which it is known that they show what a Secret holds: every value goes.
 */
import { assert, describe, it } from "@effect/vitest"
import { Redacted } from "effect"
import * as Redactor from "../../src/redaction/Redactor.js"
import * as Corpora from "../support/Corpora.js"
import * as Property from "../support/Property.js"

const make = () => Redactor.make({ key: Redacted.make("k") })
const placeholder = /\{\{redacted:[a-z-]+:[0-9a-f]{8,}\}\}/g
const outline = (text: string) => make().redact(text, "secret").text.replace(placeholder, "▮")

const inPieces = (text: string, size: number) => {
  const filter = make().redacting("secret")
  let out = ""
  for (let at = 0; at < text.length; at += size) out += filter.push(text.slice(at, at + size))
  return out + filter.end()
}

/** What kubectl prints, and what is left of it. */
const rows: ReadonlyArray<readonly [text: string, expected: string]> = [
  ["hunter", "▮"],
  ["  hunter2\r\n", "  ▮\r\n"],
  ["my cat is red", "▮"],
  ["one2 two2 three", "▮ ▮ ▮"],
  ["aHVudGVy", "▮"],
  ["p@ss,w0rd{x", "▮"],
  ["ab\"cd", "▮"],
  ["\"ab\"cd", "▮"],
  ["[abc def", "▮"],
  ["HUNTERTWO", "▮"],
  ["MYTOKEN", "▮"],
  ["abcd\nSOME TOKEN", "▮\n▮ ▮"],
  ["x9Kq7:abcdefg", "▮"],
  ["abcdef==", "▮"],
  ["one a=abcd", "▮"],
  ["postgres://app:pw@db/x", "postgres:▮"],
  ["D\nmap[abcd:efgh c:defg password:aHVudGVyMg==]", "D\nmap[abcd:▮ c:▮ password:▮]"],
  ["[map[a:bcde] map[c:defg]]", "[map[a:▮] map[c:▮]]"],
  ["map[a:map[b:cdefg]]", "map[a:map[b:▮]]"],
  ["user map[a:map[b:cdefg]]", "▮ map[a:map[b:▮]]"],
  ["NAME   D\nbilling-db   map[a:abcd]\nother-x   <none>", "NAME   D\nbilling-db   map[a:▮]\nother-x   <none>"],
  ["NAME   D\nbilling-db   a b   c", "NAME   D\n▮   a b   c"],
  ["D   NAME\nabcdef   billing", "D   NAME\n▮   billing"],
  ["{\"password\":\"aHVudGVyMg==\",\"user\":\"Ym9i\"}", "{\"password\":\"▮\",\"user\":\"▮\"}"],
  ["{\n  \"password\": \"a \\\"b c\",\n  \"n\": 12345\n}", "{\n  \"password\": \"▮\",\n  \"n\": ▮\n}"],
  ["[\"aHVudGVyMg==\", true, null]", "[\"▮\", true, null]"],
  ["password: hunter\nuser: bobby bob\ncount: 16 bytes", "password: ▮\nuser: ▮\ncount: 16 bytes"],
  ["a: \"b cde\"\n- b: {c: defg}", "a: \"▮\"\n- b: ▮"],
  ["password=hunter x\nuser.name=bobs", "password=▮\nuser.name=▮"],
  ["password:aHVudGVyMg== user:Ym9iYg==", "password:▮ user:▮"],
  ["DB_PASSWORD\thunter\nMODE\tfast", "▮\t▮\n▮\t▮"],
  ["key: |\n  line one\n  zwei\n", "key: |\n  ▮\n  ▮\n"],
  ["---\n<no value>\n<none>\nnull", "---\n<no value>\n<none>\nnull"],
  [
    "apiVersion: v1\ndata:\n  name: hunter\nkind: Secret\nmetadata:\n  name: billing-db\n  namespace: shop\n" +
    "  labels:\n    name: billing\n  uid: 5f6c1d9e-6a39-4b6e-9b6e-0d5d2f9f7c11\n  resourceVersion: \"48213\"\ntype: Opaque\n",
    "apiVersion: v1\ndata:\n  name: ▮\nkind: Secret\nmetadata:\n  name: billing-db\n  namespace: shop\n" +
    "  labels:\n    name: ▮\n  uid: 5f6c1d9e-6a39-4b6e-9b6e-0d5d2f9f7c11\n  resourceVersion: \"48213\"\ntype: Opaque\n"
  ],
  [
    "{\"apiVersion\":\"v1\",\"data\":{\"name\":\"hunter\"},\"kind\":\"Secret\",\"metadata\":{\"name\":\"billing-db\"}}",
    "{\"apiVersion\":\"v1\",\"data\":{\"name\":\"▮\"},\"kind\":\"Secret\",\"metadata\":{\"name\":\"billing-db\"}}"
  ],
  ["metadata:\n  name: Hunter_2", "metadata:\n  name: ▮"],
  ["say {{redacted:password:deadbeef}}", "▮▮"]
]

describe("what a Secret holds", () => {
  for (const [text, expected] of rows) {
    it(JSON.stringify(text.slice(0, 60)), () => {
      assert.strictEqual(outline(text), expected)
      const whole = make().redact(text, "secret").text
      for (let size = 1; size <= text.length; size++) assert.strictEqual(inPieces(text, size), whole)
      const redactor = make()
      assert.strictEqual(redactor.restore(redactor.redact(text, "secret").text), text)
    })
  }

  it("came from the cluster, and is found again elsewhere", () => {
    const redactor = make()
    const { findings, text } = redactor.redact("walnut-harbor", "secret")
    assert.deepStrictEqual(findings.map(({ kind }) => kind), ["secret-data"])
    assert.deepStrictEqual(redactor.mentioned(text).map(({ source }) => source), ["cluster"])
    assert.strictEqual(redactor.redact("see walnut-harbor", "cluster").text, `see ${text}`)
  })

  it("hides whatever is hidden elsewhere", () => {
    for (const { secrets, text } of Corpora.read("secrets")) {
      const redactor = make()
      const redacted = redactor.redact(text, "secret").text
      assert.strictEqual(redactor.restore(redacted), text)
      for (const secret of secrets) assert.notInclude(redacted, secret)
    }
  })

  it("hides all of a line that is too long to be looked at as a whole", () => {
    for (const word of ["ab c ", "{\"abcd\":\"efgh\"},", "abcd", "a b:"]) {
      const text = word.repeat(40_000)
      assert.notMatch(make().redact(text, "secret").text.replace(placeholder, ""), /\w/)
      assert.isTrue(inPieces(text, 7001) === make().redact(text, "secret").text)
    }
  })

  it("takes time in proportion to the length of a line", async () => {
    for (
      const unit of [
        "a",
        "A ",
        "a:",
        "a=",
        "map[",
        "\"",
        "\\\"",
        "{",
        "[",
        "- ",
        "a\t",
        "a b ",
        "]",
        "a.",
        "aB",
        "NAME "
      ]
    ) {
      await Property.turn()
      const text = unit.repeat(60_000 / unit.length)
      const redactor = make()
      assert.isTrue(redactor.restore(redactor.redact(text, "secret").text) === text, unit)
    }
  })
})
