/**
 * Which server a command talks to, and with what: from a profile or a URL.
 */
import { type FileSystem } from "@effect/platform"
import { Data, Duration, Effect, Redacted } from "effect"
import * as Os from "node:os"
import * as NodeTls from "node:tls"
import type { Options } from "../client/Connection.js"
import { ClientConfig } from "../config/ClientConfig.js"
import {
  activeProfile,
  type ClientSettings,
  type Profile,
  ProfileNotFound,
  type Reach
} from "../config/ClientSettings.js"
import * as Files from "../config/Files.js"
import { paths } from "../config/Paths.js"
import type { ConfigInvalid } from "../config/Problem.js"
import * as ReadFile from "../config/ReadFile.js"
import * as ProxyUrl from "../domain/ProxyUrl.js"
import { Output } from "../terminal/Output.js"
import * as Certificate from "../tls/Certificate.js"
import * as LocalCa from "../tls/LocalCa.js"

/** For somebody who has just installed it. */
export const firstSteps = `No server is configured yet: vibectl asks language models through a server.

If your operator gave you a URL, store it:
    vibectl setup-proxy configure vibectl-server://TOKEN@HOST:PORT

Else start a server of your own, in another terminal, with the key of a provider (OPENAI_API_KEY or ANTHROPIC_API_KEY; \
without one, a demo model answers):
    vibectl-server
and give yourself a token for it:
    vibectl setup-proxy configure "vibectl-server://$(vibectl-server generate-token me)@localhost:50051"`

/** No server is configured, or the proxy is off. */
export class NotConfigured extends Data.TaggedError("NotConfigured")<{
  readonly summary: string
  readonly remedy: string
}> {
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** A file that a profile names cannot be used. */
export class ProfileFileInvalid extends Data.TaggedError("ProfileFileInvalid")<{
  readonly summary: string
  readonly remedy: string
}> {
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** The profile called `name`, or the active one. */
export const profile = (
  name: string | undefined
): Effect.Effect<
  { readonly name: string; readonly profile: Profile; readonly settings: ClientSettings },
  ConfigInvalid | ProfileNotFound | NotConfigured,
  ClientConfig
> =>
  Effect.gen(function*() {
    const { value: settings } = yield* (yield* ClientConfig).load
    const { profiles } = settings.proxy
    if (name !== undefined) {
      const found = profiles[name]
      if (found === undefined) return yield* new ProfileNotFound({ name, profiles: Object.keys(profiles) })
      return { name, profile: found, settings }
    }
    const active = yield* activeProfile(settings)
    if (active !== undefined) return { ...active, settings }
    const names = Object.keys(profiles)
    if (names.length > 0) {
      return yield* new NotConfigured({
        summary: "The proxy is disabled.",
        remedy: `Turn it on with \`vibectl setup-proxy use NAME\`, or name a profile with --proxy (${
          names.join(", ")
        }).`
      })
    }
    const [summary = "", ...steps] = firstSteps.split("\n\n")
    return yield* new NotConfigured({ summary, remedy: steps.join("\n") })
  })

/** How to reach a profile's server. */
export const ofProfile = (
  { profile, settings }: { readonly profile: Reach; readonly settings: ClientSettings }
): Effect.Effect<Options, ProxyUrl.ProxyUrlInvalid | ProfileFileInvalid, FileSystem.FileSystem | Output> =>
  Effect.gen(function*() {
    const url = yield* ProxyUrl.parse(profile.server_url)
    const secrets = [profile.jwt_path, profile.client_key_path].filter((file) => file !== undefined)
    yield* Effect.forEach(yield* Effect.filter(secrets, Files.readableByAll), warnOf, { discard: true })
    const token = profile.jwt_path === undefined ? url.token : yield* tokenOf(profile.jwt_path)
    return yield* ofUrl({ ...url, token }, profile, settings)
  })

/** How to reach the server of a URL, with the certificates of these files. */
export const ofUrl = (
  url: ProxyUrl.ProxyUrl,
  files: Pick<Profile, "ca_bundle_path" | "client_cert_path" | "client_key_path">,
  { proxy }: ClientSettings
): Effect.Effect<Options, ProfileFileInvalid, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const { client_cert_path: certPath, client_key_path: keyPath } = files
    return {
      host: url.host,
      port: url.port,
      tls: url.tls,
      roots: url.tls ? yield* rootsOf(url.host, files.ca_bundle_path) : undefined,
      clientCertificate: url.tls && certPath !== undefined && keyPath !== undefined
        ? yield* readClientCertificate(certPath, keyPath)
        : undefined,
      token: url.token,
      timeout: Duration.seconds(proxy.timeout_seconds),
      // Proxies cut what is silent for 50 or 60 seconds, and some models think longer.
      heartbeats: true,
      retryAttempts: proxy.retry_attempts
    }
  })

