/**
 * What `setup-proxy test` and `configure` show of a server.
 */
import * as Limits from "../domain/Limits.js"
import type { ServerInfo } from "../domain/ServerInfo.js"
import * as Table from "../terminal/Table.js"

/** The table of the documentation: name, version, and the first models; `width` as for every table. */
export const render = (info: ServerInfo, width: number | undefined): string => {
  const shown = info.models.slice(0, most).map(({ id }) => id)
  const models = info.models.length > most ? [...shown, "..."] : shown
  return Table.render(["Property", "Value"], [
    ["Server Name", info.name],
    ["Version", info.version],
    ["Supported Models", models.length === 0 ? "none" : models.join(", ")]
  ], { width })
}

/** Everything, for programs. */
export const toJson = (info: ServerInfo): string =>
  JSON.stringify(
    {
      server_name: info.name,
      server_version: info.version,
      default_model: info.defaultModel,
      models: info.models.map(modelToJson),
      model_aliases: Object.fromEntries(info.aliases),
      limits: Object.fromEntries(
        Object.entries(Limits.toKeys(info.limits)).map(([key, limit]) => [key, limit ?? null])
      ),
      features: info.features
    },
    undefined,
    2
  )

/** One model, as the wire names its properties. */
export const modelToJson = (model: ServerInfo["models"][number]) => ({
  model_id: model.id,
  display_name: model.displayName,
  provider: model.provider,
  supports_streaming: model.streams,
  max_context_length: model.contextLength ?? null,
  aliases: model.aliases
})

// -- internals ---------------------------------------------------------------

const most = 3
