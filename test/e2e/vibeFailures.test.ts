import * as Fs from "node:fs"
import * as Path from "node:path"
import { assert, describe } from "vitest"
import * as Kubectl from "../support/Kubectl.js"
import * as Patience from "../support/Patience.js"
import * as Programs from "../support/Programs.js"
import * as Vibing from "../support/Vibing.js"

const { argsOf, command, done, failed } = Vibing
const { plays, url } = Vibing.forFile()

const pods = ["get", "pods"]

/** Sees to it that kubectl is nowhere, and yet the programs start. */
const withoutKubectl = ({ home, kubectl }: Vibing.Stage): Record<string, string> => {
  const directory = Path.join(home.directory, "few")
  Fs.mkdirSync(directory)
  Fs.rmSync(kubectl.file)
  Fs.symlinkSync(process.execPath, Path.join(directory, "node"))
  Fs.symlinkSync("/bin/sh", Path.join(directory, "sh"))
  return { PATH: `${Path.join(home.directory, "bin")}:${directory}` }
}

describe("kubectl", () => {
  plays("that fails is told to the model, whose answer is shown", {
    rules: [{ match: pods, stdout: "NAME\n", stderr: "Error from server (NotFound): no wéb\n", exitCode: 3 }]
  }, async (stage) => {
    stage.model.says(command(pods), done("There is none."))
    assert.deepStrictEqual(await stage.vibe("x"), {
      code: 0,
      stdout: "There is none.\n",
      stderr: "$ kubectl get pods\n✗ exit 3: Error from server (NotFound): no wéb\n"
    })
    assert.match(
      stage.model.requests()[1]?.user ?? "",
      /it ended with exit code 3\. It printed:\n<data \w+>\nNAME\nOn standard error:\nError from server \(NotFound\): no wéb\n<\/data/
    )
  })

  plays("that fails to change something is not hidden by the model's word, and is the exit status where one asks", {
    rules: [{ match: ["scale"], stderr: "Error from server (NotFound): no web\n", exitCode: 1 }]
  }, async (stage) => {
    const scale = command(["scale", "deployment/web", "--replicas=4"])
    const line = "$ kubectl scale deployment/web --replicas=4\n✗ exit 1: Error from server (NotFound): no web\n"
    const failed = "last command failed with exit code 1: kubectl scale deployment/web --replicas=4"
    stage.model.says(scale, done("web has 4 replicas."), scale, done("web has 4 replicas."))
    assert.deepStrictEqual(await stage.vibe("--yes x"), {
      code: 0,
      stdout: "web has 4 replicas.\n",
      stderr: `${line}Warning: The ${failed} The answer above may not know.\n`
    })
    const asked = await stage.vibe("--yes --exit-status x")
    assert.deepStrictEqual([asked.code, asked.stdout], [1, "web has 4 replicas.\n"])
    assert.include(asked.stderr, `${line}Error: The ${failed}\nSolution: `)
  })

  plays("that is missing is said to be, and questions without it are answered", {}, async (stage) => {
    const variables = withoutKubectl(stage)
    stage.model.says(done("A pod is a group of containers."))
    assert.deepStrictEqual(await stage.vibe("what is a pod", variables), {
      code: 0,
      stdout: "A pod is a group of containers.\n",
      stderr: ""
    })
    assert.include(stage.model.requests()[0]?.system, "There is no kubectl on this machine")
    stage.model.says(command(pods))
    failed(
      await stage.vibe("how are my pods", variables),
      1,
      /There is no 'kubectl' to run on this machine/,
      /Install kubectl .*assistant\.kubectl PATH/
    )
  })

  plays("that takes too long is ended, and so is one that does not listen", {
    assistant: { kubectl_timeout_seconds: 0.5 },
    rules: [
      { match: ["logs"], stdout: "line one\n", hang: true },
      { match: ["describe"], stdout: "line two\n", stubborn: true },
      { match: ["top"], run: "leaving" }
    ]
  }, async (stage) => {
    // It ends, and what it leaves behind has its pipes, but is not waited for.
    const leaving = "#!/bin/sh\nsetsid sleep 600 &\necho $! > left\necho line three\n"
    Fs.writeFileSync(Path.join(stage.home.directory, "bin/leaving"), leaving, { mode: 0o755 })
    stage.model.says(
      command(["logs", "web-1"]),
      command(["describe", "pod", "web-1"]),
      command(["top", "pods"]),
      done("Too slow.")
    )
    const { code, stdout } = await stage.vibe("x")
    assert.deepStrictEqual({ code, stdout }, { code: 0, stdout: "Too slow.\n" })
    // It is still there.
    process.kill(Number(Fs.readFileSync(Path.join(stage.home.directory, "left"), "utf8")))
    const told = stage.model.requests().at(-1)?.user ?? ""
    for (
      const [line, how] of [
        ["line one", "was stopped because it took too long"],
        ["line two", "was stopped because it took too long"],
        ["line three", "ended with exit code 0"]
      ] as const
    ) {
      assert.match(told, new RegExp(`${how}\\. It printed:\\n<data \\w+>\\n${line}\\n`))
    }
    await Patience.eventuallyPromise(() => !stage.kubectl.isRunning())
    assert.deepStrictEqual(stage.kubectl.invocations().map(({ signals }) => signals), [["SIGTERM"], ["SIGTERM"], []])
  })

  if (Kubectl.kubectl === undefined) describe.skip(`the real one${Kubectl.why}`)
  else {
    plays("that reaches no cluster ends the run in its own words", { rules: [Vibing.real] }, async (stage) => {
      const port = await Programs.freePort()
      stage.model.says(command([...pods, "--request-timeout=2s"]))
      const variables = { KUBERNETES_MASTER: `http://127.0.0.1:${port}` }
      failed(
        await stage.vibe("x", variables),
        1,
        new RegExp(`kubectl reaches no cluster: The connection to the server 127\\.0\\.0\\.1:${port} was refused`),
        /kubectl config current-context/
      )
      assert.deepStrictEqual(argsOf(stage), [[...pods, "--request-timeout=2s"]])
    })
  }
})

