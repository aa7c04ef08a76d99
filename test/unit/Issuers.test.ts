import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import * as Jose from "jose"
import * as Crypto from "node:crypto"
import * as Issuers from "../../src/auth/Issuers.js"
import type { IssuerSettings } from "../../src/config/AccessSettings.js"
import { noGrants } from "../../src/domain/Access.js"
import type { Refusal } from "../../src/domain/Errors.js"
import { unlimited } from "../../src/domain/Limits.js"
import { now, pair, publicJwk, refusal, serve, set, settings, sign } from "../support/IdentityProvider.js"

const [ed, es, rs, stranger] = await Promise.all([pair("EdDSA"), pair("ES256"), pair("RS256"), pair("EdDSA")])
const pem = await Jose.exportSPKI(es.publicKey)
const jwks = set(
  await publicJwk(ed, { kid: "ed" }),
  await publicJwk(es, { kid: "es" }),
  await publicJwk(rs, { kid: "rs" })
)

/** The issuer `corp` of a file that has `text`. */
const withFile = (text: string, key: "jwks_file" | "key_file" = "jwks_file", more: Partial<IssuerSettings> = {}) =>
  Effect.gen(function*() {
    yield* TestClock.setTime(now * 1000)
    const files = yield* FileSystem.FileSystem
    const path = `${yield* Effect.orDie(files.makeTempDirectoryScoped())}/keys`
    yield* Effect.orDie(files.writeFileString(path, text))
    const issuers = yield* Issuers.make({ corp: settings({ [key]: path, ...more }) })
    return { files, path, issuers, corp: issuers.find("https://login.example.com")! }
  }).pipe(Effect.provide(NodeContext.layer))

const encode = (part: unknown) => Buffer.from(JSON.stringify(part)).toString("base64url")
const payload = { iss: "https://login.example.com", aud: "vibectl", sub: "ann", jti: "1", exp: now + 3600 }

describe("Issuers.make", () => {
  it.scoped("finds an issuer by exactly its iss", () =>
    Effect.gen(function*() {
      const { corp, issuers } = yield* withFile(jwks)
      assert.strictEqual(corp.name, "corp")
      for (const iss of [undefined, null, 7, "", "corp", "https://login.example.com/", ["https://login.example.com"]]) {
        assert.isUndefined(issuers.find(iss))
      }
      assert.isUndefined(Issuers.none.find("https://login.example.com"))
      assert.isFalse(yield* Issuers.none.reload)
    }))

  it.scoped("fails for a file that it cannot use, with the way out, and without a word of the file", () =>
    Effect.gen(function*() {
      const failing = (text: string, key: "jwks_file" | "key_file") => Effect.flip(withFile(text, key))
      const summaries = yield* Effect.all({
        damaged: failing("hunter2", "jwks_file"),
        secret: failing(set({ kty: "oct", k: "hunter2" }), "jwks_file"),
        pem: failing("hunter2", "key_file"),
        private: failing(yield* Effect.promise(() => Jose.exportPKCS8(es.privateKey)), "key_file"),
        missing: Effect.flip(
          Effect.provide(Issuers.make({ corp: settings({ jwks_file: "/nowhere" }) }), NodeContext.layer)
        ),
        nothing: Effect.flip(Effect.provide(Issuers.make({ corp: settings() }), NodeContext.layer))
      })
      for (const error of Object.values(summaries)) {
        assert.strictEqual(error._tag, "IssuerInvalid")
        assert.include(error.summary, "auth.issuers.corp")
        assert.isNotEmpty(error.remedy)
        assert.notInclude(error.message, "hunter2")
      }
      assert.match(summaries.damaged.summary, /^The file \/.*\/keys \(auth\.issuers\.corp\.jwks_file\) holds no JSON/)
      assert.include(summaries.secret.summary, "oct")
      assert.include(summaries.private.summary, "holds a private key, and this server needs only the public one")
      assert.include(summaries.missing.summary, "/nowhere (auth.issuers.corp.jwks_file) does not exist.")
    }))
})

