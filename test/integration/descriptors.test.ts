import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import { createRequire } from "node:module"
import * as Path from "node:path"
import { protoDirectory } from "../../src/grpc/Proto.js"
import * as Temporary from "../support/Temporary.js"

const health = Path.join(Path.dirname(createRequire(import.meta.url).resolve("grpc-health-check")), "../../proto")

/** Python's descriptor pool refuses a file whose imports or types are missing. */
const python = `
import sys
from google.protobuf import descriptor_pb2, descriptor_pool
pool = descriptor_pool.DescriptorPool()
for file in descriptor_pb2.FileDescriptorSet.FromString(open(sys.argv[1], "rb").read()).file: pool.Add(file)
for name in ("vibectl.llm_proxy.VibectlLLMProxy", "grpc.health.v1.Health"):
    for method in pool.FindServiceByName(name).methods: print(method.full_name, method.input_type.full_name)
`

const has = (program: string, ...args: ReadonlyArray<string>): boolean => {
  try {
    execFileSync(program, args, { stdio: "ignore" })
    return true
  } catch {
    return false
  }
}

const file = Path.join(protoDirectory, "descriptors.binpb")

describe("the descriptors that reflection shows", () => {
  it.skipIf(!has("protoc", "--version"))("are what protoc makes of the .proto files (skipped without protoc)", () => {
    const directory = Temporary.directory("protoc")
    try {
      const made = Path.join(directory, "made.binpb")
      execFileSync("protoc", [
        `-I${protoDirectory}`,
        `-I${health}`,
        "--include_imports",
        `--descriptor_set_out=${made}`,
        "llm_proxy.proto",
        "health/v1/health.proto"
      ])
      assert.isTrue(Fs.readFileSync(made).equals(Fs.readFileSync(file)), "run protoc again, as above")
    } finally {
      Fs.rmSync(directory, { recursive: true, force: true })
    }
  })

  const modules = "import google.protobuf"
  it.skipIf(!has("/usr/bin/python3", "-c", modules))("are read by Python (skipped without its protobuf)", () => {
    const methods = execFileSync("/usr/bin/python3", ["-c", python, file], { encoding: "utf8" })
    for (const method of ["GetServerInfo", "Execute", "StreamExecute", "Check", "Watch"]) {
      assert.include(methods, `.${method} `)
    }
  })
})
