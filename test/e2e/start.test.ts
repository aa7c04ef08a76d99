/**
 * What a program loads before it does anything is most of the time that a person waits for it.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import * as Programs from "../support/Programs.js"

let home: Programs.Home
beforeAll(() => {
  home = Programs.home()
  Fs.writeFileSync(Path.join(home.directory, "recorder.mjs"), recorder)
})
afterAll(() => home.close())

/** The files that a line loads, each with its length. */
const loaded = async (line: string) => {
  const record = Path.join(home.directory, "loaded")
  Fs.rmSync(record, { force: true })
  const ran = await home.sh(line, { LOADED: record, NODE_OPTIONS: `--import ${home.directory}/recorder.mjs` })
  assert.strictEqual(ran.code, 0, ran.stderr)
  assert.notInclude(ran.stdout, "\u001b", "no colours where no person looks")
  const urls = Fs.readFileSync(record, "utf8").trim().split("\n")
  const files = [...new Set(urls.filter((url) => url.startsWith("file:")).map((url) => fileURLToPath(url)))]
  return files.map((file) => ({ file, bytes: Fs.statSync(file).size }))
}

/** Packages that only some commands need; `jose` signs tokens. */
const heavy = (allowed: ReadonlyArray<string>) => (file: string) =>
  /node_modules\/(@grpc|protobufjs|openai|@anthropic-ai|undici|libsql|@redis|jose|@peculiar|reflect-metadata)\//
    .exec(file)?.slice(1).some((name) => !allowed.includes(name)) ?? false

describe("a program that starts", () => {
  for (
    const [line, most, allowed] of [
      ["vibectl --help", { files: 30, kilobytes: 2800 }, []],
      ["vibectl --version", { files: 30, kilobytes: 2800 }, []],
      ["vibectl setup-proxy list", { files: 30, kilobytes: 2800 }, []],
      ["vibectl-server --help", { files: 90, kilobytes: 2900 }, ["jose"]],
      ["vibectl-server generate-token ci", { files: 90, kilobytes: 2900 }, ["jose"]]
    ] as const
  ) {
    it(`loads little for \`${line}\``, async () => {
      const files = await loaded(line)
      assert.include(files.map(({ file }) => Path.basename(file)), "main.js", "the recorder works")
      assert.deepStrictEqual(files.filter(({ file }) => heavy(allowed)(file)), [])
      assert.isAtMost(files.length, most.files, "files")
      assert.isAtMost(files.reduce((sum, { bytes }) => sum + bytes, 0) / 1000, most.kilobytes, "kilobytes")
    })
  }

  it("loads gRPC when a command calls a server", async () => {
    const { port } = await home.serve("vibectl-server --port 0 --insecure --no-enable-auth")
    const files = await loaded(`vibectl setup-proxy test vibectl-server-insecure://localhost:${port}`)
    assert.isTrue(files.some(({ file }) => file.includes("node_modules/@grpc/grpc-js/")), "the recorder sees it")
  })
})

/** Writes down the URL of every module that is loaded, whichever way. */
const recorder = `
import { appendFileSync } from "node:fs"
import Module, { register } from "node:module"
import { pathToFileURL } from "node:url"
const write = (url) => appendFileSync(process.env.LOADED, url + "\\n")
register("data:text/javascript," + encodeURIComponent(\`
  import { appendFileSync } from "node:fs"
  export const load = (url, context, next) => {
    appendFileSync(process.env.LOADED, url + "\\\\n")
    return next(url, context)
  }
\`))
process.on("exit", () => {
  for (const file of Object.keys(Module._cache)) write(pathToFileURL(file))
})
`