describe("an interrupted run", () => {
  /** A run that has come so far. */
  const begin = async (stage: Vibing.Stage, hasCome: (stdout: string) => boolean) => {
    const begun = stage.home.begin("exec vibectl vibe x")
    await Patience.eventuallyPromise(
      () => hasCome(begun.stdout()),
      () => `${String(hasCome)}; it came to: ${begun.stdout()}\n${begun.stderr()}`
    )
    return begun
  }

  plays("shows what it had of the answer, and hangs up on the provider", {}, async (stage) => {
    stage.model.says({ ...done("One two three four."), sizes: [10], fault: { after: 4, how: "hang" } })
    const begun = await begin(stage, (stdout) => stdout.includes("One two"))
    assert.isUndefined(stage.model.requests()[0]?.abandonedAt, "it is shown as it comes")
    begun.process.kill("SIGINT")
    const { code, stderr, stdout } = await begun.ended
    assert.deepStrictEqual({ code, stderr }, { code: 130, stderr: "" })
    assert.match(stdout, /^One two(?! three four).*\n$/)
    await Patience.eventuallyPromise(() => stage.model.requests()[0]?.abandonedAt !== undefined)
  })

  plays("hangs up on a provider that is silent", {}, async (stage) => {
    stage.model.says({ ...done("never"), fault: { after: "request", how: "hang" } })
    const begun = await begin(stage, () => stage.model.requests().length === 1)
    begun.process.kill("SIGTERM")
    assert.deepStrictEqual(await begun.ended, { code: 130, stdout: "", stderr: "" })
    await Patience.eventuallyPromise(() => stage.model.requests()[0]?.abandonedAt !== undefined)
  })

  plays("takes kubectl with it", {
    rules: [{ match: ["logs"], stdout: "begun\n", hang: true }, { match: ["top"], stubborn: true }]
  }, async (stage) => {
    const logs = await outlives(stage, ["logs", "web-1"], "SIGINT")
    assert.deepStrictEqual(logs, { code: 130, stdout: "", stderr: "$ kubectl logs web-1\n" })
    const stubborn = await outlives(stage, ["top", "pods"], "SIGTERM")
    assert.deepStrictEqual(stubborn, { code: 130, stdout: "", stderr: "$ kubectl top pods\n" })
    await Patience.eventuallyPromise(() => !stage.kubectl.isRunning())
    assert.deepStrictEqual(stage.kubectl.invocations().map(({ signals }) => signals), [["SIGTERM"], ["SIGTERM"]])
    const shown = await stage.home.sh("vibectl audit export")
    const [line = ""] = shown.stdout.split("\n").filter((line) => line.includes("\"command\":[\"logs\""))
    assert.deepInclude(JSON.parse(line), { event: "command", decision: "unasked" })
  })

  /** Ends a run while this command runs. */
  const outlives = async (stage: Vibing.Stage, args: ReadonlyArray<string>, signal: NodeJS.Signals) => {
    const before = stage.kubectl.invocations().length
    stage.model.says(command(args), done("never asked for"))
    const begun = stage.home.begin("exec vibectl vibe x")
    await stage.kubectl.until((invocations) => invocations.length > before)
    begun.process.kill(signal)
    return begun.ended
  }
})

describe("vibectl vibe that cannot call its server", () => {
  plays("says what to type, when there is none", {}, async ({ home }) => {
    Fs.rmSync(Path.join(home.directory, ".config"), { recursive: true })
    const { code, stderr, stdout } = await home.sh("vibectl vibe x")
    assert.deepStrictEqual({ code, stdout }, { code: 1, stdout: "" })
    assert.match(stderr, /^Error: No server is configured yet.*\nSolution: If your operator gave you a URL/)
    assert.include(stderr, "vibectl setup-proxy configure vibectl-server://TOKEN@HOST:PORT")
    assert.isFalse(Fs.existsSync(Path.join(home.directory, ".config")), "nothing is made for nothing")
  })

  plays("says that nothing listens there", {
    profiles: { gone: { server_url: "vibectl-server-insecure://127.0.0.1:1" } }
  }, async (stage) => {
    failed(await stage.vibe("--proxy gone x"), 5, /Nothing listens on 127\.0\.0\.1:1/, /Start the server/)
    const { stdout } = await stage.home.sh("vibectl audit export --profile gone")
    assert.deepStrictEqual(
      stdout.trimEnd().split("\n").map((line) => (JSON.parse(line) as { readonly event: string }).event),
      ["request", "response"]
    )
  })

  plays("says what is wrong with its token", {}, async (stage) => {
    const anHourAndMoreAgo = Math.floor(Date.now() / 1000) - 7200
    const good = Vibing.tokenOf()
    const configured = (token: string) =>
      stage.home.sh("vibectl setup-proxy configure --no-test bad $URL; vibectl vibe --proxy bad x", { URL: url(token) })
    failed(await configured(Vibing.tokenOf(anHourAndMoreAgo)), 3, /The bearer token has expired/, /Create a new one/)
    failed(await configured(good.slice(0, -8)), 3, /token/, /./)
    assert.lengthOf(stage.model.requests(), 0)
    assert.lengthOf(argsOf(stage), 0)
  })
})
