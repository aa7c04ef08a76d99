/**
 * Whatever the server serves, it serves to callers with a good token only.
 *
 * Which methods there are is asked of the running server, not listed here: one
 * that is added later is called like the others.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Grpc from "@grpc/grpc-js"
import * as ProtoLoader from "@grpc/proto-loader"
import { Effect } from "effect"
import * as Health from "grpc-health-check"
import * as Fs from "node:fs"
import * as Http2 from "node:http2"
import { createRequire } from "node:module"
import * as Path from "node:path"
import { FileDescriptorProto } from "protobufjs/ext/descriptor/index.js"
import * as Proto from "../../src/grpc/Proto.js"
import * as Edge from "../support/Edge.js"
import * as Loopback from "../support/Loopback.js"
import * as Patience from "../support/Patience.js"
import * as RawHttp2 from "../support/RawHttp2.js"

const reflectionProtos = Path.join(
  Path.dirname(createRequire(import.meta.url).resolve("@grpc/reflection")),
  "../proto/grpc/reflection"
)

const isHealth = (method: string) => method.startsWith("/grpc.health.v1.Health/")

/** The methods that a `.proto` file defines, read from its text. */
const definedIn = (file: string): ReadonlyArray<string> => {
  const text = Fs.readFileSync(file, "utf8")
  const [, name] = /^package ([\w.]+);/m.exec(text) ?? []
  return text.split(/^service /m).slice(1).flatMap((service) =>
    [...service.matchAll(/^ +rpc (\w+)/gm)].map(([, method]) => `/${name}.${/^\w+/.exec(service)![0]}/${method}`)
  )
}

interface Reflected {
  readonly list_services_response?: { readonly service: ReadonlyArray<{ readonly name: string }> } | null
  readonly file_descriptor_response?: { readonly file_descriptor_proto: ReadonlyArray<Uint8Array> } | null
}

/** One question to the server's reflection service. */
const reflect = (client: Grpc.Client, token: string, question: object) =>
  Effect.async<Reflected>((resume) => {
    const file = Path.join(reflectionProtos, "v1/reflection.proto")
    const loaded = ProtoLoader.loadSync(file, { keepCase: true })["grpc.reflection.v1.ServerReflection"]
    const method = (loaded as Grpc.ServiceDefinition)["ServerReflectionInfo"]!
    const metadata = new Grpc.Metadata()
    metadata.set("authorization", `Bearer ${token}`)
    const call = client.makeBidiStreamRequest<object, Reflected>(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      metadata
    )
    call.on("data", (answer: Reflected) => resume(Effect.succeed(answer)))
    call.on("error", (error) => resume(Effect.die(error)))
    call.end(question)
  })

/** Every method of every file that the server describes. */
const reflected = ({ good, port }: Edge.Edge) =>
  Effect.gen(function*() {
    const client = yield* Loopback.client(port)
    const listing = yield* reflect(client, good, { list_services: "" })
    const found = yield* Effect.forEach(listing.list_services_response!.service, ({ name }) =>
      Effect.map(reflect(client, good, { file_containing_symbol: name }), ({ file_descriptor_response }) =>
        file_descriptor_response!.file_descriptor_proto.flatMap((bytes) => {
          const file = FileDescriptorProto.decode(bytes)
          const json = file.toJSON() as {
            readonly package: string
            readonly service?: ReadonlyArray<
              { readonly name: string; readonly method: ReadonlyArray<{ name: string }> }
            >
          }
          return (json.service ?? []).flatMap((service) =>
            service.method.map((method) =>
              `/${json.package}.${service.name}/${method.name}`
            )
          )
        })))
    return [...new Set(found.flat())]
  })

