import * as Fs from "node:fs"
import * as Path from "node:path"
import { assert, describe } from "vitest"
import { parse } from "yaml"
import * as Vibing from "../support/Vibing.js"

const { argsOf, command, done, failed, plan } = Vibing
const { plays } = Vibing.forFile()

const pods = ["get", "pods", "-l", "app in (web, api)"]
const scale = ["scale", "deployment/web", "--replicas=2"]

describe("vibectl vibe", () => {
  plays("looks unasked, and has nothing but the answer on stdout", {}, async (stage) => {
    stage.model.says(command(pods), done("**Two** pods:\n\n- wéb ✨\n- api\n"))
    assert.deepStrictEqual(await stage.vibe("how are my pods"), {
      code: 0,
      stdout: "**Two** pods:\n\n- wéb ✨\n- api\n",
      stderr: "$ kubectl get pods -l 'app in (web, api)'\n"
    })
    assert.deepStrictEqual(argsOf(stage), [pods])
    const [first, second] = stage.model.requests()
    assert.strictEqual(first?.user, "how are my pods")
    assert.match(
      second?.user ?? "",
      /^how are my pods\n\nStep 1: you ran `kubectl get pods -l 'app in \(web, api\)'`; it ended with exit code 0. It printed:\n<data (\w{16})>\nfine\n<\/data \1>\n\nWhat is the next step\? 9 are left.$/
    )
  })

  plays("hands every argument to kubectl as the model wrote it, and none to a shell", {}, async (stage) => {
    const odd = ["a b", "'", "\"", ";", "$(touch owned)", "`touch owned`", "$HOME", "*", "\\", "ünï ☃", "a\nb", ""]
    const args = ["annotate", "pod", "web-1", ...odd.map((value, index) => `note${index}=${value}`)]
    stage.model.says(command(["kubectl", ...args]), done("done"))
    const { code, stderr } = await stage.vibe("--yes note it")
    assert.strictEqual(code, 0, stderr)
    assert.deepStrictEqual(argsOf(stage), [args])
    assert.isFalse(Fs.existsSync(Path.join(stage.home.directory, "owned")))
    assert.include(stderr, "'note1='\\'''")
  })

  plays("prints one document with --output json", {}, async (stage) => {
    stage.model.says(command(pods), command(["top", "pods"]), done("Fine."))
    const json = await stage.vibe("--output json how are my pods")
    assert.strictEqual(json.code, 0)
    const { answer, commands, metrics } = JSON.parse(json.stdout) as {
      readonly answer: string
      readonly commands: ReadonlyArray<object>
      readonly metrics: Record<string, unknown>
    }
    assert.strictEqual(answer, "Fine.")
    assert.deepStrictEqual(commands, [
      { command: "kubectl get pods -l 'app in (web, api)'", decision: "unasked", exit_code: 0 },
      { command: "kubectl top pods", decision: "unasked", exit_code: 0 }
    ])
    assert.isNumber(metrics["first_token_ms"])
    assert.isAtLeast(metrics["duration_ms"] as number, metrics["first_token_ms"] as number)
    assert.deepInclude(metrics, { model: stage.name, calls: 3, input_tokens: 21, output_tokens: 9 })
    assert.closeTo(metrics["cost_usd"] as number, 0.039, 1e-9)
    stage.model.says(command(scale))
    const planned = await stage.vibe("--dry-run --output json scale it")
    assert.deepInclude(JSON.parse(planned.stdout), { answer: "" })
    assert.deepInclude((JSON.parse(planned.stdout) as { planned: object }).planned, {
      command: "kubectl scale deployment/web --replicas=2",
      stdin: ""
    })
    assert.lengthOf(argsOf(stage), 2)
  })

  plays("shows commands and what it took as the configuration or a flag says", {
    assistant: { show_kubectl: false, show_metrics: true }
  }, async (stage) => {
    const took = (model: string) =>
      `${model} · 2 calls · 14 tokens in, 6 out · $0.0260 · first token after N s · N s in all\n`
    const stderr = async (flags: string) => {
      stage.model.says(command(["get", "pods"]), done("Fine."))
      const ran = await stage.vibe(`${flags} how are my pods`)
      assert.strictEqual(ran.stdout, "Fine.\n")
      return ran.stderr.replace(/\d+\.\d+\s+s/g, "N s")
    }
    assert.strictEqual(await stderr(""), took(stage.name))
    assert.strictEqual(await stderr("--show-kubectl --no-show-metrics"), "$ kubectl get pods\n")
  })

  plays("asks the model and the server that it is told to", {
    active: "broken",
    profiles: { broken: { server_url: "vibectl-server-insecure://127.0.0.1:1" } }
  }, async (stage) => {
    stage.model.says(done("one"))
    const other = stage.name.replace("planned", "unpriced")
    const chosen = await stage.vibe(`--proxy default --model ${other} --show-metrics x`)
    assert.strictEqual(chosen.stdout, "one\n")
    assert.match(chosen.stderr, /unpriced · 1 call · .* · cost unknown/)
    assert.deepStrictEqual(stage.model.requests().map(({ model }) => model), ["unpriced"])
    failed(await stage.vibe("--proxy default --model no/such x"), 1, /^Error: .*no\/such/, /^Solution: /)
    failed(await stage.vibe("x"), 5, /^Error: Nothing listens on 127\.0\.0\.1:1/, /^Solution: /)
  })

  plays("takes no more steps than it may", {}, async (stage) => {
    stage.model.says(command(["get", "pods"]), command(["get", "nodes"]), done("never asked for"))
    failed(
      await stage.vibe("--max-steps 2 x"),
      1,
      /^Error: The request is not done after 2 steps/,
      /^Solution: .*--max-steps/
    )
    assert.lengthOf(argsOf(stage), 2)
    assert.match(stage.model.requests()[1]?.user ?? "", /This is the last step: answer with DONE or ERROR\.$/)
  })

  plays("shows a question that nobody can answer, and what the model cannot do", {}, async (stage) => {
    stage.model.says({ text: plan({ action: "FEEDBACK", text: "Which **one**?" }) })
    assert.deepStrictEqual(await stage.vibe("delete it"), { code: 0, stdout: "Which **one**?\n", stderr: "" })
    stage.model.says({ text: plan({ action: "ERROR", text: "There is no such thing." }) })
    failed(await stage.vibe("x"), 1, /^Error: There is no such thing\.$/, /^Solution: Ask for something else/)
    assert.lengthOf(argsOf(stage), 0)
  })
})

