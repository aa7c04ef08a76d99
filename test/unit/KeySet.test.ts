import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Either, Redacted } from "effect"
import type * as Jose from "jose"
import * as Crypto from "node:crypto"
import * as KeySet from "../../src/auth/KeySet.js"
import { algorithms } from "../../src/config/AccessSettings.js"
import * as Issue from "../../src/tls/Issue.js"
import { pair, publicJwk, set } from "../support/IdentityProvider.js"

const [ed, es, rs] = await Promise.all([pair("EdDSA"), pair("ES256"), pair("RS256")])

const pem = (key: Crypto.KeyObject) => String(key.export({ format: "pem", type: "spki" }))
const generated = {
  ed25519: Crypto.generateKeyPairSync("ed25519"),
  ed448: Crypto.generateKeyPairSync("ed448"),
  x25519: Crypto.generateKeyPairSync("x25519"),
  p256: Crypto.generateKeyPairSync("ec", { namedCurve: "P-256" }),
  p384: Crypto.generateKeyPairSync("ec", { namedCurve: "P-384" }),
  secp256k1: Crypto.generateKeyPairSync("ec", { namedCurve: "secp256k1" }),
  rsa1024: Crypto.generateKeyPairSync("rsa", { modulusLength: 1024 }),
  rsa2048: Crypto.generateKeyPairSync("rsa", { modulusLength: 2048 }),
  pss: Crypto.generateKeyPairSync("rsa-pss", { modulusLength: 2048 })
}
const jwk = (key: Crypto.KeyObject, more: Jose.JWK = {}): Jose.JWK => ({
  ...key.export({ format: "jwk" }) as Jose.JWK,
  ...more
})

const problem = (read: Either.Either<KeySet.KeySet, KeySet.KeySetInvalid>) =>
  Either.match(read, { onLeft: ({ problem }) => problem, onRight: () => "none" })

/** The key that is chosen for a header, as jose asks. */
const chosen = (keys: KeySet.KeySet, header: Record<string, unknown>) =>
  Effect.runPromise(Effect.either(Effect.tryPromise({
    try: async () => keys.choose(header as Jose.JWTHeaderParameters, { payload: "", signature: "" }),
    catch: (error) => (error as Jose.errors.JOSEError).code
  })))

