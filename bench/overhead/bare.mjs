// The least that a proxy can be: grpc-js, undici, the few lines that read server-sent events, and a check of the token.
//
// What others are compared with. It has no limits, retries, timeouts, log, metrics or record of usage.
// Usage: node bare.mjs PORT PROVIDER_URL, with the secret of the tokens in VIBECTL_JWT_SECRET.
import * as Grpc from "@grpc/grpc-js"
import * as Loader from "@grpc/proto-loader"
import { createHmac, randomUUID, timingSafeEqual } from "node:crypto"
import { request } from "undici"
import { models } from "./scenarios.mjs"

const [port, provider] = process.argv.slice(2)
const secret = process.env.VIBECTL_JWT_SECRET
const proto = new URL("../../proto/llm_proxy.proto", import.meta.url).pathname
const { VibectlLLMProxy } = Grpc.loadPackageDefinition(Loader.loadSync(proto, {
  keepCase: true,
  longs: Number,
  defaults: true
}))
  .vibectl.llm_proxy

const trusted = (metadata) => {
  const token = String(metadata.get("authorization")[0] ?? "").slice("Bearer ".length)
  const [head, claims, signature] = token.split(".")
  const expected = createHmac("sha256", secret).update(`${head}.${claims}`).digest()
  const given = Buffer.from(signature ?? "", "base64url")
  return given.length === expected.length && timingSafeEqual(given, expected)
    && JSON.parse(Buffer.from(claims, "base64url")).exp > Date.now() / 1000
}

const refused = { code: Grpc.status.UNAUTHENTICATED, details: "the token is not good" }
const failed = (error) => ({ code: Grpc.status.UNAVAILABLE, details: String(error.message) })

const ask = async ({ model_name, system_fragments, user_fragments }, stream, signal) => {
  const messages = [
    { role: "system", content: system_fragments.join("\n\n") },
    { role: "user", content: user_fragments.join("\n\n") }
  ]
  const { body, statusCode } = await request(`${provider}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: "Bearer key" },
    body: JSON.stringify({
      model: model_name.slice("openai/".length),
      messages,
      ...stream && { stream, stream_options: { include_usage: true } }
    }),
    headersTimeout: 0,
    bodyTimeout: 0,
    signal
  })
  if (statusCode !== 200) throw new Error(`HTTP ${statusCode}`)
  return body
}

const metricsOf = (startedAt, usage) => ({
  duration_ms: Date.now() - startedAt,
  input_tokens: usage.prompt_tokens,
  output_tokens: usage.completion_tokens,
  total_tokens: usage.total_tokens,
  timestamp: Math.floor(Date.now() / 1000)
})

const streamExecute = async (call) => {
  if (!trusted(call.metadata)) return call.emit("error", refused)
  const startedAt = Date.now()
  const request_id = call.request.request_id || randomUUID()
  const leaving = new AbortController()
  call.on("cancelled", () => leaving.abort())
  try {
    const body = await ask(call.request, true, leaving.signal)
    body.setEncoding("utf8")
    let [rest, usage] = ["", undefined]
    for await (const piece of body) {
      const events = (rest + piece).split("\n\n")
      rest = events.pop()
      for (const event of events) {
        if (event === "data: [DONE]") continue
        const chunk = JSON.parse(event.slice("data: ".length))
        usage = chunk.usage ?? usage
        const text_chunk = chunk.choices[0]?.delta.content
        if (text_chunk && !call.write({ request_id, text_chunk })) {
          await new Promise((resolve) => call.once("drain", resolve))
        }
      }
    }
    call.write({ request_id, complete: { actual_model_used: call.request.model_name } })
    call.write({ request_id, final_metrics: metricsOf(startedAt, usage) })
    call.end()
  } catch (error) {
    call.emit("error", failed(error))
  }
}

const execute = async (call, respond) => {
  if (!trusted(call.metadata)) return respond(refused)
  const startedAt = Date.now()
  try {
    const answer = await (await ask(call.request, false)).json()
    respond(null, {
      request_id: call.request.request_id || randomUUID(),
      success: {
        response_text: answer.choices[0].message.content,
        metrics: metricsOf(startedAt, answer.usage),
        actual_model_used: call.request.model_name
      }
    })
  } catch (error) {
    respond(failed(error))
  }
}

const information = {
  available_models: models.map((model) => ({
    model_id: `openai/${model}`,
    display_name: model,
    provider: "openai",
    supports_streaming: true
  })),
  default_model: `openai/${models[0]}`,
  limits: { max_requests_per_minute: 100_000_000 },
  server_version: "0.0.0",
  server_name: "bare"
}

const server = new Grpc.Server({ "grpc.max_concurrent_streams": 1000 })
server.addService(VibectlLLMProxy.service, {
  StreamExecute: streamExecute,
  Execute: execute,
  GetServerInfo: (call, respond) => trusted(call.metadata) ? respond(null, information) : respond(refused)
})
server.bindAsync(`127.0.0.1:${port}`, Grpc.ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error
})
