/**
 * `vibectl setup-proxy configure [PROFILE] URL`: adds or changes a profile and makes it the active one.
 *
 * The token of the URL goes to a private file and is never shown. The server is asked first: a profile that does
 * not work is not stored, unless `--no-test` says so.
 */
import { Args, Command, Options } from "@effect/cli"
import { Effect, Option, Redacted } from "effect"
import * as NodePath from "node:path"
import { ClientConfig } from "../../config/ClientConfig.js"
import type { Profile } from "../../config/ClientSettings.js"
import * as Files from "../../config/Files.js"
import { paths } from "../../config/Paths.js"
import { ConfigNotWritten } from "../../config/Problem.js"
import * as ProxyUrl from "../../domain/ProxyUrl.js"
import { Output } from "../../terminal/Output.js"
import { UsageInvalid } from "../../terminal/UsageInvalid.js"
import { Connector } from "../Connector.js"
import * as ServerTable from "../ServerTable.js"
import * as Target from "../Target.js"

export const configure = Command.make("configure", {
  words: Args.text({ name: "[PROFILE] URL" }).pipe(
    Args.withDescription("The profile's name (default: default), and vibectl-server://TOKEN@HOST:PORT"),
    Args.between(1, 2)
  ),
  caBundle: Options.text("ca-bundle").pipe(
    Options.withPseudoName("FILE"),
    Options.withDescription("PEM file of the CA to trust for this server, instead of the system's"),
    Options.optional
  ),
  clientCert: Options.text("client-cert").pipe(
    Options.withPseudoName("FILE"),
    Options.withDescription("PEM certificate for a server that asks its clients for one; with --client-key"),
    Options.optional
  ),
  clientKey: Options.text("client-key").pipe(
    Options.withPseudoName("FILE"),
    Options.withDescription("PEM private key of --client-cert"),
    Options.optional
  ),
  noTest: Options.boolean("no-test").pipe(Options.withDescription("Store the profile without asking the server"))
}, (input) =>
  Effect.scoped(Effect.gen(function*() {
    const [name, text] = namedUrl(input.words)
    const url = yield* ProxyUrl.parse(text)
    const output = yield* Output
    const config = yield* ClientConfig
    const { value: settings } = yield* config.load
    // What is not given anew stays with the server it was given for.
    const before = settings.proxy.profiles[name]
    const previous = before?.server_url === ProxyUrl.format(url) ? before : undefined
    const caBundle = Option.match(input.caBundle, {
      onNone: () => previous?.ca_bundle_path,
      onSome: (path) => NodePath.resolve(path)
    })
    if (caBundle !== undefined) yield* Target.readCaBundle(caBundle)
    const clientFiles = (yield* clientFilesOf(input)) ?? clientFilesIn(previous)
    const kept = url.token === undefined ? previous?.jwt_path : undefined
    const profile = {
      server_url: ProxyUrl.format(url),
      ...(caBundle === undefined ? {} : { ca_bundle_path: caBundle }),
      ...clientFiles,
      ...(kept === undefined ? {} : { jwt_path: kept })
    }
    const options = kept === undefined
      ? yield* Target.ofUrl(url, profile, settings)
      : yield* Target.ofProfile({ profile, settings })
    if (!url.tls && options.token !== undefined && !Target.isLocal(url.host)) {
      yield* output.note(`Warning: Without TLS, anybody on the way to ${url.host} can read the token.`)
    }
    const info = input.noTest ? undefined : yield* Effect.tapError(
      (yield* (yield* Connector).connect(options)).serverInfo,
      () => output.note("Nothing was stored; --no-test stores a profile without asking its server.")
    )

    const jwtPath = url.token === undefined ? kept : yield* storeToken(name, url.token)
    yield* config.saveProfile(
      name,
      { ...profile, ...(jwtPath === undefined ? {} : { jwt_path: jwtPath }) },
      { activate: true }
    )
    yield* output.note(`✓ Profile '${name}' is configured for ${ProxyUrl.format(url)} and active.`)
    if (info !== undefined) yield* output.line(ServerTable.render(info, output.columns))
  }))).pipe(Command.withDescription("Add or change a server, and use it"))

// -- internals ---------------------------------------------------------------

const namedUrl = ([first = "", second]: ReadonlyArray<string>): readonly [name: string, url: string] =>
  second === undefined ? ["default", first] : [first, second]

/** Undefined when neither is given. */
const clientFilesOf = (
  { clientCert, clientKey }: { readonly [Key in "clientCert" | "clientKey"]: Option.Option<string> }
): Effect.Effect<ClientFiles | undefined, UsageInvalid> => {
  if (Option.isNone(clientCert) && Option.isNone(clientKey)) return Effect.succeed(undefined)
  if (Option.isNone(clientCert) || Option.isNone(clientKey)) {
    return new UsageInvalid({
      summary: "A client certificate needs its key, and a key its certificate.",
      remedy: "Give both --client-cert FILE and --client-key FILE."
    })
  }
  return Effect.succeed({
    client_cert_path: NodePath.resolve(clientCert.value),
    client_key_path: NodePath.resolve(clientKey.value)
  })
}

const clientFilesIn = (previous: Profile | undefined): ClientFiles | undefined =>
  previous?.client_cert_path === undefined || previous.client_key_path === undefined ? undefined : {
    client_cert_path: previous.client_cert_path,
    client_key_path: previous.client_key_path
  }

interface ClientFiles {
  readonly client_cert_path: string
  readonly client_key_path: string
}

const storeToken = (name: string, token: Redacted.Redacted) =>
  Effect.gen(function*() {
    const file = NodePath.join((yield* paths).tokensDir, `${name}.jwt`)
    yield* Effect.mapError(Files.writePrivate(file, `${Redacted.value(token)}\n`), (error) =>
      new ConfigNotWritten({
        summary: `The token could not be written to ${file}: ${error.message}.`,
        remedy: "Make its directory writable, or set VIBECTL_CONFIG_DIR to one that is."
      }))
    return file
  })
