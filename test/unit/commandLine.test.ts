import { type Command } from "@effect/cli"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Either, Exit } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { run, vibectl } from "../../src/cli/Cli.js"
import * as CommandLine from "../../src/commandline/CommandLine.js"
import * as CommandTree from "../../src/commandline/CommandTree.js"
import * as Server from "../../src/server/Cli.js"
import * as Failure from "../../src/terminal/Failure.js"
import * as Client from "../support/Client.js"
import * as Commands from "../support/Commands.js"
import * as Mistyped from "../support/MistypedLines.js"

type Judge = (words: ReadonlyArray<string>) => Effect.Effect<unknown, unknown>

interface Subject {
  readonly program: CommandLine.Program
  /** In a world without anything: the program can read no file, write none, and call nobody. */
  readonly judge: Judge
  readonly inputOf: (given: CommandTree.Given) => Effect.Effect<unknown, unknown>
}

const subject = <Name extends string, R, E, A, R2>(
  command: Command.Command<Name, R, E, A>,
  run: (argv: ReadonlyArray<string>) => Effect.Effect<void, unknown, R2>,
  alone?: string
): Subject => {
  const tree = CommandTree.ofProgram(command)
  return {
    program: { tree, typed: [tree.name], path: [], alone },
    // What is missing is a defect, when it is asked for.
    judge: (words) => Effect.provide(run(["node", "program", ...words]), Context.empty() as Context.Context<R2>),
    inputOf: (given) => Effect.provide(CommandTree.inputOf(command, given), NodeContext.layer)
  }
}

const server = (argv: ReadonlyArray<string>) => Server.run(argv, Effect.succeed(false))
const programs = [
  subject(vibectl, run),
  subject(Server.program(Effect.succeed(false)), server, "serve")
] as const

/** What is wrong with how lines are judged: each must be refused by a short error that names the word. */
const faults = (lines: ReadonlyArray<Mistyped.Mistyped>, judge: Judge): Effect.Effect<ReadonlyArray<string>> =>
  Effect.map(
    Effect.forEach(lines, ({ named, words }) =>
      Effect.map(Effect.exit(judge(words)), (exit) => {
        const failure = Exit.isFailure(exit) && exit.cause._tag === "Fail" ? exit.cause.error : undefined
        const { exitCode = 0, lines = "it runs" } = Failure.report(failure) ?? {}
        const isRight = exitCode === 2 && lines.includes(named) && /^Error: .*\nSolution: .*$/.test(lines)
        return isRight && lines.length < 400 ? [] : [`${JSON.stringify(words)}: ${lines}`]
      })),
    (found) => found.flat()
  )

/** Options that were typed, and did not reach their command. */
const lost = (
  { inputOf, program }: Subject,
  lines: ReadonlyArray<Mistyped.Correct>
): Effect.Effect<ReadonlyArray<string>> => {
  const input = (words: ReadonlyArray<string>) =>
    Effect.flatMap(
      CommandLine.parse(program, words),
      (line) =>
        line._tag === "Run" ? Effect.map(inputOf(line.given), (value) => JSON.stringify(value)) : Effect.fail(line)
    )
  return Effect.map(
    Effect.forEach(lines, ({ option, values, words }) =>
      Effect.gen(function*() {
        const text = yield* input(words)
        // A command cannot do without a required one.
        const before = option.isOptional ? yield* input(Mistyped.without(words, option)) : ""
        const shown = (value: string) => option.kind === "text" ? JSON.stringify(value) : ""
        const arrived = text !== before && values.every((value) => text.includes(shown(value)))
        return arrived ? [] : [words.join(" ")]
      }).pipe(Effect.catchAll((error) => Effect.succeed([`${words.join(" ")}: ${String(error)}`])))),
    (found) => found.flat()
  )
}

