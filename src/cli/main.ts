#!/usr/bin/env node
/**
 * `vibectl`.
 */
import * as NodeContext from "@effect/platform-node/NodeContext"
import { Effect, Layer, Logger } from "effect"
import { ClientConfig } from "../config/ClientConfig.js"
import { Env } from "../config/Environment.js"
import { consoleLayer, Output } from "../terminal/Output.js"
import * as Program from "../terminal/Program.js"
import { Prompt } from "../terminal/Prompt.js"
import { run } from "./Cli.js"
import { Connector } from "./Connector.js"

/** A warning from within is for the person at the terminal; it must not mix with the answer on stdout. */
const logger = Logger.replace(
  Logger.defaultLogger,
  Logger.withConsoleError(Logger.make(({ message }) => `Warning: ${String(message)}`))
)

const layer = Layer.merge(ClientConfig.layer(), Prompt.layer(process)).pipe(
  Layer.provideMerge(Layer.mergeAll(NodeContext.layer, Env.layer, Connector.layer, Output.layer(process), logger)),
  Layer.provideMerge(consoleLayer(process))
)

run(process.argv).pipe(
  Program.explained,
  Effect.provide(layer),
  Program.attended({ disableErrorReporting: true, disablePrettyLogger: true })
)
