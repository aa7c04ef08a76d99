/**
 * The URL of a proxy: `vibectl-server://[token@]host[:port]` is TLS,
 * `vibectl-server-insecure://…` is plaintext.
 *
 * A token goes in and never comes out: {@link format} leaves it away, and no
 * error repeats anything that stands before an `@` or looks like a token.
 * The WHATWG parser is not used: for schemes it does not know it accepts
 * almost anything as a host.
 */
import { Data, Either, Redacted } from "effect"

export interface ProxyUrl {
  readonly tls: boolean
  /** Lower case; an IPv6 address is without its brackets. */
  readonly host: string
  readonly port: number
  readonly token: Redacted.Redacted | undefined
}

export const defaultPort = 50051

/** The text is no proxy URL. */
export class ProxyUrlInvalid extends Data.TaggedError("ProxyUrlInvalid")<{
  readonly summary: string
  readonly remedy: string
}> {
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** White space around the URL is ignored; scheme and host are case-insensitive. */
export const parse = (text: string): Either.Either<ProxyUrl, ProxyUrlInvalid> =>
  Either.gen(function*() {
    const [scheme, rest] = yield* schemeOf(text.trim())
    const tls = schemes.get(scheme)
    if (tls === undefined) return yield* otherScheme(scheme, rest)
    return yield* authority(tls, rest)
  })

/** `host:port`, as gRPC and people write it. */
export const address = (url: Pick<ProxyUrl, "host" | "port">): string =>
  `${url.host.includes(":") ? `[${url.host}]` : url.host}:${url.port}`

/** The URL without its token. */
export const format = (url: Pick<ProxyUrl, "tls" | "host" | "port">): string =>
  `vibectl-server${url.tls ? "" : "-insecure"}://${address(url)}`

// -- internals ---------------------------------------------------------------

const schemes = new Map([["vibectl-server", true], ["vibectl-server-insecure", false]])

const examples = "Examples: vibectl-server://llm.example.com:50051, vibectl-server://TOKEN@llm.example.com:50051 "
  + "(with a token), vibectl-server-insecure://localhost:50051 (plaintext)."

const invalid = (summary: string, remedy: string) =>
  Either.left(new ProxyUrlInvalid({ summary, remedy: `${remedy} ${examples}` }))

const schemeOf = (text: string): Either.Either<readonly [scheme: string, rest: string], ProxyUrlInvalid> => {
  if (text === "") return invalid("The proxy URL is empty.", "Give the server's URL.")
  const [, scheme, rest] = /^([^:/?#@]*):\/\/(.*)$/s.exec(text) ?? []
  if (scheme !== undefined && scheme !== "" && rest !== undefined) return Either.right([scheme.toLowerCase(), rest])
  return /^vibectl-server(-insecure)?:/i.test(text)
    ? invalid("The proxy URL lacks the // after its scheme.", "Write // after the colon.")
    : invalid("The proxy URL has no scheme.", "Begin it with vibectl-server:// or vibectl-server-insecure://.")
}

const otherScheme = (scheme: string, rest: string) => {
  const named = quotable(scheme) ? `The scheme '${scheme}'` : "The scheme"
  // The URL that was probably meant; without its token, as it is shown.
  const meant = Either.match(authority(scheme !== "http", rest), {
    onLeft: () => "",
    onRight: (url) => ` Did you mean ${format(url)}?`
  })
  return invalid(
    `${named} of the proxy URL is not one of vibectl-server (TLS) and vibectl-server-insecure (plaintext).`,
    `Begin the URL with one of these two.${meant}`
  )
}

const authority = (tls: boolean, text: string): Either.Either<ProxyUrl, ProxyUrlInvalid> =>
  Either.gen(function*() {
    const parts = text.split("@")
    if (parts.length > 2) {
      return yield* invalid("The proxy URL has more than one @.", "Write one @, between the token and the host.")
    }
    const [hostAndPort = "", userinfo = ""] = parts.reverse()
    const token = yield* tokenOf(userinfo)
    if (/[/?#\\]/.test(hostAndPort)) {
      return yield* invalid(
        "The proxy URL goes on after host and port.",
        "Remove the path, query or fragment: everything from the first /, ? or # after the host."
      )
    }
    const [, bracketed, name, end] = /^(?:\[([^\]]*)\]|([^:]*))(.*)$/s.exec(hostAndPort) ?? []
    const host = bracketed === undefined ? yield* nameOf(name ?? "", hostAndPort) : yield* ipv6Of(bracketed)
    return { tls, host, port: yield* portOf(end ?? ""), token }
  })

/** Only the shape of a JWT (RFC 7515, section 3.1); whether it is good, the server says. */
const tokenOf = (text: string): Either.Either<ProxyUrl["token"], ProxyUrlInvalid> => {
  if (text === "") return Either.right(undefined)
  return /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text)
    ? Either.right(Redacted.make(text))
    : invalid(
      "What stands before the @ of the proxy URL is not a token.",
      "Put a token of the form header.payload.signature there, as `vibectl-server generate-token <subject>` prints it, "
        + "without a user name, padding or percent-encoding; or leave it and the @ away."
    )
}

const nameOf = (name: string, hostAndPort: string): Either.Either<string, ProxyUrlInvalid> => {
  if (name === "" && !hostAndPort.startsWith("::")) {
    return invalid("The proxy URL has no host.", "Write the server's host name after the //.")
  }
  if (/^[0-9a-f.]*:[0-9a-f.]*:[0-9a-f:.]*$/i.test(hostAndPort)) {
    return invalid(
      "The IPv6 address in the proxy URL is not in brackets.",
      "Write it as in vibectl-server://[2001:db8::1]:50051."
    )
  }
  // A JWT is made of the letters of a host name; begun with `{"` it begins with eyJ.
  if (/^eyJ[\w-]*\./.test(name)) {
    return invalid("The proxy URL has a token but no host.", "Write @ and the server's host name after the token.")
  }
  const labels = name.toLowerCase().split(".")
  if (/^[0-9]+$/.test(labels.at(-1) ?? "")) {
    return ipv4.test(name)
      ? Either.right(name)
      : invalid(`${hostNamed(name)} is not an IPv4 address.`, "Write four numbers from 0 to 255, or a host name.")
  }
  return name.length <= 253 && labels.every((label) => /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/.test(label))
    ? Either.right(labels.join("."))
    : invalid(
      `${hostNamed(name)} is not a host name.`,
      "Use letters, digits, - and _, in parts that are separated by single dots."
    )
}

/** RFC 4291, section 2.2; a zone (`%eth0`) means nothing on another machine and is refused. */
const ipv6Of = (text: string): Either.Either<string, ProxyUrlInvalid> => {
  const halves = text.split("::").map((half) => half === "" ? [] : half.split(":"))
  const groups = halves.flat()
  const dotted = ipv4.test(groups.at(-1) ?? "") && !text.endsWith("::") ? 1 : 0
  const count = groups.length + dotted
  const hex = groups.slice(0, groups.length - dotted).every((group) => /^[0-9a-f]{1,4}$/i.test(group))
  return hex && (halves.length === 1 ? count === 8 : halves.length === 2 && count < 8)
    ? Either.right(text.toLowerCase())
    : invalid(
      "What stands in brackets in the proxy URL is not an IPv6 address.",
      "Write it as in vibectl-server://[2001:db8::1]:50051, and a host name or an IPv4 address without brackets."
    )
}

const portOf = (text: string): Either.Either<number, ProxyUrlInvalid> => {
  if (text === "" || text === ":") return Either.right(defaultPort)
  const port = /^:[0-9]{1,5}$/.test(text) ? Number(text.slice(1)) : 0
  if (port >= 1 && port <= 65535) return Either.right(port)
  const digits = text.slice(1)
  return invalid(
    `The port ${quotable(digits) ? `'${digits}' ` : ""}of the proxy URL is not a number from 1 to 65535.`,
    `Correct it, or leave it away for ${defaultPort}.`
  )
}

const ipv4 = /^(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}$/

const hostNamed = (name: string) => quotable(name) ? `The host '${name}' of the proxy URL` : "The host of the proxy URL"

/** Whether a part may be repeated: short, printable, and no piece of a token that landed in the wrong place. */
const quotable = (part: string) => /^[\x21-\x7e]{1,30}$/.test(part) && !part.includes("eyJ")
