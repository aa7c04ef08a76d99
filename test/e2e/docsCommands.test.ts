/**
 * Every command and every configuration that the documentation shows, as it stands there.
 *
 * What a reader has to fill in is written in capitals or with an ellipsis, and is filled in here; the ports and hosts
 * are those of a server that the test starts. Each line ends with exit code 0, or is named below with the reason why
 * it is not run.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { afterAll, assert, beforeAll, beforeEach, describe, it } from "vitest"
import * as Programs from "../support/Programs.js"

const root = new URL("../..", import.meta.url).pathname
const files = [
  "README.md",
  ...Fs.readdirSync(Path.join(root, "docs")).filter((file) => file.endsWith(".md")).map((f) => `docs/${f}`)
]

/** Lines that other checks run, or that need what a test cannot have. */
const elsewhere: ReadonlyArray<readonly [RegExp, string]> = [
  [
    /^npm |^(FUZZ|SLOW)\w*=.* npm |^node |^npx /,
    "the checks, benches and demo of this repository, which CI and people run"
  ],
  [/^export OPENAI_API_KEY=/, "a key of the reader's"],
  [/^vibectl-server providers check groq$/, "a provider of the reader's; see test/integration/providersCheck.test.ts"],
  [/^grpcurl /, "a program that neither npm nor Debian has"],
  [/--port 443\b/, "a port that only root may have"],
  [/^vibectl-server --client-ca /, "a server that asks for client certificates; see test/e2e/twoMachines.test.ts"],
  [/ URL /, "the other machine's half; see test/e2e/twoMachines.test.ts"],
  [/^source <\(/, "the shell's start file; see test/unit/completions.test.ts"]
]

interface Block {
  readonly place: string
  readonly text: string
}

const blocks = (file: string, language: string): ReadonlyArray<Block> => {
  const text = Fs.readFileSync(Path.join(root, file), "utf8")
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, "gm"))].map((match) => ({
    place: `${file}:${text.slice(0, match.index).split("\n").length}`,
    text: match[1] ?? ""
  }))
}

/** A line that ends in a backslash goes on; comments and blank lines are no commands. */
const commands = ({ place, text }: Block): ReadonlyArray<Block> =>
  text.replaceAll(/\\\n\s*/g, "").split("\n")
    .map((line) => line.replace(/(^|\s)# .*$/, "").trim())
    .filter((line) => line !== "")
    .map((line) => ({ place, text: line }))

const isServing = (line: string) => /^(\w+=\S+ )*vibectl-server( -[^h]|$)/.test(line) && !line.includes("--help")

describe("every command of the documentation", () => {
  let home: Programs.Home
  let port: number
  const filled = (line: string) =>
    line
      .replaceAll(/(localhost|llm\.example\.com):\d+/g, `localhost:${port}`)
      .replaceAll("TOKEN", "$(cat token.jwt)")
      .replaceAll("0f3c…-…", "$(cat token.id)")
      .replaceAll("KEY", "$(cat key.id)")

  beforeAll(async () => {
    home = Programs.home()
    Fs.writeFileSync(Path.join(home.directory, "notes.md"), "The cluster is eu-1.\n")
    Fs.mkdirSync(Path.join(home.directory, ".config/fish/completions"), { recursive: true })
    const config = Path.join(home.directory, ".config/vibectl/server/config.yaml")
    Fs.mkdirSync(Path.dirname(config), { recursive: true, mode: 0o700 })
    Fs.writeFileSync(config, "model_aliases: { fast: demo/echo }\n", { mode: 0o600 })
    port = (await home.serve("vibectl-server --enable-auth --port 0")).port
    // A reader has none yet.
    Fs.rmSync(config)
    const set = await home.sh(
      "cp .config/vibectl/server/tls/ca.crt ca.crt"
        + " && vibectl-server generate-token my-client --output token.jwt"
        + ` && vibectl setup-proxy configure work vibectl-server://$(cat token.jwt)@localhost:${port}`
        + " && vibectl-server keys rotate"
    )
    assert.strictEqual(set.code, 0, set.stderr)
  })
  // Some commands revoke tokens, retire keys and change the client's configuration: the next block begins anew.
  let isFresh = false
  beforeEach(async () => {
    if (isFresh) return
    isFresh = true
    const set = await home.sh(
      "vibectl-server generate-token my-client --force --output token.jwt"
        + ` && vibectl setup-proxy configure --no-test vibectl-server://$(cat token.jwt)@localhost:${port}`
    )
    assert.strictEqual(set.code, 0, set.stderr)
    const claims = Fs.readFileSync(Path.join(home.directory, "token.jwt"), "utf8").split(".")[1] ?? ""
    const { jti } = JSON.parse(Buffer.from(claims, "base64url").toString()) as { readonly jti: string }
    Fs.writeFileSync(Path.join(home.directory, "token.id"), jti)
  })
  afterAll(() => home.close())

  for (const block of files.flatMap((file) => blocks(file, "(?:sh|bash)"))) {
    it(`of ${block.place} runs as it stands`, async () => {
      const run: Array<string> = []
      for (const { text } of commands(block)) {
        if (elsewhere.some(([pattern]) => pattern.test(text))) continue
        if (text.includes("retire KEY")) {
          const { stdout } = await home.sh("vibectl-server keys list")
          Fs.writeFileSync(Path.join(home.directory, "key.id"), /(\S+) │ verifies/.exec(stdout)?.[1] ?? "")
        }
        // A reader has no such file yet.
        const made = /^vibectl-server generate-token .*--output (\S+)/.exec(text)?.[1]
        if (made !== undefined) Fs.rmSync(Path.join(home.directory, made), { force: true })
        const line = filled(text)
        run.push(line)
        if (/revoke|retire|rotate|setup-proxy|config |\b(rm|mv|cp) /.test(text)) isFresh = false
        if (isServing(text)) {
          const server = await home.serve(`env ${line}`.replace(/ --port \d+/, "").concat(" --port 0"))
          assert.strictEqual(await server.stop(), 0, `${block.place}: ${text}\n${server.log()}`)
          continue
        }
        const { code, stderr } = await home.sh(line)
        assert.strictEqual(code, 0, `${block.place}: ${text}\n${stderr}`)
      }
      assert.isTrue(run.length > 0 || commands(block).length > 0, block.place)
    })
  }
})

describe("every configuration of the documentation", () => {
  const variables = {
    OPENAI_API_KEY: "sk-x",
    GROQ_API_KEY: "gsk-x",
    REDIS_URL: "redis://127.0.0.1:6379"
  }
  /** Of other programs. */
  const foreign = /^(livenessProbe|scrape_configs|groups|apiVersion|kind):/m

  for (const block of files.flatMap((file) => blocks(file, "yaml"))) {
    if (foreign.test(block.text)) continue
    const program = /^(proxy|assistant):/m.test(block.text) ? "vibectl" : "vibectl-server"
    it(`of ${block.place} is one that ${program} takes`, async () => {
      const home = Programs.home()
      const file = Path.join(
        home.directory,
        `.config/vibectl/${program === "vibectl" ? "client" : "server"}/config.yaml`
      )
      Fs.mkdirSync(Path.dirname(file), { recursive: true })
      Fs.writeFileSync(file, block.text, { mode: 0o600 })
      const { code, stderr } = await home.sh(`${program} config show`, variables)
      assert.strictEqual(code, 0, `${block.place}\n${stderr}`)
      await home.close()
    })
  }
})
