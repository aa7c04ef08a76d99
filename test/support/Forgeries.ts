/**
 * Tokens and `authorization` headers that are almost good.
 */
import { FastCheck as fc } from "effect"

/** Everything printable in ASCII, the space included. */
export const printable = fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code))
export const text = (maxLength: number) => fc.string({ unit: printable, maxLength })

const base64url = fc.constantFrom(..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
const character = fc.oneof({ weight: 4, arbitrary: base64url }, { weight: 1, arbitrary: printable })

const encoded = (json: unknown) => Buffer.from(JSON.stringify(json) ?? "").toString("base64url")
const decoded = (part: string): object => JSON.parse(Buffer.from(part, "base64url").toString()) as object

/** Values of which a JavaScript program may trip. */
const value = fc.oneof(
  fc.constantFrom<unknown>("HS256", "none", "None", "HS512", "RS256", "", null, 0, {}, [], { toString: 1 }),
  fc.jsonValue({ maxDepth: 2 })
)
const key = fc.constantFrom(
  "alg",
  "kid",
  "typ",
  "crit",
  "b64",
  "zip",
  "jwk",
  "jku",
  "sub",
  "iss",
  "exp",
  "jti",
  "nbf",
  "aud"
)
const fields = fc.dictionary(fc.oneof(key, fc.constantFrom("__proto__", "toString", "constructor")), value, {
  maxKeys: 4
})

/** One step away from `token`, which is a good one, and never itself. */
export const mutated = (token: string): fc.Arbitrary<string> => {
  const [header = "", payload = "", signature = ""] = token.split(".")
  const at = fc.nat(token.length)
  const edited = fc.oneof(
    fc.tuple(at, character).map(([at, character]) => token.slice(0, at) + character + token.slice(at + 1)),
    fc.tuple(at, character).map(([at, character]) => token.slice(0, at) + character + token.slice(at)),
    at.map((at) => token.slice(0, at) + token.slice(at + 1)),
    at.map((at) => token.slice(0, at)),
    // Where a decoder overlooks most.
    base64url.map((character) => token.slice(0, -1) + character),
    fc.constantFrom("=", "==", ".", "A", "\0").map((end) => token + end)
  )
  const swapped = fc.shuffledSubarray([header, payload, signature, ""]).map((parts) => parts.join("."))
  const reencoded = fc.tuple(fields, fields, fc.constantFrom(signature, "", "AA")).map(([head, body, signature]) =>
    [
      encoded({ ...decoded(header), ...head }),
      encoded({ ...decoded(payload), ...body }),
      signature
    ].join(".")
  )
  const replaced = fc.tuple(value, value, text(50)).map((parts) => parts.map(encoded).join("."))
  return fc.oneof(edited, swapped, reencoded, replaced).filter((found) => found.trim() !== token)
}

/** Any value of the header that does not hold the good token, and nothing but it, after the scheme. */
export const header = (token: string): fc.Arbitrary<string> => {
  const scheme = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom("Bearer ", "bearer ", "BEARER   ") },
    { weight: 1, arbitrary: fc.constantFrom("Bearer", "Basic ", "Bearer\t", "Bearer,", "", "Bearer Bearer ") },
    { weight: 1, arbitrary: text(12) }
  )
  const others = fc.oneof(
    text(200),
    fc.base64String({ maxLength: 100 }),
    fc.constantFrom(`${token}, ${token}`, `${token},`, `"${token}"`, `${token} ${token}`)
  )
  const bad = fc.tuple(scheme, fc.oneof({ weight: 3, arbitrary: mutated(token) }, { weight: 1, arbitrary: others }))
  return fc.oneof(
    { weight: 6, arbitrary: bad.map(([scheme, rest]) => scheme + rest) },
    { weight: 1, arbitrary: text(100) },
    {
      weight: 1,
      arbitrary: fc.constantFrom("Basic ", "", "Bearer", "Bearer=", "JWT ", "Bearer,").map((scheme) => scheme + token)
    }
  ).filter((header) => !/^bearer +\S+$/i.test(header.trim()) || !header.trim().endsWith(` ${token}`))
}
