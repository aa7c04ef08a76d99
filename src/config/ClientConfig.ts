/**
 * The client's configuration file: read, and edited so that the user's
 * comments and other keys stay.
 *
 * An edit is written whole, mode 0600, and only when the file was valid before
 * and is valid after it.
 */
import { type FileSystem } from "@effect/platform"
import { Context, Effect, Layer } from "effect"
import * as NodePath from "node:path"
import * as Yaml from "yaml"
import { type ClientSettings, description, type Profile, ProfileNotFound } from "./ClientSettings.js"
import { type Env } from "./Environment.js"
import * as Files from "./Files.js"
import { escape } from "./Interpolate.js"
import * as Load from "./Load.js"
import { paths } from "./Paths.js"
import { type ConfigInvalid, ConfigNotWritten } from "./Problem.js"
import * as YamlFile from "./YamlFile.js"

export class ClientConfig extends Context.Tag("vibectl/config/ClientConfig")<ClientConfig, {
  /** The file that is read and edited. */
  readonly file: string
  /** The configuration as it is now. */
  readonly load: Effect.Effect<Load.Loaded<ClientSettings>, ConfigInvalid>
  /** Adds a profile or changes an existing one; keys that `profile` lacks are removed from it. */
  readonly saveProfile: (name: string, profile: Profile, options: { readonly activate: boolean }) => Edit
  /** Makes an existing profile the active one. */
  readonly use: (name: string) => Edit<ProfileNotFound>
  /** Makes no profile the active one; the profiles stay. */
  readonly disable: Edit
  /** Takes a profile out of the file; if it was the active one, none is. */
  readonly remove: (name: string) => Edit<ProfileNotFound>
}>() {
  /** `file` is `--config`, and must exist to be read; undefined means the user's own file, which need not. */
  static readonly layer = (options: { readonly file?: string | undefined; readonly flags?: Load.Flags } = {}) =>
    Layer.effect(
      this,
      Effect.gen(function*() {
        const context = yield* Effect.context<Env | FileSystem.FileSystem>()
        const file = options.file ?? (yield* paths).clientConfig
        const named = options.file !== undefined
        const flags = options.flags ?? new Map()

        const load = Effect.provide(Load.load(description, { file, named, flags }), context)

        const edit = <E = never>(
          change: (document: Yaml.Document, loaded: ClientSettings) => Effect.Effect<void, E>
        ): Edit<E> =>
          Effect.gen(function*() {
            const before = yield* YamlFile.read(file, false)
            const settings = { file, named: false }
            const loaded = yield* Load.loadText(description, before, settings)
            const document: Yaml.Document = Yaml.parseDocument(before, YamlFile.options)
            yield* change(document, loaded.value)
            const after = document.toString({ lineWidth: 0 })
            yield* Load.loadText(description, after, settings)
            yield* Effect.mapError(Files.writePrivate(file, after), (error) => notWritten(file, error.message))
          }).pipe(Effect.provide(context))

        return ClientConfig.of({
          file,
          load,
          saveProfile: (name, profile, { activate }) =>
            edit((document) =>
              Effect.sync(() => {
                const entry = mappingAt(document, ["proxy", "profiles", name])
                for (const key of profileKeys) {
                  const value = profile[key]
                  if (value === undefined) entry.delete(key)
                  else entry.set(key, stored(key, value))
                }
                if (activate) mappingAt(document, ["proxy"]).set("active", name)
              })
            ),
          use: (name) =>
            edit((document, { proxy }) =>
              Object.hasOwn(proxy.profiles, name)
                ? Effect.sync(() => mappingAt(document, ["proxy"]).set("active", name))
                : new ProfileNotFound({ name, profiles: Object.keys(proxy.profiles) })
            ),
          disable: edit((document) => Effect.sync(() => mappingAt(document, ["proxy"]).set("active", null))),
          remove: (name) =>
            edit((document) =>
              Effect.suspend(() => {
                const proxy = mappingAt(document, ["proxy"])
                const profiles = mappingAt(document, ["proxy", "profiles"])
                if (!profiles.has(name)) {
                  return new ProfileNotFound({ name, profiles: profiles.items.map(({ key }) => String(key)) })
                }
                profiles.delete(name)
                if (proxy.get("active") === name) proxy.set("active", null)
                return Effect.void
              })
            )
        })
      })
    )
}

/** An edit of the file; it fails when the file is invalid, and then leaves it as it is. */
export type Edit<E = never> = Effect.Effect<void, ConfigInvalid | ConfigNotWritten | E>

// -- internals ---------------------------------------------------------------

const profileKeys = ["server_url", "ca_bundle_path", "jwt_path", "client_cert_path", "client_key_path"] as const

/** The mapping at `path`, made where there is none. The file was valid, so nothing else can stand there. */
const mappingAt = (document: Yaml.Document, path: ReadonlyArray<string>): Yaml.YAMLMap => {
  const root = Yaml.isMap(document.contents) ? document.contents : new Yaml.YAMLMap()
  document.contents = root
  let mapping: Yaml.YAMLMap = root
  for (const key of path) mapping = mappingIn(document, mapping, key)
  return mapping
}

const mappingIn = (document: Yaml.Document, parent: Yaml.YAMLMap, key: string): Yaml.YAMLMap => {
  const existing: unknown = parent.get(key, true)
  if (Yaml.isMap(existing)) return existing
  const mapping = new Yaml.YAMLMap()
  // An alias is replaced by a copy of what it stands for, so that the edit stays in this one place.
  const target = Yaml.isAlias(existing) ? existing.resolve(document) : undefined
  if (Yaml.isMap(target)) mapping.items = target.items.map((pair) => pair.clone())
  if (Yaml.isNode(existing) && existing.comment) mapping.commentBefore = existing.comment
  parent.set(key, mapping)
  return mapping
}

/** A path as the user typed it holds wherever the program runs next; one from the file would be the file's. */
const stored = (key: (typeof profileKeys)[number], value: string): string =>
  escape(key === "server_url" || value.startsWith("~/") ? value : NodePath.resolve(value))

const notWritten = (file: string, reason: string) =>
  new ConfigNotWritten({
    summary: `The file ${file} could not be written (${reason}).`,
    remedy: "Check that you may write to its directory and that the disk is not full."
  })