describe("KeySet.fromJwks", () => {
  it("chooses by algorithm and kid, and knows what does not fit from what is unknown", async () => {
    const text = set(
      await publicJwk(ed, { kid: "a" }),
      await publicJwk(es, { kid: "b", use: "sig", alg: "ES256", key_ops: ["verify"] }),
      await publicJwk(rs, { kid: "c", x5t: "x", x5c: ["hunter2"] })
    )
    const keys = Either.getOrThrow(KeySet.fromJwks(text, algorithms))
    for (const [alg, kid] of [["EdDSA", "a"], ["ES256", "b"], ["RS256", "c"]]) {
      const key = Either.getOrThrow(await chosen(keys, { alg, kid }))
      assert.strictEqual((key as Jose.CryptoKey).type, "public")
      assert.isTrue(Either.isRight(await chosen(keys, { alg })), "the only one of its algorithm needs no name")
    }
    assert.deepStrictEqual(await chosen(keys, { alg: "ES256", kid: "a" }), Either.left("ERR_JOSE_ALG_NOT_ALLOWED"))
    assert.deepStrictEqual(await chosen(keys, { alg: "PS256", kid: "c" }), Either.left("ERR_JOSE_ALG_NOT_ALLOWED"))
    for (const kid of ["d", "", 7, null]) {
      assert.deepStrictEqual(await chosen(keys, { alg: "ES256", kid }), Either.left("ERR_JWKS_NO_MATCHING_KEY"))
    }
  })

  it("wants a kid where two keys would do", async () => {
    const text = set(await publicJwk(ed, { kid: "a" }), await publicJwk(await pair("EdDSA"), { kid: "b" }))
    const keys = Either.getOrThrow(KeySet.fromJwks(text, algorithms))
    assert.deepStrictEqual(await chosen(keys, { alg: "EdDSA" }), Either.left("ERR_JWKS_MULTIPLE_MATCHING_KEYS"))
    assert.isTrue(Either.isRight(await chosen(keys, { alg: "EdDSA", kid: "b" })))
  })

  const good = jwk(generated.p256.publicKey)
  const dropped: Record<string, readonly [unknown, string]> = {
    "a secret": [{ kty: "oct", k: "c2VjcmV0" }, "a secret of type oct"],
    "a private key": [jwk(generated.ed25519.privateKey), "a private key"],
    "a private RSA key": [jwk(generated.rsa2048.privateKey), "a private key"],
    "a public key with one private member": [{ ...good, d: null }, "a private key"],
    "RSA of 1024 bits": [jwk(generated.rsa1024.publicKey), "an RSA key of fewer than 2048 bits"],
    "RSA whose bits are zeros": [
      { kty: "RSA", e: "AQAB", n: Buffer.alloc(256).fill(1, 200).toString("base64url") },
      "an RSA key of fewer than 2048 bits"
    ],
    "RSA that everybody can sign with": [{ ...jwk(generated.rsa2048.publicKey), e: "AQ" }, "a damaged key"],
    "a key for encryption": [{ ...good, use: "enc" }, "a key that is not for signatures"],
    "a key that is only for signing": [{ ...good, key_ops: ["sign"] }, "a key that is not for signatures"],
    "Ed448": [jwk(generated.ed448.publicKey), "a key of another type or curve"],
    "X25519": [jwk(generated.x25519.publicKey), "a key of another type or curve"],
    "P-384": [jwk(generated.p384.publicKey), "a key of another type or curve"],
    "secp256k1": [jwk(generated.secp256k1.publicKey), "a key of another type or curve"],
    "RSA for PS256": [{ ...jwk(generated.rsa2048.publicKey), alg: "PS256" }, "a key for another algorithm"],
    "RSA for HS256": [{ ...jwk(generated.rsa2048.publicKey), alg: "HS256" }, "a key for another algorithm"],
    "a point that is not on the curve": [{ ...good, y: good.x }, "a damaged key or one of an unknown type"],
    "a type of the future": [{ kty: "AKP", alg: "ML-DSA-44", pub: "AAAA" }, "a damaged key or one of an unknown type"],
    "no object": ["key", "a damaged key"],
    "a name that is a number": [{ ...good, kid: 7 }, "a damaged key"]
  }
  for (const [what, [key, words]] of Object.entries(dropped)) {
    it(`drops ${what}, and keeps the rest`, async () => {
      const named = typeof key === "object" ? { kid: "bad", ...key } : key
      const rest = await publicJwk(rs, { kid: "rest" })
      const keys = Either.getOrThrow(KeySet.fromJwks(JSON.stringify({ keys: [named, rest] }), algorithms))
      for (const alg of algorithms) {
        assert.deepStrictEqual(await chosen(keys, { alg, kid: "bad" }), Either.left("ERR_JWKS_NO_MATCHING_KEY"))
      }
      assert.isTrue(Either.isRight(await chosen(keys, { alg: "RS256", kid: "rest" })))
      const alone = problem(KeySet.fromJwks(JSON.stringify({ keys: [named] }), algorithms))
      assert.strictEqual(
        alone,
        `holds no public key for signatures with EdDSA or Ed25519 or ES256 or RS256, but ${words}`
      )
    })
  }

  it("drops keys of algorithms that are not allowed", async () => {
    const text = set(await publicJwk(ed), await publicJwk(rs))
    assert.strictEqual(
      problem(KeySet.fromJwks(text, ["ES256"])),
      "holds no public key for signatures with ES256, but a key for another algorithm"
    )
    const keys = Either.getOrThrow(KeySet.fromJwks(text, ["EdDSA"]))
    assert.deepStrictEqual(await chosen(keys, { alg: "RS256" }), Either.left("ERR_JWKS_NO_MATCHING_KEY"))
  })

  it("refuses what is no key set, without a word of it", () => {
    for (const text of ["", "hunter2", "[]", "{\"keys\":\"hunter2\"}", "{\"hunter2\":[]}", "null"]) {
      const error = Either.getOrThrow(Either.flip(KeySet.fromJwks(text, algorithms)))
      assert.strictEqual(error.problem, "holds no JSON Web Key Set")
      assert.notInclude(error.message, "hunter2")
    }
    assert.include(problem(KeySet.fromJwks(set(), algorithms)), "but no keys at all")
  })

  it("has the same fingerprint for the same keys, in any order", async () => {
    const [a, b] = [await publicJwk(ed, { kid: "a" }), await publicJwk(es, { kid: "b" })]
    const print = (...keys: ReadonlyArray<Jose.JWK>) =>
      Either.getOrThrow(KeySet.fromJwks(set(...keys), algorithms)).fingerprint
    assert.strictEqual(print(a, b), print({ ...b, use: "sig" }, a))
    assert.notStrictEqual(print(a, b), print(a))
    assert.notStrictEqual(print(a), print({ ...a, kid: "b" }))
  })
})

