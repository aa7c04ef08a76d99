#!/usr/bin/env node
/**
 * `vibectl-server`.
 */
import * as NodeContext from "@effect/platform-node/NodeContext"
import { Effect, Layer } from "effect"
import { Env } from "../config/Environment.js"
import { consoleLayer } from "../terminal/Output.js"
import * as Program from "../terminal/Program.js"
import { Columns } from "../terminal/Table.js"
import { run } from "./Cli.js"
import * as Engine from "./Engine.js"
import * as Signals from "./Signals.js"

Engine.tune()
const stopping = Signals.stopping()

/** People read the log where stderr is a terminal. */
const terminal = Effect.sync(() => process.stderr.isTTY)

/** Colours are taken out where they do not belong by the console below. */
const screen = { columns: process.stdout.columns ?? 80, colour: true }

/** Tables fit the terminal. */
const columns = Layer.succeed(Columns, process.stdout.isTTY ? process.stdout.columns : undefined)

run(process.argv, terminal, screen).pipe(
  Program.explained,
  Effect.provide(
    Layer.provideMerge(
      Layer.mergeAll(NodeContext.layer, Env.layer, columns, Layer.succeed(Signals.Signals, stopping.signals)),
      consoleLayer(process)
    )
  ),
  // A server that is told to stop has done nothing wrong.
  stopping.run({ disableErrorReporting: true, disablePrettyLogger: true, teardown: Program.teardown(0) })
)
