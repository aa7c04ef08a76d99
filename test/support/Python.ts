/**
 * Debian's Python with grpcio, where the machine has it.
 */
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import { createRequire } from "node:module"
import * as Path from "node:path"
import * as Temporary from "./Temporary.js"

const proto = new URL("../../proto", import.meta.url).pathname

/** A client of reflection needs its stubs before it can ask for any others. */
const reflection = Path.join(
  Path.dirname(createRequire(import.meta.url).resolve("@grpc/reflection")),
  "../proto/grpc/reflection"
)

const files = ["llm_proxy.proto", "google/rpc/status.proto", "v1/reflection.proto"]

export interface Found {
  readonly python: string
  /** A folder with stubs of our proto. */
  readonly stubs: string
}

/** The first interpreter with grpcio for which stubs can be made; undefined when there is none. */
export const available = (): Found | undefined => {
  for (const python of ["/usr/bin/python3", "python3"]) {
    if (!works(python, ["-c", "import grpc, google.protobuf"])) continue
    const stubs = Temporary.directory("stubs")
    const output = [`-I${proto}`, `-I${reflection}`, `--python_out=${stubs}`, `--grpc_python_out=${stubs}`, ...files]
    // Debian has the compiler and its plugin apart; elsewhere they come as a Python package.
    const made = works("protoc", ["--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin", ...output])
      || works(python, ["-m", "grpc_tools.protoc", ...output])
    if (made) return { python, stubs }
    Fs.rmSync(stubs, { recursive: true })
  }
  return undefined
}

/** Debian packages that the test needs. */
export const packages = "python3-grpcio protobuf-compiler protobuf-compiler-grpc libprotobuf-dev"

const works = (program: string, args: ReadonlyArray<string>): boolean => {
  try {
    execFileSync(program, args, { stdio: "ignore" })
    return true
  } catch {
    return false
  }
}
