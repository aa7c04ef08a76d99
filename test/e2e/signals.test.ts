import { assert, describe } from "vitest"
import * as Patience from "../support/Patience.js"
import * as Terminal from "../support/Terminal.js"
import * as Vibing from "../support/Vibing.js"

const { command, done } = Vibing
const { plays } = Vibing.forFile()

const hanging = { match: [], stdout: "web-1\n", hang: true }
const deaf = { match: [], stdout: "web-1\n", stubborn: true }

/** Waits until no kubectl runs. */
const gone = ({ kubectl }: Vibing.Stage) => Patience.eventuallyPromise(() => !kubectl.isRunning())

describe("vibectl that is told to stop while kubectl runs", () => {
  plays("takes it along when its terminal goes away", { rules: [hanging] }, async (stage) => {
    const begun = await begin(stage, ["logs", "web-1"])
    begun.process.kill("SIGHUP")
    assert.deepStrictEqual(await begun.ended, { code: 129, stdout: "", stderr: "$ kubectl logs web-1\n" })
    assert.isFalse(stage.kubectl.isRunning())
    assert.deepStrictEqual(stage.kubectl.invocations()[0]?.signals, ["SIGTERM"])
  })

  plays(
    "kills it at once when it is told again, and has written down that it ran",
    { rules: [deaf] },
    async (stage) => {
      const took: Array<number> = []
      for (const times of [1, 2]) {
        const begun = await begin(stage, ["top", "pods"])
        const told = performance.now()
        begun.process.kill("SIGINT")
        await stage.kubectl.until((invocations) => invocations.at(-1)?.signals.length === 1)
        if (times === 2) begun.process.kill("SIGINT")
        assert.deepStrictEqual(await begun.ended, { code: 130, stdout: "", stderr: "$ kubectl top pods\n" })
        took.push(performance.now() - told)
        assert.isFalse(stage.kubectl.isRunning())
      }
      assert.isBelow(took[1]!, took[0]!, "which waits for it to end by itself")
      assert.include((await stage.home.sh("vibectl audit export")).stdout, "\"command\":[\"top\",\"pods\"]")
    }
  )

  /** A run that has started it. */
  const begin = async (stage: Vibing.Stage, args: ReadonlyArray<string>) => {
    const before = stage.kubectl.invocations().length
    stage.model.says(command(args), done("never asked for"))
    const begun = stage.home.begin("exec vibectl vibe x")
    await stage.kubectl.until((invocations) => invocations.length === before + 1)
    return begun
  }
})

const has = Terminal.available()
const why = has ? "" : ` (skipped: apt-get install ${Terminal.packages})`

describe.skipIf(!has)(`Ctrl-C at what runs on the terminal${why}`, () => {
  plays("ends that, and not vibectl, which goes on with its exit code", { rules: [hanging] }, async (stage) => {
    stage.model.says(command(["get", "pods", "-w"]), done("They were well."))
    await at(stage, async (terminal) => {
      await terminal.press("C-c")
      await terminal.waitFor("They were well.")
      assert.strictEqual(await terminal.exitCode(), 0)
      assert.deepStrictEqual(stage.kubectl.invocations().map(({ signals }) => signals), [["SIGINT"]])
      assert.match(stage.model.requests()[1]?.user ?? "", /exit code 130/)
    })
  })

  plays("is not for vibectl, though what runs does not care", { rules: [deaf] }, async (stage) => {
    stage.model.says(command(["get", "pods", "-w"]), done("never asked for"))
    await at(stage, async (terminal) => {
      await terminal.press("C-c")
      await stage.kubectl.until(([get]) => get?.signals.length === 1)
      await new Promise((resolve) => setTimeout(resolve, 200))
      assert.isTrue(stage.kubectl.isRunning())
      await terminal.close()
      await gone(stage)
    })
  })

  const at = async (stage: Vibing.Stage, play: (terminal: Terminal.Terminal) => Promise<void>) => {
    const terminal = await Terminal.start(stage.home, "vibectl vibe x")
    try {
      await terminal.waitFor("[y]")
      await new Promise((resolve) => setTimeout(resolve, 200))
      await terminal.type("y")
      await stage.kubectl.until((invocations) => invocations.length === 1)
      await terminal.waitFor("web-1")
      await play(terminal)
    } finally {
      await terminal.close()
    }
  }
})

describe.skipIf(!has)(`a terminal that is closed${why}`, () => {
  plays("leaves no kubectl behind", { rules: [hanging] }, async (stage) => {
    stage.model.says(command(["logs", "web-1"]), done("never asked for"))
    const terminal = await Terminal.start(stage.home, "vibectl vibe x")
    await stage.kubectl.until((invocations) => invocations.length === 1)
    await terminal.close()
    await gone(stage)
    assert.include((await stage.home.sh("vibectl audit export")).stdout, "\"command\":[\"logs\",\"web-1\"]")
  })
})
