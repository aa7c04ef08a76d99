#!/usr/bin/env node
/**
 * `vibectl-server`.
 */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, Layer } from "effect"
import { Env } from "../config/Environment.js"
import { consoleLayer } from "../terminal/Output.js"
import * as Program from "../terminal/Program.js"
import { run } from "./Cli.js"
import * as Engine from "./Engine.js"

Engine.tune()

/** People read the log where stderr is a terminal. */
const terminal = Effect.sync(() => process.stderr.isTTY)

run(process.argv, terminal).pipe(
  Program.explained,
  Effect.provide(Layer.provideMerge(Layer.merge(NodeContext.layer, Env.layer), consoleLayer(process))),
  // A server that is told to stop has done nothing wrong.
  NodeRuntime.runMain({ disableErrorReporting: true, disablePrettyLogger: true, teardown: Program.teardown(0) })
)