describe("KeySet.fromPem", () => {
  it("takes the algorithm from the key, and asks for no kid", async () => {
    const cases = [["EdDSA", generated.ed25519], ["ES256", generated.p256], ["RS256", generated.rsa2048]] as const
    for (const [alg, { publicKey }] of cases) {
      const keys = Either.getOrThrow(KeySet.fromPem(`A comment\n${pem(publicKey)}`, algorithms))
      assert.isTrue(Either.isRight(await chosen(keys, { alg, kid: "whatever" })))
      for (const other of [...algorithms, "HS256"].filter((other) => other.slice(0, 2) !== alg.slice(0, 2))) {
        assert.deepStrictEqual(await chosen(keys, { alg: other }), Either.left("ERR_JOSE_ALG_NOT_ALLOWED"))
      }
    }
  })

  it.effect("takes the key of a certificate", () =>
    Effect.gen(function*() {
      const [notBefore, notAfter] = [DateTime.unsafeMake(0), DateTime.unsafeMake(1)]
      const { certificate, key } = yield* Issue.authority({ notBefore, notAfter })
      const keys = Either.getOrThrow(KeySet.fromPem(certificate, algorithms))
      assert.isTrue(Either.isRight(yield* Effect.promise(() => chosen(keys, { alg: "ES256" }))))
      assert.include(problem(KeySet.fromPem(certificate + Redacted.value(key), algorithms)), "holds a private key")
    }))

  it("refuses a private key, in words of its own", () => {
    for (const type of ["pkcs1", "pkcs8"] as const) {
      const text = String(generated.rsa2048.privateKey.export({ format: "pem", type }))
      const error = Either.getOrThrow(Either.flip(KeySet.fromPem(text, algorithms)))
      assert.strictEqual(error.problem, "holds a private key, and this server needs only the public one")
      assert.include(error.remedy, "openssl pkey")
    }
  })

  it("refuses what cannot be used, without a word of it", () => {
    const block = pem(generated.ed25519.publicKey)
    const cases: ReadonlyArray<readonly [string, string]> = [
      ["", "holds no public key and no certificate in PEM form"],
      ["hunter2", "holds no public key and no certificate in PEM form"],
      ["-----BEGIN PUBLIC KEY-----\nhunter2\n-----END PUBLIC KEY-----\n", "is damaged"],
      ["-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----\n", "is damaged"],
      [block + block, "holds more than one key or certificate"],
      [pem(generated.rsa1024.publicKey), "an RSA key of fewer than 2048 bits"],
      [pem(generated.pss.publicKey), "a key of another type or curve"],
      [pem(generated.p384.publicKey), "a key of another type or curve"]
    ]
    for (const [text, words] of cases) {
      const error = Either.getOrThrow(Either.flip(KeySet.fromPem(text, algorithms)))
      assert.include(error.problem, words)
      assert.notInclude(error.message, "hunter2")
    }
    assert.strictEqual(
      problem(KeySet.fromPem(block, ["ES256", "RS256"])),
      "holds a key for EdDSA or Ed25519, and only ES256 or RS256 is allowed"
    )
  })
})
