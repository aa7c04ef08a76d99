/**
 * The proxy that the environment names for connections to other machines.
 *
 * `HTTPS_PROXY` is for https addresses, `HTTP_PROXY` for http, `ALL_PROXY` for what neither names; `NO_PROXY` lists
 * where none is used. Each is read in lower case first, as curl does. This machine itself is never reached through a
 * proxy. No message has the value of a variable, which may hold a password.
 */
import { Config, Data, Effect, Option, Redacted } from "effect"
import * as Net from "node:net"

export interface Egress {
  /** The proxy for this address; undefined for a direct connection. */
  readonly proxyFor: (address: Address) => Proxy | undefined
  /** For https and http, without repetition. */
  readonly proxies: ReadonlyArray<Proxy>
  /** Entries of `NO_PROXY` that are understood as no host, domain, address or range, and match nothing. */
  readonly ignored: ReadonlyArray<string>
}

export interface Address {
  /** `http:` or `https:`. */
  readonly protocol: string
  /** With or without the brackets of an IPv6 address. */
  readonly hostname: string
  /** Empty for the one of the protocol. */
  readonly port: string
}

export interface Proxy {
  /** The variable that names it, as it is written. */
  readonly variable: string
  readonly secure: boolean
  /** Without brackets. */
  readonly hostname: string
  readonly port: number
  /** Host and port, for people. */
  readonly where: string
  /** The value of `Proxy-Authorization`. */
  readonly authorization: Redacted.Redacted | undefined
}

