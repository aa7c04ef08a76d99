/**
 * Whether the name of a key, a variable or a flag says that its value is a secret.
 */
import type { Kind } from "./Kinds.js"

export interface Trait {
  readonly kind: Kind
  /**
   * What the value must look like besides: `any` nothing; `unnamed` not like the name of an object (`tls.secret: my-secret`);
   * `opaque` like random characters; the others like what the key stands for.
   */
  readonly when: "any" | "unnamed" | "opaque" | "registry" | "header" | "cookie" | "encoded"
}

/** `undefined` when the name says nothing of a secret. */
export const trait = (name: string): Trait | undefined => {
  if (name.length > longest) return undefined
  const earlier = judged.get(name)
  if (earlier !== undefined) return earlier ?? undefined
  const found = judge(name)
  // Names are few, but a hostile text may make up as many as it likes.
  if (judged.size >= 10_000) judged.clear()
  judged.set(name, found ?? null)
  return found
}

/** The kind of the value that follows `text` in a list of arguments, when it is a flag that says so. */
export const flagged = (text: string): Kind | undefined => {
  const name = text.length > longest ? undefined : /^--?([A-Za-z][\w.-]*)$/.exec(text)?.[1]
  const found = name === undefined ? undefined : trait(name)
  return found === undefined || found.when === "opaque" || found.when === "encoded" ? undefined : found.kind
}

// -- internals ---------------------------------------------------------------

const longest = 128

const judged = new Map<string, Trait | null>()

const judge = (name: string): Trait | undefined => {
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2").replace(/([A-Z])([A-Z][a-z])/g, "$1 $2")
    .toLowerCase().split(/[^a-z0-9]+/).filter((word) => word !== "")
  const joined = words.join("").replace(/\d+$/, "")
  const last = (words.at(-1) ?? "").replace(/\d+$/, "") || (words.at(-2) ?? "")
  if (joined === "" || harmless.test(joined)) return undefined
  for (const [pattern, found] of ends) if (pattern.test(joined)) return found
  if ((last === "pass" && (words.length > 1 || name === "pass")) || last === "pw") {
    return { kind: "password", when: "any" }
  }
  if (last === "jwt" || last === "otp" || last === "sas") return { kind: "token", when: "opaque" }
  if (!says.test(joined) || descriptive.has(last)) return undefined
  return { kind: joined.includes("key") ? "key" : "token", when: "opaque" }
}

/** Names that end like those of secrets and are none. */
const harmless =
  /^(?:auto)?(?:mount)?serviceaccounttoken$|^tokens$|(?:page|continue|next|sync|resume|stop|eos|bos|pad|unk|mask|cancellation)token$|publickey$|^(?:existing|image|imagepull|pull|tls|dockerconfig|registry)secret$|^(?:no|use|has|forgot|reset|change|allow|show|hide|require|skip|disable|enable|update|generate)(?:password|token|secret|pass)$/

const ends: ReadonlyArray<readonly [RegExp, Trait]> = [
  [/^(?:proxy)?authorization$/, { kind: "authorization", when: "header" }],
  [/^(?:set)?cookie$/, { kind: "cookie", when: "cookie" }],
  [/^auth$/, { kind: "registry-auth", when: "registry" }],
  [/^data$/, { kind: "secret-data", when: "encoded" }],
  [/^dockerconfigjson$|^dockercfg$/, { kind: "registry-auth", when: "any" }],
  [/clientkeydata$|privatekey$|privatekeydata$/, { kind: "private-key", when: "any" }],
  [/certificatedata$|authoritydata$|cabundle$/, { kind: "certificate", when: "opaque" }],
  [
    /(?:password|passwd|passphrase|passcode|pwd|passwordhash|(?:db|user|root|admin|require|ssh|pg|my|redis|master)pass)$/,
    { kind: "password", when: "any" }
  ],
  [/(?:token|tokensecret|sessionid|bearer)$/, { kind: "token", when: "any" }],
  [
    /(?:client|jwt|app|session|shared|webhook|cookie|signing|consumer|token|oauth|hmac|auth|api|django|master|access|encryption|user|bot|totp|csrf)secret$/,
    { kind: "key", when: "any" }
  ],
  [
    /secretkeybase$|(?:secretaccess|signing|encryption|master|account|sharedaccess|shared|auth|storage|hmac|jwt|tsig|license|subscription|crypto|fernet)key$/,
    { kind: "key", when: "any" }
  ],
  [/apikey$|^accesskey$|secretaccesskey$/, { kind: "key", when: "any" }],
  [/secret$|secretkey$|accesskey$|sessionkey$|appkey$|deploykey$/, { kind: "key", when: "unnamed" }],
  [/^(?:sig|signature)$|signature$/, { kind: "token", when: "opaque" }]
]

const says = /secret|token|passw|credential|key|auth|cred$/

/** A key that ends so tells of a secret and does not hold it. */
const descriptive = new Set(
  ("id ids name names ref refs path file files dir url uri hash sha sha1 sha256 digest checksum fingerprint thumbprint version uid type kind " +
    "size length count ttl expiration expiry expires seconds timeout issuer audience endpoint host port mode policy provider class format " +
    "algorithm alg namespace secrets tokens keys").split(" ")
)
