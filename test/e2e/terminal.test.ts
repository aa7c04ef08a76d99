import * as Fs from "node:fs"
import { afterAll, afterEach, assert, beforeAll, describe, it } from "vitest"
import * as Programs from "../support/Programs.js"
import * as Terminal from "../support/Terminal.js"

const has = Terminal.available()
const why = has ? "" : ` (skipped: apt-get install ${Terminal.packages})`

let home: Programs.Home
const open: Array<Terminal.Terminal> = []
beforeAll(() => {
  home = Programs.home()
})
afterEach(() => Promise.all(open.splice(0).map((terminal) => terminal.close())))
afterAll(() => home.close())

const start = async (line: string, options: Terminal.Options = {}) => {
  const terminal = await Terminal.start(home, line, options)
  open.push(terminal)
  return terminal
}

/** A server with the built-in demo model, and a profile for it. */
const serve = async () => {
  const server = await home.serve("vibectl-server --enable-auth --port 0 --insecure")
  const configured = await home.sh(
    "vibectl setup-proxy configure vibectl-server-insecure://$(vibectl-server generate-token ada --expires-in 1d)"
      + `@localhost:${server.port}`
  )
  assert.strictEqual(configured.code, 0, configured.stderr)
}

const asking = (part: string) =>
  `STEP=$HOME/step node ${new URL("../support/asking.mjs", import.meta.url).pathname} ${part}`

/** Lets it go on where it waits for the test. */
const step = () => Fs.writeFileSync(`${home.directory}/step`, "")

describe.skipIf(!has)(`vibectl at a terminal${why}`, () => {
  beforeAll(serve)

  for (const columns of [80, 120]) {
    it(`streams an answer on ${columns} columns`, async () => {
      const terminal = await start("vibectl vibe \"explain kubernetes pods\"", { columns })
      const first = await terminal.waitFor("No LLM was called")
      assert.notInclude(first, "restart it")
      assert.strictEqual(await terminal.exitCode(), 0)
      const words = (await terminal.screen({ joined: true })).split(/\s+/).join(" ")
      assert.include(words, "You asked: explain kubernetes pods")
      assert.include(words, "in its configuration file, and restart it.")
    })
  }

  it("stops at once with Ctrl-C, and leaves a clean line", async () => {
    const terminal = await start("vibectl vibe \"explain kubernetes pods\"")
    await terminal.waitFor("No LLM was called")
    await terminal.press("C-c")
    assert.strictEqual(await terminal.exitCode(), 130)
    const shown = await terminal.screen()
    assert.notInclude(shown, "restart it")
    assert.match(shown, /No LLM was called[^]*\n\[130\]\$$/)
    assert.notMatch(shown, /\bat \S+:\d+|Error|Fiber/)
  })
})

