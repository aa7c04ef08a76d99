/**
 * Clients that know of the server only what its reflection describes: buf, from npm, and Python's descriptor pool. Each
 * calls every method, the health service's too, with a token over TLS, and without TLS.
 */
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import * as Programs from "../support/Programs.js"
import * as Python from "../support/Python.js"
import * as Temporary from "../support/Temporary.js"

const service = "vibectl.llm_proxy.VibectlLLMProxy"
const health = "grpc.health.v1.Health"
const methods = [
  `${health}/Check`,
  `${health}/List`,
  `${health}/Watch`,
  `${service}/Execute`,
  `${service}/GetServerInfo`,
  `${service}/StreamExecute`
]

/** What the health service answers of all services. */
const everyone = { statuses: { "": { status: "SERVING" }, [service]: { status: "SERVING" } } }

const bufVersion = "1.75.0"

/** Its program, which is in an optional dependency for the platform; or why there is none. */
const installBuf = (): { readonly program: string } | { readonly missing: string } => {
  const folder = Temporary.directory("buf")
  Fs.writeFileSync(Path.join(folder, "package.json"), "{\"private\":true}")
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=0"]
  try {
    execFileSync("npm", ["install", ...flags, `@bufbuild/buf@${bufVersion}`], { cwd: folder, stdio: "pipe" })
  } catch (thrown) {
    const output = thrown instanceof Error && "stderr" in thrown ? String(thrown.stderr) : ""
    return { missing: `npm install @bufbuild/buf failed: ${/E[A-Z0-9]{3,}/.exec(output)?.[0] ?? String(thrown)}` }
  }
  const scope = Path.join(folder, "node_modules/@bufbuild")
  const found = Fs.readdirSync(scope).map((name) => Path.join(scope, name, "bin/buf"))
    .find((file) => !file.startsWith(Path.join(scope, "buf/")) && Fs.existsSync(file))
  return found === undefined
    ? { missing: `@bufbuild/buf has no program for ${process.platform}-${process.arch}` }
    : { program: found }
}

/** Of a server, with and without TLS. */
interface Face {
  readonly name: string
  readonly port: number
  readonly ca: string | undefined
}

describe("reflection", () => {
  let home: Programs.Home
  let faces: ReadonlyArray<Face>
  const python = Python.available()

  beforeAll(async () => {
    home = Programs.home()
    // The first makes the keys that the second uses, too.
    const tls = await home.serve("vibectl-server --port 0")
    const plain = await home.serve("vibectl-server --port 0 --insecure")
    const made = await home.sh("vibectl-server generate-token reflecting --output token.jwt")
    assert.strictEqual(made.code, 0, made.stderr)
    const ca = Path.join(home.directory, ".config/vibectl/server/tls/ca.crt")
    faces = [{ name: "TLS", port: tls.port, ca }, { name: "plaintext", port: plain.port, ca: undefined }]
  })

  afterAll(() => home.close())

  it("is enough for buf curl to list and call every method", async (context) => {
    const buf = installBuf()
    if ("missing" in buf) return context.skip(buf.missing)
    const curl = (face: Face, path: string, flags: string) =>
      home.sh(
        `${buf.program} curl --protocol grpc -H "authorization: Bearer $(cat token.jwt)" --reflect-header "*" ${flags} ${
          face.ca === undefined ? "http" : `--cacert ${face.ca} https`
        }://localhost:${face.port}${path}`
      )
    for (const face of faces) {
      const listed = await curl(face, "", "--list-methods")
      assert.strictEqual(listed.code, 0, `${face.name}: ${listed.stderr}`)
      assert.deepStrictEqual(listed.stdout.trim().split("\n").sort(), methods, face.name)

      const call = async (method: string, flags: string) => {
        const { code, stderr, stdout } = await curl(face, `/${method}`, flags)
        assert.strictEqual(code, 0, `${face.name} ${method}: ${stderr}`)
        return stdout
      }
      const info = JSON.parse(await call(`${service}/GetServerInfo`, "")) as Record<string, unknown>
      assert.strictEqual(info["defaultModel"], "demo/echo")
      assert.property(info["modelAliases"], "claude-4-sonnet")
      const asked = `-d '{"user_fragments": ["hello"], "request_id": "from-buf"}'`
      const answer = JSON.parse(await call(`${service}/Execute`, asked)) as {
        readonly requestId: string
        readonly success: { readonly responseText: string }
      }
      assert.strictEqual(answer.requestId, "from-buf")
      assert.include(answer.success.responseText, "You asked: hello")
      const streamed = await call(`${service}/StreamExecute`, asked)
      assert.include(streamed, "\"textChunk\": ")
      assert.include(streamed, "\"finalMetrics\": ")
      assert.deepStrictEqual(JSON.parse(await call(`${health}/Check`, "")), { status: "SERVING" })
      assert.deepStrictEqual(JSON.parse(await call(`${health}/List`, "")), everyone)

      // It ends only with the server or the caller: what buf reports is its own deadline, after the first message.
      const watched = await curl(face, `/${health}/Watch`, "--timeout 2s")
      assert.deepStrictEqual(JSON.parse(watched.stdout), { status: "SERVING" })
      assert.include(watched.stderr, "deadline_exceeded")
    }
  })

  const why = python === undefined ? ` (skipped: apt-get install ${Python.packages})` : ""
  it.skipIf(python === undefined)(
    `is enough for Python to build its descriptors and call every method${why}`,
    async () => {
      for (const face of faces) {
        const ran = await home.sh(
          `${python!.python} ${new URL("../interop/reflect.py", import.meta.url).pathname} localhost:${face.port} ${
            face.ca ?? "-"
          } token.jwt ${python!.stubs}`
        )
        assert.strictEqual(ran.code, 0, `${face.name}: ${ran.stderr}`)
        const seen = JSON.parse(ran.stdout) as Record<string, ReadonlyArray<Record<string, unknown>>>
        assert.deepStrictEqual(Object.keys(seen).sort(), methods, face.name)
        const only = (method: string) => {
          assert.lengthOf(seen[method]!, 1, method)
          return seen[method]![0]!
        }
        assert.deepStrictEqual(only(`${health}/Check`), { status: "SERVING" })
        assert.deepStrictEqual(only(`${health}/List`), everyone)
        assert.deepStrictEqual(only(`${health}/Watch`), { status: "SERVING" })
        assert.strictEqual(only(`${service}/GetServerInfo`)["defaultModel"], "demo/echo")
        assert.property(only(`${service}/GetServerInfo`)["modelAliases"], "claude-4-sonnet")
        assert.property(only(`${service}/Execute`), "success")
        assert.property(seen[`${service}/StreamExecute`]!.at(-1), "finalMetrics")
      }
    }
  )
})
