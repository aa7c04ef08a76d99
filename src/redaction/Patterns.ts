/**
 * Secrets that their own shape tells of, wherever they stand in a line.
 *
 * Every expression begins at a place that few characters have, and repeats no
 * two things after each other that match the same: no text takes them long.
 */
import * as Commands from "./Commands.js"
import { decodedText } from "./Encoded.js"
import type { Kind, Reading } from "./Kinds.js"
import * as Placeholder from "./Placeholder.js"
import { isEncodedSecret, isOpaque } from "./Values.js"

/** Calls `see` for each in `text`. */
export const each = (text: string, reading: Reading, see: See): void => {
  if (text.includes("@")) connections(text, see)
  if (worth.test(text)) all(shapes, text, see)
  if (Commands.worth.test(text)) all(Commands.commands, text, see)
  if (reading === "request") all(Commands.words, text, see)
}

// -- internals ---------------------------------------------------------------

type See = (start: number, end: number, kind: Kind) => void

const all = (some: ReadonlyArray<Commands.Shape>, text: string, see: See): void => {
  for (const [kind, pattern, accept] of some) {
    // `matchAll` would make a copy of each expression for each line.
    pattern.lastIndex = 0
    for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
      const secret = match[1] ?? match[0]
      if (Placeholder.is(secret) || (accept !== undefined && !accept(secret, text))) continue
      const start = match.index + match[0].length - secret.length
      see(start, start + secret.length, kind)
    }
  }
}

/** Whether a line has anything that is worth a closer look: most have not. */
const worth =
  /[A-Za-z0-9+/_-]{6}[.:=][A-Za-z0-9+/_-]{3}|[A-Za-z0-9+/_.-]{16}|\$[0-9a-z]{1,4}\$|^\s*[A-Za-z0-9+/]{6,}=+\s*$|^\s*[A-Za-z0-9+/]{12,}\s*$|bearer|basic|^\s*\S{1,253}:(?:\d{4,5}|\*):/i

const provider = [
  "(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA|ANVA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])",
  "gh[pousr]_[A-Za-z0-9]{20,}",
  "github_pat_[A-Za-z0-9_]{20,}",
  "gl(?:pat|dt|rt|ptt|soat|ft|agent|cbt|imt|ffct)-[A-Za-z0-9_.-]{16,}",
  "xox[abcdeoprs]-[A-Za-z0-9-]{8,}",
  "xapp-\\d-[A-Za-z0-9-]{10,}",
  "(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{8,}",
  "whsec_[A-Za-z0-9+/=]{16,}",
  "sk-(?:ant|proj|svcacct|admin|or|lf|None)-[A-Za-z0-9_-]{8,}",
  "sk-[A-Za-z0-9]{20,}",
  "(?:npm|hf|r8|gsk|nvapi|lin_api|glsa|glc|shpat|shpss|shpca|dapi|fw|pplx|xai|tvly|fc)[_-][A-Za-z0-9_-]{20,}(?<=\\d[A-Za-z0-9_-]*)",
  "dapi[0-9a-f]{32}",
  "AIza[A-Za-z0-9_-]{30,}",
  "ya29\\.[A-Za-z0-9_-]{20,}",
  "GOCSPX-[A-Za-z0-9_-]{20,}",
  "do[opr]_v1_[a-f0-9]{32,}",
  "SG\\.[A-Za-z0-9_-]{16,}\\.[A-Za-z0-9_-]{16,}",
  "SK[0-9a-f]{32}(?![0-9a-z])",
  "key-[0-9a-f]{32}(?![0-9a-z])",
  "xkeysib-[0-9a-f]{32,}[A-Za-z0-9-]*",
  "pypi-[A-Za-z0-9_-]{32,}",
  "hv[sbr]\\.[A-Za-z0-9_-]{20,}",
  "dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}",
  "tskey-[a-z]+-[A-Za-z0-9-]{16,}",
  "AGE-SECRET-KEY-1[A-Z0-9]{20,}",
  "sq0(?:csp|atp)-[A-Za-z0-9_-]{20,}",
  "ATATT3[A-Za-z0-9_=-]{20,}",
  "AccountKey=[A-Za-z0-9+/=]{20,}",
  "sha256~[A-Za-z0-9_-]{20,}"
].join("|")

