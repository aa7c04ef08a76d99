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
import { type ClientSettings, description, ProfileNotFound, type Reach } from "./ClientSettings.js"
import { type Env } from "./Environment.js"
import * as Files from "./Files.js"
import { escape } from "./Interpolate.js"
import * as Load from "./Load.js"
import { paths } from "./Paths.js"
import { ConfigInvalid, ConfigNotWritten, SettingInvalid } from "./Problem.js"
import * as Shape from "./Shape.js"
import * as YamlEdit from "./YamlEdit.js"
import * as YamlFile from "./YamlFile.js"

export class ClientConfig extends Context.Tag("vibectl/config/ClientConfig")<ClientConfig, {
  /** The file that is read and edited. */
  readonly file: string
  /** The configuration as it is now. */
  readonly load: Effect.Effect<Load.Loaded<ClientSettings>, ConfigInvalid>
  /** Adds a profile or changes how an existing one is reached; its security stays as it is. */
  readonly saveProfile: (name: string, profile: Reach, options: { readonly activate: boolean }) => Edit
  /** Makes an existing profile the active one. */
  readonly use: (name: string) => Edit<ProfileNotFound>
  /** Makes no profile the active one; the profiles stay. */
  readonly disable: Edit
  /**
   * Sets one key that is not a section. Text is taken to the letter: no `${…}` in it is a variable. A path counts
   * from the working directory.
   */
  readonly set: (path: ReadonlyArray<string>, value: unknown) => Edit<SettingInvalid | ProfileNotFound>
  /** Takes one key out of the file; whether it was there. */
  readonly unset: (
    path: ReadonlyArray<string>
  ) => Effect.Effect<boolean, ConfigInvalid | ConfigNotWritten | SettingInvalid>
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

        const editing = <A, E>(
          change: (document: Yaml.Document, loaded: ClientSettings) => Effect.Effect<A, E>
        ): Effect.Effect<A, ConfigInvalid | ConfigNotWritten | SettingInvalid | E> =>
          Effect.gen(function*() {
            const before = yield* YamlFile.read(file, false)
            const settings = { file, named: false }
            const loaded = yield* Load.loadText(description, before, settings)
            const document: Yaml.Document = Yaml.parseDocument(before, YamlFile.options)
            const untouched = document.toString({ lineWidth: 0 })
            const result = yield* change(document, loaded.value)
            const after = document.toString({ lineWidth: 0 })
            if (after === untouched && before !== "") return result
            yield* Effect.mapError(Load.loadText(description, after, settings), ({ problems }) =>
              new SettingInvalid({ problems }))
            yield* Effect.mapError(Files.writePrivate(file, after), (error) =>
              notWritten(file, error.message))
            return result
          }).pipe(Effect.provide(context))

        const edit = <E = never>(
          change: (document: Yaml.Document, loaded: ClientSettings) => Effect.Effect<void, E>
        ): Edit<E> =>
          Effect.catchIf(
            editing(change),
            (error) => error instanceof SettingInvalid,
            ({ problems }) => new ConfigInvalid({ problems })
          )

        return ClientConfig.of({
          file,
          load,
          saveProfile: (name, profile, { activate }) =>
            edit((document) =>
              Effect.sync(() => {
                const entry = YamlEdit.mappingAt(document, ["proxy", "profiles", name])
                for (const key of profileKeys) {
                  const value = profile[key]
                  if (value === undefined) YamlEdit.remove(document, entry, key)
                  else YamlEdit.put(document, entry, key, stored(key !== "server_url", value))
                }
                if (activate) activateIn(document, name)
              })
            ),
          use: (name) =>
            edit((document, { proxy }) =>
              Object.hasOwn(proxy.profiles, name)
                ? Effect.sync(() => activateIn(document, name))
                : new ProfileNotFound({ name, profiles: Object.keys(proxy.profiles) })
            ),
          disable: edit((document) => Effect.sync(() => activateIn(document, null))),
          set: (path, value) =>
            editing((document, { proxy }) =>
              Effect.suspend(() => {
                const [parent, key] = [path.slice(0, -1), path.at(-1) ?? ""]
                const [, section, name] = path
                // A profile that only variables make must not be left without its server in the file.
                if (section === "profiles" && name !== undefined && !YamlEdit.has(document, path.slice(0, 3))) {
                  return new ProfileNotFound({ name, profiles: Object.keys(proxy.profiles) })
                }
                YamlEdit.put(document, YamlEdit.mappingAt(document, parent), key, storedAt(path, value))
                return Effect.void
              })
            ),
          unset: (path) =>
            editing((document) =>
              Effect.sync(() => {
                if (!YamlEdit.has(document, path)) return false
                YamlEdit.remove(document, YamlEdit.mappingAt(document, path.slice(0, -1)), path.at(-1) ?? "")
                return true
              })
            ),
          remove: (name) =>
            edit((document) =>
              Effect.suspend(() => {
                const proxy = YamlEdit.mappingAt(document, ["proxy"])
                const profiles = YamlEdit.mappingAt(document, ["proxy", "profiles"])
                if (!profiles.has(name)) {
                  return new ProfileNotFound({ name, profiles: profiles.items.map(({ key }) => YamlEdit.nameOf(key)) })
                }
                YamlEdit.remove(document, profiles, name)
                if (proxy.get("active") === name) activateIn(document, null)
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

const activateIn = (document: Yaml.Document, name: string | null) =>
  YamlEdit.put(document, YamlEdit.mappingAt(document, ["proxy"]), "active", name)

/** A path as the user typed it holds wherever the program runs next; one from the file would be the file's. */
const stored = (isPath: boolean, value: string): string =>
  escape(!isPath || value === "" || /^~(?=\/|$)/.test(value) ? value : NodePath.resolve(value))

const storedAt = (path: ReadonlyArray<string>, value: unknown): unknown => {
  const leaf = Shape.at(Shape.of(description.schema), path)
  if (Array.isArray(value)) return value.map((item: unknown, index) => storedAt([...path, String(index)], item))
  return typeof value === "string" ? stored(leaf?._tag === "Leaf" && leaf.isPath, value) : value
}

const notWritten = (file: string, reason: string) =>
  new ConfigNotWritten({
    summary: `The file ${file} could not be written (${reason}).`,
    remedy: "Check that you may write to its directory and that the disk is not full."
  })
