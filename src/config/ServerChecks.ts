/**
 * Rules of the server's configuration that concern two keys at once.
 */
import * as Problem from "./Problem.js"
import * as RedisUrl from "./RedisUrl.js"
import { notBoth, together } from "./Rules.js"
import * as Tree from "./Tree.js"

export const check = (root: Tree.Node): ReadonlyArray<Problem.Problem> => {
  const providers = Tree.at(root, ["providers"])
  const names = Tree.isBranch(providers) ? [...providers.content.keys()] : []
  return [
    ...notBoth(root, ["server"], "jwt_secret", "jwt_secret_file"),
    ...together(root, ["tls"], "cert_file", "key_file"),
    ...certificateWithoutTls(root),
    ...clientCertificates(root),
    ...issuers(root),
    ...redis(root),
    ...workers(root),
    ...bytesInFlight(root),
    ...names.flatMap((name) => requestFields(root, name)),
    ...names.flatMap((name) => notBoth(root, ["providers", name], "api_key", "api_key_file"))
  ]
}

// -- internals ---------------------------------------------------------------

/** Whoever names a certificate wants it used. */
const certificateWithoutTls = (root: Tree.Node): ReadonlyArray<Problem.Problem> => {
  const [enabled, file] = [Tree.at(root, ["tls", "enabled"]), Tree.at(root, ["tls", "cert_file"])]
  if (file === undefined || enabled?.content !== false) return []
  const text = `it needs TLS, which is off (${Problem.origin(enabled.source)}).`
  return [Problem.make(Problem.place(file.keySource), ["tls", "cert_file"], text)]
}

/** Without TLS, a CA or tokens to compare with, nobody would ask for what the operator wants to see. */
const clientCertificates = (root: Tree.Node): ReadonlyArray<Problem.Problem> => {
  const tls = (key: string) => Tree.at(root, ["tls", key])
  const [enabled, file, identity, auth] = [
    tls("enabled"),
    tls("client_ca_file"),
    tls("client_identity"),
    Tree.at(root, ["server", "enable_auth"])
  ]
  const problem = (key: string, source: Problem.Source, text: string) =>
    Problem.make(Problem.place(source), ["tls", key], text)
  const problems: Array<Problem.Problem> = []
  if (file !== undefined && enabled?.content === false) {
    const text = `it needs TLS, which is off (${Problem.origin(enabled.source)}).`
    problems.push(problem("client_ca_file", file.keySource, text))
  }
  const wanted = identity?.content
  if (identity === undefined || (wanted !== "match" && wanted !== "identity")) return problems
  if (file === undefined) {
    const text = `${wanted} needs client_ca_file, the CAs of the clients' certificates.`
    problems.push(problem("client_identity", identity.source, text))
  }
  if (wanted === "match" && auth?.content === false) {
    const text = `match needs tokens, and authentication is off (${Problem.origin(auth.source)}).`
    problems.push(problem("client_identity", identity.source, text))
  }
  return problems
}

const redis = (root: Tree.Node): ReadonlyArray<Problem.Problem> => {
  const state = (key: string) => Tree.at(root, ["state", key])
  const [ca, kind, url] = [state("ca_file"), state("kind"), state("url")]
  const problems = [...notBoth(root, ["state"], "url", "url_file")]
  const isNowhere = url === undefined && state("url_file") === undefined
  if (kind?.content === "redis" && isNowhere) {
    problems.push(
      Problem.make(Problem.place(kind.source), ["state", "kind"], "redis needs state.url or state.url_file.")
    )
  }
  const text = typeof url?.content === "string" && RedisUrl.isRedisUrl(url.content) ? url.content : undefined
  const fault = text === undefined ? undefined : RedisUrl.fault(text)
  if (url !== undefined && fault !== undefined) {
    problems.push(Problem.make(Problem.place(url.source), ["state", "url"], fault))
  }
  if (ca !== undefined && (isNowhere || (text !== undefined && !isTls(text)))) {
    problems.push(
      Problem.make(Problem.place(ca.keySource), ["state", "ca_file"], "it is for a URL with rediss:// only.")
    )
  }
  return problems
}

const isTls = (url: string) => /^rediss:/i.test(url)

/** Each kind of provider has fields of its own. */
const requestFields = (root: Tree.Node, name: string): ReadonlyArray<Problem.Problem> => {
  const kind = Tree.at(root, ["providers", name, "kind"])?.content
  if (kind !== "openai" && kind !== "anthropic") return []
  const [own, others] = kind === "openai" ? [openAiFields, anthropicFields] : [anthropicFields, openAiFields]
  const at = (key: string) => Tree.at(root, ["providers", name, key])
  const problem = (key: string, source: Problem.Source, text: string) =>
    Problem.make(Problem.place(source), ["providers", name, key], text)
  const problems: Array<Problem.Problem> = []
  const omit = at("omit")
  const given = omit?.content
  for (let index = 0; omit !== undefined && Array.isArray(given) && index < given.length; index++) {
    const field = Tree.at(omit, [String(index)])?.content
    if (typeof field === "string" && others.includes(field)) {
      problems.push(
        problem("omit", omit.source, `${field} is never sent to the kind ${kind}; it has ${own.join(", ")}.`)
      )
    }
  }
  const limit = at("max_tokens_field")
  if (kind === "anthropic" && limit?.content === "max_completion_tokens") {
    problems.push(problem("max_tokens_field", limit.source, "the kind anthropic has max_tokens only."))
  }
  const role = at("system_role")
  if (kind === "anthropic" && role?.content === "developer") {
    problems.push(problem("system_role", role.source, "the kind anthropic has system and user only."))
  }
  return problems
}

