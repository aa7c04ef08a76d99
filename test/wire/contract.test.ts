import { assert, describe, it } from "@effect/vitest"
import * as Path from "node:path"
import Protobuf from "protobufjs"

/** The deployed contract, field by field: name, number, type, and how often. Peers depend on every line. */
const base = `
ExecuteRequest.system_fragments = 1 repeated string
ExecuteRequest.user_fragments = 2 repeated string
ExecuteRequest.model_name = 3 optional string
ExecuteRequest.response_model_schema = 4 optional string
ExecuteRequest.request_id = 5 string
ExecuteResponse.request_id = 1 string
ExecuteResponse.success = 2 oneof(result) ExecuteSuccess
ExecuteResponse.error = 3 oneof(result) ExecuteError
ExecuteSuccess.response_text = 1 string
ExecuteSuccess.metrics = 2 ExecutionMetrics
ExecuteSuccess.actual_model_used = 3 string
ExecuteError.error_code = 1 string
ExecuteError.error_message = 2 string
ExecuteError.error_details = 3 optional string
StreamChunk.request_id = 1 string
StreamChunk.text_chunk = 2 oneof(chunk_type) string
StreamChunk.final_metrics = 3 oneof(chunk_type) ExecutionMetrics
StreamChunk.error = 4 oneof(chunk_type) ExecuteError
StreamChunk.complete = 5 oneof(chunk_type) StreamComplete
StreamComplete.actual_model_used = 1 string
ExecutionMetrics.duration_ms = 1 int64
ExecutionMetrics.input_tokens = 2 optional int32
ExecutionMetrics.output_tokens = 3 optional int32
ExecutionMetrics.total_tokens = 4 optional int32
ExecutionMetrics.cost_usd = 5 optional double
ExecutionMetrics.retry_count = 6 int32
ExecutionMetrics.timestamp = 7 int64
GetServerInfoResponse.available_models = 1 repeated ModelInfo
GetServerInfoResponse.default_model = 2 string
GetServerInfoResponse.limits = 3 ServerLimits
GetServerInfoResponse.server_version = 4 string
GetServerInfoResponse.model_aliases = 5 map<string, string>
GetServerInfoResponse.server_name = 6 string
ModelInfo.model_id = 1 string
ModelInfo.display_name = 2 string
ModelInfo.provider = 3 string
ModelInfo.supports_streaming = 4 bool
ModelInfo.max_context_length = 5 optional int32
ModelInfo.aliases = 6 repeated string
ServerLimits.max_requests_per_minute = 1 optional int32
ServerLimits.max_concurrent_requests = 2 optional int32
ServerLimits.max_input_length = 3 optional int32
ServerLimits.request_timeout_seconds = 4 optional int32
`.trim().split("\n")

const proto = new URL("../../proto", import.meta.url).pathname
const root = Protobuf.loadSync(Path.join(proto, "llm_proxy.proto"))
root.resolveAll()
const namespace = root.lookup("vibectl.llm_proxy") as Protobuf.Namespace

const describeField = (field: Protobuf.Field) => {
  if (field instanceof Protobuf.MapField) return `map<${field.keyType}, ${field.type}>`
  const oneof = field.partOf
  const label = field.repeated
    ? "repeated "
    : oneof === null
    ? ""
    : oneof.name.startsWith("_")
    ? "optional "
    : `oneof(${snake(oneof.name)}) `
  return label + field.type
}
const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/** Messages that only extension fields use; their own numbers start at 1. */
const extensions = ["StreamStart", "StreamRestart", "StreamHeartbeat"]

const fields = namespace.nestedArray.flatMap((type) =>
  type instanceof Protobuf.Type && !extensions.includes(type.name)
    ? type.fieldsArray.map((field) => ({
      id: field.id,
      line: `${type.name}.${snake(field.name)} = ${field.id} ${describeField(field)}`
    }))
    : []
)

describe("llm_proxy.proto", () => {
  it("holds every field of the base contract, and nothing else below 16", () => {
    assert.deepStrictEqual(fields.filter(({ id }) => id < 16).map(({ line }) => line).sort(), [...base].sort())
  })

  it("numbers its extensions from 16", () => {
    assert.deepStrictEqual(fields.filter(({ id }) => id >= 16).map(({ line }) => line).sort(), [
      "ExecuteSuccess.finish_reason = 16 string",
      "ExecutionMetrics.tokens_estimated = 16 bool",
      "GetServerInfoResponse.features = 16 repeated string",
      "ServerLimits.max_tokens_per_day = 17 optional int64",
      "ServerLimits.max_tokens_per_minute = 16 optional int64",
      "ServerLimits.max_tokens_per_month = 18 optional int64",
      "ServerLimits.max_usd_per_day = 19 optional double",
      "ServerLimits.max_usd_per_month = 20 optional double",
      "StreamChunk.heartbeat = 18 oneof(chunk_type) StreamHeartbeat",
      "StreamChunk.restart = 17 oneof(chunk_type) StreamRestart",
      "StreamChunk.start = 16 oneof(chunk_type) StreamStart",
      "StreamComplete.finish_reason = 16 string"
    ])
  })

  it("holds the service and its methods", () => {
    const service = namespace.lookupService("VibectlLLMProxy")
    assert.deepStrictEqual(
      service.methodsArray.map((method) => [
        method.name,
        method.requestType,
        method.responseType,
        method.requestStream ?? false,
        method.responseStream ?? false
      ]),
      [
        ["Execute", "ExecuteRequest", "ExecuteResponse", false, false],
        ["StreamExecute", "ExecuteRequest", "StreamChunk", false, true],
        ["GetServerInfo", "GetServerInfoRequest", "GetServerInfoResponse", false, false]
      ]
    )
  })
})
