/**
 * `vibectl vibe "…"`: puts the model to work, and prints its answer as it is produced.
 *
 * stdout gets the answer and nothing else, ended by one newline.
 */
import { Args, Command, Options } from "@effect/cli"
import { Duration, Effect, Option } from "effect"
import * as Vibe from "../../assistant/Vibe.js"
import * as Values from "../../commandline/Values.js"
import { nearest } from "../../domain/Nearest.js"
import * as Kubectl from "../../kubectl/Kubectl.js"
import * as Verbs from "../../kubectl/Verbs.js"
import { UsageInvalid } from "../../terminal/UsageInvalid.js"
import { Connector } from "../Connector.js"
import * as Privacy from "../Privacy.js"
import * as Target from "../Target.js"
import * as TerminalFace from "../TerminalFace.js"
import { output, proxy, toggle } from "./options.js"

export const vibe = Command.make("vibe", {
  request: Args.text({ name: "request" }).pipe(
    Args.withDescription("What to do or to answer, with or without quotes"),
    Args.atLeast(1)
  ),
  mode: Options.choice("mode", ["manual", "semiauto", "auto"]).pipe(
    Options.withDescription(
      "What may run unasked: manual: nothing; semiauto: what only reads; auto: also the verbs of assistant.allow_verbs"
    ),
    Options.optional
  ),
  model: Options.text("model").pipe(
    Options.withPseudoName("MODEL"),
    Options.withDescription("provider/model or an alias, instead of assistant.model or the server's default"),
    Options.optional
  ),
  proxy,
  showKubectl: toggle("show-kubectl", "Show each kubectl command that runs"),
  yes: Options.boolean("yes", { aliases: ["y"] }).pipe(
    Options.withDescription("Approve every command without asking")
  ),
  dryRun: Options.boolean("dry-run").pipe(
    Options.withDescription("Print the first command that would run, and run nothing")
  ),
  maxSteps: Values.wholeNumber("max-steps", 1, 100).pipe(
    Options.withPseudoName("N"),
    Options.withDescription("How many steps the model may take"),
    Options.optional
  ),
  exitStatus: Options.boolean("exit-status").pipe(
    Options.withDescription("Exit with 1 when the last command failed, even if the model has an answer")
  ),
  showMetrics: toggle("show-metrics", "Say what it took: tokens, cost, time to the first token"),
  output
}, (input) =>
  Effect.scoped(Effect.gen(function*() {
    const request = input.request.join(" ").trim()
    const target = yield* Target.profile(Option.getOrUndefined(input.proxy))
    const { profile, settings: { assistant } } = target
    const stranger = assistant.allow_verbs.find((verb) => !Verbs.isVerb(verb))
    if (stranger !== undefined) return yield* notAVerb(stranger)
    const options = yield* Target.ofProfile(target)
    const client = yield* (yield* Connector).connect(options)
    const makeFace = input.output === "json" ? TerminalFace.makeJson : TerminalFace.make
    const face = yield* makeFace({
      showKubectl: Option.getOrElse(input.showKubectl, () => assistant.show_kubectl),
      showMetrics: Option.getOrElse(input.showMetrics, () => assistant.show_metrics),
      warnSanitization: profile.security.warn_sanitization
    })
    const privacy = yield* Privacy.ofProfile(target)
    const kubectl = yield* Kubectl.make(assistant.kubectl)
    yield* Vibe.run({
      request,
      client,
      face,
      kubectl,
      ...privacy,
      profile: target.name,
      server: `${options.host}:${options.port}`,
      model: Option.getOrElse(input.model, () => assistant.model),
      policy: {
        mode: Option.getOrElse(input.mode, () => assistant.mode),
        allow: new Set(assistant.allow_verbs)
      },
      yes: input.yes,
      dryRun: input.dryRun,
      exitStatus: input.exitStatus,
      confirmOnce: profile.security.confirmation_mode === "per-session",
      maxSteps: Option.getOrElse(input.maxSteps, () => assistant.max_steps),
      timeout: Duration.seconds(assistant.kubectl_timeout_seconds)
    })
  }))).pipe(Command.withDescription("Ask, or have something done on a cluster, and read the answer as it is produced"))

// -- internals ---------------------------------------------------------------

const notAVerb = (name: string) => {
  const closest = nearest(name, Verbs.names())
  return new UsageInvalid({
    summary: `assistant.allow_verbs names '${name}', which is no verb of kubectl.`,
    remedy: closest.length === 0
      ? "Name verbs as kubectl has them, e.g. `scale` or `rollout restart`."
      : `Did you mean ${closest.join(" or ")}?`
  })
}