describe.skipIf(!has)(`questions at a terminal${why}`, () => {
  it("are answered by one key, and not by what was typed before", async () => {
    const terminal = await start(`${asking("choose-late")}; stty -a | grep -o ' .icanon\\| icanon\\| .echo \\| echo '`)
    await terminal.waitFor("started")
    await terminal.type("y")
    await terminal.press("Enter")
    await terminal.type("y")
    step()
    await terminal.waitFor("[n] leave it")
    await new Promise((resolve) => setTimeout(resolve, 300))
    assert.notInclude(await terminal.screen(), "chosen")
    await terminal.press("Up")
    await terminal.waitFor("Please press one of y, n.")
    await terminal.waitFor(/Please press[^]*leave it/)
    await new Promise((resolve) => setTimeout(resolve, 100))
    await terminal.type("n")
    await terminal.waitFor("chosen: n")
    assert.strictEqual(await terminal.exitCode(), 0)
    const shown = await terminal.screen()
    assert.match(shown, /^Run it\? {2}\[y\] run it {2}\[n\] leave it n\nchosen: n\n/m)
    assert.notMatch(shown, /-icanon|-echo/)
    assert.match(shown, / icanon[^]* echo/)
  })

  it("are interrupted by Ctrl-C, which leaves the terminal as it was", async () => {
    await Promise.all(([["choose", "leave it"], ["line", "What instead?"]] as const).map(async ([part, question]) => {
      const terminal = await start(`${asking(part)}; code=$?; stty -a; (exit $code)`)
      await terminal.waitFor(question)
      await new Promise((resolve) => setTimeout(resolve, 100))
      await terminal.press("C-c")
      assert.strictEqual(await terminal.exitCode(), 130)
      const shown = await terminal.screen()
      assert.match(shown, / icanon[^]* echo/)
      assert.match(shown, new RegExp(`${question.replace("?", "\\?")}\\nspeed`))
    }))
  })

  it("have no answer at the end of input", async () => {
    await Promise.all(
      ([["choose", "chosen: undefined"], ["line", "line: undefined"]] as const).map(async ([part, answer]) => {
        const terminal = await start(asking(part))
        await terminal.waitFor(part === "choose" ? "leave it" : "What instead?")
        await new Promise((resolve) => setTimeout(resolve, 100))
        await terminal.press("C-d")
        await terminal.waitFor(new RegExp(`^${answer}$`, "m"))
        assert.strictEqual(await terminal.exitCode(), 0)
      })
    )
  })

  it("take a line that can be edited", async () => {
    await Promise.all([{}, { NO_COLOR: "1" }].map(async (env) => {
      const terminal = await start(asking("line"), { env })
      await terminal.waitFor("What instead?")
      await new Promise((resolve) => setTimeout(resolve, 100))
      await terminal.type("größx")
      await terminal.press("BSpace")
      await terminal.type("e 数")
      await terminal.press("Enter")
      await terminal.waitFor("line: \"größe 数\"")
      assert.strictEqual(await terminal.exitCode(), 0)
    }))
  })

  it("leave the keyboard to programs that are started between them", async () => {
    const terminal = await start(asking("between"))
    await terminal.waitFor("First?")
    await new Promise((resolve) => setTimeout(resolve, 100))
    await terminal.type("y")
    await terminal.waitFor(/child asks/)
    await terminal.type("one two")
    await terminal.press("Enter")
    await terminal.waitFor("child got one two")
    await terminal.waitFor("Second?")
    await new Promise((resolve) => setTimeout(resolve, 100))
    await terminal.type("three")
    await terminal.press("Enter")
    await terminal.waitFor(/second: three\nchild asks/)
    await terminal.type("four")
    await terminal.press("Enter")
    await terminal.waitFor("child got four")
    await terminal.waitFor(/Third\?.*leave it/)
    await new Promise((resolve) => setTimeout(resolve, 100))
    await terminal.type("n")
    await terminal.waitFor("third: n")
    assert.strictEqual(await terminal.exitCode(), 0)
  })
})

describe.skipIf(!has)(`a spinner at a terminal${why}`, () => {
  it("is gone at the end, and notes stand above it", async () => {
    const terminal = await start(asking("spin"), { columns: 50 })
    await terminal.waitFor(/^. Thinking…$/m)
    step()
    await terminal.waitFor(/^a note\n. Thinking…$/m)
    step()
    await terminal.waitFor(/^. Running kubectl kubectl [a-z ]*… \d+s$/m)
    step()
    assert.strictEqual(await terminal.exitCode(), 0)
    assert.match(await terminal.screen(), /\$ \. \.\/\S+\na note\nthe answer\n\[0\]\$$/)
  })

  it("is gone after Ctrl-C", async () => {
    const terminal = await start(asking("wait"))
    await terminal.waitFor("Thinking…")
    await terminal.press("C-c")
    assert.strictEqual(await terminal.exitCode(), 130)
    assert.notInclude(await terminal.screen(), "Thinking")
  })
})

describe.skipIf(!has)(`an answer at a terminal${why}`, () => {
  it("is drawn as wide as the terminal takes it to be", async () => {
    const terminal = await start(asking("markdown"), { columns: 40 })
    assert.strictEqual(await terminal.exitCode(), 0)
    const shown = await terminal.screen()
    const table = shown.split("\n").filter((line) => /^[┏┃┡│└]/.test(line))
    assert.deepStrictEqual(table, [
      "┏━━━━━━━━━━━┳━━━━━━┓",
      "┃ Name      ┃ 状態 ┃",
      "┡━━━━━━━━━━━╇━━━━━━┩",
      "│ 数据库 🚀 │ ok   │",
      "│ 👍 é      │ ok   │",
      "└───────────┴──────┘"
    ])
    assert.include(await terminal.screenWithStyles(), "\u001b[1mPods")
  })
})
