#!/usr/bin/env bash
# openai 6.49.0 (npm): what its errors keep of a refusal.
#
# The guess: an APIError has the body of the response somewhere, so that a program can see which field was refused.
# Seen: only what stands under `error` is kept. Of FastAPI's `{"detail":[…]}`, of a list (Gemini's compatible endpoint)
# and of `{"message":…}` nothing is left, and the message claims "400 status code (no body)".
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
echo '{"private":true,"type":"module"}' > package.json
npm install --silent --no-audit --no-fund openai@6.49.0 >/dev/null
cat > run.js <<'JS'
import Http from "node:http"
import OpenAI from "openai"
const bodies = [
  { detail: [{ type: "extra_forbidden", loc: ["body", "stream_options"], msg: "not permitted" }] },
  [{ error: { code: 400, message: "Unknown name stream_options" } }],
  { message: "json: unknown field stream_options" },
  { error: { message: "unknown field stream_options" } }
]
const server = Http.createServer((request, response) => {
  response.writeHead(400, { "content-type": "application/json" }).end(JSON.stringify(bodies[Number(request.url.split("/")[1])]))
}).listen(0, "127.0.0.1", async () => {
  for (const index of bodies.keys()) {
    const client = new OpenAI({ apiKey: "k", maxRetries: 0, baseURL: `http://127.0.0.1:${server.address().port}/${index}` })
    await client.chat.completions.create({ model: "m", messages: [] })
      .catch((error) => console.log(`${error.message} ${JSON.stringify(error.error)}`))
  }
  server.close()
})
JS
seen=$(node run.js)
echo "$seen"
[ "$seen" = '400 status code (no body) undefined
400 status code (no body) undefined
400 status code (no body) undefined
400 unknown field stream_options {"message":"unknown field stream_options"}' ]