const openAiFields: ReadonlyArray<string> = ["stream_options", "response_format"]
const anthropicFields: ReadonlyArray<string> = ["output_config"]

/** Each process has its share of a provider. */
const workers = (root: Tree.Node): ReadonlyArray<Problem.Problem> => {
  const wanted = Tree.at(root, ["server", "workers"])?.content
  const providers = Tree.at(root, ["providers"])
  if (typeof wanted !== "number" || !Tree.isBranch(providers)) return []
  return [...providers.content.keys()].flatMap((name) => {
    const path = ["providers", name, "max_concurrent_requests"]
    const most = Tree.at(root, path)
    if (most === undefined || typeof most.content !== "number" || most.content >= wanted) return []
    const text = `it is less than server.workers (${wanted}), which share it: each needs one at least.`
    return [Problem.make(Problem.place(most.source), path, text)]
  })
}

/** A packed request counts as the largest one while it is unpacked: with less, some could never come in. */
const bytesInFlight = (root: Tree.Node): ReadonlyArray<Problem.Problem> => {
  const path = ["server", "max_bytes_in_flight"]
  const most = Tree.at(root, path)
  const [one, processes] = ["max_message_bytes", "workers"].map((key) => Tree.at(root, ["server", key])?.content)
  if (typeof most?.content !== "number" || typeof one !== "number" || typeof processes !== "number") return []
  const least = 2 * one * processes
  if (most.content >= least) return []
  const text = `it is less than ${least}, twice server.max_message_bytes (${one})`
    + (processes === 1 ? "." : ` for each of the ${processes} workers.`)
  return [Problem.make(Problem.place(most.source), path, text)]
}

/** One place for the keys of each, and nobody's `iss` or subjects are another's too. */
const issuers = (root: Tree.Node): ReadonlyArray<Problem.Problem> => {
  const branch = Tree.at(root, ["auth", "issuers"])
  const named = new Map([["vibectl-server", "this server's own tokens"]])
  const prefixes = new Map<string, string>()
  return (Tree.isBranch(branch) ? [...branch.content] : []).flatMap(([name, node]) => {
    const path = ["auth", "issuers", name]
    const problems: Array<Problem.Problem> = []
    const [source, ...more] = ["jwks_url", "jwks_file", "key_file"].filter((key) => Tree.at(node, [key]) !== undefined)
    if (source === undefined) {
      problems.push(Problem.make(Problem.place(node.keySource), path, "it needs jwks_url, jwks_file or key_file."))
    } else problems.push(...more.flatMap((key) => notBoth(root, path, source, key)))
    for (const key of ["jwks_token_file", "ca_file"]) {
      const given = Tree.at(node, [key])
      if (given !== undefined && source !== "jwks_url") {
        const text = "it is used to download keys, and jwks_url is not set."
        problems.push(Problem.make(Problem.place(given.keySource), [...path, key], text))
      }
    }
    problems.push(...issuerClaims(path, node))

    const issuer = Tree.at(node, ["issuer"])
    if (typeof issuer?.content === "string") {
      const other = named.get(issuer.content)
      if (other !== undefined) {
        const text = `it is the issuer of ${other} too.`
        problems.push(Problem.make(Problem.place(issuer.source), [...path, "issuer"], text))
      }
      named.set(issuer.content, `auth.issuers.${name}`)
    }

    const given = Tree.at(node, ["subject_prefix"])
    const prefix = typeof given?.content === "string" ? given.content : `${name}:`
    const [, clash] = [...prefixes].find(([other]) => other.startsWith(prefix) || prefix.startsWith(other)) ?? []
    if (clash !== undefined) {
      const text = `its subjects could be those of ${clash}: neither prefix may begin with the other.`
      problems.push(Problem.make(Problem.place((given ?? node).keySource), [...path, "subject_prefix"], text))
    }
    prefixes.set(prefix, `auth.issuers.${name}`)
    return problems
  })
}

/** Claims of RFC 7519 that are the same in many tokens. */
const sharedClaims = ["iss", "sub", "aud", "exp", "nbf", "iat"]

const issuerClaims = (path: ReadonlyArray<string>, node: Tree.Node): ReadonlyArray<Problem.Problem> => {
  const [rule, claim, subject, verification] = ["token_id", "token_id_claim", "subject_claim", "subject_verification"]
    .map((key) => Tree.at(node, [key]))
  const problems: Array<Problem.Problem> = []
  const isHash = rule?.content === "hash"
  if (isHash && claim !== undefined) {
    const text = "token_id is hash, which uses no claim; keep one of them."
    problems.push(Problem.make(Problem.place(claim.keySource), [...path, "token_id_claim"], text))
  } else if (claim !== undefined && [...sharedClaims, subject?.content].some((shared) => shared === claim.content)) {
    const text =
      "it does not name one token, so that to revoke one would refuse others too; set token_id: hash instead."
    problems.push(Problem.make(Problem.place(claim.source), [...path, "token_id_claim"], text))
  }
  if (verification !== undefined && subject?.content !== "email" && subject?.content !== "phone_number") {
    const text = "it is for the subject_claim email or phone_number."
    problems.push(Problem.make(Problem.place(verification.keySource), [...path, "subject_verification"], text))
  }
  return problems
}
