#!/usr/bin/env bash
# node v20.20.2 (node:http2) and @grpc/grpc-js 1.14.7 (npm): keepalive pings while a connection drains.
#
# The guess: after a GOAWAY (NO_ERROR) the streams that run go on (RFC 9113, 6.8), the connection is alive, and it can be
# asked with a PING whether it still is.
# Seen: node:http2 sends no PING any more on a session that has received a GOAWAY, although its streams go on: `ping()`
# returns undefined and its callback gets ERR_HTTP2_PING_CANCEL at once. The keepalive of grpc-js takes that for a dead
# connection, so that with `grpc.keepalive_time_ms` a stream that outlives the next ping of a draining server ends with
# UNAVAILABLE "Connection dropped", in the middle of data; without keepalive the same stream ends whole.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
echo '{"private":true,"type":"module"}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts @grpc/grpc-js@1.14.7 >/dev/null
cat > run.js <<'JS'
import Grpc from "@grpc/grpc-js"
import { once } from "node:events"
import Http2 from "node:http2"

const plain = Http2.createServer().listen(0, "127.0.0.1")
await once(plain, "listening")
const client = Http2.connect(`http://127.0.0.1:${plain.address().port}`)
const request = client.request({ ":path": "/" })
const [serving] = await once(plain, "stream")
serving.respond()
await once(request, "response")
serving.session.goaway(0)
await once(client, "goaway")
await new Promise(setImmediate)
await new Promise((resolve) => {
  const returned = client.ping((error) => {
    console.log(`http2: ping returned ${returned}, then ${error?.code}; the session is destroyed: ${client.destroyed}`)
    resolve()
  })
})
serving.end("rest")
let text = ""
for await (const chunk of request) text += chunk
console.log(`http2: the stream ends whole: ${text === "rest"}`)
client.close()
plain.close()

const method = {
  path: "/test.Test/Stream", requestStream: false, responseStream: true,
  requestSerialize: (value) => value, requestDeserialize: (value) => value,
  responseSerialize: (value) => value, responseDeserialize: (value) => value
}
for (const options of [{}, { "grpc.keepalive_time_ms": 300, "grpc.keepalive_timeout_ms": 5000 }]) {
  const server = new Grpc.Server()
  server.addService({ Stream: method }, {
    Stream: (call) => {
      call.write(Buffer.from("first"))
      setTimeout(() => {
        call.write(Buffer.from("last"))
        call.end()
      }, 2000)
    }
  })
  const port = await new Promise((resolve) =>
    server.bindAsync("127.0.0.1:0", Grpc.ServerCredentials.createInsecure(), (_, port) => resolve(port)))
  const peer = new Grpc.Client(`127.0.0.1:${port}`, Grpc.credentials.createInsecure(), options)
  const call = peer.makeServerStreamRequest(method.path, method.requestSerialize, method.responseDeserialize, Buffer.from("a"))
  const seen = []
  call.on("error", () => {})
  call.on("data", (data) => {
    if (seen.push(String(data)) === 1) server.tryShutdown(() => {})
  })
  const status = await new Promise((resolve) => call.on("status", resolve))
  console.log(`grpc-js, keepalive ${"grpc.keepalive_time_ms" in options}: ${seen}; ${status.code} ${status.details}`)
  peer.close()
  server.forceShutdown()
}
JS
node --version
seen=$(node run.js)
echo "$seen"
[ "$seen" = 'http2: ping returned undefined, then ERR_HTTP2_PING_CANCEL; the session is destroyed: false
http2: the stream ends whole: true
grpc-js, keepalive false: first,last; 0 OK
grpc-js, keepalive true: first; 14 Connection dropped' ]
