/**
 * `vibectl setup-proxy list|use|remove|url|disable`: the profiles and which of them is used.
 */
import { Args, Command } from "@effect/cli"
import { FileSystem } from "@effect/platform"
import { Effect, Option } from "effect"
import * as NodePath from "node:path"
import { ClientConfig } from "../../config/ClientConfig.js"
import { paths } from "../../config/Paths.js"
import * as Show from "../../config/Show.js"
import { Output } from "../../terminal/Output.js"
import * as Table from "../../terminal/Table.js"
import * as Target from "../Target.js"
import { output } from "./options.js"

export const list = Command.make("list", { output }, (input) =>
  Effect.gen(function*() {
    const screen = yield* Output
    const { proxy } = (yield* (yield* ClientConfig).load).value
    const profiles = Object.entries(proxy.profiles).map(([name, profile]) => ({
      name,
      active: name === proxy.active,
      server_url: Show.address(profile.server_url),
      ca_bundle_path: profile.ca_bundle_path ?? null,
      jwt_path: profile.jwt_path ?? null,
      security: profile.security
    }))
    if (input.output === "json") return yield* screen.line(JSON.stringify(profiles, undefined, 2))
    if (profiles.length === 0) {
      return yield* screen.note(Target.firstSteps)
    }
    const rows = profiles.map((profile) => [
      profile.name,
      profile.active ? "yes" : "",
      profile.server_url,
      profile.jwt_path === null ? "none" : "stored",
      profile.security.sanitize_requests ? "on" : "off"
    ])
    yield* screen.line(
      Table.render(["Profile", "Active", "Server", "Token", "Redaction"], rows, { width: screen.columns })
    )
  })).pipe(Command.withDescription("Show the profiles"))

export const use = Command.make("use", { name: Args.text({ name: "PROFILE" }) }, ({ name }) =>
  Effect.gen(function*() {
    yield* (yield* ClientConfig).use(name)
    yield* (yield* Output).note(`✓ Profile '${name}' is active.`)
  })).pipe(Command.withDescription("Make a profile the active one"))

export const remove = Command.make(
  "remove",
  { name: Args.text({ name: "PROFILE" }) },
  ({ name }) =>
    Effect.gen(function*() {
      const config = yield* ClientConfig
      const profile = (yield* config.load).value.proxy.profiles[name]
      yield* config.remove(name)
      // A token file that the user made elsewhere is not ours to remove.
      const own = profile?.jwt_path !== undefined && NodePath.dirname(profile.jwt_path) === (yield* paths).tokensDir
      if (own) yield* Effect.ignore((yield* FileSystem.FileSystem).remove(profile.jwt_path))
      yield* (yield* Output).note(`✓ Profile '${name}' is removed${own ? ", and its token" : ""}.`)
    })
).pipe(Command.withDescription("Remove a profile and its token"))

export const url = Command.make("url", {
  name: Args.text({ name: "PROFILE" }).pipe(Args.optional)
}, ({ name }) =>
  Effect.gen(function*() {
    const { profile } = yield* Target.profile(Option.getOrUndefined(name))
    yield* (yield* Output).line(Show.address(profile.server_url))
  })).pipe(Command.withDescription("Print a profile's URL, without its token"))

export const disable = Command.make("disable", {}, () =>
  Effect.gen(function*() {
    yield* (yield* ClientConfig).disable
    yield* (yield* Output).note("✓ The proxy is disabled; `vibectl setup-proxy use NAME` turns it on again.")
  })).pipe(Command.withDescription("Use no server; the profiles stay"))
