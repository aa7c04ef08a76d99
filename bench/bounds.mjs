// What one caller, or one provider, can do to all others: the longest wait of another caller during requests that are
// hard to please, and the memory that the server takes at most.
//
// The other caller asks GetServerInfo again and again, from a thread of its own. Every request is one that the server's
// default limits let in. Fails when one of them makes the other caller wait for longer than 250 ms.
// Usage: npm run build && node bench/bounds.mjs
import * as Grpc from "@grpc/grpc-js"
import * as ProtoLoader from "@grpc/proto-loader"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Http from "node:http"
import { createRequire } from "node:module"
import * as Os from "node:os"
import * as Path from "node:path"
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads"

const proto = createRequire(import.meta.url).resolve("vibectl/llm_proxy.proto")
const longest = 250

const connect = (port) => {
  const { VibectlLLMProxy } = Grpc.loadPackageDefinition(
    ProtoLoader.loadSync(proto, { keepCase: true, oneofs: true })
  ).vibectl.llm_proxy
  return new VibectlLLMProxy(`127.0.0.1:${port}`, Grpc.credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.max_receive_message_length": -1
  })
}

/** The thread of the other caller: answers each message with the longest wait since the last one, in milliseconds. */
const watch = async () => {
  const client = connect(workerData.port)
  let worst = 0
  parentPort.on("message", () => {
    parentPort.postMessage(worst)
    worst = 0
  })
  for (;;) {
    const began = performance.now()
    await new Promise((resolve, reject) => client.GetServerInfo({}, (error) => error ? reject(error) : resolve()))
    worst = Math.max(worst, performance.now() - began)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

const brackets = 3_000_000
const nested = (count) => `${"[".repeat(count / 2)}${"]".repeat(count / 2)}`

/** A provider whose model's name says what it answers. */
const provider = () =>
  new Promise((resolve) => {
    const server = Http.createServer((request, response) => {
      let body = ""
      request.setEncoding("utf8")
      request.on("data", (piece) => {
        if (body.length < 300) body += piece
      })
      request.on("end", () => {
        const model = /"model":"([\w-]+)"/.exec(body)?.[1]
        const endless = () => {
          const piece = Buffer.alloc(65_536, "x")
          const more = () => {
            while (!response.destroyed && response.write(piece));
          }
          response.on("drain", more)
          more()
        }
        response.on("error", () => {})
        if (model === "whole") {
          response.writeHead(200, { "content-type": "application/json" }).write(
            "{\"choices\":[{\"message\":{\"content\":\""
          )
          endless()
        } else if (model === "error") {
          response.writeHead(400, { "content-type": "application/json" }).write("{\"error\":{\"message\":\"")
          endless()
        } else if (model === "event") {
          response.writeHead(200, { "content-type": "text/event-stream" })
          response.end(`data: ${nested(brackets)}\n\n`)
        } else {
          response.writeHead(200, { "content-type": "application/json" })
          response.end("{\"choices\":[{\"message\":{\"content\":\"yes\"},\"finish_reason\":\"stop\"}]}")
        }
      })
    })
    server.listen(0, "127.0.0.1", () => resolve(server))
  })

const serve = async (baseUrl, nodeOptions = "") => {
  const directory = Fs.mkdtempSync(Path.join(Os.tmpdir(), "vibectl-bounds-"))
  const child = spawn(
    process.execPath,
    [new URL("../dist/server/main.js", import.meta.url).pathname, "--insecure", "--no-enable-auth", "--port", "0"],
    {
      env: {
        PATH: process.env.PATH,
        NODE_OPTIONS: nodeOptions,
        VIBECTL_CONFIG_DIR: directory,
        OPENAI_API_KEY: "any",
        OPENAI_BASE_URL: `${baseUrl}/v1`
      },
      stdio: ["ignore", "ignore", "pipe"]
    }
  )
  let log = ""
  const port = await new Promise((resolve, reject) => {
    child.stderr.on("data", (piece) => {
      log += piece
      const found = /"address":"[^"]*:(\d+)"/.exec(log)?.[1]
      if (found !== undefined) resolve(Number(found))
    })
    child.once("exit", (code) => reject(new Error(`the server ended with ${code}: ${log}`)))
  })
  return {
    port,
    pid: child.pid,
    stop: async () => {
      child.removeAllListeners("exit")
      const ended = once(child, "exit")
      child.kill()
      await ended
      Fs.rmSync(directory, { recursive: true })
    }
  }
}

const names = (count) => Array.from({ length: count }, (_, index) => `n${index}`)
const schema = (count) => {
  const all = names(count)
  return JSON.stringify({
    type: "object",
    properties: Object.fromEntries(all.map((name) => [name, { type: "string" }])),
    required: all.reverse(),
    additionalProperties: false
  })
}

/** Requests within `max_message_bytes`, 4 MiB. */
const requests = {
  "a schema of 60,000 names, required in the opposite order": {
    user_fragments: ["x"],
    response_model_schema: schema(60_000)
  },
  "a schema of 2 million brackets": { user_fragments: ["x"], response_model_schema: nested(2_000_000) },
  "a million empty fragments": { user_fragments: Array.from({ length: 1_000_000 }, () => "") },
  "4 MB of one letter": { user_fragments: ["x".repeat(4_000_000)] },
  "1.3 million Chinese characters": { user_fragments: ["\u4e2d".repeat(1_300_000)] },
  "4 MB of a log": { user_fragments: ["2026-11-30T10:00:00.123Z ERROR 0xdeadbeef 10.0.0.1:443 ".repeat(70_000)] },
  "an event of 3 million brackets from the provider": { user_fragments: ["x"], model_name: "openai/event" },
  "an endless whole answer": { user_fragments: ["x"], model_name: "openai/whole" },
  "an endless error": { user_fragments: ["x"], model_name: "openai/error" }
}

const answered = (client, method, request) =>
  new Promise((resolve) => {
    const message = { model_name: "openai/plain", ...request }
    if (method === "Execute") return client.Execute(message, (error) => resolve(error?.code ?? 0))
    const stream = client.StreamExecute(message)
    stream.on("data", () => {})
    stream.on("error", (error) => resolve(error.code))
    stream.on("end", () => resolve(0))
  })

/** The most memory that the process has had, in MiB; what it had before does not count. */
const resetPeak = (pid) => Fs.writeFileSync(`/proc/${pid}/clear_refs`, "5")
const peak = (pid) =>
  Math.round(Number(/VmHWM:\s+(\d+)/.exec(Fs.readFileSync(`/proc/${pid}/status`, "utf8"))[1]) / 1024)

/** Many large prompts at once. */
const flood = async ({ pid, port }) => {
  resetPeak(pid)
  const request = { user_fragments: ["x".repeat(3_500_000)] }
  const statuses = await Promise.all(Array.from({ length: 60 }, () => answered(connect(port), "Execute", request)))
  const count = (status) => statuses.filter((each) => each === status).length
  return {
    "longest wait, ms": undefined,
    "memory at most, MiB": peak(pid),
    status: `${count(0)} OK, ${count(Grpc.status.RESOURCE_EXHAUSTED)} RESOURCE_EXHAUSTED`
  }
}

const main = async () => {
  const endpoint = await provider()
  const server = await serve(`http://127.0.0.1:${endpoint.address().port}`)
  const worker = new Worker(new URL(import.meta.url), { workerData: { port: server.port } })
  worker.on("error", (error) => {
    throw error
  })
  const worst = async () => {
    worker.postMessage("")
    return Math.round((await once(worker, "message"))[0])
  }
  const client = connect(server.port)
  const pause = (millis) => new Promise((resolve) => setTimeout(resolve, millis))
  await pause(2000)
  await worst()
  await pause(1000)
  const rows = {
    "nothing else": { "longest wait, ms": await worst(), "memory at most, MiB": peak(server.pid), status: "" }
  }
  for (const [name, request] of Object.entries(requests)) {
    for (const method of ["Execute", "StreamExecute"]) {
      // Once before, for what only the first request of a kind costs.
      for (const isMeasured of [false, true]) {
        await worst()
        resetPeak(server.pid)
        const status = await answered(client, method, request)
        await pause(300)
        if (!isMeasured) continue
        rows[`${name}, ${method}`] = {
          "longest wait, ms": await worst(),
          "memory at most, MiB": peak(server.pid),
          status: Grpc.status[status]
        }
      }
    }
  }
  await worst()
  rows["60 prompts of 3.5 MB at once"] = { ...await flood(server), "longest wait, ms": await worst() }
  const small = await serve(`http://127.0.0.1:${endpoint.address().port}`, "--max-old-space-size=512")
  rows["the same, with a heap of 512 MiB"] = await flood(small)
  await small.stop()
  console.table(rows)
  await worker.terminate()
  await server.stop()
  endpoint.close()
  endpoint.closeAllConnections()
  const late = Object.entries(rows).filter(([name, row]) =>
    row["longest wait, ms"] > longest && !name.startsWith("60 ")
  )
  if (late.length > 0) console.log(`longer than ${longest} ms: ${late.map(([name]) => name).join("; ")}`)
  process.exit(late.length > 0 ? 1 : 0)
}

await (isMainThread ? main() : watch())
