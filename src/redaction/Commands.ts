/**
 * Secrets in commands, in sentences of logs and of people, and in the words of a request.
 *
 * As for all shapes: every repetition has a limit, or ends where the next begins.
 */
import type { Kind } from "./Kinds.js"
import { isSecret } from "./Values.js"

/** The secret is the first group, which ends the match; whether it is accepted. */
export type Shape = readonly [Kind, RegExp, ((secret: string, text: string) => boolean)?]

const spoken = { after: ":", quoted: true, leads: false, apart: true, last: false } as const

/** Something of its own, and not a word of the sentence, a mask, or a reference. */
export const isValue = (secret: string): boolean =>
  isSecret(secret, { kind: "password", when: "any" }, { ...spoken, after: "=" })

const isMixed = (secret: string): boolean =>
  isSecret(secret, { kind: "password", when: "any" }, spoken) && /\d/.test(secret) && /[A-Za-z]/.test(secret)

/** A line with none of these has no such secret. */
export const worth = /\s-[apu]|passw|passphrase|identified by|requirepass|masterauth|unseal key|recovery key/i

export const commands: ReadonlyArray<Shape> = [
  ["password", /(?:password|identified by|requirepass|masterauth)[ \t]{1,8}'([^'\s]{1,512})(?=')/gi],
  ["password", /(?<![\w-])(?:requirepass|masterauth)[ \t]{1,8}([^\s'"]{1,512})/g],
  ["password", /(?<![\w-])login[ \t]{1,8}[^\s]{1,256}[ \t]{1,8}password[ \t]{1,8}([^\s]{1,512})/g],
  [
    "password",
    /(?<![\w-])(?:password|passphrase|passwd)[ \t]{1,4}(?:(?:is|was|to)[ \t]{1,4})?["'`]?([^\s"'`]{5,511}[^\s"'`,.;:?])/gi,
    isMixed
  ],
  [
    "password",
    /(?<![\w-])(?:password|passphrase|passwd)[ \t]{1,4}(?:is|was|has been set to|set to)[ \t]{0,4}:[ \t]{1,8}["'`]?([^\s"'`]{1,512})/gi,
    isValue
  ],
  ["password", /password[ \t](?:is|was|has been)[ \t]generated for[ \t][^\s:]{1,256}:[ \t]{1,8}([^\s]{1,512})/gi],
  [
    "password",
    /(?<![\w-])(?:curl|wget|http)(?=[ \t]).{0,512}?[ \t](?:-u|--user)[ =]{0,4}["']?[^\s:"']{1,128}:([^\s"']{1,512})/g,
    isValue
  ],
  [
    "password",
    /(?<![\w-])(?:mysql|mysqldump|mysqladmin|mariadb)(?=[ \t]).{0,256}?[ \t]-p["']?([^\s"']{1,512})/g,
    isValue
  ],
  [
    "password",
    /(?<![\w-])(?:mongo|mongosh|mongodump|mongorestore|mongoexport|mongoimport|sshpass)(?=[ \t]).{0,256}?[ \t]-p[ \t]{0,4}["']?([^\s"']{1,512})/g,
    isValue
  ],
  [
    "password",
    /(?<![\w-])(?:docker|podman|nerdctl|buildah|skopeo|crane|oras|oc|registry|acr)[ \t]{1,4}login(?=[ \t]).{0,256}?[ \t]-p[ \t]{0,4}["']?([^\s"']{1,512})/g,
    isValue
  ],
  ["password", /(?<![\w-])redis-cli(?=[ \t]).{0,256}?[ \t]-a[ \t]{1,4}["']?([^\s"']{1,512})/g, isValue],
  ["key", /(?:unseal|recovery) key \d{1,3}(?: \([\w .-]{1,32}\))?:[ \t]{1,8}([^\s]{8,512})/gi]
]

/** What a person says who asks for something. In logs, too many other things are said so. */
export const words: ReadonlyArray<Shape> = [
  [
    "key",
    /(?<![\w-])(?:api[ -]?key|access[ -]?key|secret[ -]?key|token|secret|credential)[ \t]{1,4}(?:(?:is|to|of|as|=|should be|must be|will be)[ \t]{1,4})?["'`]?([^\s"'`]{5,511}[^\s"'`,.;:?!])/gi,
    (secret) => isMixed(secret) && !/^[a-z]+(?:-[a-z0-9]+)*$|[/:]/.test(secret)
  ],
  [
    "password",
    /(?<![\w-])(?:password|passphrase|passwd|passwort|kennwort)[ \t]{1,4}(?:should be|must be|will be|shall be|is|to|as|of|ist|lautet|auf)[ \t]{0,4}:?[ \t]{0,4}["'`]([^"'`]{1,512})(?=["'`])/gi,
    isValue
  ],
  [
    "password",
    /(?<![\w-])(?:password|passphrase|passwd|passwort|kennwort)[ \t]{1,4}(?:should be|must be|will be|shall be|ist|lautet|auf)[ \t]{1,4}([^\s"'`]{3,511}[^\s"'`,.;:?!])/gi,
    isMixed
  ],
  [
    "password",
    /(?<![\w-])(?:log[ -]?in|sign[ -]?in|authenticate|connect)[ \t]{1,4}(?:with|as|using)[ \t]{1,4}[^\s/:,]{1,64}[ \t]{0,4}[/:][ \t]{0,4}([^\s"'`]{1,511}[^\s"'`,.;:?!])/gi,
    (secret) => isValue(secret) && !secret.includes("/")
  ]
]
