/**
 * The public keys of an identity provider, out of a JWKS (RFC 7517) or a PEM file.
 *
 * A key that cannot check a signature of the allowed algorithms is left out,
 * so that it can never be chosen: a secret shared with others, a private key,
 * one that is too weak. No message quotes what was read.
 */
import { Data, Either, Option, Schema } from "effect"
import * as Jose from "jose"
import * as Crypto from "node:crypto"
import type { algorithms as allAlgorithms } from "../config/AccessSettings.js"

export type Algorithm = typeof allAlgorithms[number]

export interface KeySet {
  /** The key for the `alg` and `kid` of a token's header, and for nothing else that stands there. */
  readonly choose: Jose.JWTVerifyGetKey
  /** The same for the same keys. */
  readonly fingerprint: string
}

/** There is no usable key in what was read. */
export class KeySetInvalid extends Data.TaggedError("KeySetInvalid")<{
  /** What is said of the file or address, e.g. `does not exist`. */
  readonly problem: string
  readonly remedy: string
}> {
  override get message() {
    return `${this.problem}; ${this.remedy}`
  }
}

/** The keys of a JWKS that can check signatures of `algorithms`: at least one. */
export const fromJwks = (
  text: string,
  algorithms: ReadonlyArray<Algorithm>
): Either.Either<KeySet, KeySetInvalid> =>
  decodeSet(text).pipe(
    // The parser's own words would quote the text.
    Either.mapLeft(() => new KeySetInvalid({ problem: "holds no JSON Web Key Set", remedy: howJwks })),
    Either.flatMap(({ keys }) => {
      const read = keys.map((jwk) => keysOfJwk(jwk, algorithms))
      const usable = read.filter(Either.isRight).flatMap(({ right }) => right)
      if (usable.length > 0) return Either.right(make(usable, false))
      const found = [...new Set(read.filter(Either.isLeft).map(({ left }) => left))].join(", ") || "no keys at all"
      const problem = `holds no public key for signatures with ${listed(algorithms)}, but ${found}`
      return Either.left(new KeySetInvalid({ problem, remedy: howJwks }))
    })
  )

/** The one key of a PEM file, public or in a certificate, whose validity nobody checks; it answers to every `kid`. */
export const fromPem = (
  text: string,
  algorithms: ReadonlyArray<Algorithm>
): Either.Either<KeySet, KeySetInvalid> => {
  const invalid = (problem: string, remedy = howPem) => Either.left(new KeySetInvalid({ problem, remedy }))
  if (/-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/.test(text)) {
    return invalid(
      "holds a private key, and this server needs only the public one",
      "Write the public key in its place (`openssl pkey -in PRIVATE -pubout`), and keep the private key off this machine."
    )
  }
  const [block, ...more] = text.match(/-----BEGIN (PUBLIC KEY|CERTIFICATE)-----[\s\S]*?-----END \1-----/g) ?? []
  if (block === undefined) return invalid("holds no public key and no certificate in PEM form")
  if (more.length > 0) {
    return invalid("holds more than one key or certificate", "Keep the one of the issuer, or write a JWKS of all keys.")
  }
  const key = publicKey(block)
  if (key === undefined) return invalid("is damaged")
  return Either.match(algorithmsOf(key), {
    onLeft: (found) => invalid(`holds ${found}, and not one for ${listed(algorithms)}`),
    onRight: (fitting) => {
      const allowed = fitting.filter((algorithm) => algorithms.includes(algorithm))
      return allowed.length > 0
        ? Either.right(make(allowed.map((algorithm) => jwkOf(key, algorithm, undefined)), true))
        : invalid(`holds a key for ${listed(fitting)}, and only ${listed(algorithms)} is allowed`)
    }
  })
}

// -- internals ---------------------------------------------------------------

const howJwks = "Give the issuer's public keys as its `jwks_uri` has them: {\"keys\": [...]}."
const howPem = "Give the issuer's public key (`openssl pkey -in PRIVATE -pubout`) or certificate: "
  + "Ed25519, EC on P-256, or RSA of at least 2048 bits."

const listed = (algorithms: ReadonlyArray<Algorithm>): string => algorithms.join(" or ")

interface Jwk extends Jose.JWK {
  readonly kty: string
  readonly alg: Algorithm
}

/** What is wrong with a key, in words that end a sentence. */
type Fault = string

