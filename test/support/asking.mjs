/**
 * What the programs do at a terminal, one thing at a time, with the real layers: `node asking.mjs choose`.
 */
import { Effect, Layer } from "effect"
import { spawn } from "node:child_process"
import * as Fs from "node:fs"
import * as Markdown from "../../dist/terminal/Markdown.js"
import { Output } from "../../dist/terminal/Output.js"
import * as Program from "../../dist/terminal/Program.js"
import { Prompt } from "../../dist/terminal/Prompt.js"
import * as Spinner from "../../dist/terminal/Spinner.js"

const choices = [{ key: "y", label: "run it" }, { key: "n", label: "leave it" }]

/** A program that reads what is typed itself. */
const child = Effect.promise(() =>
  new Promise((resolve) => {
    spawn("sh", ["-c", "echo child asks; read answer; echo \"child got $answer\""], { stdio: "inherit" })
      .once("exit", resolve)
  })
)

/** Goes on when the test has seen what it wanted to see: when it has made this file, which is removed. */
const step = Effect.promise(async () => {
  while (!Fs.existsSync(process.env.STEP)) await new Promise((resolve) => setTimeout(resolve, 20))
  Fs.rmSync(process.env.STEP)
})

const parts = {
  choose: ({ output, prompt }) =>
    Effect.gen(function*() {
      yield* output.line(`chosen: ${yield* prompt.choose("Run it?", choices)}`)
    }),
  "choose-late": (layers) =>
    Effect.zipRight(layers.output.note("started"), Effect.zipRight(step, parts.choose(layers))),
  line: ({ output, prompt }) =>
    Effect.flatMap(prompt.line("What instead? "), (line) => output.line(`line: ${JSON.stringify(line)}`)),
  between: ({ output, prompt }) =>
    Effect.gen(function*() {
      yield* output.line(`first: ${yield* prompt.choose("First?", choices)}`)
      yield* child
      yield* output.line(`second: ${yield* prompt.line("Second? ")}`)
      yield* child
      yield* output.line(`third: ${yield* prompt.choose("Third?", choices)}`)
    }),
  spin: ({ output }) =>
    Effect.gen(function*() {
      const spinner = yield* Spinner.start("Thinking…")
      yield* step
      yield* output.note("a note")
      yield* step
      yield* spinner.label(`Running ${"kubectl ".repeat(30)}`)
      yield* step
      yield* spinner.stop
      yield* output.line("the answer")
    }),
  wait: () => Effect.zipRight(Spinner.start("Thinking…"), Effect.never),
  markdown: ({ output }) =>
    Effect.suspend(() => {
      const renderer = Markdown.renderer({ columns: output.columns ?? 80, colour: output.colour })
      const text =
        "# Pods\n\nThe pod **web** runs on `node-1`.\n\n| Name | 状態 |\n|---|---|\n| 数据库 🚀 | ok |\n| 👍 é | ok |\n"
      return output.write(renderer.push(text) + renderer.end())
    })
}

const streams = { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr }
const layer = Layer.provideMerge(Prompt.layer(streams), Output.layer(streams))

Effect.gen(function*() {
  yield* parts[process.argv[2]]({ output: yield* Output, prompt: yield* Prompt })
}).pipe(
  Effect.scoped,
  Effect.provide(layer),
  Program.attended({ disableErrorReporting: true })
)