describe("a command line", () => {
  for (const each of programs) {
    const { program } = each
    const name = program.tree.name
    const lines = Mistyped.all(program.tree)
    const correct = Mistyped.correct(program.tree)

    it.effect(
      `of ${name} with one thing wrong, at any command and option, is refused by the word, and nothing is done`,
      () =>
        Effect.gen(function*() {
          assert.isAbove(lines.length, 500)
          assert.deepStrictEqual(yield* faults(lines, each.judge), [])
        }),
      120_000
    )

    it.effect(
      `of ${name} brings every option to its command, wherever it stands and however it is written`,
      () =>
        Effect.gen(function*() {
          assert.isAbove(correct.length, 50)
          assert.deepStrictEqual(yield* lost(each, correct), [])
        }),
      120_000
    )

    it.effect(
      `of ${name} is checked by tests that fail for each single option that is dropped`,
      () =>
        Effect.gen(function*() {
          for (const { path, tree: { options } } of Mistyped.leaves(program.tree)) {
            const before = path.slice(1)
            const isOf = ({ words }: { readonly words: ReadonlyArray<string> }) =>
              before.every((word, index) => words[index] === word)
            for (const option of options) {
              const planted = Mistyped.long(option)
              const upper = planted.toUpperCase()
              // A parser that drops an option in other letter case, with its value, and goes on.
              const dropping: Judge = (words) => each.judge(Mistyped.without(words, option, upper))
              const mistyped = lines.filter((line) => isOf(line) && line.words.includes(upper))
              assert.isAbove((yield* faults(mistyped, dropping)).length, 0, `${path.join(" ")} ${upper}`)
              // A tree that has lost it, and a parser that loses it on the way.
              const poorer = { ...each, program: { ...program, tree: Mistyped.poorer(program.tree, before, option) } }
              const losing = {
                ...each,
                inputOf: (given: CommandTree.Given) =>
                  each.inputOf({ ...given, options: new Map([...given.options].filter(([name]) => name !== planted)) })
              }
              const right = correct.filter((line) => isOf(line) && Mistyped.long(line.option) === planted)
              for (const broken of [poorer, losing]) {
                assert.lengthOf(yield* lost(broken, right), right.length, `${path.join(" ")} ${planted}`)
              }
            }
          }
        }),
      120_000
    )

    it(`of ${name} keeps words like yes, 0 and true out of flags`, () => {
      for (const place of Mistyped.leaves(program.tree)) {
        for (const flag of place.tree.options.filter(({ kind }) => kind === "flag")) {
          for (const word of Mistyped.valueLike) {
            const [before, after] = [place.path.slice(1), Mistyped.plain(place).slice(place.path.length - 1)]
            const words = [...before, Mistyped.long(flag), word, ...after]
            const read = CommandLine.parse(program, words)
            if (Either.isLeft(read)) {
              assert.match(read.left.summary, new RegExp(`the word "(?:sample|${word})"`), words.join(" "))
            } else if (read.right._tag === "Run") {
              assert.deepStrictEqual(read.right.given.options.get(Mistyped.long(flag)), ["true"])
              assert.include(read.right.given.args, word)
            }
          }
        }
      }
    })
  }

  it("is what was typed, or the sentence that says why not", () => {
    const judged = (program: 0 | 1, line: ReadonlyArray<string>) => {
      const read = CommandLine.parse(programs[program].program, line)
      if (Either.isLeft(read)) return `${read.left.summary} ${read.left.remedy}`
      if (read.right._tag !== "Run") return read.right._tag
      const { args, options, path } = read.right.given
      return [...path, ...[...options].flatMap(([name, values]) => values.map((value) => `${name}=${value}`)), ...args]
        .join(" | ")
    }
    for (const { expected, program, words } of rows) assert.include(judged(program, words), expected, words.join(" "))
  })

  it("shows no secret that stands in the wrong place", () => {
    const jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjaSJ9.aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789abcdefg"
    for (
      const words of [
        ["setup-proxy", "test", "x", `vibectl-server://${jwt}@h`],
        ["setup-proxy", "test", "x", "vibectl-server://short1@h"],
        ["setup-proxy", "url", "x", jwt],
        ["setup-proxy", jwt],
        ["models", "--token=sk-abc123def456ghi789jkl0"],
        ["models", "--output", "sk-abc123def456ghi789jkl0"]
      ]
    ) {
      const read = CommandLine.parse(programs[0].program, words)
      const shown = Either.isLeft(read) ? read.left.summary + read.left.remedy : assert.fail(words.join(" "))
      assert.notMatch(shown, /short1|def456|aBcDeF|eyJhbGci/)
    }
  })
})

const rows: ReadonlyArray<
  { readonly program: 0 | 1; readonly words: ReadonlyArray<string>; readonly expected: string }