/** A client certificate and its key, if they belong together and the certificate has not ended. */
export const readClientCertificate = (
  certPath: string,
  keyPath: string
): Effect.Effect<Certificate.Certificate, ProfileFileInvalid, FileSystem.FileSystem> =>
  Effect.mapError(Certificate.fromFiles(certPath, keyPath), (error) =>
    new ProfileFileInvalid({
      summary: error._tag === "CertificateInvalid"
        ? `The client certificate cannot be used: ${error.path} ${error.problem}.`
        : `The client certificate ${error.path} ${error.ended}.`,
      remedy: "Ask the operator of the server for a new one, and configure the profile with it: "
        + "`vibectl setup-proxy configure URL --client-cert FILE --client-key FILE`."
    }))

/** The PEM text of a CA bundle that holds at least one certificate. */
export const readCaBundle = (path: string): Effect.Effect<string, ProfileFileInvalid, FileSystem.FileSystem> =>
  ReadFile.text(path, ReadFile.maxBytes.keys).pipe(
    Effect.filterOrFail((text) => text.includes("-----BEGIN CERTIFICATE-----")),
    Effect.mapError(() =>
      new ProfileFileInvalid({
        summary: `The CA bundle ${path} cannot be read or holds no PEM certificate.`,
        remedy: "Name the CA certificate of the server, e.g. a copy of its server/tls/ca.crt."
      })
    )
  )

/** Whether a host is this machine, whichever way it is written. */
export const isLocal = (host: string): boolean =>
  /^(localhost|127(\.\d+){3}|::1)$/.test(host) || host === Os.hostname().toLowerCase()

// -- internals ---------------------------------------------------------------

const warnOf = (file: string) => Effect.flatMap(Output, ({ note }) => note(`Warning: ${Files.exposed(file)}`))

const tokenOf = (path: string): Effect.Effect<Redacted.Redacted, ProfileFileInvalid, FileSystem.FileSystem> =>
  ReadFile.text(path, ReadFile.maxBytes.keys).pipe(
    Effect.map((text) => text.trim()),
    // It goes into an HTTP header, where other characters are a defect of the transport.
    Effect.filterOrFail((text) => /^[\x21-\x7e]+$/.test(text)),
    Effect.mapBoth({
      onSuccess: (text) => Redacted.make(text),
      onFailure: () =>
        new ProfileFileInvalid({
          summary: `The token file ${path} cannot be read or holds no token.`,
          remedy: "Configure the profile again with `vibectl setup-proxy configure vibectl-server://TOKEN@HOST:PORT`."
        })
    })
  )

/**
 * The CAs to trust: the profile's bundle and no others; else those of Node, and for this machine's own names also
 * the CA that a server of this user made here. A server elsewhere cannot be vouched for by a file of this machine.
 */
const rootsOf = (host: string, caBundle: string | undefined) =>
  Effect.gen(function*() {
    if (caBundle !== undefined) return yield* readCaBundle(caBundle)
    if (!isLocal(host)) return undefined
    const local = yield* Effect.option(ReadFile.text(LocalCa.caFile(yield* paths), ReadFile.maxBytes.keys))
    return local._tag === "None" ? undefined : [...NodeTls.rootCertificates, local.value].join("\n")
  })
