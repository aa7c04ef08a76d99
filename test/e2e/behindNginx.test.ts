/**
 * The built programs with nginx between them, whose buffers are as they come and whose patience is short.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Grpc from "@grpc/grpc-js"
import { Effect } from "effect"
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as FakeVendor from "../../src/testing/FakeVendor.js"
import * as Loopback from "../support/Loopback.js"
import * as Patience from "../support/Patience.js"
import * as Programs from "../support/Programs.js"
import * as Python from "../support/Python.js"

const has = (program: string): boolean => {
  try {
    execFileSync("which", [program], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
}

const missing = has("nginx") ? "" : " (skipped: no nginx)"
const python = Python.available()

/** How long nginx lets the server be silent. */
const patienceSeconds = Math.ceil(Patience.scaled(3000) / 1000)

/** 40 models with names of 100 characters: a list that no header may hold. */
const models = Array.from({ length: 40 }, (_, index) => `model-${String(index).padStart(2, "0")}-`.padEnd(100, "x"))

/** Asks for a model that is not there, and prints the status. */
const script = `
import sys
address, stubs = sys.argv[1:3]
sys.path.insert(0, stubs)
import grpc
import llm_proxy_pb2 as pb, llm_proxy_pb2_grpc as rpc
with grpc.insecure_channel(address) as channel:
    try:
        rpc.VibectlLLMProxyStub(channel).Execute(pb.ExecuteRequest(user_fragments=["hi"], model_name="elsewhere/none"), timeout=60)
    except grpc.RpcError as error:
        print(error.code().name, error.details())
`

/** A server, its provider, nginx in front of it, and a person who goes through nginx. */
const world = Effect.gen(function*() {
  const vendor = yield* FakeVendor.make()
  const home = yield* Effect.acquireRelease(Effect.sync(Programs.home), (home) => Effect.promise(home.close))
  const directory = Path.join(home.directory, ".config/vibectl/server")
  const settings = {
    server: { default_model: `openai/${models[0]}`, heartbeat_seconds: 1 },
    providers: { openai: { kind: "openai", api_key: "k", base_url: vendor.openai, models } }
  }
  Fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
  Fs.writeFileSync(Path.join(directory, "config.yaml"), JSON.stringify(settings), { mode: 0o600 })
  const { port } = yield* Effect.promise(() => home.serve("vibectl-server --port 0 --insecure --no-enable-auth"))

  const front = yield* Effect.promise(Programs.freePort)
  const file = Path.join(home.directory, "nginx.conf")
  const scratch = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((kind) => `${kind}_temp_path ${home.directory}/${kind};`).join(" ")
  Fs.writeFileSync(
    file,
    `daemon off; pid ${home.directory}/nginx.pid; error_log ${home.directory}/nginx.log; events {}
     http { access_log off; ${scratch} server { listen 127.0.0.1:${front} http2;
       location / { grpc_pass grpc://127.0.0.1:${port}; grpc_read_timeout ${patienceSeconds}s; } } }`
  )
  yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn("nginx", ["-c", file, "-p", home.directory, "-e", `${home.directory}/nginx.log`], { stdio: "ignore" })
    ),
    (child) =>
      Effect.promise(async () => {
        const ended = child.exitCode === null && child.signalCode === null ? once(child, "exit") : undefined
        child.kill("SIGTERM")
        await ended
      })
  )
  const client = yield* Loopback.client(front)
  yield* Patience.eventually(Effect.isSuccess(Loopback.unaryCall(client, "GetServerInfo", {})), "nginx")
  yield* Effect.promise(() => home.sh(`vibectl setup-proxy configure vibectl-server-insecure://127.0.0.1:${front}`))
  return { vendor, home, port, front, client }
})

describe("behind nginx", () => {
  it.scopedLive.skipIf(missing !== "")(
    `a model may think for longer than nginx bears silence: vibectl asks for heartbeats; a client that does not is cut${missing}`,
    () =>
      Effect.gen(function*() {
        const { client, home, vendor } = yield* world
        const pace = 250
        vendor.otherwise({
          thoughts: Math.ceil((patienceSeconds + 3) * 1000 / pace),
          pace,
          pieces: ["thought", " well"]
        })
        const [asked, plain] = yield* Effect.all([
          Effect.promise(() => home.sh("vibectl vibe \"what is a pod?\"")),
          Loopback.collect(Loopback.streamCall(client, { user_fragments: ["hi"] }))
        ], { concurrency: 2 })
        assert.deepStrictEqual([asked.code, asked.stdout, asked.stderr], [0, "thought well\n", ""])
        assert.notStrictEqual(plain.status.code, Grpc.status.OK, "nginx cuts what is silent")
      })
  )

  it.scopedLive.skipIf(missing !== "")(
    `an unknown model among 40 with long names is NOT_FOUND through default buffers, to vibectl, grpc-js and Python${missing}`,
    () =>
      Effect.gen(function*() {
        const { client, front, home, port } = yield* world
        const error = yield* Effect.flip(
          Loopback.unaryCall(client, "Execute", { user_fragments: ["hi"], model_name: "elsewhere/none" })
        )
        assert.strictEqual(Grpc.status[error.code], "NOT_FOUND", error.details)
        const asked = yield* Effect.promise(() => home.sh("vibectl vibe --model elsewhere/none \"what is a pod?\""))
        assert.strictEqual(asked.code, 1)
        assert.include(asked.stderr, "elsewhere/none")
        assert.notInclude(asked.stderr, "502")
        if (python === undefined) return
        Fs.writeFileSync(Path.join(home.directory, "unknown.py"), script)
        for (const to of [port, front]) {
          const { stderr, stdout } = yield* Effect.promise(() =>
            home.sh(`${python.python} unknown.py 127.0.0.1:${to} ${python.stubs}`)
          )
          assert.match(stdout, /^NOT_FOUND .*elsewhere\/none/, stderr)
        }
      })
  )
})
