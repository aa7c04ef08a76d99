/**
 * `vibectl-server info`: what the server that runs is doing.
 */
import { Command, Options } from "@effect/cli"
import { Console, DateTime, Effect, Option, Schema } from "effect"
import { Activity } from "../../ops/Activity.js"
import * as OpsClient from "../../ops/OpsClient.js"
import * as Table from "../../terminal/Table.js"
import { UsageInvalid } from "../../terminal/UsageInvalid.js"
import * as OpsAddress from "./opsAddress.js"
import { config, output } from "./options.js"

/** `kinds` are the kinds of providers that the server knows. */
export const make = (kinds: ReadonlyArray<string>) =>
  Command.make("info", {
    output,
    config,
    url: Options.text("url").pipe(
      Options.withDescription("Another server's port for operators: http://HOST:PORT"),
      Options.optional
    )
  }, (input) =>
    Effect.gen(function*() {
      if (Option.isSome(input.url) && Option.isSome(input.config)) {
        return yield* new UsageInvalid({
          summary: "--url and --config name a server each.",
          remedy: "Leave one of them out."
        })
      }
      const url = yield* Option.match(input.url, {
        onNone: () => OpsAddress.ofConfig(kinds, input.config),
        onSome: (typed) => OpsAddress.ofUrl(typed)
      })
      const activity = yield* OpsClient.activity(url)
      yield* Console.log(
        input.output === "json"
          ? JSON.stringify(yield* Effect.orDie(Schema.encode(Activity)(activity)), undefined, 2)
          : table(activity, yield* Table.Columns)
      )
    })).pipe(Command.withDescription("Show what the running server is doing"))

// -- internals ---------------------------------------------------------------

const table = (activity: Activity, width: number | undefined): string => {
  const { calls, providers, running, store, tiers } = activity
  return Table.render(["What", "Value"], [
    ["Version", activity.version],
    ["Address", activity.address],
    ...activity.workers === undefined ? [] : [[
      "Processes",
      `${activity.workers.ready} of ${activity.workers.wanted}, ${activity.workers.replaced} replaced`
    ]],
    ["Up", `${lasting(activity.uptime_seconds)}, since ${DateTime.formatIso(activity.started_at)}`],
    ["Default model", activity.default_model ?? "none"],
    ["Log level", activity.log_level],
    ["Store of limits", `${store.kind}, ${store.ready ? "ready" : `not ready: ${store.problem ?? "unknown"}`}`],
    ["Calls that run", listed(running.methods)],
    ["Whose they are", listed(running.subjects)],
    ["Calls that ended", listed(calls)],
    ["Answers by tier", listed(tiers)],
    ...Object.entries(providers).map(([name, { account, answers, attempts, failures }]) => [
      `Provider ${name}`,
      [`attempts ${attempts}, failures ${failures}, answers ${answers}`, ...refusals(account)].join("; ")
    ])
  ], { width })
}

/** How often, and when last, a provider refused this server's account. */
const refusals = (account: Activity["providers"][string]["account"] = {}): ReadonlyArray<string> =>
  Object.entries(account).map(([cause, { failures, last_at: at }]) =>
    `${causes[cause] ?? cause} ${failures}${at === null ? "" : `, last ${DateTime.formatIso(at)}`}`
  )

const causes: { readonly [cause: string]: string } = {
  key: "refused its API key:",
  credit: "has no credit:",
  access: "does not serve this account:"
}

/** The most first. */
const listed = (counts: { readonly [name: string]: number }): string =>
  Object.entries(counts)
    .sort(([, one], [, other]) => other - one)
    .map(([name, count]) => `${name} ${count}`)
    .join(", ") || "none"

/** Its two largest units, e.g. `3d 4h`. */
const lasting = (seconds: number): string => {
  const parts = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"]
  ] as const
  const first = parts.findIndex(([count]) => count > 0)
  return first < 0 ? "0s" : parts.slice(first, first + 2).map(([count, unit]) => `${count}${unit}`).join(" ")
}
