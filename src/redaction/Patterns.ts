/**
 * Secrets that their own shape tells of, wherever they stand in a line.
 *
 * Every expression begins at a place that few characters have, and repeats no
 * two things after each other that match the same: no text takes them long.
 */
import { decodedText } from "./Encoded.js"
import type { Kind } from "./Kinds.js"
import * as Placeholder from "./Placeholder.js"
import { isEncodedSecret, isOpaque, isSecret } from "./Values.js"

/** Calls `see` for each in `text`. */
export const each = (text: string, see: (start: number, end: number, kind: Kind) => void): void => {
  if (text.includes("@")) connections(text, see)
  if (!worth.test(text)) return
  for (const [kind, pattern, accept] of shapes) {
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

// -- internals ---------------------------------------------------------------

/** Whether a line has anything that is worth a closer look: most have not. */
const worth =
  /[A-Za-z0-9+/_-]{6}[.:=][A-Za-z0-9+/_-]{3}|[A-Za-z0-9+/_.-]{16}|\s-[apu]|\$[0-9a-z]{1,4}\$|passw|^\s*[A-Za-z0-9+/]{6,}=+\s*$|^\s*[A-Za-z0-9+/]{12,}\s*$|identified by|bearer|basic|requirepass/i

type Accept = (secret: string, text: string) => boolean

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
  "AccountKey=[A-Za-z0-9+/=]{20,}"
].join("|")

const shapes: ReadonlyArray<readonly [Kind, RegExp, Accept?]> = [
  ["provider-key", new RegExp(`(?<![A-Za-z0-9_])(?:${provider})`, "g")],
  ["provider-key", /hooks\.slack\.com\/(?:services|workflows)\/([A-Za-z0-9/_-]{16,})/g],
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
  ["password", /(?:password|identified by|requirepass|masterauth)[ \t]{1,8}'([^'\s]{1,512})(?=')/gi],
  ["password", /(?<![\w-])(?:requirepass|masterauth)[ \t]{1,8}([^\s'"]{1,512})/g],
  ["password", /(?<![\w-])login[ \t]{1,8}[^\s]{1,256}[ \t]{1,8}password[ \t]{1,8}([^\s]{1,512})/g],
  [
    "password",
    /(?<![\w-])(?:password|passphrase|passwd)[ \t]{1,4}(?:(?:is|was|to)[ \t]{1,4})?["'`]?([^\s"'`]{5,511}[^\s"'`,.;:?])/gi,
    (secret) =>
      isSecret(secret, { kind: "password", when: "any" }, spoken) && /\d/.test(secret) && /[A-Za-z]/.test(secret)
  ],
  [
    "password",
    /(?<![\w-])(?:curl|wget|http)(?=[ \t]).{0,512}?[ \t](?:-u|--user)[ =]{0,4}["']?[^\s:"']{1,128}:([^\s"']{1,512})/g,
    notReference
  ],
  [
    "password",
    /(?<![\w-])(?:mysql|mysqldump|mysqladmin|mariadb)(?=[ \t]).{0,256}?[ \t]-p["']?([^\s"']{1,512})/g,
    notReference
  ],
  ["password", /(?<![\w-])sshpass[ \t]{1,4}-p[ \t]?["']?([^\s"']{1,512})/g, notReference],
  ["password", /(?<![\w-])redis-cli(?=[ \t]).{0,256}?[ \t]-a[ \t]{1,4}["']?([^\s"']{1,512})/g, notReference],
  [
    "secret-data",
    /--from-literal[= ]["']?[\w.-]{1,253}=([^\s"']{1,4096})/g,
    (secret, text) => /create\s+secret/.test(text) && notReference(secret)
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

function notReference(secret: string): boolean {
  return isSecret(secret, { kind: "password", when: "any" }, { ...spoken, after: "=" })
}

const spoken = { after: ":", quoted: true, leads: false, apart: true, last: false } as const

/** `scheme://user:password@host`, and `user:password@tcp(host)` as Go's MySQL has it. */
const connections = (text: string, see: (start: number, end: number, kind: Kind) => void): void => {
  /** The place up to which the characters are known to be of one word. */
  let word = 0
  for (let at = text.indexOf("://"); at >= 0; at = text.indexOf("://", at + 3)) {
    const start = at + 3
    if (word < start) word = start + endOfWord(text.slice(start))
    const host = lastAt(text, start, word)
    if (host < 0) continue
    const colon = text.indexOf(":", start)
    if (colon >= 0 && colon < host) {
      if (host > colon + 1 && !isReference(text.slice(colon + 1, host))) see(colon + 1, host, "connection-password")
    } else if (host - start >= 16 && /\d/.test(text.slice(start, host))) {
      see(start, host, "connection-password")
    }
    at = Math.max(at, host - 3)
  }
  for (const match of text.matchAll(/@(?:tcp|unix)\(/g)) {
    let start = match.index
    while (start > 0 && start > match.index - 512 && !ends.includes(text.charAt(start - 1))) start--
    const colon = text.indexOf(":", start)
    if (colon >= 0 && colon + 1 < match.index && !isReference(text.slice(colon + 1, match.index))) {
      see(colon + 1, match.index, "connection-password")
    }
  }
}

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
