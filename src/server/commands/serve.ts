/**
 * `vibectl-server [serve]`: serves until it is told to stop.
 */
import { Command, Options } from "@effect/cli"
import { Effect, Layer, Option } from "effect"
import * as Values from "../../commandline/Values.js"
import { Env } from "../../config/Environment.js"
import type { Flags } from "../../config/Load.js"
import * as Config from "../../config/ServerConfig.js"
import * as LogLevel from "../../telemetry/LogLevel.js"
import * as Signals from "../Signals.js"
import { variable } from "../workers/Messages.js"

/** `kinds` are the kinds of providers that the server knows; `terminal` is whether people read its log. */
export const make = (kinds: ReadonlyArray<string>, terminal: Effect.Effect<boolean>) =>
  Command.make("serve", options, (input) =>
    Effect.scoped(Effect.gen(function*() {
      const logSignals = yield* Signals.heard
      const given = { file: Option.getOrUndefined(input.config), flags: flags(input), kinds }
      if ((yield* Env)[variable] !== undefined) {
        const Worker = yield* Effect.promise(() => import("../workers/Worker.js"))
        return yield* Worker.run(given, terminal, logSignals)
      }
      const loaded = yield* Config.load(given)
      if (loaded.value.server.workers > 1) {
        const Primary = yield* Effect.promise(() => import("../workers/Primary.js"))
        return yield* Primary.run(given, terminal, logSignals)
      }
      // gRPC and all that goes with it is loaded now that it is needed, and not for `--help`.
      const { Listening, layer } = yield* Effect.promise(() => import("../ServerLayer.js"))
      const { Ops } = yield* Effect.promise(() => import("../Ops.js"))
      const Announce = yield* Effect.promise(() => import("../Announce.js"))
      const { layer: otlp } = yield* Effect.promise(() => import("../../telemetry/Otlp.js"))

      const started = Effect.gen(function*() {
        const { port: metrics } = yield* Ops
        yield* Announce.started(loaded, kinds, terminal, { ...yield* Listening, metrics })
        return yield* logSignals
      })
      // From its start on: it may be told to stop at once.
      const serving = Effect.onInterrupt(started, () => Announce.stopped)
      return yield* Effect.provide(
        serving,
        layer.pipe(
          Layer.provideMerge(otlp),
          Layer.provideMerge(Announce.logging(terminal)),
          Layer.provideMerge(Config.ServerConfig.layer(given))
        )
      )
    }))).pipe(Command.withDescription("Serve (the default command)"))

// -- internals ---------------------------------------------------------------

const optional = <A>(option: Options.Options<A>, description: string) =>
  Options.optional(Options.withDescription(option, description))

const options = {
  host: optional(Options.text("host"), "Address to listen on (default 127.0.0.1)"),
  port: optional(Values.wholeNumber("port", 0, 65_535), "TCP port (default 50051); 0 for any free one"),
  workers: optional(
    Values.wholeNumber("workers", 1, 128),
    "Processes that take calls on that port (default 1); more than one use more than one processor"
  ),
  config: optional(Options.text("config").pipe(Options.withPseudoName("FILE")), "The configuration file"),
  enableAuth: Options.boolean("enable-auth").pipe(Options.withDescription("Callers must send a token (default)")),
  noEnableAuth: Options.boolean("no-enable-auth").pipe(
    Options.withDescription("Anybody who reaches the port may call")
  ),
  insecure: optional(Values.flag("insecure"), "Serve plaintext instead of TLS"),
  tlsCert: optional(
    Options.text("tls-cert").pipe(Options.withPseudoName("FILE")),
    "PEM certificate with its chain (default: one of a private CA, made once)"
  ),
  tlsKey: optional(Options.text("tls-key").pipe(Options.withPseudoName("FILE")), "PEM key of --tls-cert"),
  clientCa: optional(
    Options.text("client-ca").pipe(Options.withPseudoName("FILE")),
    "PEM CAs of client certificates; with it, every client must have one"
  ),
  model: optional(Options.text("model"), "The model of callers who choose none: provider/model or an alias"),
  logLevel: optional(
    Values.caseless("log-level", LogLevel.names).pipe(Options.withPseudoName("LEVEL")),
    "DEBUG, INFO (default), WARNING or ERROR"
  ),
  metricsPort: optional(
    Values.wholeNumber("metrics-port", 0, 65_535),
    "TCP port of /metrics, /healthz and /readyz on this machine (default 9095, if it is free); 0 for none"
  ),
  logFormat: optional(Options.choice("log-format", ["pretty", "json"]), "The log's form (default pretty on a terminal)")
}

type Input = Command.Command.ParseConfig<typeof options>

const flags = (input: Input): Flags => {
  const auth = input.noEnableAuth
    ? { flag: "--no-enable-auth", value: false }
    : { flag: "--enable-auth", value: input.enableAuth ? true : undefined }
  const given = <A extends string | number | boolean>(flag: string, value: Option.Option<A>) => ({
    flag,
    value: Option.getOrUndefined(value)
  })
  return new Map<string, { readonly flag: string; readonly value: string | number | boolean | undefined }>([
    ["server.host", given("--host", input.host)],
    ["server.port", given("--port", input.port)],
    ["server.workers", given("--workers", input.workers)],
    ["server.enable_auth", auth],
    ["server.default_model", given("--model", input.model)],
    ["server.metrics_port", given("--metrics-port", input.metricsPort)],
    ["server.log_level", given("--log-level", input.logLevel)],
    ["server.log_format", given("--log-format", input.logFormat)],
    ["tls.enabled", given("--insecure", Option.map(input.insecure, (insecure) => !insecure))],
    ["tls.cert_file", given("--tls-cert", input.tlsCert)],
    ["tls.key_file", given("--tls-key", input.tlsKey)],
    ["tls.client_ca_file", given("--client-ca", input.clientCa)]
  ])
}
