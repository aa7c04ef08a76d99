import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { type Home, home } from "../support/Programs.js"

const hasKubectl = spawnSync("kubectl", ["version", "--client"]).status === 0
const manifest = JSON.parse(Fs.readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  bin: Record<string, string>
}

describe("kubectl vibe", () => {
  let person: Home
  beforeAll(() => {
    person = home()
    const target = new URL(`../../${manifest.bin["kubectl-vibe"]}`, import.meta.url).pathname
    Fs.symlinkSync(target, Path.join(person.directory, "bin/kubectl-vibe"))
  })
  afterAll(() => person.close())

  it.skipIf(!hasKubectl)("is vibectl vibe", async () => {
    const server = await person.serve("vibectl-server --port 0")
    const configured = await person.sh(
      `vibectl setup-proxy configure "vibectl-server://$(vibectl-server generate-token me)@localhost:${server.port}"`
    )
    assert.strictEqual(configured.code, 0, configured.stderr)
    const help = await person.sh("kubectl vibe --help")
    assert.include(help.stdout, "$ kubectl vibe [")
    const asked = await person.sh("kubectl vibe \"what is a pod\"")
    const direct = await person.sh("vibectl vibe \"what is a pod\"")
    assert.deepStrictEqual(asked, direct)
    assert.notInclude(asked.stderr, "No server is configured")
    await server.stop()
  })

  it("says what to type when nothing is configured", async () => {
    const other = home()
    const { code, stderr } = await other.sh(`${Path.join(person.directory, "bin/kubectl-vibe")} hello`)
    await other.close()
    assert.strictEqual(code, 1)
    assert.include(stderr, "If your operator gave you a URL, store it:")
  })

  it("remembers what is piped in", async () => {
    const set = await person.sh("printf 'prod is eu-1\\n\\n' | vibectl memory set -")
    assert.strictEqual(set.code, 0, set.stderr)
    assert.strictEqual((await person.sh("vibectl memory show")).stdout, "prod is eu-1\n")
  })
})
