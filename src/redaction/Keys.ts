/**
 * Whether the name of a key, a variable or a flag says that its value is a secret.
 */
import type { Kind } from "./Kinds.js"

export interface Trait {
  readonly kind: Kind
  /**
   * What the value must look like besides: `any` nothing; `unnamed` not like the name of an object (`tls.secret: my-secret`);
   * `opaque` like random characters; `assigned` no name or sentence after a colon (`PASS: one test`); the others like what the key stands for.
   */
  readonly when: "any" | "unnamed" | "opaque" | "assigned" | "registry" | "header" | "cookie" | "encoded"
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
  if (name === "PASS") return { kind: "password", when: "assigned" }
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2").replace(/([A-Z])([A-Z][a-z])/g, "$1 $2")
    .toLowerCase().split(/[^a-z0-9]+/).filter((word) => word !== "")
  // A key of an environment, and no field of an object.
  const shouts = /^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*$/.test(name)
  const found = ofWords(name, words, shouts)
  if (found !== undefined && found.when !== "opaque") return found
  // `DB_PASSWORD_OLD` is as secret as `DB_PASSWORD`.
  let length = words.length
  while (length > 1 && editions.test(words[length - 1] ?? "")) length--
  const edition = length < words.length ? ofWords(name, words.slice(0, length), shouts) : undefined
  return edition ?? within(words, shouts) ?? found
}

/** A secret that is said to be whose, or of what: `BOT_TOKEN_ACME`. */
const within = (words: ReadonlyArray<string>, shouts: boolean): Trait | undefined => {
  const last = (words.at(-1) ?? "").replace(/\d+$/, "")
  if (words.length < 2 || descriptive.has(last) || telling.has(last) || harmless.test(words.join(""))) return undefined
  if (words.some((word) => /^(?:no|use|has|min|max|is|tokens|existing|image|pull)$/.test(word))) return undefined
  const joined = ` ${words.join(" ")} `
  if (/(?:password|passwd|passphrase|passcode) /.test(joined)) {
    return { kind: "password", when: shouts ? "any" : "unnamed" }
  }
  return /(?:secret|token|api ?key|access key|private key|credentials?|creds?) /.test(joined)
    ? { kind: joined.includes("key") ? "key" : "token", when: shouts ? "any" : "opaque" }
    : undefined
}

const ofWords = (name: string, words: ReadonlyArray<string>, shouts: boolean): Trait | undefined => {
  const joined = words.join("").replace(/\d+$/, "")
  const owned = words.length > 1
  const last = (words.at(-1) ?? "").replace(/\d+$/, "") || (words.at(-2) ?? "")
  if (joined === "" || harmless.test(joined)) return undefined
  for (const [pattern, found] of ends) if (pattern.test(joined)) return found
  if ((last === "pass" && (owned || name === "pass")) || last === "pw") return { kind: "password", when: "any" }
  if ((last === "pat" && owned) || last === "psk") return { kind: last === "psk" ? "key" : "token", when: "any" }
  if (/^(?:basic|redis|proxy|registry|mongo)auth$/.test(words.slice(-2).join(""))) {
    return { kind: "password", when: shouts ? "any" : "unnamed" }
  }
  if (/^(?:creds?|credentials?|salt)$/.test(last) || (shouts && owned && last === "cookie")) {
    return { kind: last === "salt" ? "key" : "password", when: shouts ? "any" : "unnamed" }
  }
  if (shouts && last === "key" && owned) {
    return { kind: "key", when: vendors.has(words.at(-2) ?? "") ? "any" : "unnamed" }
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
  [/(?:erlang|rabbitmq|magic|auth)cookie$/, { kind: "token", when: "any" }],
  [/^auth$/, { kind: "registry-auth", when: "registry" }],
  [/^data$/, { kind: "secret-data", when: "encoded" }],
  [/^dockerconfigjson$|^dockercfg$/, { kind: "registry-auth", when: "any" }],
  [/clientkeydata$|privatekey$|privatekeydata$/, { kind: "private-key", when: "any" }],
  [/certificatedata$|authoritydata$|cabundle$/, { kind: "certificate", when: "opaque" }],
  [
    /(?:password|passwort|kennwort|wachtwoord|passwd|passphrase|passcode|pwd|passwordhash|(?:db|user|root|admin|require|ssh|pg|my|redis|master)pass)$/,
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

/** Which one of several secrets it is. */
const editions =
  /^(?:prod|production|stag(?:e|ing)|dev|devel|development|test|testing|qa|uat|preprod|live|sandbox|local|old|new|next|prev|previous|current|default|main|primary|secondary|first|second|master|replica|backup|v?\d+|[ab])$/

/** Whose keys are secrets. */
const vendors = new Set(
  ("stripe sendgrid mailgun mailchimp postmark openai anthropic gemini groq mistral cohere azure aws gcp google github gitlab twilio " +
    "datadog dd newrelic sentry algolia mapbox maps firebase cloudflare heroku slack discord telegram paypal braintree square shopify segment " +
    "mixpanel amplitude pusher honeycomb grafana npm nuget huggingface hf pinecone replicate deepl supabase admin root ssh service")
    .split(" ")
)

/** A key that ends so says something of a secret, or names a thing that has to do with secrets; only what is opaque is one. */
const telling = new Set(
  ("key header prefix suffix field param parameter label scope scopes role group user username owner domain realm region bucket method " +
    "strategy rotation interval period duration limit quota usage rate level age min max complexity required enabled disabled allowed valid " +
    "validation check reset change changed created updated at on by date time timestamp status state reason message error hint help " +
    "description title text link page template env var variable cleaner rotator service server client controller manager backend engine " +
    "store source volume mount mounts injection injector webhook driver request requests review reviews response issuer encoding cost rounds " +
    "iterations bits bytes cache storage host hostname port addr address ip tcp udp proto protocol location index column input output " +
    "generator generation exchange handler parser validator verifier operator agent sidecar proxy sync cookie secure samesite resource " +
    "resources selector list map set exists found missing needed optional auth authentication authorization policies rule rules config " +
    "malformed untrusted trusted revoked invalid verified rejected denied rotated renewed issued refreshed mismatch " +
    "configuration settings options option lifetime expire expired expires window leeway skew manually automatically")
    .split(" ")
)

/** A key that ends so tells of a secret and does not hold it. */
const descriptive = new Set(
  ("id ids name names ref refs path file files dir url uri hash sha sha1 sha256 digest checksum fingerprint thumbprint version uid type kind " +
    "size length count ttl expiration expiry expires seconds timeout issuer audience endpoint host port mode policy provider class format " +
    "algorithm alg namespace secrets tokens keys").split(" ")
)