> = [
  {
    program: 0,
    words: ["vibe", "--yes", "--Dry-Run", "remove web-1"],
    expected: "Unknown option --Dry-Run of `vibectl vibe`. Did you mean --dry-run"
  },
  {
    program: 0,
    words: ["vibe", "--yes", "--dry-run", "no", "replica", "of", "web", "may", "remain"],
    expected: "vibe | --yes=true | --dry-run=true | no | replica | of | web | may | remain"
  },
  {
    program: 0,
    words: ["vibe", "--yes", "no", "more", "than", "3"],
    expected: "vibe | --yes=true | no | more | than | 3"
  },
  { program: 0, words: ["vibe", "remove web-1", "--dry-run"], expected: "vibe | --dry-run=true | remove web-1" },
  { program: 0, words: ["vibe", "--yes", "--dry-run remove web-1"], expected: "--dry-run stands within quotes" },
  {
    program: 0,
    words: ["vibe", "--yes", "—dry-run", "remove", "web-1"],
    expected: "Unknown option —dry-run of `vibectl vibe`. Did you mean --dry-run?"
  },
  { program: 0, words: ["vibe", "--yes", "-dry-run", "remove", "web-1"], expected: "Did you mean --dry-run?" },
  { program: 0, words: ["vibe", "--yes", "--dry-run,", "remove", "web-1"], expected: "Did you mean --dry-run?" },
  {
    program: 0,
    words: ["vibe", "--yes", "remove", "pods", "of", "", "in", "shop"],
    expected: "Word 4 of the request of `vibectl vibe` is empty."
  },
  {
    program: 0,
    words: ["vibe", "--yes", "--", "what", "does", "--dry-run", "do"],
    expected: "vibe | --yes=true | what | does | --dry-run | do"
  },
  { program: 0, words: ["vibe", "what does --watch do"], expected: "vibe | what does --watch do" },
  { program: 0, words: ["vibe", "scale", "to", "-1", "-", "why"], expected: "vibe | scale | to | -1 | - | why" },
  {
    program: 0,
    words: ["vibe", "--model", "--proxy", "work", "x"],
    expected: "--model needs a value, and is followed by the option --proxy."
  },
  { program: 0, words: ["vibe", "--model=", "x"], expected: "The value of --model is empty." },
  {
    program: 0,
    words: ["vibe", "--show-metrics", "--show-metrics=false", "x"],
    expected: "--show-metrics and --no-show-metrics contradict each other."
  },
  { program: 0, words: ["vibe", "--show-metrics=false", "x"], expected: "vibe | --no-show-metrics=true | x" },
  { program: 0, words: ["vibe", "-y", "--yes", "x"], expected: "--yes is given twice." },
  { program: 0, words: ["vibe", "--max-steps", "-5", "x"], expected: "vibe | --max-steps=-5 | x" },
  { program: 0, words: ["vibe"], expected: "Help" },
  { program: 0, words: ["vibe", "--yes"], expected: "`vibectl vibe` needs <request>" },
  {
    program: 0,
    words: ["setup-proxy", "tst"],
    expected: "Unknown command \"tst\" of `vibectl setup-proxy`. Did you mean `vibectl setup-proxy test`?"
  },
  {
    program: 0,
    words: ["setup-proxy", "--output", "json", "list"],
    expected: "Name a command first; its options follow it."
  },
  { program: 0, words: ["memory", "set", "-"], expected: "memory | set | -" },
  { program: 0, words: ["help"], expected: "Help" },
  { program: 0, words: ["help", "setup-proxy", "test"], expected: "Help" },
  { program: 0, words: ["help", "setup-proxi"], expected: "Did you mean `vibectl setup-proxy`?" },
  { program: 0, words: ["version"], expected: "Version" },
  { program: 0, words: ["-V"], expected: "Version" },
  { program: 0, words: ["--version"], expected: "Version" },
  { program: 0, words: ["--version", "please"], expected: "cannot use the word \"please\"" },
  { program: 0, words: ["--wizard"], expected: "Unknown option --wizard of `vibectl`." },
  { program: 0, words: ["--completions", "bash"], expected: "Unknown option --completions of `vibectl`." },
  { program: 0, words: ["--log-level", "debug", "models"], expected: "Unknown option --log-level of `vibectl`." },
  { program: 0, words: ["VIBE", "x"], expected: "Did you mean `vibectl vibe`?" },
  { program: 1, words: [], expected: "serve" },
  {
    program: 1,
    words: ["--Client-CA", "ca.crt"],
    expected: "Unknown option --Client-CA of `vibectl-server`. Did you mean --client-ca"
  },
  { program: 1, words: ["--client-ca", ""], expected: "The value of --client-ca is empty." },
  { program: 1, words: ["--Insecure"], expected: "Did you mean --insecure" },
  { program: 1, words: ["serve", "--insecure=false"], expected: "serve | --insecure=false" },
  {
    program: 1,
    words: ["--enable-auth", "--no-enable-auth"],
    expected: "--no-enable-auth and --enable-auth contradict each other."
  },
  { program: 1, words: ["--no-enable-auth=false"], expected: "serve | --enable-auth=true" },
  { program: 1, words: ["--config", "f", "generate-token", "bot"], expected: "cannot use the word \"generate-token\"" },
  { program: 1, words: ["revoke-token", "--all"], expected: "Unknown option --all of `vibectl-server revoke-token`." },
  { program: 1, words: ["revoke-token", "--undo", "no"], expected: "revoke-token | --undo=true | no" },
  { program: 1, words: ["revoke-token", "-", "--block"], expected: "revoke-token | --block=true | -" },
  {
    program: 1,
    words: ["generate-token", "--model=openai/*"],
    expected: "`vibectl-server generate-token` needs <subject>"
  },
  {
    program: 1,
    words: ["generate-token", "bot", "--model=openai/*", "--model", "x=y"],
    expected: "generate-token | --model=openai/* | --model=x=y | bot"
  },
  {
    program: 1,
    words: ["generate-token", "bot", "--MODEL", "openai/*", "--Max-Rpm", "30"],
    expected: "Unknown option --MODEL of `vibectl-server generate-token`. Did you mean --model"
  },
  { program: 1, words: ["generate-token", "bot", "--model", ""], expected: "The value of --model is empty." },
  { program: 1, words: ["generate-token", "bot", "--tenant", " "], expected: "The value of --tenant is empty." },
  {
    program: 1,
    words: ["generate-token", "bot", "--model", "--tenant", "acme"],
    expected: "--model needs a value, and is followed by the option --tenant."
  },
  { program: 1, words: ["generate-token", "bot", "--output", ""], expected: "The value of --output is empty." },
  {
    program: 1,
    words: ["generate-token", "bot", "--max-usd-per-day", "Infinity"],
    expected: "--max-usd-per-day Infinity is no number."
  },
  { program: 1, words: ["inspect-token", "-", "--verify"], expected: "inspect-token | --verify=true | -" },
  { program: 1, words: ["keys"], expected: "Help" },
  { program: 1, words: ["keys", "rotat"], expected: "Did you mean `vibectl-server keys rotate`?" },
  { program: 1, words: ["certs", "init", "--", "-x"], expected: "certs | init | -x" }
]

