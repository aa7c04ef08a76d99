/**
 * Reads the files that people and deployments name: configuration, keys, secrets, tokens, certificates.
 *
 * Only a regular file is read: a FIFO or a device could block the start or fill the memory. It is read up to a bound, and
 * is UTF-8; a byte order mark is dropped. A link whose target does not exist is a failure of its own kind, because a
 * missing file often means "none", and a dangling link does not.
 */
import { type PlatformError, SystemError, type SystemErrorReason } from "@effect/platform/Error"
import { Effect } from "effect"
import { isUtf8 } from "node:buffer"
import { constants, promises as Fs, type Stats } from "node:fs"
import * as NodePath from "node:path"

/** Bounds in bytes, by what a file holds. */
export const maxBytes = {
  config: 1024 * 1024,
  secret: 16 * 1024,
  token: 64 * 1024,
  /** One certificate, a bundle of all public CAs, a set of keys. */
  keys: 4 * 1024 * 1024,
  /** Of lines that the program has written itself. */
  log: 256 * 1024 * 1024
} as const

/** The whole file as text. */
export const text = (path: string, bound: number): Effect.Effect<string, PlatformError> =>
  Effect.flatMap(
    Effect.tryPromise({
      try: () => read(path, bound).catch((thrown: unknown) => explain(path, thrown)),
      catch: (thrown) => failure(path, thrown)
    }),
    (bytes) => decode(path, bytes)
  )

/** One line of text, such as a key or a password, without the line ends around it. */
export const secret = (path: string): Effect.Effect<string, PlatformError> =>
  Effect.flatMap(text(path, maxBytes.secret), (content): Effect.Effect<string, PlatformError> => {
    const line = withoutLineEnds(content)
    const fault = controlIn(line)
    return fault === undefined
      ? Effect.succeed(line)
      : unfit(path, "InvalidData", `${fault}; it must hold one line of text`)
  })

/** Editors and `echo` end a file with a line end that is no part of the secret. */
export const withoutLineEnds = (secret: string): string => secret.replace(/^[\r\n]+/, "").replace(/[\r\n]+$/, "")

/** Names the first control character of a secret, without what is around it. */
export const controlIn = (secret: string): string | undefined => {
  const at = secret.search(/\p{Cc}/u)
  if (at < 0) return undefined
  const code = secret.charCodeAt(at)
  const what = code === 10 || code === 13
    ? "a line end"
    : code === 0
    ? "a NUL byte"
    : `a control character (U+${code.toString(16).toUpperCase().padStart(4, "0")})`
  return `holds ${what} after ${at} ${at === 1 ? "character" : "characters"}`
}

export const isMissing = (error: PlatformError): boolean => error._tag === "SystemError" && error.reason === "NotFound"

/** What is wrong with the file, to follow its name in a sentence: `does not exist`, `cannot be read: it is a FIFO …`. */
export const problem = (error: PlatformError): string =>
  isMissing(error)
    ? "does not exist"
    : error._tag === "SystemError" && error.method === method && error.description !== undefined
    ? error.description
    : `cannot be read (${error._tag === "SystemError" ? error.reason : error._tag})`

// -- internals ---------------------------------------------------------------

const method = "ReadFile"

/** Without O_NONBLOCK, opening a FIFO that took the file's place since waits for a writer. */
const flags = constants.O_RDONLY | constants.O_NONBLOCK

const read = async (path: string, bound: number): Promise<Buffer> => {
  check(await Fs.stat(path), bound)
  const file = await Fs.open(path, flags)
  try {
    check(await file.stat(), bound)
    // Counted, because a file may grow, and those of /proc have no size.
    const chunks: Array<Buffer> = []
    let size = 0
    for (;;) {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.min(65_536, bound + 1)))
      if (bytesRead === 0) return Buffer.concat(chunks)
      size += bytesRead
      if (size > bound) throw new Unfit(tooLarge(bound))
      chunks.push(buffer.subarray(0, bytesRead))
    }
  } finally {
    await file.close()
  }
}

class Unfit extends Error {}

const check = (stats: Stats, bound: number): void => {
  if (!stats.isFile()) throw new Unfit(`cannot be read: it is ${kindOf(stats)}, not a regular file`)
  if (stats.size > bound) throw new Unfit(tooLarge(bound))
}

const tooLarge = (bound: number) => `is larger than ${bound} bytes`

const kindOf = (stats: Stats): string =>
  stats.isDirectory() ? "a directory" : stats.isFIFO() ? "a FIFO (pipe)" : stats.isSocket() ? "a socket" : "a device"

/** A file that is missing because of a link is not simply missing. */
const explain = async (path: string, thrown: unknown): Promise<never> => {
  if (codeOf(thrown) !== "ENOENT") throw thrown
  for (let at = NodePath.resolve(path);; at = NodePath.dirname(at)) {
    const stats = await Fs.lstat(at).catch(() => undefined)
    if (stats?.isSymbolicLink() === true) {
      throw new Unfit(
        at === NodePath.resolve(path)
          ? `is a link to ${await Fs.readlink(at)}, which does not exist`
          : `cannot be read: ${at} is a link to ${await Fs.readlink(at)}, which does not exist`
      )
    }
    if (stats !== undefined || at === NodePath.dirname(at)) throw thrown
  }
}

const codeOf = (thrown: unknown): string =>
  thrown instanceof Error && "code" in thrown && typeof thrown.code === "string" ? thrown.code : ""

const failure = (path: string, thrown: unknown): PlatformError => {
  if (thrown instanceof Unfit) return unfit(path, "BadResource", thrown.message)
  const code = codeOf(thrown)
  const [reason, description] = codes[code] ?? ["Unknown", `cannot be read (${code === "" ? String(thrown) : code})`]
  return unfit(path, reason, description)
}

const codes: { readonly [code: string]: readonly [SystemErrorReason, string] } = {
  ENOENT: ["NotFound", "does not exist"],
  EACCES: ["PermissionDenied", "cannot be read by this user"],
  EPERM: ["PermissionDenied", "cannot be read by this user"],
  ENOTDIR: ["BadResource", "cannot be read: a part of its path is not a directory"],
  ELOOP: ["BadResource", "cannot be read: its links lead in a circle"]
}

const unfit = (path: string, reason: SystemErrorReason, description: string): PlatformError =>
  new SystemError({ reason, module: "FileSystem", method, pathOrDescriptor: path, description })

/** Not Node's own decoding, which puts U+FFFD where a byte is wrong. */
const decode = (path: string, bytes: Buffer): Effect.Effect<string, PlatformError> => {
  if (isUtf8(bytes)) return Effect.succeed(bytes.toString("utf8").replace(/^\uFEFF/, ""))
  const mark = bytes.subarray(0, 2).toString("hex")
  const hint = mark === "fffe" || mark === "feff" ? " (it seems to be UTF-16)" : ""
  return unfit(path, "InvalidData", `is not valid UTF-8: byte ${invalidAt(bytes)} is wrong${hint}; save it as UTF-8`)
}

/** How many valid bytes come before the first one that is not. */
const invalidAt = (bytes: Buffer): number => {
  const text = bytes.toString("utf8")
  let [from, before] = [0, 0]
  for (let at = text.indexOf(replacement); at >= 0; at = text.indexOf(replacement, from)) {
    before += Buffer.byteLength(text.slice(from, at))
    // The file may hold the character itself.
    if (bytes.toString("latin1", before, before + 3) !== "\u00ef\u00bf\u00bd") return before
    before += 3
    from = at + 1
  }
  return bytes.length
}

/** What Node puts in place of bytes that are not UTF-8. */
const replacement = "\ufffd"
