import { Args, Command, Options } from "@effect/cli"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import * as Fs from "node:fs"
import * as CommandTree from "../../src/commandline/CommandTree.js"
import * as Values from "../../src/commandline/Values.js"

const ran: Array<unknown> = []

const leaf = Command.make("leaf", {
  word: Args.text({ name: "WORD" }).pipe(Args.withDescription("A word")),
  more: Args.text({ name: "MORE" }).pipe(Args.between(1, 3)),
  plain: Options.boolean("plain", { aliases: ["p"] }).pipe(Options.withDescription("A flag")),
  set: Values.flag("set").pipe(Options.optional),
  color: Options.choice("color", ["red", "blue"]).pipe(Options.withDefault("red")),
  count: Values.wholeNumber("count", 1, 9).pipe(Options.optional),
  name: Options.text("name").pipe(Options.withPseudoName("NAME")),
  each: Options.text("each").pipe(Options.repeated),
  pair: Options.all([Options.boolean("on"), Options.boolean("no-on")]).pipe(Options.map(([on]) => on))
}, (input) => Effect.sync(() => void ran.push(input))).pipe(Command.withDescription("Do it"))

const program = Command.make("program").pipe(
  Command.withSubcommands([Command.make("group").pipe(Command.withSubcommands([leaf]))])
)

const value = { choices: [], about: "", isOptional: true, isRepeated: false, most: undefined }
const flag = { ...value, kind: "flag", placeholder: undefined }

describe("what is known of @effect/cli's commands", () => {
  it("is their names, options and arguments, whatever is wrapped around them", () => {
    const found = CommandTree.of(program).children[0]?.children[0]
    assert.deepStrictEqual<unknown>(found, {
      name: "leaf",
      about: "Do it",
      options: [
        { ...flag, names: ["--plain", "-p"], about: "A flag" },
        { ...flag, names: ["--set"] },
        { ...value, names: ["--color"], kind: "choice", choices: ["red", "blue"], placeholder: "TEXT" },
        { ...value, names: ["--count"], kind: "whole number", placeholder: "N" },
        { ...value, names: ["--name"], kind: "text", placeholder: "NAME", isOptional: false },
        { ...value, names: ["--each"], kind: "text", placeholder: "TEXT", isRepeated: true },
        { ...flag, names: ["--on"] },
        { ...flag, names: ["--no-on"] }
      ],
      args: [
        { ...value, names: ["WORD"], kind: "text", placeholder: "WORD", about: "A word", isOptional: false },
        { ...value, names: ["MORE"], kind: "text", placeholder: "MORE", isOptional: false, isRepeated: true, most: 3 }
      ],
      children: []
    })
  })

  it.effect("is enough to run one with the values that were given, and no others", () =>
    Effect.gen(function*() {
      const typed = ["program", "group", "leaf"]
      const given = {
        typed,
        path: ["group", "leaf"],
        args: ["--word", "x", "-"],
        options: new Map([["--name", ["--n"]]])
      }
      yield* CommandTree.run(program, given)
      const all = new Map([
        ...given.options,
        ["--plain", ["true"]],
        ["--set", ["false"]],
        ["--color", ["blue"]],
        ["--count", ["9"]],
        ["--each", ["a=b", "--c"]],
        ["--on", ["true"]]
      ])
      yield* CommandTree.run(program, { ...given, options: all })
      const none = Option.none()
      const args = { word: "--word", more: ["x", "-"], name: "--n" }
      assert.deepStrictEqual(ran, [
        { ...args, plain: false, set: none, color: "red", count: none, each: [], pair: false },
        {
          ...args,
          plain: true,
          set: Option.some(false),
          color: "blue",
          count: Option.some(9),
          each: ["a=b", "--c"],
          pair: true
        }
      ])
      const wrong = yield* Effect.flip(
        CommandTree.run(program, { ...given, options: new Map([...given.options, ["--count", ["10"]]]) })
      )
      assert.strictEqual(
        wrong.message,
        "--count 10 is out of range: it is a whole number from 1 to 9. See `program group leaf --help`."
      )
    }).pipe(Effect.provide(NodeContext.layer)))

  it("was read in a version that is pinned", () => {
    const manifest = JSON.parse(Fs.readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
      readonly dependencies: { readonly [name: string]: string }
    }
    assert.match(manifest.dependencies["@effect/cli"] ?? "", /^~0\.77\./)
  })
})
