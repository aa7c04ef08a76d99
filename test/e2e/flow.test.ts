import * as Fs from "node:fs"
import * as Http from "node:http"
import type * as Net from "node:net"
import * as Path from "node:path"
import { afterAll, afterEach, assert, beforeAll, beforeEach, describe, it } from "vitest"
import * as Patience from "../support/Patience.js"
import * as Programs from "../support/Programs.js"

let home: Programs.Home
beforeEach(() => {
  home = Programs.home()
})
afterEach(() => home.close())

const mode = (...path: ReadonlyArray<string>) =>
  (Fs.statSync(Path.join(home.directory, ...path)).mode & 0o777).toString(8)
const token = () => Fs.readFileSync(Path.join(home.directory, "token.jwt"), "utf8").trim()

/** The seed's four commands, on a port that is free. */
const setUp = async (variables: Record<string, string> = {}, serverFlags = "") => {
  const port = await Programs.freePort()
  const server = await home.serve(`vibectl-server --enable-auth --port ${port} ${serverFlags}`, variables)
  const made = await home.sh("vibectl-server generate-token my-client --expires-in 30d --output token.jwt")
  assert.strictEqual(made.code, 0, made.stderr)
  const configured = await home.sh(
    `vibectl setup-proxy configure vibectl-server://$(cat token.jwt)@localhost:${port}`
  )
  assert.strictEqual(configured.code, 0, configured.stderr)
  return { port, server, configured }
}

describe("the four commands of the README, in an empty home directory", () => {
  it("work as they are written, and leave no secret where it can be read", async () => {
    const { configured, server } = await setUp()
    const asked = await home.sh("vibectl vibe \"explain kubernetes pods\"")
    assert.strictEqual(asked.code, 0, asked.stderr)
    assert.include(asked.stdout, "explain kubernetes pods")
    assert.match(asked.stdout, /no LLM was called/i)

    const tested = await home.sh("vibectl setup-proxy test")
    assert.strictEqual(tested.code, 0, tested.stderr)
    const [tick, ...table] = tested.stdout.trimEnd().split("\n")
    assert.strictEqual(tick, "✓ Connection successful!")
    assert.deepStrictEqual(table, [
      "┏━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━┓",
      "┃ Property         ┃ Value                 ┃",
      "┡━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━┩",
      "│ Server Name      │ vibectl-llm-proxy     │",
      "│ Version          │ 0.9.1                 │",
      "│ Supported Models │ demo/echo, demo/whole │",
      "└──────────────────┴───────────────────────┘"
    ])

    for (const shown of [configured.stdout, configured.stderr, asked.stderr, tested.stderr, server.log()]) {
      assert.notInclude(shown, token())
    }
    const config = Fs.readFileSync(Path.join(home.directory, ".config/vibectl/client/config.yaml"), "utf8")
    assert.notInclude(config, token())
    for (
      const path of [
        "token.jwt",
        ".config/vibectl/server/jwt-secret",
        ".config/vibectl/client/config.yaml",
        ".config/vibectl/client/tokens/default.jwt"
      ]
    ) assert.strictEqual(mode(path), "600", path)
    assert.strictEqual(mode(".config/vibectl/server/tls"), "700")
    assert.strictEqual(await server.stop(), 0)
    assert.include(server.log(), "shutting down")
  })

  it("work with an OpenAI-compatible endpoint, whose key stays on the server", async () => {
    const variables = { OPENAI_API_KEY: "sk-canary-0123456789", OPENAI_BASE_URL: `${vendor.url}/v1` }
    // The README's line, without a model: the endpoint's own list has one.
    const { configured, server } = await setUp(variables, "--log-level debug")
    assert.include(configured.stdout, "openai/any-model")
    const asked = await home.sh("vibectl vibe \"explain kubernetes pods\"")
    assert.strictEqual(asked.code, 0, asked.stderr)
    assert.strictEqual(asked.stdout, "A pod is a group of containers.\n")
    assert.strictEqual(vendor.seen.at(-1)?.authorization, "Bearer sk-canary-0123456789")
    const body = vendor.seen.at(-1)?.body as { model: string; messages: Array<{ role: string; content: string }> }
    assert.strictEqual(body.model, "any-model")
    assert.deepStrictEqual(body.messages.at(-1), { role: "user", content: "explain kubernetes pods" })
    assert.notInclude(server.log(), "sk-canary")
  })

  it("refuses to start twice on one port, with one sentence", async () => {
    const { port } = await setUp()
    const second = await home.sh(`vibectl-server --port ${port}`)
    assert.strictEqual(second.code, 1)
    assert.include(second.stderr, `Error: Cannot listen on 127.0.0.1:${port}: another program is using it.`)
    assert.strictEqual(second.stdout, "")
    assert.notInclude(second.stderr, "listening")
  })

  it("prints a bare token, so that $(…) works", async () => {
    const printed = await home.sh("vibectl-server generate-token ci --expires-in 1h")
    assert.match(printed.stdout, /^[\w-]+\.[\w-]+\.[\w-]+\n$/)
    assert.strictEqual(printed.stderr, "")
  })

  it("stops at once, exit code 0, on SIGINT too", async () => {
    const server = await home.serve("vibectl-server --port 0")
    const ended = new Promise((resolve) => server.process.once("exit", resolve))
    server.process.kill("SIGINT")
    assert.strictEqual(await ended, 0)
  })

  it("shows a person who presses Ctrl-C during an answer exit code 130", async () => {
    vendor.hang = true
    await setUp({ OPENAI_API_KEY: "sk-x", OPENAI_BASE_URL: `${vendor.url}/v1` }, "--model openai/any-model")
    const before = vendor.closed
    const asked = await home.sh(
      "vibectl vibe \"explain kubernetes pods\" > answer & pid=$!; "
        + "while ! grep -q \"A pod is\" answer; do sleep 0.1; done; "
        + "kill -INT $pid; wait $pid; code=$?; cat answer; exit $code"
    )
    vendor.hang = false
    assert.strictEqual(asked.code, 130, asked.stderr)
    assert.strictEqual(asked.stdout, "A pod is\n")
    await Patience.eventuallyPromise(() => vendor.closed > before)
    assert.strictEqual(vendor.closed, before + 1, "the provider's connection closed")
  })
})

