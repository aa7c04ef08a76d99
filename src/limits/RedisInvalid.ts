/**
 * Why a Redis can never serve as the store, as far as it says so itself: the command that it refuses, and what to
 * change. What passes by itself (loading, busy, out of memory, not reachable) is not among it.
 */
import { Data } from "effect"

/** The server does not start with it. */
export class RedisInvalid extends Data.TaggedError("RedisInvalid")<{
  readonly summary: string
  readonly remedy: string
}> {
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

export interface Refused {
  /** Host and port. */
  readonly where: string
  /** What all keys begin with. */
  readonly base: string
  /** What was asked; undefined while connecting. */
  readonly command?: string
  /** The error of Redis, or the code of one of TLS; without credentials. */
  readonly reason: string
  /** Whether Redis answered so, and the network did not fail. */
  readonly answered: boolean
}

/** Undefined where it may pass by itself. */
export const diagnose = (refused: Refused): RedisInvalid | undefined => {
  const { answered, command, reason, where } = refused
  const problem = (summary: string, remedy: string) =>
    new RedisInvalid({ summary: `Redis at ${where} ${summary}`, remedy })
  if (!answered) {
    return untrusted.test(reason)
      ? problem(
        `has a certificate that is not trusted (${reason}).`,
        "Name the PEM file of the CA that signed it in state.ca_file, and its host in the URL as the certificate has it."
      )
      : undefined
  }
  if (passing.test(reason)) return undefined
  const [kind = ""] = inScript.test(reason) ? ["NOPERM"] : /^[A-Z]+/.exec(reason) ?? []
  const asked = command === undefined ? "the connection" : `the command ${command}`
  switch (kind) {
    case "NOAUTH":
      return problem(
        `asks for a password (${reason}).`,
        "Put it into the URL: redis://:password@host, or redis://user:password@host."
      )
    case "WRONGPASS":
      return problem(
        "refuses the user or password of the URL (WRONGPASS).",
        "Correct them in state.url or the file of state.url_file; percent-encode characters such as @, / and #."
      )
    case "NOPERM":
      return problem(`refuses ${asked} (${reason}).`, remedyOfRights(refused))
    case "READONLY":
      return problem(
        `is a read-only replica (${reason}).`,
        "Name the primary in state.url, or a name that follows it."
      )
    case "MOVED":
    case "ASK":
    case "CROSSSLOT":
    case "CLUSTERDOWN":
      return problem(
        `is one node of a Redis Cluster and refuses our keys (${reason}).`,
        "Redis Cluster is not supported yet: name a Redis without cluster mode in state.url."
      )
    default:
      return /script|eval/i.test(`${reason} ${command ?? ""}`)
        ? problem(
          `refuses our scripts (${asked}: ${reason}).`,
          `They need ${scripting}: use a Redis of version 6.2 or later that allows EVAL and EVALSHA.`
        )
        : problem(`refuses ${asked} (${reason}).`, "Correct state.url, or use a Redis of version 6.2 or later.")
  }
}

// -- internals ---------------------------------------------------------------

/** What an administrator or time mends, with the same configuration of both. */
const passing =
  /^(LOADING|BUSY|MASTERDOWN|TRYAGAIN|OOM|MISCONF|NOREPLICAS|UNKILLABLE|ERR max number of clients|ERR given back)/

/** How Redis 7 says NOPERM of a command within a script. */
const inScript = /user executing the script can't|ACL failure in script/

/** https://nodejs.org/api/tls.html#x509-certificate-error-codes */
const untrusted =
  /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_|CERT_|ERR_TLS_CERT_ALTNAME_INVALID|INVALID_CA|HOSTNAME_MISMATCH)/

const scripting = "Lua scripts with declared keys"

const remedyOfRights = ({ base, command }: Refused): string => {
  const right = command === undefined ? "" : `+${command.toLowerCase()} `
  return `Give its user the right: ${right}~${base}* (the whole ACL line is in docs/operations.md).`
}