const optionalText = Schema.optionalWith(Schema.String, { exact: true })
const shared = { kty: Schema.String, kid: optionalText, alg: optionalText, use: optionalText }
const material = { crv: optionalText, x: optionalText, y: optionalText, n: optionalText, e: optionalText }
const JwkSchema = Schema.Struct({
  ...shared,
  ...material,
  key_ops: Schema.optionalWith(Schema.Array(Schema.String), { exact: true })
})
const decodeJwk = Schema.decodeUnknownOption(JwkSchema)
// Keys of kinds that nobody knows yet must not spoil the others (RFC 7517, section 5).
const decodeSet = Schema.decodeEither(Schema.parseJson(Schema.Struct({ keys: Schema.Array(Schema.Unknown) })))

/** Members of private and of symmetric keys (RFC 7518, section 6; RFC 8037). */
const secretMembers = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"]

/** One for each of `algorithms` that the key fits. */
const keysOfJwk = (value: unknown, algorithms: ReadonlyArray<Algorithm>): Either.Either<ReadonlyArray<Jwk>, Fault> => {
  const decoded = decodeJwk(value)
  if (Option.isNone(decoded)) return Either.left("a damaged key")
  const jwk = decoded.value
  if (jwk.kty === "oct") return Either.left("a secret of type oct")
  if (secretMembers.some((member) => Object.hasOwn(value as object, member))) return Either.left("a private key")
  if ((jwk.use ?? "sig") !== "sig" || jwk.key_ops?.includes("verify") === false) {
    return Either.left("a key that is not for signatures")
  }
  const { crv, e, kty, n, x, y } = jwk
  const key = publicKey({ format: "jwk", key: { kty, crv, x, y, n, e } as Crypto.JsonWebKey })
  if (key === undefined) return Either.left("a damaged key or one of an unknown type")
  return Either.flatMap(algorithmsOf(key), (fitting) => {
    const { alg } = jwk
    // EdDSA and Ed25519 are the same for such a key, whichever of them it names.
    const isNamed = alg === undefined || fitting.some((algorithm) => algorithm === alg)
    const allowed = isNamed ? fitting.filter((algorithm) => algorithms.includes(algorithm)) : []
    return allowed.length > 0
      ? Either.right(allowed.map((algorithm) => jwkOf(key, algorithm, jwk.kid)))
      : Either.left("a key for another algorithm")
  })
}

const publicKey = (input: string | Crypto.JsonWebKeyInput): Crypto.KeyObject | undefined => {
  try {
    return Crypto.createPublicKey(input)
  } catch {
    return undefined
  }
}

/** By the type of the key alone: a token or a file that names another one is wrong. */
const algorithmsOf = (
  { asymmetricKeyDetails: details, asymmetricKeyType: type }: Crypto.KeyObject
): Either.Either<ReadonlyArray<Algorithm>, Fault> => {
  if (type === "ed25519") return Either.right(["EdDSA", "Ed25519"])
  if (type === "ec" && details?.namedCurve === "prime256v1") return Either.right(["ES256"])
  if (type !== "rsa") return Either.left("a key of another type or curve")
  if ((details?.modulusLength ?? 0) < 2048) return Either.left("an RSA key of fewer than 2048 bits")
  // With the exponent 1, everybody can sign.
  return (details?.publicExponent ?? 0n) < 3n ? Either.left("a damaged key") : Either.right(["RS256"])
}

/** Public members only, and with the algorithm, so that jose chooses the key for no other. */
const jwkOf = (key: Crypto.KeyObject, alg: Algorithm, kid: string | undefined): Jwk => ({
  ...key.export({ format: "jwk" }) as Jose.JWK & { readonly kty: string },
  alg,
  ...kid === undefined ? {} : { kid }
})

const make = (keys: ReadonlyArray<Jwk>, anyKid: boolean): KeySet => {
  const local = Jose.createLocalJWKSet({ keys: [...keys] })
  return {
    // Without a `kid`, there must be one key of the algorithm only (OpenID Connect Core, section 10.1).
    choose: ({ alg, kid }) => {
      const meant = anyKid ? keys : keys.filter((key) => kid !== undefined && key.kid === kid)
      if (meant.length > 0 && !meant.some((key) => key.alg === alg)) {
        throw new Jose.errors.JOSEAlgNotAllowed("the key is for another algorithm")
      }
      return local(anyKid || kid === undefined ? { alg } : { alg, kid })
    },
    fingerprint: keys.map((key) => JSON.stringify(key)).sort().join("\n")
  }
}
