#!/usr/bin/env bash
# @anthropic-ai/sdk 1.12.0 (npm), lib/transform-json-schema: what it makes of valid schemas.
#
# The guess: the helper that prepares a schema for `output_config.format` keeps what the API supports, and throws or leaves
# alone what it does not.
# Seen: a nullable object loses its properties, a nullable array its items, `definitions` all of its schemas while the
# `$ref` to them stays: what is lost stands as text in `description`. A dictionary becomes an object that may have no key
# at all, and nothing says what it was. Nothing is thrown.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
echo '{"private":true,"type":"module"}' > package.json
npm install --silent --no-audit --no-fund @anthropic-ai/sdk@1.12.0 >/dev/null
cat > run.js <<'JS'
import { transformJSONSchema } from "@anthropic-ai/sdk/lib/transform-json-schema"
const structure = (schema) => {
  const { description, ...rest } = transformJSONSchema(schema)
  console.log(`${JSON.stringify(rest)} ${typeof description}`)
}
structure({ type: ["object", "null"], properties: { name: { type: "string" } } })
structure({ type: ["array", "null"], items: { type: "string" } })
structure({ type: "object", additionalProperties: { type: "string" } })
structure({ type: "object", properties: { a: { $ref: "#/definitions/A" } }, definitions: { A: { type: "string" } } })
JS
seen=$(node run.js)
echo "$seen"
[ "$seen" = '{"type":["object","null"]} string
{"type":["array","null"]} string
{"type":"object","properties":{},"additionalProperties":false} undefined
{"type":"object","properties":{"a":{"$ref":"#/definitions/A"}},"additionalProperties":false} string' ]
