/**
 * Debian's Python with grpcio, where the machine has it.
 */
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"

const python = "/usr/bin/python3"
const proto = new URL("../../proto", import.meta.url).pathname

/** The interpreter and a folder with stubs of our proto; undefined when grpcio or the compiler is missing. */
export const available = (): { readonly python: string; readonly stubs: string } | undefined => {
  const plugin = "/usr/bin/grpc_python_plugin"
  try {
    execFileSync(python, ["-c", "import grpc, google.protobuf"], { stdio: "ignore" })
    Fs.accessSync(plugin)
    execFileSync("protoc", ["--version"], { stdio: "ignore" })
  } catch {
    return undefined
  }
  const stubs = Fs.mkdtempSync(Path.join(Os.tmpdir(), "vibectl-stubs-"))
  execFileSync("protoc", [
    `-I${proto}`,
    `--python_out=${stubs}`,
    `--grpc_python_out=${stubs}`,
    `--plugin=protoc-gen-grpc_python=${plugin}`,
    "llm_proxy.proto"
  ])
  return { python, stubs }
}

/** Debian packages that the test needs. */
export const packages = "python3-grpcio protobuf-compiler protobuf-compiler-grpc"