describe("Issuer.verify", () => {
  it.scoped("says who a token of each algorithm speaks for", () =>
    Effect.gen(function*() {
      const { corp } = yield* withFile(jwks)
      for (const [keys, kid] of [[ed, "ed"], [es, "es"], [rs, "rs"]] as const) {
        assert.deepStrictEqual(yield* corp.verify(yield* sign(keys, { kid }), now), {
          subject: "corp:ann",
          tokenId: "1",
          expiresAt: now + 3600,
          issuedAt: now,
          issuer: "corp",
          keyId: kid,
          grants: noGrants
        })
        assert.strictEqual((yield* corp.verify(yield* sign(keys), now)).keyId, undefined)
      }
    }))

  it.scoped("has claims, prefix and algorithms as the settings say", () =>
    Effect.gen(function*() {
      const more = { subject_claim: "email", token_id_claim: "uti", subject_prefix: "", algorithms: ["ES256"] as const }
      const { corp } = yield* withFile(jwks, "jwks_file", more)
      const claims = { email: "ann@example.com", email_verified: true, uti: "u-1", sub: undefined, jti: undefined }
      const found = yield* corp.verify(yield* sign(es, { kid: "es" }, claims), now)
      assert.deepInclude(found, { subject: "ann@example.com", tokenId: "u-1" })
      assert.strictEqual(yield* refusal(corp, yield* sign(es, {}, { uti: "u" })), "missing_sub")
      assert.strictEqual(yield* refusal(corp, yield* sign(es, {}, { email: "a" })), "missing_jti")
      assert.strictEqual(yield* refusal(corp, yield* sign(ed, { kid: "ed" }, claims)), "wrong_algorithm")
    }))

  it.scoped("takes an address for a subject only when the issuer has verified it, or the operator asks for less", () =>
    Effect.gen(function*() {
      const verdicts = (
        claims: Record<string, unknown>,
        subject_claim = "email"
      ) =>
        Effect.forEach(
          ["required", "unless_denied", "not_needed"] as const,
          (subject_verification) =>
            Effect.gen(function*() {
              const { corp } = yield* withFile(jwks, "jwks_file", { subject_claim, subject_verification })
              const found = yield* Effect.either(corp.verify(yield* sign(es, {}, claims), now))
              if (found._tag === "Right") return "taken"
              return found.left._tag === "Unauthenticated" ? found.left.refusal : found.left._tag
            })
        )
      const [email, no] = ["ana@tram.example", "subject_not_verified"]
      const cases: ReadonlyArray<readonly [Record<string, unknown>, ReadonlyArray<string>]> = [
        [{ email_verified: true }, ["taken", "taken", "taken"]],
        [{ email_verified: "true" }, ["taken", "taken", "taken"]],
        [{}, [no, "taken", "taken"]],
        ...[false, "false", 0, 1, null, "", "TRUE", [true]].map((email_verified) =>
          [{ email_verified }, [no, no, "taken"]] as const
        ),
        ...[false, 0, "0", "false", null].map((xms_edov) =>
          [{ email_verified: true, xms_edov }, [no, no, "taken"]] as const
        ),
        [{ email_verified: true, xms_edov: "1" }, ["taken", "taken", "taken"]],
        [{ xms_edov: true }, [no, "taken", "taken"]]
      ]
      for (const [claims, expected] of cases) {
        assert.deepStrictEqual(yield* verdicts({ sub: "666", email, ...claims }), expected, JSON.stringify(claims))
      }
      const phone = { phone_number: "+1 555 0100" }
      assert.deepStrictEqual(yield* verdicts(phone, "phone_number"), [no, "taken", "taken"])
      const { corp } = yield* withFile(jwks, "jwks_file", { subject_claim: "email" })
      const error = yield* Effect.flip(corp.verify(yield* sign(es, {}, { email }), now))
      assert.deepInclude(error, { reason: "TOKEN_UNTRUSTED", holder: { subject: `corp:${email}`, tokenId: "1" } })
      assert.notMatch(error.message, /email|verif|generate-token/, "why is for the audit log")
    }))

  it.scoped("names a token by a hash where its issuer gives it no id, whatever its signature", () =>
    Effect.gen(function*() {
      const { corp } = yield* withFile(jwks, "jwks_file", { token_id: "hash" })
      const without = { jti: undefined }
      const one = yield* sign(es, {}, without)
      const { tokenId } = yield* corp.verify(one, now)
      assert.match(tokenId, /^sha256-[\w-]{43}$/)
      assert.notStrictEqual(
        (yield* corp.verify(yield* sign(es, {}, { ...without, exp: now + 9 }), now)).tokenId,
        tokenId
      )
      // Of (r, s), another good signature is (r, n - s).
      const order = BigInt("0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")
      const [header, claims, signature = ""] = one.split(".")
      const bytes = Buffer.from(signature, "base64url")
      const s = (order - BigInt(`0x${bytes.subarray(32).toString("hex")}`)).toString(16).padStart(64, "0")
      const twin = Buffer.concat([bytes.subarray(0, 32), Buffer.from(s, "hex")]).toString("base64url")
      assert.notStrictEqual(twin, signature)
      assert.strictEqual((yield* corp.verify(`${header}.${claims}.${twin}`, now)).tokenId, tokenId)
    }))

  it.scoped("names the claim that a token with a good signature lacks", () =>
    Effect.gen(function*() {
      const { corp } = yield* withFile(jwks)
      for (const claim of ["jti", "sub", "exp"]) {
        const error = yield* Effect.flip(corp.verify(yield* sign(es, {}, { [claim]: undefined }), now))
        assert.deepInclude(error, { reason: "TOKEN_MALFORMED", claim })
        assert.include(error.message, `no claim '${claim}'`)
      }
      const forged = yield* Effect.flip(corp.verify(yield* sign(stranger, {}, { jti: undefined }), now))
      assert.notProperty(forged, "claim")
    }))

  it.scoped("takes EdDSA by both of its names, unless the operator lists one of them", () =>
    Effect.gen(function*() {
      const named = { ...ed, alg: "Ed25519" }
      for (const alg of [undefined, "EdDSA", "Ed25519"]) {
        const text = set(yield* Effect.promise(() => publicJwk(ed, { kid: "ed", ...alg === undefined ? {} : { alg } })))
        const { corp } = yield* withFile(text)
        for (const key of [ed, named]) {
          for (const header of [{}, { kid: "ed" }]) {
            assert.strictEqual((yield* corp.verify(yield* sign(key, header), now)).subject, "corp:ann")
          }
        }
        const strict = yield* withFile(text, "jwks_file", { algorithms: ["Ed25519"] })
        assert.strictEqual(yield* refusal(strict.corp, yield* sign(ed)), "wrong_algorithm")
        assert.strictEqual((yield* strict.corp.verify(yield* sign(named), now)).subject, "corp:ann")
      }
    }))

  it.scoped("gives no role that the operator does not name", () =>
    Effect.gen(function*() {
      const { corp } = yield* withFile(jwks)
      const token = yield* sign(es, {}, { vibectl: { roles: ["admin"] } })
      assert.deepStrictEqual((yield* corp.verify(token, now)).grants.roles, [])
    }))

  it.scoped("passes on what the token grants", () =>
    Effect.gen(function*() {
      const { corp } = yield* withFile(jwks, "jwks_file", { roles: ["dev", "ops"] })
      const claimed = { tenant: "acme", roles: ["dev", "admin"], limits: { max_requests_per_minute: 5 } }
      const vibectl = { models: ["openai/*"], ...claimed }
      assert.deepStrictEqual((yield* corp.verify(yield* sign(es, {}, { vibectl }), now)).grants, {
        models: ["openai/*"],
        tenant: "acme",
        roles: ["dev"],
        limits: { ...unlimited, maxRequestsPerMinute: 5 }
      })
      const odd = yield* sign(es, {}, { vibectl: { model: "openai/*" } })
      assert.strictEqual(yield* refusal(corp, odd), "malformed_claims")
    }))

  it.scoped("judges the claims", () =>
    Effect.gen(function*() {
      const { corp } = yield* withFile(jwks)
      const cases: ReadonlyArray<readonly [Record<string, unknown>, Refusal | undefined]> = [
        [{ aud: ["other", "vibectl"] }, undefined],
        [{ aud: "other" }, "wrong_audience"],
        [{ aud: ["other", "vibectl "] }, "wrong_audience"],
        [{ aud: [] }, "wrong_audience"],
        [{ aud: { vibectl: true } }, "wrong_audience"],
        [{ aud: undefined }, "wrong_audience"],
        [{ iss: "https://login.example.com/" }, "unknown_issuer"],
        [{ iss: undefined }, "unknown_issuer"],
        [{ exp: undefined }, "missing_exp"],
        [{ exp: now }, "expired"],
        [{ exp: now + 1.5 }, undefined],
        [{ exp: now + 0.5 }, "expired"],
        [{ exp: "tomorrow" }, "malformed_claims"],
        [{ exp: 1e300 }, "malformed_claims"],
        [{ iat: undefined }, undefined],
        [{ iat: now + 61 }, "issued_in_the_future"],
        [{ nbf: now + 61 }, "not_yet_valid"],
        [{ sub: undefined }, "missing_sub"],
        [{ sub: "" }, "missing_sub"],
        [{ sub: 7 }, "malformed_claims"],
        [{ sub: "ann\nbob" }, "malformed_claims"],
        [{ sub: "a".repeat(300) }, "malformed_claims"],
        [{ jti: undefined }, "missing_jti"],
        [{ jti: "" }, "missing_jti"],
        [{ jti: ["1"] }, "malformed_claims"],
        [{ jti: "1\u2028" }, "malformed_claims"]
      ]
      for (const [claims, expected] of cases) {
        const found = yield* Effect.either(corp.verify(yield* sign(es, {}, claims), now))
        const name = found._tag === "Right" ? undefined : (found.left as { refusal?: Refusal }).refusal
        assert.strictEqual(name, expected, JSON.stringify(claims))
      }
      const fractions = yield* corp.verify(yield* sign(es, {}, { exp: now + 9.9, iat: now - 0.5 }), now)
      assert.deepInclude(fractions, { expiresAt: now + 9, issuedAt: now - 1 })
    }))

  it.scoped("refuses what others signed, whatever keys the token brings", () =>
    Effect.gen(function*() {
      const { corp } = yield* withFile(jwks)
      const jwk = yield* Effect.promise(() => publicJwk(stranger))
      const elsewhere = yield* serve(set({ ...jwk, kid: "ed" }))
      const headers = [{}, { jwk }, { jku: elsewhere.url }, { x5u: elsewhere.url }, { x5c: ["AAAA"] }]
      for (const header of headers) {
        assert.strictEqual(yield* refusal(corp, yield* sign(stranger, { kid: "ed", ...header })), "bad_signature")
        const unknown = yield* sign(stranger, { kid: "stranger", ...header })
        assert.strictEqual(yield* refusal(corp, unknown), "unknown_key")
      }
      assert.strictEqual(elsewhere.requests(), 0)
    }))

  it.scoped("refuses algorithms that do not fit the key", () =>
    Effect.gen(function*() {
      const { corp } = yield* withFile(jwks)
      const { corp: single } = yield* withFile(pem, "key_file")
      for (const alg of ["none", "None", "NONE"]) {
        for (const signature of ["", "AAAA"]) {
          const token = `${encode({ alg, kid: "es" })}.${encode(payload)}.${signature}`
          assert.strictEqual(yield* refusal(corp, token), "algorithm_none", alg)
          assert.strictEqual(yield* refusal(single, token), "algorithm_none", alg)
        }
      }
      // The public key is no secret, and must not be taken for one.
      for (const secret of [pem, pem.trim(), jwks, JSON.stringify(yield* Effect.promise(() => publicJwk(es)))]) {
        for (const kid of ["es", undefined]) {
          const privateKey = Crypto.createSecretKey(secret, "utf8")
          const token = yield* sign({ alg: "HS256", privateKey: privateKey as never }, { kid })
          assert.strictEqual(yield* refusal(corp, token), "wrong_algorithm")
          assert.strictEqual(yield* refusal(single, token), "wrong_algorithm")
        }
      }
      assert.strictEqual(yield* refusal(corp, yield* sign(ed, { kid: "es" })), "wrong_algorithm")
      assert.strictEqual(yield* refusal(single, yield* sign(ed)), "wrong_algorithm")
      const token = yield* sign(yield* Effect.promise(() => pair("PS256")), { kid: "rs" })
      assert.strictEqual(yield* refusal(corp, token), "wrong_algorithm")
    }))

  it.scoped("refuses what is no valid JWS", () =>
    Effect.gen(function*() {
      const { corp } = yield* withFile(jwks)
      const token = yield* sign(es, { kid: "es" })
      const [header, , signature] = token.split(".")
      const critical = `${encode({ alg: "ES256", kid: "es", crit: ["exp2"], exp2: 1 })}.${encode(payload)}.${signature}`
      const cases = [
        "",
        "a",
        "a.b",
        "a.b.c",
        ` ${token}`,
        `${token}\n`,
        `${token}.`,
        critical,
        `${header}..${signature}`
      ]
      for (const text of cases) assert.strictEqual(yield* refusal(corp, text), "not_a_jwt", text)
      const other = `${header}.${encode({ ...payload, sub: "root" })}.${signature}`
      assert.strictEqual(yield* refusal(corp, other), "bad_signature")
    }))

  it.scoped("asks no kid of the one key of a file, and follows the file", () =>
    Effect.gen(function*() {
      const { corp, files, issuers, path } = yield* withFile(pem, "key_file")
      yield* corp.verify(yield* sign(es), now)
      yield* corp.verify(yield* sign(es, { kid: "whatever" }), now)
      assert.strictEqual((yield* corp.verify(yield* sign(es, { kid: 7 }), now)).keyId, undefined)
      assert.isFalse(yield* issuers.reload)
      yield* files.writeFileString(path, yield* Effect.promise(() => Jose.exportSPKI(ed.publicKey)))
      assert.isTrue(yield* issuers.reload)
      assert.strictEqual(yield* refusal(corp, yield* sign(es)), "wrong_algorithm")
      yield* corp.verify(yield* sign(ed), now)
    }))
})
