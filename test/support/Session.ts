/**
 * Whole sessions of `vibectl` at a terminal, as text that is the same at every run.
 *
 * They are compared with the files of test/captures, which the documentation quotes:
 * `UPDATE_CAPTURES=1 npx vitest run test/e2e/vibeTerminal.test.ts` writes them anew; look at each before it is committed.
 */
import { Redacted } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { assert } from "vitest"
import { stringify } from "yaml"
import * as Redactor from "../../src/redaction/Redactor.js"
import * as Width from "../../src/terminal/Width.js"
import * as PlannedModel from "./PlannedModel.js"
import * as Programs from "./Programs.js"
import * as RecordingKubectl from "./RecordingKubectl.js"

/** A server with TLS and tokens whose providers are planned models: one for each session, so that they run side by side. */
export interface Stage {
  readonly port: number
  /**
   * A home with a token and, unless `isNew`, a profile for a model of its own; `settings` are more of its configuration.
   * Only one of them may use the server's default model.
   */
  readonly person: (
    options?: { readonly settings?: Settings; readonly isNew?: boolean; readonly isDefault?: boolean }
  ) => Person
  readonly close: () => Promise<void>
}

export interface Settings {
  readonly assistant?: object
  readonly security?: object
}

export interface Person {
  readonly home: Programs.Home
  readonly model: PlannedModel.PlannedModel
  readonly kubectl: RecordingKubectl.RecordingKubectl
}

export const open = async (people: number): Promise<Stage> => {
  const models = await Promise.all(Array.from({ length: people + 1 }, () => PlannedModel.make()))
  const server = Programs.home()
  const directory = Path.join(server.directory, ".config/vibectl/server")
  Fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
  const listed = { kind: "openai", api_key: "sk-of-the-server", base_url: models[0]?.url }
  const config = {
    server: { default_model: "openai/gpt-4o" },
    providers: {
      openai: { ...listed, models: [{ name: "gpt-4o", context_length: 128_000 }, "gpt-4o-mini"] },
      together: { ...listed, models: ["meta-llama/Meta-Llama-3.1-405B-Instruct-Turbo"] },
      ...Object.fromEntries(models.map(({ url }, index) => [providerOf(index), { ...listed, base_url: url }]))
    },
    prices: { "*": { input: 2.5, output: 10 } },
    model_aliases: {
      fast: "openai/gpt-4o-mini",
      "a-large-one-of-the-open-models": "together/meta-llama/Meta-Llama-3.1-405B-Instruct-Turbo"
    }
  }
  Fs.writeFileSync(Path.join(directory, "config.yaml"), stringify(config), { mode: 0o600 })
  const { port } = await server.serve("vibectl-server --enable-auth --port 0")
  const token = await server.sh("vibectl-server generate-token ada --expires-in 30d")
  assert.strictEqual(token.code, 0, token.stderr)
  const homes: Array<Programs.Home> = []
  return {
    port,
    person: ({ isDefault = false, isNew = false, settings = {} } = {}) => {
      const home = Programs.home()
      const index = homes.push(home)
      const model = models[isDefault ? 0 : index]
      if (model === undefined) throw new Error("there are more people than models")
      Fs.writeFileSync(Path.join(home.directory, "token"), token.stdout, { mode: 0o600 })
      Fs.copyFileSync(Path.join(directory, "tls/ca.crt"), Path.join(home.directory, "ca.crt"))
      const client = Path.join(home.directory, ".config/vibectl/client")
      Fs.mkdirSync(client, { recursive: true, mode: 0o700 })
      Fs.writeFileSync(Path.join(client, "redaction-key"), `${redactionKey}\n`, { mode: 0o600 })
      const profile = {
        server_url: `vibectl-server://localhost:${port}`,
        ca_bundle_path: Path.join(home.directory, "ca.crt"),
        jwt_path: Path.join(home.directory, "token"),
        ...(settings.security === undefined ? {} : { security: settings.security })
      }
      const written = {
        ...(isNew ? {} : { proxy: { active: "default", profiles: { default: profile } } }),
        assistant: { ...(isDefault ? {} : { model: `${providerOf(index)}/gpt-4o` }), ...settings.assistant }
      }
      Fs.writeFileSync(Path.join(client, "config.yaml"), stringify(written), { mode: 0o600 })
      return { home, model, kubectl: RecordingKubectl.install(home) }
    },
    close: async () => {
      await Promise.all([server.close(), ...homes.map((home) => home.close()), ...models.map((model) => model.close())])
    }
  }
}

/** What stands for the secret of this text on everybody's machine. */
export const placeholder = (text: string): string => {
  const { findings: [first] } = Redactor.make({ key: Redacted.make(redactionKey) }).redact(text, "request")
  if (first === undefined) throw new Error("there is no secret in it")
  return first.placeholder
}

/** What was typed and what was shown: without what differs from run to run. */
export const text = (screen: string, port: number): string =>
  stable(screen, port)
    .split("\n").slice(1)
    .map((line) => line.replace(/^\[\d+\]\$ ?/, "$ ").trimEnd())
    .join("\n")
    .replace(/\n\$$/, "\n")

export const stable = (text: string, port: number): string =>
  text
    .replaceAll(`localhost:${port}`, "localhost:50051")
    .replace(/\/tmp\/vibectl-home-\w{6}/g, "/home/ada")
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, "2026-11-27T09:30:00.000Z")
    .replace(/\b\d\d-\d\d \d\d:\d\d:\d\d\b/g, "11-27 09:30:00")
    .replace(/\b\d\.\d\d\u00a0s\b/g, "0.42\u00a0s")
    .replace(/\bvend\d\d\//g, "openai/")

/** Fails where the terminal had to break a line that nobody typed and that is no command. */
export const assertUnbroken = (joined: string, columns: number) => {
  for (const line of joined.split("\n")) {
    if (/^\[\d+\]\$ |^ {4}|^\$ /.test(line)) continue
    assert.isAtMost(Width.of(line.trimEnd()), columns, line)
  }
}

/** Compares with the capture of this name, or writes it anew. */
export const assertCapture = (name: string, text: string) => {
  const file = new URL(`../captures/${name}.txt`, import.meta.url)
  if (process.env["UPDATE_CAPTURES"] !== undefined) Fs.writeFileSync(file, text)
  assert.strictEqual(text, Fs.readFileSync(file, "utf8"), name)
}

// -- internals ---------------------------------------------------------------

const redactionKey = "for-placeholders-that-are-the-same-in-every-run"

/** As long as `openai`, so that tables are as wide. */
const providerOf = (index: number) => `vend${String(index).padStart(2, "0")}`