/** Calls by bare HTTP/2 with everything that is no good token, and yields the methods that were not refused. */
const open = (edge: Edge.Edge, methods: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const session = yield* RawHttp2.connect(edge.port)
    const callers = { "no token": {}, ...Object.fromEntries(Object.entries(edge.refused).map(bearerOf)) }
    const answered: Array<string> = []
    let calls = 0
    for (const method of methods) {
      for (const headers of Object.values(callers)) {
        const ended = yield* RawHttp2.call(session, RawHttp2.headersOf(method, headers), (stream) => {
          // Some answers go on until the client leaves.
          stream.once("data", () => stream.close(Http2.constants.NGHTTP2_CANCEL))
          stream.end(RawHttp2.envelope(Buffer.alloc(0)))
        })
        calls++
        if (ended.status !== Grpc.status.UNAUTHENTICATED || ended.bytes > 0) answered.push(method)
      }
    }
    return { calls, callers: Object.keys(callers).length, methods: [...new Set(answered)] }
  })

const bearerOf = ([problem, token]: readonly [string, string]) => [problem, Edge.bearer(token)] as const

describe("every method of the server", () => {
  it.scopedLive("is one that the .proto files define, and is found by the walk below", () =>
    Effect.gen(function*() {
      const edge = yield* Edge.serve()
      const described = [Path.join(Proto.protoDirectory, "llm_proxy.proto"), Health.protoPath].flatMap(definedIn)
      assert.strictEqual(described.filter((method) => method.startsWith(Edge.service)).length, 3)
      assert.sameMembers([...yield* reflected(edge)], described)
      // Reflection does not describe itself.
      const own = ["v1", "v1alpha"].flatMap((version) => definedIn(`${reflectionProtos}/${version}/reflection.proto`))
      assert.strictEqual(own.length, 2)
      assert.sameMembers([...edge.methods], [...described, ...own])
    }))

  it.scopedLive("is refused without a good token before anything of it runs, except health checks", () =>
    Effect.gen(function*() {
      const edge = yield* Edge.serve()
      const methods = [...new Set([...yield* reflected(edge), ...edge.methods])]
      for (const list of [edge.handled, edge.decoded, edge.audit, edge.log]) list.length = 0
      const { callers, calls, methods: answered } = yield* open(edge, methods)
      assert.isAtLeast(callers, 6)
      assert.strictEqual(calls, callers * methods.length)
      assert.sameMembers(answered, methods.filter(isHealth))
      assert.deepStrictEqual(edge.handled.filter((method) => !isHealth(method)), [])
      assert.deepStrictEqual(edge.decoded.filter((method) => !isHealth(method)), [])
      const refused = callers * methods.filter((method) => !isHealth(method)).length
      // Beyond a few a second they are counted, and the count is written a moment later.
      const told = () =>
        edge.audit.reduce(
          (sum, { count, event }) =>
            event === "token_refused" ? sum + 1 : event === "tokens_refused" ? sum + Number(count) : NaN,
          0
        )
      yield* Patience.eventually(() => told() >= refused)
      assert.strictEqual(told(), refused)
      assert.strictEqual(edge.log.filter(({ message }) => message === "call refused").length, refused)
    }))

  it.scopedLive("would be found by that walk if it were open", () =>
    Effect.gen(function*() {
      const edge = yield* Edge.serve({ tokens: undefined })
      assert.sameMembers((yield* open(edge, edge.methods)).methods, [...edge.methods])
    }))

  it.scopedLive("is not there under another spelling of its name", () =>
    Effect.gen(function*() {
      const edge = yield* Edge.serve()
      for (const method of edge.methods) {
        for (
          const path of [
            `${method}/`,
            `/${method}`,
            method.toLowerCase(),
            `${method}?x`,
            `/grpc.health.v1.Health/..${method}`,
            `/${encodeURIComponent(method)}`
          ]
        ) {
          const { status } = yield* Edge.call(edge.port, RawHttp2.headersOf(path))
          assert.strictEqual(status, Grpc.status.UNIMPLEMENTED, path)
        }
      }
      assert.deepStrictEqual(edge.handled, [])
    }))
})