/** An OpenAI-compatible endpoint that streams one answer. */
const vendor = {
  url: "",
  hang: false,
  closed: 0,
  seen: [] as Array<{ readonly authorization: string | undefined; readonly body: unknown }>
}
const endpoint = Http.createServer((request, response) => {
  if (request.method === "GET") {
    return void response.end(JSON.stringify({ data: [{ id: "text-embedding-any" }, { id: "any-model" }] }))
  }
  let text = ""
  request.on("data", (piece: Buffer) => {
    text += piece.toString()
  })
  request.on("end", () => {
    vendor.seen.push({ authorization: request.headers.authorization, body: JSON.parse(text) })
    response.on("close", () => {
      if (!response.writableFinished) vendor.closed += 1
    })
    response.writeHead(200, { "content-type": "text/event-stream" })
    const send = (delta: object, rest: object = {}) =>
      response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta, ...rest }] })}\n\n`)
    send({ role: "assistant", content: "A pod is" })
    if (vendor.hang) return
    send({ content: " a group of containers." })
    send({}, { finish_reason: "stop" })
    response.end("data: [DONE]\n\n")
  })
})
beforeAll(async () => {
  await new Promise<void>((resolve) => endpoint.listen(0, "127.0.0.1", resolve))
  vendor.url = `http://127.0.0.1:${(endpoint.address() as Net.AddressInfo).port}`
})
afterAll(() => {
  endpoint.closeAllConnections()
  endpoint.close()
})
