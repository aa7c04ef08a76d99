import * as Grpc from "@grpc/grpc-js"
import * as Fs from "node:fs"
import * as Http from "node:http"
import type * as Net from "node:net"
import * as Path from "node:path"
import { afterAll, afterEach, assert, beforeAll, beforeEach, describe, it } from "vitest"
import * as Proto from "../../src/grpc/Proto.js"
import * as Programs from "../support/Programs.js"

/** One for each place where a secret can be; long and mixed enough to be a good one. */
const planted = (place: string) => `CANARY-${place}-0aZ9bY8cX7dW6eV5fU4gT3hS2iR1`

const canaries = {
  apiKey: planted("api-key"),
  apiKeyInFile: planted("api-key-file"),
  apiKeyInVariable: planted("api-key-variable"),
  jwtSecret: planted("jwt-secret"),
  previousSecret: planted("previous-secret"),
  keyAddress: planted("jwks-url"),
  body: planted("provider-body"),
  header: planted("provider-header"),
  metadata: planted("metadata"),
  bearer: planted("bearer"),
  prompt: planted("prompt")
}

/** A provider whose every answer is a fault that says its secret. */
const faults: Record<string, (response: Http.ServerResponse) => void> = {
  unauthorized: (response) =>
    response.writeHead(401, { "content-type": "application/json", "x-request-id": canaries.header }).end(
      JSON.stringify({ error: { message: `Incorrect API key: ${canaries.body}`, type: "x", code: "invalid_api_key" } })
    ),
  broken: (response) =>
    response.writeHead(500, { "set-cookie": `a=${canaries.header}` }).end(`<html>${canaries.body}</html>`),
  garbage: (response) => response.writeHead(200, { "content-type": "application/json" }).end(`{"${canaries.body}`),
  limited: (response) => response.writeHead(429, { "retry-after": canaries.header }).end(canaries.body),
  redirect: (response) => response.writeHead(302, { location: `http://127.0.0.1:1/${canaries.body}` }).end(),
  midstream: (response) => {
    response.writeHead(200, { "content-type": "text/event-stream" })
    response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: "text" } }] })}\n\n`)
    response.write(`event: error\ndata: ${JSON.stringify({ error: { message: canaries.body } })}\n\n`)
    response.end(`data: {"${canaries.body}\n\n`)
  }
}
const vendor = Http.createServer((request, response) => {
  let text = ""
  request.on("data", (piece: Buffer) => {
    text += piece.toString()
  })
  request.on("end", () => {
    const { model = "" } = text === "" ? {} : JSON.parse(text) as { readonly model?: string }
    const fault = faults[model.split("/").at(-1) ?? ""]
    if (fault === undefined) response.writeHead(404).end(canaries.body)
    else fault(response)
  })
})
let vendorUrl = ""
beforeAll(async () => {
  await new Promise<void>((resolve) => vendor.listen(0, "127.0.0.1", resolve))
  vendorUrl = `http://127.0.0.1:${(vendor.address() as Net.AddressInfo).port}`
})
afterAll(() => {
  vendor.closeAllConnections()
  vendor.close()
})

let home: Programs.Home
beforeEach(() => {
  home = Programs.home()
})
afterEach(() => home.close())

const file = (...path: ReadonlyArray<string>) => Path.join(home.directory, ".config/vibectl", ...path)
const secretFile = (name: string, secret: string) => {
  Fs.writeFileSync(Path.join(home.directory, name), `${secret}\n`, { mode: 0o600 })
  return Path.join(home.directory, name)
}

const configure = () => {
  Fs.mkdirSync(file("server"), { recursive: true, mode: 0o700 })
  const models = Object.keys(faults)
  const common = { models, max_retries: 1, failover_seconds: 5 }
  Fs.writeFileSync(
    file("server/config.yaml"),
    JSON.stringify({
      server: {
        jwt_secret: canaries.jwtSecret,
        jwt_previous_secret_files: [secretFile("previous", canaries.previousSecret)]
      },
      auth: {
        issuers: {
          corp: {
            issuer: "https://login.example.com",
            audience: "vibectl",
            jwks_url: `${vendorUrl}/keys?key=${canaries.keyAddress}`
          }
        }
      },
      providers: {
        a: { kind: "openai", base_url: `${vendorUrl}/v1`, api_key: canaries.apiKey, ...common },
        b: {
          kind: "anthropic",
          base_url: vendorUrl,
          api_key_file: secretFile("key", canaries.apiKeyInFile),
          ...common
        },
        c: { kind: "openai", base_url: `${vendorUrl}/v1`, api_key: "${PROVIDER_KEY}", ...common }
      }
    }),
    { mode: 0o600 }
  )
  return { PROVIDER_KEY: canaries.apiKeyInVariable }
}

