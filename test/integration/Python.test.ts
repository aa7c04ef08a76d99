import { spawn } from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import { afterAll, assert, describe, it } from "vitest"
import * as Programs from "../support/Programs.js"
import * as Python from "../support/Python.js"

const found = Python.available()
const interop = new URL("../interop", import.meta.url).pathname
const why = found === undefined ? ` (skipped: apt-get install ${Python.packages})` : ""

interface Seen {
  readonly info: {
    readonly name: string
    readonly version: string
    readonly default: string
    readonly models: ReadonlyArray<readonly [string, string, boolean, ReadonlyArray<string>]>
    readonly aliases: Record<string, string>
  }
  readonly unary: Record<string, unknown>
  readonly stream: Streamed
  readonly whole: Streamed
  readonly unknown_model: {
    readonly status: string
    readonly details: string
    readonly in_band: unknown
    readonly rich: unknown
  }
  readonly no_token: { readonly status: string; readonly details: string }
}
interface Streamed {
  readonly kinds: ReadonlyArray<string>
  readonly ids: ReadonlyArray<string>
  readonly text: string
  readonly model: ReadonlyArray<string>
}

describe.skipIf(found === undefined)(`a Python peer${why}`, () => {
  const { python, stubs } = found ?? { python: "", stubs: "" }
  afterAll(() => Fs.rmSync(stubs, { recursive: true, force: true }))

  it("calls all three methods of our server with a token over TLS", async () => {
    const home = Programs.home()
    try {
      const server = await home.serve("vibectl-server --port 0")
      await home.sh("vibectl-server generate-token python --output token.jwt")
      const ran = await home.sh(
        `${python} ${interop}/client.py localhost:${server.port} .config/vibectl/server/tls/ca.crt token.jwt ${stubs}`
      )
      assert.strictEqual(ran.code, 0, ran.stderr)
      const seen = JSON.parse(ran.stdout) as Seen

      assert.strictEqual(seen.info.name, "vibectl-llm-proxy")
      assert.strictEqual(seen.info.version, "0.9.1")
      assert.strictEqual(seen.info.default, "demo/echo")
      assert.deepStrictEqual(seen.info.models, [
        ["demo/echo", "demo", true, ["echo"]],
        ["demo/whole", "demo", false, ["whole"]]
      ])
      assert.strictEqual(seen.info.aliases["claude-4-sonnet"], "anthropic/claude-sonnet-4-0")

      assert.deepInclude(seen.unary, {
        request_id: "from-python",
        result: "success",
        model: "demo/echo",
        has_cost: true
      })
      assert.strictEqual(seen.unary["total"], seen.unary["sum"])
      assert.isAbove(seen.unary["total"] as number, 0)
      assert.isAbove(seen.unary["timestamp"] as number, 1_700_000_000)
      assert.include(seen.unary["text"], "What is a pod?\n\nAnd a node?")

      for (const [name, model] of [["stream", "demo/echo"], ["whole", "demo/whole"]] as const) {
        const { ids, kinds, model: used, text } = seen[name]
        assert.isAbove(kinds.filter((kind) => kind === "text_chunk").length, 1, name)
        assert.deepStrictEqual(kinds.filter((kind) => kind !== "text_chunk"), ["complete", "final_metrics"])
        assert.deepStrictEqual(kinds.slice(-2), ["complete", "final_metrics"])
        assert.deepStrictEqual(ids, ["from-python"])
        assert.deepStrictEqual(used, [model])
        assert.include(text, "And a node?")
      }

      assert.strictEqual(seen.unknown_model.status, "NOT_FOUND")
      assert.include(seen.unknown_model.details, "demo/echo")
      assert.deepStrictEqual(seen.unknown_model.in_band, [["error", "MODEL_NOT_FOUND"]])
      assert.deepStrictEqual(seen.unknown_model.rich, {
        code: 5,
        ErrorInfo: ["MODEL_NOT_FOUND", "vibectl"],
        ResourceInfo: ["model", "demo/eco"]
      })
      assert.strictEqual(seen.no_token.status, "UNAUTHENTICATED")
    } finally {
      await home.close()
    }
  })

  for (const version of ["0.9.1", "0.11.6"]) {
    it(`whose server behaves like the deployed ${version} is understood by our client`, async () => {
      const home = Programs.home()
      const server = spawn(python, [`${interop}/server.py`, stubs, version], { stdio: ["pipe", "pipe", "inherit"] })
      try {
        const [first] = await once(server.stdout, "data") as [Buffer]
        const port = Number(first.toString())
        const url = (token: string) => `vibectl-server-insecure://${token}localhost:${port}`
        const refused = await home.sh(`vibectl setup-proxy test ${url("")}`)
        assert.strictEqual(refused.code, 3)
        assert.include(refused.stderr, "Please provide a valid JWT token")

        const token = (await home.sh("vibectl-server generate-token t")).stdout.trim()
        const configured = await home.sh(`vibectl setup-proxy configure ${url(`${token}@`)}`)
        assert.strictEqual(configured.code, 0, configured.stderr)
        assert.include(
          (await home.sh("vibectl setup-proxy test")).stdout,
          `│ Version          │ ${version.padEnd(17)} │`
        )

        const asked = await home.sh("vibectl vibe \"what is a pod?\"")
        assert.deepStrictEqual([asked.code, asked.stdout], [0, "deployed answer\n"])
        const broken = await home.sh("vibectl vibe --model broken \"what is a pod?\"")
        assert.strictEqual(broken.code, 1)
        assert.include(broken.stderr, "Failed to execute prompt: boom")
        assert.strictEqual(broken.stdout, "")
      } finally {
        server.stdin.end()
        await home.close()
      }
    })
  }
})