describe("a command that changes something, without a terminal", () => {
  const manifest = "kind: ConfigMap\ndata: { a: \"EOF\" }\nEOF\n"
  const apply = command(["apply", "-f", "-"], manifest)

  plays("runs only after a yes beforehand", {}, async (stage) => {
    stage.model.says(command(scale), done("never asked for"))
    failed(
      await stage.vibe("scale it"),
      1,
      /^Error: Not run: kubectl scale deployment\/web --replicas=2 \(scale .*\); it needs a yes, and there is no terminal/,
      /^Solution: Run vibectl on a terminal, .*--yes, .*assistant\.allow_verbs/
    )
    assert.deepStrictEqual(argsOf(stage), [])
    assert.lengthOf(stage.model.requests(), 1)
    stage.model.says(apply, command(["delete", "pod", "web-1"]), done("Both."))
    const { code, stderr, stdout } = await stage.vibe("-y do it")
    assert.deepStrictEqual({ code, stdout }, { code: 0, stdout: "Both.\n" })
    assert.strictEqual(stderr, "$ kubectl apply -f -\n✓ fine\n$ kubectl delete pod web-1\n✓ fine\n")
    assert.deepStrictEqual(
      stage.kubectl.invocations().map(({ args, stdin }) => ({ args, stdin })),
      [{ args: ["apply", "-f", "-"], stdin: manifest }, { args: ["delete", "pod", "web-1"], stdin: "" }]
    )
  })

  plays("runs in mode auto when its verb is allowed", { assistant: { allow_verbs: ["scale"] } }, async (stage) => {
    for (const args of [["delete", "pod", "web-1"], ["scale", "deployment/web", "--replicas=0"]]) {
      stage.model.says(command(args))
      failed(await stage.vibe("--mode auto do it"), 1, /^Error: Not run: kubectl (delete|scale)/, /--mode auto/)
    }
    assert.deepStrictEqual(argsOf(stage), [])
    stage.model.says(command(scale), done("Scaled."))
    assert.strictEqual((await stage.vibe("--mode auto scale it")).stdout, "Scaled.\n")
    assert.deepStrictEqual(argsOf(stage), [scale])
  })

  plays("does not even look in mode manual", { assistant: { mode: "manual" } }, async (stage) => {
    stage.model.says(command(["get", "pods"]))
    failed(await stage.vibe("look"), 1, /^Error: Not run: kubectl get pods/, /--yes/)
    assert.deepStrictEqual(argsOf(stage), [])
    stage.model.says(command(["get", "pods"]), done("Fine."))
    assert.strictEqual((await stage.vibe("--mode semiauto look")).stdout, "Fine.\n")
    assert.lengthOf(argsOf(stage), 1)
  })

  plays("is only printed with --dry-run, as a shell would take it", {}, async (stage) => {
    stage.model.says(apply)
    const shown = await stage.vibe("--dry-run --yes do it")
    assert.deepStrictEqual(shown, {
      code: 0,
      stdout: `kubectl apply -f - <<'EOF_'\n${manifest}EOF_\n`,
      stderr: "It would need a yes: apply changes resources to what a manifest says.\n"
    })
    assert.deepStrictEqual(argsOf(stage), [])
    // The shell reads what was shown as it was meant.
    await stage.home.sh(shown.stdout)
    assert.deepInclude(stage.kubectl.invocations()[0], { args: ["apply", "-f", "-"], stdin: manifest })
    assert.property(parse(manifest.replace("EOF\n", "")), "kind")
  })
})

