/**
 * A model that answers what a test has planned, behind a built `vibectl-server`, and homes whose `vibectl` uses it.
 *
 * The server costs about a second to start: tests of one file share it, and each has a home of its own.
 */
import { Effect, Exit, Scope } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { stringify } from "yaml"
import * as FakeVendor from "../../src/testing/FakeVendor.js"
import { isObject, list, text } from "./cluster/Json.js"
import * as Programs from "./Programs.js"

/** What the model does with one request; how it fails and how slow it is, as {@link FakeVendor.Behaviour} says. */
export interface Answer extends Omit<FakeVendor.Behaviour, "pieces"> {
  /** An object is sent as JSON. */
  readonly text?: string | object
  /** Lengths of the pieces that the text is streamed in, over and over; without it 1, 3, 7, 2 and 11. */
  readonly sizes?: ReadonlyArray<number>
}

export interface Request {
  readonly model: string
  readonly system: string
  readonly user: string
  /** The `response_format` that was asked for. */
  readonly format: unknown
  /** The whole body as it came. */
  readonly body: string
  /** When its client went away before the answer was whole, in milliseconds of `performance.now()`. */
  readonly abandonedAt: number | undefined
}

export interface PlannedModel {
  /** Base URL of kind `openai`. */
  readonly url: string
  /** What to answer the next requests with, one each, instead of what was planned before. All further ones are refused. */
  readonly says: (...answers: ReadonlyArray<string | Answer>) => void
  /** A provider without structured output: refuses each request with a schema, which uses no answer up. */
  readonly refusesSchemas: (refuses: boolean) => void
  /** Since it was made, or since `forget`. */
  readonly requests: () => ReadonlyArray<Request>
  readonly forget: () => void
  readonly close: () => Promise<void>
}

export const make = async (): Promise<PlannedModel> => {
  const scope = Effect.runSync(Scope.make())
  const vendor = await Effect.runPromise(Scope.extend(FakeVendor.make(), scope))
  let refusesSchemas = false
  let planned: ReadonlyArray<string | Answer> = []
  let forgotten = 0
  const script = (answers: typeof planned) => {
    planned = answers
    vendor.script(...answers.map((answer) => ({ ...behaviour(answer), refusesSchemas })))
  }
  // Not one of those that are sent again.
  const unplanned = () => vendor.otherwise({ status: 400, error: "no_answer_is_planned", refusesSchemas })
  unplanned()
  return {
    url: vendor.openai,
    says: (...answers) => script(answers),
    refusesSchemas: (refuses) => {
      refusesSchemas = refuses
      script(planned)
      unplanned()
    },
    requests: () => vendor.requests.slice(forgotten).map(requestOf),
    forget: () => {
      forgotten = vendor.requests.length
      script([])
    },
    close: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

export interface Server {
  /** What a client's profile has. */
  readonly url: string
  readonly log: () => string
  readonly close: () => Promise<void>
}

/** A built server, without TLS and without tokens, whose only model this is. */
export const serve = async (model: PlannedModel): Promise<Server> => {
  const home = Programs.home()
  const variables = { OPENAI_API_KEY: "sk-of-the-server", OPENAI_BASE_URL: model.url }
  const flags = "--port 0 --insecure --no-enable-auth --model openai/planned"
  const { log, port } = await home.serve(`vibectl-server ${flags}`, variables)
  return { url: `vibectl-server-insecure://127.0.0.1:${port}`, log, close: home.close }
}

/** A new home whose active profile is this server; `settings` are more of the client's configuration. */
export const homeOf = (server: Pick<Server, "url">, settings: object = {}): Programs.Home => {
  const home = Programs.home()
  const directory = Path.join(home.directory, ".config/vibectl/client")
  Fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
  const proxy = { active: "default", profiles: { default: { server_url: server.url } } }
  Fs.writeFileSync(Path.join(directory, "config.yaml"), stringify({ proxy, ...settings }), { mode: 0o600 })
  return home
}

/** Both for one test alone; closing the home ends the server. */
export const assistantHome = async (model: PlannedModel, settings: object = {}): Promise<Programs.Home> => {
  const server = await serve(model)
  const home = homeOf(server, settings)
  return { ...home, close: async () => void await Promise.all([home.close(), server.close()]) }
}

// -- internals ---------------------------------------------------------------

const behaviour = (answer: string | Answer): FakeVendor.Behaviour => {
  const { sizes = [1, 3, 7, 2, 11], text = "", ...rest } = typeof answer === "string" ? { text: answer } : answer
  return { ...rest, pieces: cut(typeof text === "string" ? text : JSON.stringify(text), sizes) }
}

/** Never inside of a character. */
const cut = (text: string, sizes: ReadonlyArray<number>): ReadonlyArray<string> => {
  const letters = [...text]
  const pieces: Array<string> = []
  for (let turn = 0; letters.length > 0; turn++) pieces.push(letters.splice(0, sizes[turn % sizes.length]).join(""))
  return pieces
}

const requestOf = ({ abandonedAt, body }: FakeVendor.Seen): Request => {
  const said = (role: string) =>
    list(body, "messages").filter((message) => message["role"] === role).map((message) => text(message, "content"))
      .join("\n\n")
  return {
    model: text(body, "model"),
    system: said("system"),
    user: said("user"),
    format: isObject(body) ? body["response_format"] : undefined,
    body: JSON.stringify(body),
    abandonedAt
  }
}