const shapes: ReadonlyArray<Commands.Shape> = [
  ["provider-key", new RegExp(`(?<![A-Za-z0-9_])(?:${provider})`, "g")],
  ["provider-key", /hooks\.slack\.com\/(?:services|workflows)\/([A-Za-z0-9/_-]{16,})/g],
  ["provider-key", /discord(?:app)?\.com\/api\/(?:v\d{1,2}\/)?webhooks\/(\d{1,24}\/[A-Za-z0-9_-]{20,})/g],
  ["provider-key", /\.office\.com\/(?:webhook|webhookb2|IncomingWebhook)\/([A-Za-z0-9@/_-]{16,})/g],
  ["provider-key", /(?<![A-Za-z0-9_-])(?:bot)?(\d{8,10}:[A-Za-z0-9_-]{35})(?![A-Za-z0-9_-])/g],
  ["token", /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{2,}(?:\.[A-Za-z0-9_-]*)*/g],
  ["token", /(?<![A-Za-z0-9_-])eyJ(?:hbGciOi|0eXAiOi|raWQiOi)[A-Za-z0-9_-]{10,}/g],
  ["registry-auth", /(?<![A-Za-z0-9+/])eyJhdXRocyI6[A-Za-z0-9+/]{8,}={0,2}/g],
  [
    "token",
    /(?<![A-Za-z0-9_.-])[a-z0-9]{6}\.[a-z0-9]{16}(?![A-Za-z0-9_.-])/g,
    (secret, text) =>
      /token|kubeadm|bootstrap/i.test(text) ||
      (text.trimStart().startsWith(secret) && /\d/.test(secret.slice(7)) && /[a-z]/.test(secret.slice(7)))
  ],
  [
    "authorization",
    /(?<![A-Za-z0-9_-])[Bb](?:earer|EARER)[ \t]{1,8}([A-Za-z0-9._~+/-]{16,}={0,2})/g,
    (secret) => /\d/.test(secret) || /^[A-Za-z]{20,}$/.test(secret) || /[a-z][A-Z].*[a-z][A-Z]|[A-Z]{6}/.test(secret)
  ],
  [
    "authorization",
    /(?<![A-Za-z0-9_-])[Bb](?:asic|ASIC)[ \t]{1,8}([A-Za-z0-9+/]{8,}={0,2})/g,
    (secret) => isOpaque(secret) || (decodedText(secret)?.includes(":") ?? false)
  ],
  ["password", /(?<![A-Za-z0-9_$])\$(?:2[abxy]|apr1|argon2id?|scrypt|pbkdf2-sha\d+|1|5|6|y)\$[./A-Za-z0-9$=,+]{16,}/g],
  ["password", /\{S?SHA(?:256|512)?\}[A-Za-z0-9+/]{20,}={0,2}/g],
  // A line of .pgpass.
  [
    "password",
    /^\s*(?:[A-Za-z][\w.-]{0,252}|\d{1,3}(?:\.\d{1,3}){3}|\*):(?:\d{4,5}|\*):(?:[A-Za-z_][\w-]{0,62}|\*):(?:[A-Za-z_][\w.-]{0,62}|\*):([^\s]{1,512})(?=\s*$)/g,
    (_, text) =>
      !/^\s*[\w.-]+\.(?:[jt]sx?|py|go|rs|java|kt|rb|c|cc|cpp|h|cs|php|sh|ya?ml|json|tf|md|txt|log):/.test(text)
  ],
  [
    "secret-data",
    /--from-literal[= ]["']?[\w.-]{1,253}=([^\s"']{1,4096})/g,
    (secret, text) => /create\s+secret/.test(text) && Commands.isValue(secret)
  ],
  ["token", /[?&](?:sig|signature|X-Amz-Signature|X-Goog-Signature|code)=([A-Za-z0-9%+/=_-]{20,})/gi],
  [
    "secret-data",
    /^\s*([A-Za-z0-9+/]{6,}={0,2})\s*$/g,
    (secret, text) => text.length < 4096 && isEncodedSecret(secret) && (/=$/.test(secret) || isPlain(secret))
  ]
]

/** Without padding, a word may be Base64 by chance: then it seldom says only letters, digits and signs of ASCII. */
function isPlain(encoded: string): boolean {
  return encoded.length <= 256 && /^[!-~]+$/.test(decodedText(encoded) ?? "")
}

/** `scheme://user:password@host`, and `user:password@tcp(host)` as Go's MySQL has it. */
const connections = (text: string, see: See): void => {
  /** The place up to which the characters are known to be of one word. */
  let word = 0
  for (let at = text.indexOf("://"); at >= 0; at = text.indexOf("://", at + 3)) {
    const start = at + 3
    if (word < start) word = start + endOfWord(text.slice(start))
    let host = lastAt(text, start, word)
    if (host < 0) {
      // A password may have a quote in it, or a bracket.
      signs.lastIndex = start
      const found = signs.exec(text)
      if (found === null) continue
      host = start + found[0].length
    }
    if (/^\{\{redacted:[^}]*\}\}:?$/.test(text.slice(start, host))) continue
    const colon = text.indexOf(":", start)
    if (colon >= 0 && colon < host) {
      if (host > colon + 1 && !isReference(text.slice(colon + 1, host))) see(colon + 1, host, "connection-password")
      // `https://token:@host`
      else if (host === colon + 1 && isToken(text.slice(start, colon))) see(start, colon, "connection-password")
    } else if (
      isToken(text.slice(start, host)) ||
      isRedis(text, start, host)
    ) {
      see(start, host, "connection-password")
    }
    at = Math.max(at, host - 3)
  }
  let before = 0
  for (const match of text.matchAll(/@(?:tcp|unix)\(/g)) {
    let start = match.index
    while (start > before && start > match.index - 512 && !ends.includes(text.charAt(start - 1))) start--
    before = match.index + match[0].length
    const colon = text.indexOf(":", start)
    if (colon >= 0 && colon + 1 < match.index && !isReference(text.slice(colon + 1, match.index))) {
      see(colon + 1, match.index, "connection-password")
    }
  }
  for (const pattern of schemeless) {
    pattern.lastIndex = 0
    for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
      const secret = match[1] ?? ""
      const start = match.index + match[0].length - secret.length
      if (!isReference(secret)) see(start, start + secret.length, "connection-password")
    }
  }
}

