import { assert, describe, it } from "@effect/vitest"
import { Either, Redacted } from "effect"
import * as Fs from "node:fs"
import * as Bearer from "../../src/auth/Bearer.js"
import * as Patience from "../support/Patience.js"

const reference = JSON.parse(
  Fs.readFileSync(new URL("../conformance/jwt.json", import.meta.url), "utf8")
) as { readonly header_cases: ReadonlyArray<string | null> }

/** The token, or the reason. The reference writes `<good>` for a token and explains in parentheses. */
const expected: Record<string, { readonly token: string } | "TOKEN_MISSING" | "TOKEN_MALFORMED"> = {
  null: "TOKEN_MISSING",
  "Bearer <good>": { token: "<good>" },
  // The deployed system refuses this one; the scheme is case-insensitive (RFC 9110, section 11.1).
  "bearer <good>": { token: "<good>" },
  "Basic x": "TOKEN_MISSING",
  "Bearer  <good> (two spaces)": { token: "<good>" },
  "<good>": "TOKEN_MISSING"
}

const decide = (header: string | undefined) =>
  Either.match(Bearer.parse(header), {
    onLeft: (error) => error.reason,
    onRight: (token) => ({ token: Redacted.value(token) })
  })

describe("Bearer.parse", () => {
  it("decides every header of the reference, and no other", () => {
    assert.sameMembers(Object.keys(expected), reference.header_cases.map(String))
  })

  for (const header of reference.header_cases) {
    it(`decides ${header}`, () => {
      assert.deepStrictEqual(decide(header?.replace(" (two spaces)", "")), expected[String(header)])
    })
  }

  it("wants exactly one token after one or more spaces", () => {
    assert.deepStrictEqual(decide("BEARER   a.b.c"), { token: "a.b.c" })
    assert.deepStrictEqual(decide(" Bearer a.b.c "), { token: "a.b.c" })
    for (const header of ["Bearer", "Bearer ", "Bearer a b", "Bearer a, Bearer b", "Bearer\ta", "Bearer \ta"]) {
      assert.strictEqual(decide(header), "TOKEN_MALFORMED", header)
    }
    for (const header of [undefined, "", "  ", "Bearera", "Bearer:a", "Basic Bearer a"]) {
      assert.strictEqual(decide(header), "TOKEN_MISSING", header)
    }
  })

  it("does not dwell on a hostile header", () => {
    for (const gap of [" ", "\t", "a"]) {
      const spent = (times: number) => Patience.spent(() => assert.isString(decide(`Bearer x${gap.repeat(times)}y z`)))
      // Ten times as long: a hundred times the work, if it grew with the square.
      assert.isBelow(spent(200_000), 30 * spent(20_000) + 100)
    }
  })
})