/** Everything that a call sends back: messages, status text, and trailers with their details. */
const call = (client: Grpc.Client, method: string, model: string, token: string) =>
  new Promise<string>((resolve) => {
    const { path, requestSerialize, responseDeserialize } = Proto.service[method]!
    const metadata = new Grpc.Metadata()
    metadata.set("authorization", `Bearer ${token}`)
    metadata.set("x-api-key", canaries.metadata)
    metadata.set("x-vibectl-features", `start,restart,${canaries.metadata}`)
    metadata.set("cookie", canaries.metadata)
    const request = { request_id: "r", model_name: model, user_fragments: [canaries.prompt], metadata: {} }
    const seen: Array<unknown> = []
    const answer = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request, metadata)
    answer.on("metadata", (metadata) => seen.push(metadata.getMap()))
    answer.on("data", (message: unknown) => seen.push(message))
    answer.on("error", () => {})
    answer.on("status", ({ code, details, metadata }) => {
      const trailers = Object.entries(metadata.getMap()).map(([key, value]) => `${key}: ${value.toString()}`)
      resolve([...seen.map((one) => JSON.stringify(one)), Grpc.status[code], details, ...trailers].join("\n"))
    })
  })

/** Every fault of every provider, with a good token and with bad ones, all at once. */
const callAll = async (port: number, token: string) => {
  const client = new Grpc.Client(`127.0.0.1:${port}`, Grpc.credentials.createInsecure())
  const models = ["a", "b", "c"].flatMap((name) => Object.keys(faults).map((fault) => `${name}/${fault}`))
  const forged = `${token.split(".").slice(0, 2).join(".")}.${canaries.bearer}`
  const calls = [
    ...[...models, "a/none"].map((model) => [model, token] as const),
    ...[canaries.bearer, `${token}x`, forged].map((bearer) => ["a/broken", bearer] as const)
  ]
  const shown: Record<string, string> = {}
  await Promise.all(calls.map(async ([model, bearer]) => {
    for (const method of ["StreamExecute", "Execute"]) {
      shown[`${method} ${model} ${bearer.length}`] = await call(client, method, model, bearer)
    }
  }))
  client.close()
  return shown
}

describe("a secret, wherever it is planted", () => {
  it("never shows in logs, errors, trailers, the audit log, `config show` or a terminal", async () => {
    const variables = configure()
    const made = await home.sh("vibectl-server generate-token ci --output token.jwt", variables)
    assert.strictEqual(made.code, 0, made.stderr)
    const token = Fs.readFileSync(Path.join(home.directory, "token.jwt"), "utf8").trim()
    const shown: Record<string, string> = {}
    for (const format of ["json", "pretty"]) {
      const flags = `--insecure --port 0 --log-level debug --log-format ${format}`
      const server = await home.serve(`vibectl-server ${flags}`, variables)
      Object.assign(shown, await callAll(server.port, token))
      if (format === "json") {
        await home.sh(
          `vibectl setup-proxy configure vibectl-server-insecure://$(cat token.jwt)@localhost:${server.port}`
        )
        for (const fault of ["unauthorized", "midstream"]) {
          const asked = await home.sh(`vibectl vibe --model a/${fault} "explain kubernetes pods"`)
          assert.notStrictEqual(asked.code, 0, fault)
          shown[`vibe ${fault}`] = asked.stdout + asked.stderr
        }
      }
      await server.stop()
      shown[`${format} log`] = server.log()
    }
    for (const line of ["config show", "config show --output json", "keys list"]) {
      const { code, stderr, stdout } = await home.sh(`vibectl-server ${line}`, variables)
      assert.strictEqual(code, 0, stderr)
      shown[line] = stdout + stderr
    }
    shown["audit"] = Fs.readFileSync(file("server/audit.jsonl"), "utf8")
    shown["state"] = Fs.readFileSync(file("server/config-state.json"), "utf8")

    // It is no use to look where nothing happened.
    for (const log of ["json log", "pretty log"]) assert.include(shown[log], "PROVIDER_REJECTED")
    assert.include(shown["audit"], "bad_signature")
    assert.include(shown["config show"], "providers.a.api_key")
    assert.include(shown[`StreamExecute a/midstream ${token.length}`], "text_chunk")
    const secrets = {
      ...canaries,
      header: token.split(".")[0]!,
      payload: token.split(".")[1]!,
      sign: token.split(".")[2]!
    }
    for (const [where, text] of Object.entries(shown)) {
      for (const [name, canary] of Object.entries(secrets)) {
        for (const form of [canary, Buffer.from(canary).toString("base64").slice(0, 40), encodeURIComponent(canary)]) {
          assert.notInclude(text, form, `${name} in: ${where}`)
        }
      }
    }
  })
})
