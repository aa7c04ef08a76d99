/**
 * The wire contract, read from the published `.proto` files.
 *
 * The `.proto` is the single source: messages are encoded and decoded by it,
 * and `Wire.ts` turns what it yields into domain values by Schema.
 */
import { type ServiceDefinition } from "@grpc/grpc-js"
import * as ProtoLoader from "@grpc/proto-loader"
import { fileURLToPath } from "node:url"

/** The folder with `llm_proxy.proto`; beside `src` and `dist` alike. */
export const protoDirectory = fileURLToPath(new URL("../../proto", import.meta.url))

export const packageDefinition = ProtoLoader.loadSync("llm_proxy.proto", {
  includeDirs: [protoDirectory],
  keepCase: true,
  // int64 fields are milliseconds and seconds, far below 2^53.
  longs: Number,
  enums: String,
  defaults: true,
  oneofs: true
})

export const serviceName = "vibectl.llm_proxy.VibectlLLMProxy"

/** The three methods, by the name of the `.proto`. */
export const service: ServiceDefinition = serviceOf(packageDefinition[serviceName])

/** The name of a field of the request of one of these methods, by `/package.Service/Method`. */
export const fieldName = (rpc: string, number: number): string | undefined => fieldNames.get(rpc)?.get(number)

// -- internals ---------------------------------------------------------------

function serviceOf(definition: ProtoLoader.AnyDefinition | undefined): ProtoLoader.ServiceDefinition {
  if (definition === undefined || "format" in definition) {
    throw new Error(`${protoDirectory}/llm_proxy.proto does not define the service ${serviceName}`)
  }
  return definition
}

const fieldNames: ReadonlyMap<string, ReadonlyMap<number, string>> = new Map(
  Object.values(serviceOf(packageDefinition[serviceName])).map(({ path, requestType }) => [
    path,
    // Foreign: its types leave open what protoc says of a message.
    new Map((requestType.type as Described).field.map(({ name, number }) => [number, name]))
  ])
)

interface Described {
  readonly field: ReadonlyArray<{ readonly name: string; readonly number: number }>
}
