/**
 * Secrets whose name is a value of its own, in one line: Go's print of a map or
 * a struct, XML attributes, and two columns. (YAML and JSON are not among them.)
 */
import { trait } from "./Keys.js"
import type { Kind } from "./Kinds.js"
import { isSecret } from "./Values.js"

/** Calls `see` for each in `text`, which begins its line when `first`. */
export const each = (text: string, first: boolean, see: (start: number, end: number, kind: Kind) => void): void => {
  if (text.includes("alue:")) printed(text, see)
  if (text.includes("alue=")) attributes(text, see)
  if (first) columns(text, see)
}

// -- internals ---------------------------------------------------------------

type See = (start: number, end: number, kind: Kind) => void

const place = { after: "name", quoted: true, leads: true, apart: true, last: true } as const

const take = (name: string, text: string, start: number, end: number, see: See): void => {
  const found = trait(name)
  if (found !== undefined && isSecret(text.slice(start, end), found, place)) see(start, end, found.kind)
}

/** `map[name:DB_PASSWORD value:x]`, `{Name:DB_PASSWORD Value:x ValueFrom:nil}` */
const printed = (text: string, see: See): void => {
  pair.lastIndex = 0
  for (let match = pair.exec(text); match !== null; match = pair.exec(text)) {
    const start = pair.lastIndex
    closes.lastIndex = start
    const end = closes.exec(text)?.index ?? text.length
    take(match[1] ?? "", text, start, end, see)
    pair.lastIndex = end
  }
}

const pair = /(?<![\w-])[nN]ame:([\w.-]{1,128}) [vV]alue:/g

const closes = /\](?=[\s\]),;"'}]|$)|\}(?=[\s\]),;"'}]|$)| [vV]alueFrom:/g

/** `key="DbPassword" value="x"` */
const attributes = (text: string, see: See): void => {
  attribute.lastIndex = 0
  for (let match = attribute.exec(text); match !== null; match = attribute.exec(text)) {
    const quote = match[3] ?? ""
    const start = attribute.lastIndex
    const end = text.indexOf(quote, start)
    const stop = end < 0 ? text.length : end
    take(match[2] ?? "", text, start, stop, see)
    attribute.lastIndex = stop
  }
}

const attribute = /(?<![\w-])(?:key|Key|name|Name)=(\\{0,3}["'])([\w.:-]{1,128})\1\s{1,8}[vV]alue=(\\{0,3}["'])/g

/** `DB_PASSWORD   x`, as templates print a name and its value. */
const columns = (text: string, see: See): void => {
  const match = column.exec(text)
  const name = match?.[1] ?? ""
  if (match === null || (!name.includes("_") && !alone.test(name))) return
  const found = trait(name)
  const start = match[0].length
  const value = text.slice(start).split(/\t| {2}/, 1)[0]?.trimEnd() ?? ""
  // Of a table these are the headings.
  if (found === undefined || found.when === "opaque" || /^[A-Z][A-Z -]*$/.test(text.slice(start).trim())) return
  // A sentence goes on after the name of a variable, too.
  if (/^[a-z]+(?: [^ ]+){3}/.test(value)) return
  if (isSecret(value, found, { ...place, after: ":" })) see(start, start + value.length, found.kind)
}

const column = /^\s{0,64}([A-Z][A-Z0-9_]{2,127})[ \t]{1,256}(?=[^\s=:])/

const alone = /^(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|APIKEY)$/
