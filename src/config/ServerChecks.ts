/**
 * Rules of the server's configuration that concern two keys at once.
 */
import * as Problem from "./Problem.js"
import { notBoth, together } from "./Rules.js"
import * as Tree from "./Tree.js"

export const check = (root: Tree.Node): ReadonlyArray<Problem.Problem> => {
  const providers = Tree.at(root, ["providers"])
  const names = Tree.isBranch(providers) ? [...providers.content.keys()] : []
  return [
    ...notBoth(root, ["server"], "jwt_secret", "jwt_secret_file"),
    ...together(root, ["tls"], "cert_file", "key_file"),
    ...clientCertificates(root),
    ...issuers(root),
    ...names.flatMap((name) => notBoth(root, ["providers", name], "api_key", "api_key_file"))
  ]
}

// -- internals ---------------------------------------------------------------

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

/** One place for the keys of each, and one of each `iss`. */
const issuers = (root: Tree.Node): ReadonlyArray<Problem.Problem> => {
  const branch = Tree.at(root, ["auth", "issuers"])
  const taken = new Map([["vibectl-server", "this server's own tokens"]])
  return (Tree.isBranch(branch) ? [...branch.content] : []).flatMap(([name, node]) => {
    const path = ["auth", "issuers", name]
    const sources = ["jwks_url", "jwks_file", "key_file"].filter((key) => Tree.at(node, [key]) !== undefined)
    const own = sources.length === 0
      ? [Problem.make(Problem.place(node.keySource), path, "it needs jwks_url, jwks_file or key_file.")]
      : sources.slice(1).flatMap((key) => notBoth(root, path, sources[0] ?? "", key))
    const issuer = Tree.at(node, ["issuer"])
    if (issuer === undefined || typeof issuer.content !== "string") return own
    const other = taken.get(issuer.content)
    taken.set(issuer.content, `auth.issuers.${name}`)
    return other === undefined
      ? own
      : [...own, Problem.make(Problem.place(issuer.source), [...path, "issuer"], `it is the issuer of ${other} too.`)]
  })
}