/** A variable names no proxy that can be used. */
export class EgressInvalid extends Data.TaggedError("EgressInvalid")<{
  readonly summary: string
  readonly remedy: string
}> {
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** No proxy for anything. */
export const direct: Egress = { proxyFor: () => undefined, proxies: [], ignored: [] }

export const load: Effect.Effect<Egress, EgressInvalid> = Effect.suspend(() =>
  Effect.forEach(
    variables,
    (name) => Effect.map(Effect.option(Config.string(name)), (value) => [name, Option.getOrUndefined(value)] as const)
  )
).pipe(Effect.flatMap((entries) => parse(Object.fromEntries(entries))))

export const parse = (
  environment: Readonly<Record<string, string | undefined>>
): Effect.Effect<Egress, EgressInvalid> =>
  Effect.gen(function*() {
    const first = (name: string) =>
      [name, name.toUpperCase()].find((spelling) => (environment[spelling] ?? "").trim() !== "")
    const named = (name: string) =>
      Effect.suspend(() => {
        const variable = first(name)
        return variable === undefined ? Effect.succeed(undefined) : proxyOf(variable, environment[variable] ?? "")
      })
    const all = yield* named("all_proxy")
    const [http, https] = [(yield* named("http_proxy")) ?? all, (yield* named("https_proxy")) ?? all]
    const { ignored, matches } = exceptions(environment[first("no_proxy") ?? ""] ?? "")
    const isDirect = (hostname: string, port: number): boolean => {
      const host = bare(hostname)
      return isLoopback(host) || matches(host, port)
    }
    const proxyFor: Egress["proxyFor"] = ({ hostname, port, protocol }) => {
      const proxy = protocol === "https:" ? https : http
      if (proxy === undefined) return undefined
      return isDirect(hostname, Number(port) || (protocol === "https:" ? 443 : 80)) ? undefined : proxy
    }
    return { proxyFor, proxies: [...new Set([https, http])].filter((proxy) => proxy !== undefined), ignored }
  })

// -- internals ---------------------------------------------------------------

const names = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"]
const variables = names.flatMap((name) => [name, name.toUpperCase()])

const proxyOf = (variable: string, value: string): Effect.Effect<Proxy, EgressInvalid> => {
  const text = value.trim()
  const invalid = (fault: string) =>
    new EgressInvalid({
      summary: `The variable ${variable} ${fault}.`,
      remedy: "Write it as in http://user:password@proxy.example.com:3128, with percent signs for what is special in a "
        + "password, or unset it."
    })
  const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`
  if (!URL.canParse(whole)) return invalid("is not the URL of a proxy")
  const { hostname, password, port, protocol, username } = new URL(whole)
  if (protocol !== "http:" && protocol !== "https:") return invalid("names a proxy that is not of http or https")
  if (hostname === "") return invalid("names no host")
  const secure = protocol === "https:"
  const credentials = decoded(`${username}:${password}`)
  if (credentials === undefined) return invalid("has a percent sign without two digits in its user name or password")
  const number = port === "" ? (secure ? 443 : 80) : Number(port)
  return Effect.succeed({
    variable,
    secure,
    hostname: bare(hostname),
    port: number,
    where: `${hostname}:${number}`,
    authorization: username === "" && password === ""
      ? undefined
      : Redacted.make(`Basic ${Buffer.from(credentials, "utf8").toString("base64")}`)
  })
}

const decoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

/** In lower case, without brackets and the dot of the root. */
const bare = (hostname: string): string => hostname.toLowerCase().replace(/^\[|\]$/g, "").replace(/\.$/, "")

const familyOf = (host: string): "ipv4" | "ipv6" | undefined => {
  const family = Net.isIP(host)
  return family === 4 ? "ipv4" : family === 6 ? "ipv6" : undefined
}

const loopback = new Net.BlockList()
loopback.addSubnet("127.0.0.0", 8, "ipv4")
loopback.addAddress("::1", "ipv6")

const isLoopback = (host: string): boolean => {
  const family = familyOf(host)
  return family === undefined
    ? host === "localhost" || host.endsWith(".localhost")
    : loopback.check(host, family)
}

type Matches = (host: string, port: number) => boolean

/** A domain stands for itself and for what ends with it; an address or a range, only for hosts written as addresses. */
const exceptions = (text: string) => {
  const rules: Array<Matches> = []
  const ignored: Array<string> = []
  for (const entry of text.split(/[\s,]+/)) {
    const rule = entry === "" ? undefined : exception(entry)
    if (rule !== undefined) rules.push(rule)
    else if (entry !== "") ignored.push(entry)
  }
  const matches: Matches = (host, port) => rules.some((rule) => rule(host, port))
  return { ignored, matches }
}

const exception = (entry: string): Matches | undefined => {
  if (entry === "*") return () => true
  const range = /^\[?([0-9a-f.:]+)\]?\/(\d{1,3})$/i.exec(entry)
  if (range !== null) return inRange(range[1] ?? "", Number(range[2]))
  if (familyOf(bare(entry)) === "ipv6") return (host) => sameAddress(host, bare(entry))
  const [, name = "", only] = /^(.*?)(?::(\d{1,5}))?$/.exec(entry) ?? []
  const isPort = (port: number) => only === undefined || port === Number(only)
  const address = bare(name)
  if (familyOf(address) !== undefined) return (host, port) => isPort(port) && sameAddress(host, address)
  const domain = address.replace(/^\*?\./, "")
  if (!/^[\p{L}\p{N}_-]+(\.[\p{L}\p{N}_-]+)*$/u.test(domain)) return undefined
  const ascii = URL.canParse(`http://${domain}`) ? new URL(`http://${domain}`).hostname : domain
  return (host, port) => isPort(port) && (host === ascii || host.endsWith(`.${ascii}`))
}

const inRange = (network: string, bits: number): Matches | undefined => {
  const family = familyOf(network)
  if (family === undefined || bits > (family === "ipv4" ? 32 : 128)) return undefined
  const list = new Net.BlockList()
  list.addSubnet(network, bits, family)
  return (host) => {
    const own = familyOf(host)
    return own !== undefined && list.check(host, own)
  }
}

/** An IPv6 address has several spellings. */
const sameAddress = (host: string, address: string): boolean => {
  const [one, other] = [familyOf(host), familyOf(address)]
  if (one === undefined || other === undefined) return false
  const list = new Net.BlockList()
  list.addAddress(address, other)
  return list.check(host, one)
}
