/**
 * What reflection shows: the `.proto` files as protoc has compiled them, into `proto/descriptors.binpb`.
 *
 * Those that proto-loader makes by itself name map entries wrongly and lack imports, so that no client can read them.
 */
import type * as ProtoLoader from "@grpc/proto-loader"
import * as Fs from "node:fs"
import * as NodePath from "node:path"
import Protobuf from "protobufjs"
import { packageDefinition, protoDirectory, serviceName } from "./Proto.js"

/** The parts of a `google.protobuf.FileDescriptorSet`: its only field, once for each file. */
const filesOf = (set: Uint8Array): Array<Buffer> => {
  const reader = Protobuf.Reader.create(set)
  const files: Array<Buffer> = []
  while (reader.pos < reader.len) {
    reader.uint32()
    files.push(Buffer.from(reader.bytes()))
  }
  return files
}

const compiled = filesOf(Fs.readFileSync(NodePath.join(protoDirectory, "descriptors.binpb")))

/** As the reflection service wants it: it looks at nothing but the descriptors. */
export const definition: ProtoLoader.PackageDefinition = {
  [serviceName]: Object.assign({}, packageDefinition[serviceName], { fileDescriptorProtos: compiled })
}