/** `user:password@host:5432` or `user:password@db.example/x`, where the host's shape makes it clear; and Oracle's. */
const schemeless = [
  /(?<![\w.:/@-])(?!(?:mailto|sips?|xmpp|acct|git|https?):)[A-Za-z_][\w.-]{0,63}:([^\s:@/"'<>`]{3,128})(?=@(?!sha\d)(?:[A-Za-z0-9][\w-]{0,62}(?:\.[\w-]{1,63}){0,8}:\d{2,5}(?![\w.])|[A-Za-z0-9][\w-]{0,62}(?:\.[\w-]{1,63}){1,8}\/))/g,
  /jdbc:oracle:\w{1,16}:[^\s/:@]{1,128}\/([^\s@]{1,256})(?=@)/g
]

/** The userinfo of an address, with a quote or bracket in the password: `user:p'w@host`. */
const signs = /[^\s:/"'<>`@]{0,128}:(?!\d{1,5}["'`<>/\\])[^\s"/@]{1,256}(?=@[A-Za-z0-9])/y

/** Where Redis has no users, what looks like the name of one is the password. */
const isRedis = (text: string, start: number, host: number): boolean =>
  /rediss?:\/\/$/.test(text.slice(Math.max(0, start - 9), start)) &&
  !/^default$/.test(text.slice(start, host)) && !isReference(text.slice(start, host))

/** No name of a user. */
const isToken = (user: string): boolean =>
  !isReference(user) && /\d/.test(user) &&
  (user.length >= 16 || (user.length >= 8 && /[A-Za-z]\d+[A-Za-z]|\d[A-Za-z]+\d/.test(user)))

/**
 * The `@` before the host: the last one of the authority. A password may have a slash in it, or more than one `@`;
 * of the web's addresses it has none, as they have `@` in their paths.
 */
const lastAt = (text: string, start: number, end: number): number => {
  let first = text.indexOf("@", start)
  if (first < 0 || first >= end) return -1
  let slash = start
  while (slash < end && !/[/?#,]/.test(text.charAt(slash))) slash++
  const within = text.lastIndexOf("@", slash - 1)
  const web = /https?:\/\/$/.test(text.slice(Math.max(0, start - 8), start))
  if (web && within >= start) return within
  const authority = text.slice(start, slash)
  if (!/^[^:]*:(?!\d{1,5}$)./.test(authority)) return within >= start ? within : -1
  if (web) return first
  const parameters = text.indexOf("?", first)
  const limit = Math.min(parameters < 0 ? end : parameters, end)
  for (let next = text.indexOf("@", first + 1); next >= 0 && next < limit; next = text.indexOf("@", next + 1)) {
    if (text.slice(first, next).includes("://")) break
    first = next
  }
  return first
}

const ends = " \t\r\"'=`"

const isReference = (password: string): boolean =>
  Placeholder.is(password) ||
  /^(?:\$\{[^}]*\}|\$\([^)]*\)|\$[A-Z_]+|<[^>]*>|%[sv]|[*xX]+|REDACTED|\{\{.*\}\})$/.test(password)

const endOfWord = (text: string): number => {
  const at = text.search(/[\s"'`<>\\]/)
  return at < 0 ? text.length : at
}
