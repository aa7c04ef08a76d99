/**
 * `vibectl models`: what a server can be asked for.
 */
import { Command } from "@effect/cli"
import { Effect, Option } from "effect"
import type { ModelInfo } from "../../domain/ModelInfo.js"
import type { ServerInfo } from "../../domain/ServerInfo.js"
import { Output } from "../../terminal/Output.js"
import * as Table from "../../terminal/Table.js"
import { Connector } from "../Connector.js"
import * as ServerTable from "../ServerTable.js"
import * as Target from "../Target.js"
import { output, proxy } from "./options.js"

export const models = Command.make("models", { proxy, output }, (input) =>
  Effect.scoped(Effect.gen(function*() {
    const screen = yield* Output
    const options = yield* Target.ofProfile(yield* Target.profile(Option.getOrUndefined(input.proxy)))
    const info = yield* (yield* (yield* Connector).connect(options)).serverInfo
    if (input.output === "json") {
      const rows = info.models.map((model) => ({ ...ServerTable.modelToJson(model), default: isDefault(model, info) }))
      return yield* screen.line(JSON.stringify(rows, undefined, 2))
    }
    if (info.models.length === 0) {
      return yield* screen.note("No models are listed for you; a full name such as openai/gpt-4o may still work.")
    }
    const rows = info.models.map((model) => [
      model.id,
      isDefault(model, info) ? "yes" : "",
      model.streams ? "yes" : "no",
      model.contextLength === undefined ? "" : String(model.contextLength),
      model.aliases.join(", ")
    ])
    yield* screen.line(
      Table.render(["Model", "Default", "Streams", "Context", "Aliases"], rows, { width: screen.columns })
    )
  }))).pipe(Command.withDescription("List the models of the server"))

// -- internals ---------------------------------------------------------------

/** An older server may name its default by an alias. */
const isDefault = ({ aliases, id }: ModelInfo, { defaultModel }: ServerInfo): boolean =>
  id === defaultModel || aliases.includes(defaultModel)
