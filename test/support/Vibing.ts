/**
 * Runs of `vibectl vibe` side by side: each has a planned model, a home and a kubectl of its own, all behind one built
 * server that wants tokens.
 */
import { createHmac } from "node:crypto"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { afterAll, assert, beforeAll, it } from "vitest"
import { stringify } from "yaml"
import * as Kubectl from "./Kubectl.js"
import * as PlannedModel from "./PlannedModel.js"
import * as Programs from "./Programs.js"
import * as RecordingKubectl from "./RecordingKubectl.js"

export interface Stage {
  readonly model: PlannedModel.PlannedModel
  /** Its own name of that model. */
  readonly name: string
  readonly home: Programs.Home
  readonly kubectl: RecordingKubectl.RecordingKubectl
  /** `vibectl vibe` with these words, in quotes where a shell wants them. */
  readonly vibe: (words: string, variables?: Record<string, string>) => Promise<Programs.Ran>
}

export interface Options {
  readonly assistant?: object
  /** Of the profile `default`, which is the active one unless another is named. */
  readonly security?: object
  readonly active?: string
  /** Other profiles besides it. */
  readonly profiles?: Record<string, object>
  /** What kubectl does; without rules it prints `fine`. */
  readonly rules?: ReadonlyArray<RecordingKubectl.Rule>
}

export interface Server {
  /** For a profile, with this token instead of a good one. */
  readonly url: (token?: string) => string
  /** Plays a test, and clears up after it. */
  readonly on: (options: Options, test: (stage: Stage) => Promise<void>) => Promise<void>
  readonly close: () => Promise<void>
}

/** One server for the tests of a file, five of which run at once. */
export const forFile = () => {
  let server: Server
  beforeAll(async () => {
    server = await serve()
  })
  afterAll(() => server.close())
  return {
    plays: (name: string, options: Options, test: (stage: Stage) => Promise<void>) =>
      it.concurrent(name, () => server.on(options, test)),
    url: (token?: string) => server.url(token)
  }
}

/** Runs the real kubectl, and records how. */
export const real: RecordingKubectl.Rule = { match: [], run: Kubectl.kubectl ?? "kubectl" }

/** A plan as a model writes it. */
export const plan = (over: Record<string, unknown> = {}): object => ({
  action: "DONE",
  text: "All is well.",
  args: [],
  stdin: "",
  seconds: 0,
  memory: "",
  ...over
})

/** The model wants this command. */
export const command = (args: ReadonlyArray<string>, stdin = ""): PlannedModel.Answer => ({
  text: plan({ action: "COMMAND", text: "To see what is there.", args, stdin })
})

/** What kubectl was run with. */
export const argsOf = ({ kubectl }: Stage): ReadonlyArray<ReadonlyArray<string>> =>
  kubectl.invocations().map(({ args }) => args)

/** It ended with these two lines on stderr, whatever notes stood before them, and nothing on stdout. */
export const failed = (
  { code, stderr, stdout }: Programs.Ran,
  exitCode: number,
  error: RegExp,
  solution: RegExp
): void => {
  assert.strictEqual(code, exitCode, stderr)
  assert.strictEqual(stdout, "")
  const [first = "", second = ""] = stderr.trimEnd().split("\n").slice(-2)
  assert.match(first, /^Error: /)
  assert.match(first, error)
  assert.match(second, /^Solution: /)
  assert.match(second, solution)
  assert.notMatch(stderr, /^ +at /m)
}

/** The model answers. */
export const done = (text: string, memory = ""): PlannedModel.Answer => ({ text: plan({ text, memory }) })

export const serve = async (): Promise<Server> => {
  const models = await Promise.all(Array.from({ length: 5 }, PlannedModel.make))
  const home = Programs.home()
  const providers = Object.fromEntries(models.map(({ url }, index) => [
    `stage${index}`,
    { kind: "openai", api_key: "sk-of-the-server", base_url: url, models: ["planned", "unpriced"] }
  ]))
  const file = Path.join(home.directory, "server.yaml")
  Fs.writeFileSync(file, stringify({ providers, prices }), { mode: 0o600 })
  const variables = { VIBECTL_JWT_SECRET: secret }
  const { port } = await home.serve(
    `vibectl-server --config ${file} --port 0 --insecure --enable-auth`,
    variables
  )
  const free = models.map((model, index) => ({ model, name: `stage${index}/planned` }))
  const url: Server["url"] = (token = tokenOf()) => `vibectl-server-insecure://${token}@127.0.0.1:${port}`
  const on: Server["on"] = async ({ active = "default", assistant, profiles, rules = [fine], security = {} }, test) => {
    // One that has timed out may still have its model.
    while (free.length === 0) await new Promise((resolve) => setTimeout(resolve, 50))
    const taken = free.shift()!
    const { model, name } = taken
    const home = PlannedModel.homeOf({ url: url() }, {
      proxy: { active, profiles: { default: { server_url: url(), security }, ...profiles } },
      assistant: { model: name, ...assistant }
    })
    try {
      const kubectl = RecordingKubectl.install(home, ...rules)
      await test({
        model,
        name,
        home,
        kubectl,
        vibe: (words, variables) => home.sh(`vibectl vibe ${words}`, variables)
      })
    } finally {
      await home.close()
      model.refusesSchemas(false)
      model.forget()
      free.push(taken)
    }
  }
  const close = async () => void await Promise.all([home.close(), ...models.map((model) => model.close())])
  return { url, on, close }
}

/** As `vibectl-server generate-token` makes it, in no time; good for an hour from `issuedAt`, in seconds. */
export const tokenOf = (issuedAt = Math.floor(Date.now() / 1000)): string => {
  const claims = {
    sub: "tester",
    jti: "a-token-of-the-tests",
    iss: "vibectl-server",
    iat: issuedAt,
    exp: issuedAt + 3600
  }
  const signed = [{ alg: "HS256", typ: "JWT" }, claims].map((part) => base64url(JSON.stringify(part))).join(".")
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`
}

// -- internals ---------------------------------------------------------------

const fine: RecordingKubectl.Rule = { match: [], stdout: "fine\n" }

const secret = "a secret of the tests that is long enough"

/** US dollars per million tokens; a call has 7 in and 3 out, unless its test says another number. */
const prices = { "*/planned": { input: 1000, output: 2000 } }

const base64url = (text: string) => Buffer.from(text).toString("base64url")