/** Every file below a directory, with its content. */
const snapshot = (directory: string): ReadonlyArray<string> =>
  Fs.readdirSync(directory, { recursive: true, encoding: "utf8" }).sort().map((name) => {
    const file = Path.join(directory, name)
    return Fs.statSync(file).isFile() ? `${name}\n${Fs.readFileSync(file, "utf8")}` : name
  })

describe("a program", () => {
  const wrong = (program: 0 | 1) =>
    rows.filter((row) =>
      row.program === program && Either.isLeft(CommandLine.parse(programs[program].program, row.words))
    )

  it.scopedLive(
    "vibectl leaves its files as they are, and prints nothing, when a line is wrong",
    () =>
      Effect.gen(function*() {
        const { config, home, type } = yield* Client.person()
        yield* config.write("proxy:\n  active: work\n  profiles:\n    work: { server_url: vibectl-server://w }\n")
        const before = snapshot(home)
        assert.isAbove(wrong(0).length, 15)
        for (const { words } of wrong(0)) {
          const { failed, stderr, stdout } = yield* type(...words)
          assert.deepStrictEqual([failed?.exitCode, stdout, stderr], [2, "", ""], words.join(" "))
        }
        assert.deepStrictEqual(snapshot(home), before)
      }).pipe(Effect.provide(NodeContext.layer)),
    60_000
  )

  it.live(
    "vibectl-server makes no file, and no token, when a line is wrong",
    () =>
      Commands.inDirectory((file) =>
        Effect.gen(function*() {
          const execute = Commands.executor(server)
          assert.isAbove(wrong(1).length, 10)
          for (const { expected, words } of wrong(1)) {
            const { error, stdout } = yield* execute(...words)
            assert.include(error ?? "it ran", expected, words.join(" "))
            assert.strictEqual(stdout, "")
          }
          assert.deepStrictEqual(snapshot(Path.dirname(Path.dirname(file))), [])
        })
      ),
    60_000
  )
})