describe("a model", () => {
  plays("that answers with no plan may mend it once", {}, async (stage) => {
    stage.model.says("{\"action\":\"COMMAND\",\"args\":\"get pods\"}", command(["get", "pods"]), done("Fine."))
    assert.deepStrictEqual(await stage.vibe("x"), { code: 0, stdout: "Fine.\n", stderr: "$ kubectl get pods\n" })
    const repair = stage.model.requests()[1]?.user ?? ""
    assert.include(repair, "Your last answer was no valid plan.")
    assert.include(repair, "\"args\":\"get pods\"")
    stage.model.says("{\"action\":\"RUN\"}", "{\"action\":\"COMMAND\"", done("never asked for"))
    failed(
      await stage.vibe("x"),
      1,
      /^Error: The model did not answer with a plan that can be followed: /,
      /^Solution: .*--model NAME/
    )
    assert.lengthOf(argsOf(stage), 1)
  })

  plays("may answer in prose, and that runs nothing", {}, async (stage) => {
    const prose = "Run this:\n\n```sh\nkubectl delete pods --all\n```"
    stage.model.says(prose, "```json\n{\"action\":\"DONE\",\"text\":\"Fenced.\"}\n```", "")
    assert.deepStrictEqual(await stage.vibe("--yes x"), { code: 0, stdout: `${prose}\n`, stderr: "" })
    assert.strictEqual((await stage.vibe("x")).stdout, "Fenced.\n")
    assert.deepStrictEqual(argsOf(stage), [])
  })

  plays("without structured output is told in words what to answer", {}, async (stage) => {
    stage.model.refusesSchemas(true)
    stage.model.says(command(["get", "pods"]), done("Fine."))
    assert.deepStrictEqual(await stage.vibe("x"), { code: 0, stdout: "Fine.\n", stderr: "$ kubectl get pods\n" })
    const requests = stage.model.requests()
    assert.deepStrictEqual(requests.map(({ format }) => format !== undefined), [true, false, false])
    assert.deepStrictEqual(
      requests.map(({ system }) => system.includes("Answer with one JSON object")),
      [false, true, true]
    )
  })

  plays("that breaks off leaves what it said, and a word about it", {}, async (stage) => {
    stage.model.says("{\"action\":\"DONE\",\"text\":\"Half of an ans")
    const cut = await stage.vibe("x")
    assert.deepStrictEqual({ code: cut.code, stdout: cut.stdout }, { code: 0, stdout: "Half of an ans\n" })
    assert.match(cut.stderr, /^Warning: The answer breaks off/)
    stage.model.says({ ...done("It is never"), sizes: [10], fault: { after: 4, how: "reset" } }, done("It is whole."))
    assert.deepStrictEqual(await stage.vibe("x"), {
      code: 0,
      stdout: "It is never\nIt is whole.\n",
      stderr: "Warning: Ignore the text above; the answer starts again.\n"
    })
  })
})

describe("a command that is never run", () => {
  const refused: ReadonlyArray<ReadonlyArray<string>> = [
    ["get", "pods", "|", "sh"],
    ["get", "pods", ";", "rm", "-rf", "/"],
    ["./owned", "x"],
    ["apply", "-f", "-"]
  ]
  plays("is told to the model, with why", {}, async (stage) => {
    for (const args of refused.slice(1)) {
      stage.model.says(command(args), done("Then not."))
      const { code, stderr, stdout } = await stage.vibe("--yes x")
      assert.deepStrictEqual({ code, stdout }, { code: 0, stdout: "Then not.\n" })
      assert.match(stderr, /^Refused: kubectl .* \(.*\)\n$/)
      assert.match(stage.model.requests().at(-1)?.user ?? "", /` was not run: it is never run \(/)
    }
    assert.deepStrictEqual(argsOf(stage), [])
  })

  plays("ends the run when the model insists", {}, async (stage) => {
    const [pipe = [], list = []] = refused
    stage.model.says(command(pipe), command(list), done("never asked for"))
    failed(
      await stage.vibe("--yes x"),
      1,
      /^Error: The model planned a command that is not run: kubectl get pods ';' rm -rf \//,
      /^Solution: .*run it yourself/
    )
    assert.lengthOf(stage.model.requests(), 2)
    assert.deepStrictEqual(argsOf(stage), [])
  })
})
