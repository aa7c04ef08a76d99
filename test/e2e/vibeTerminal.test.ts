import { afterAll, assert, beforeAll, describe, it, vi } from "vitest"
import type * as PlannedModel from "../support/PlannedModel.js"
import type * as RecordingKubectl from "../support/RecordingKubectl.js"
import * as Session from "../support/Session.js"
import * as Terminal from "../support/Terminal.js"

const has = Terminal.available()
const why = has ? "" : ` (skipped: apt-get install ${Terminal.packages})`

// On a busy machine; nothing here takes so long by itself.
vi.setConfig({ testTimeout: 60_000 })

let stage: Session.Stage
beforeAll(async () => {
  stage = await Session.open(40)
})
afterAll(() => stage.close())

/** What happens in a session; the name of its capture is that of the scene, with the columns where there are several. */
interface Scene {
  readonly lines: ReadonlyArray<string>
  readonly says?: ReadonlyArray<string | PlannedModel.Answer>
  readonly kubectl?: ReadonlyArray<RecordingKubectl.Rule>
  readonly person?: Parameters<Session.Stage["person"]>[0]
  /** What the person does, until the last program ends. */
  readonly play?: (terminal: Terminal.Terminal) => Promise<void>
  readonly code?: number
}

const plan = (action: string, text: string, more: object = {}): PlannedModel.Answer => ({
  text: { action, text, ...more }
})
const run = (args: string, text: string, more: object = {}) => plan("COMMAND", text, { args: args.split(" "), ...more })
const done = (text: string) => plan("DONE", text)

/** Types the lines at a shell, with Ctrl-C in the first of them as soon as it shows `until`; checks the exit code of the last one, and that no line is wider. */
const perform = async (scene: Scene, options: Terminal.Options = {}, until?: Until) => {
  const { code = 0, kubectl = [], lines, play, says = [] } = scene
  const person = stage.person(scene.person)
  person.model.says(...says)
  person.kubectl.script(...kubectl)
  const terminal = await Terminal.start(person.home, ":", options)
  try {
    await terminal.exitCode()
    let ended = 0
    for (const [index, line] of lines.entries()) {
      await enter(terminal, line.replace("50051", `${stage.port}`))
      if (index === lines.length - 1) await play?.(terminal)
      else if (until !== undefined) await interrupt(terminal, person, until)
      ended = await terminal.exitCode()
    }
    const screen = await terminal.screen({ joined: true })
    assert.strictEqual(ended, code, screen)
    Session.assertUnbroken(screen, options.columns ?? 80)
    return { ...person, screen, text: Session.text(screen, stage.port), styles: await terminal.screenWithStyles() }
  } finally {
    await terminal.close()
  }
}

/** What is waited for before Ctrl-C. */
type Until = string | RegExp | ((person: Session.Person) => Promise<void>)

const interrupt = async (terminal: Terminal.Terminal, person: Session.Person, until: Until) => {
  if (typeof until === "function") await until(person)
  else await terminal.waitFor(until)
  await terminal.press("C-c")
  assert.strictEqual(await terminal.exitCode(), 130)
}

/** Until the shell has echoed it, its old prompt could be taken for the end of the line. */
const enter = async (terminal: Terminal.Terminal, line: string) => {
  await terminal.type(line)
  await terminal.waitFor(line.slice(0, 70))
  await terminal.press("Enter")
}

const answers = (...keys: ReadonlyArray<string>) => async (terminal: Terminal.Terminal) => {
  for (const key of keys) {
    await terminal.waitFor(/Run it\?.*…$/m)
    await terminal.type(key)
  }
}

const pods = `NAME                        READY   STATUS             RESTARTS   AGE
cart-6c8f9d7b5d-4k2lm       1/1     Running            0          12d
checkout-7d9c5b6f4-x2v9q    0/1     ImagePullBackOff   0          9m
payment-5f7b8c9d6-tq8wz     0/1     CrashLoopBackOff   14         48m
web-84d5f6c7b-n6j7p         1/1     Running            0          3d
`
const events = `LAST SEEN   TYPE      REASON    OBJECT                         MESSAGE
9m          Warning   Failed    pod/checkout-7d9c5b6f4-x2v9q   Failed to pull image "registry.example.com/checkout:1.9.3": not found
48m         Warning   BackOff   pod/payment-5f7b8c9d6-tq8wz    Back-off restarting failed container payment
`
const notReady = {
  lines: ["vibectl vibe which pods in shop are not ready, and why"],
  kubectl: [{ match: ["get", "pods"], stdout: pods }, { match: ["get", "events"], stdout: events }],
  says: [
    run("get pods --namespace=shop", "Look at the pods of the namespace."),
    run("get events --namespace=shop --field-selector=type=Warning", "See what the cluster says of them."),
    done(
      `**2 of 4 pods** in \`shop\` are not ready:

| Pod | Team | State | Why |
| --- | --- | --- | --- |
| checkout-7d9c5b6f4-x2v9q | 结账团队 | 🔴 ImagePullBackOff | The image \`registry.example.com/checkout:1.9.3\` does not exist. |
| payment-5f7b8c9d6-tq8wz | お支払い | 🔴 CrashLoopBackOff | The container ends right after its start, 14 times so far. |

Check the tag of the first one; for the second, \`kubectl logs payment-5f7b8c9d6-tq8wz -n shop --previous\` says more.`
    )
  ]
}

const markdown = {
  lines: ["vibectl vibe how do I restart a deployment"],
  says: [done(`# Restarting a deployment

A **rolling restart** replaces the pods *one after the other*, so that the service stays up as long as there is more than one replica.

## With kubectl

1. Restart it:
   \`\`\`sh
   kubectl rollout restart deployment/web --namespace=shop
   \`\`\`
2. Watch it, for two minutes at most:
   \`\`\`sh
   kubectl rollout status deployment/web --namespace=shop --timeout=2m
   \`\`\`

## What to know

- Pods get the time of \`terminationGracePeriodSeconds\` to end properly, which is 30 seconds unless it is set.
- A pod disruption budget does **not** hold it up:
  - it is for evictions, as by \`kubectl drain\`
  - \`maxUnavailable\` of the deployment bounds it instead

> A restart without a change shows in \`kubectl rollout history\` as a revision of its own.

More: [Deployments](https://kubernetes.io/docs/concepts/workloads/controllers/deployment/)`)]
}

const scale = (replicas: number) =>
  run(`scale deployment/web --namespace=shop --replicas=${replicas}`, "Two replicas are too few for the traffic.")
const deployment = "NAME   READY   UP-TO-DATE   AVAILABLE   AGE\nweb    2/2     2            2           41d\n"
const scaling = [{ match: ["get"], stdout: deployment }, { match: ["scale"], stdout: "deployment.apps/web scaled\n" }]
const look = run("get deployment web --namespace=shop", "See how many replicas there are.")

const password = "password=Tr0ub4dor-x7-Kq"
const variables = "env:\n- name: LOG_LEVEL\n  value: debug\n- name: DB_PASSWORD\n  value: hunter2-Zx9-kkQ\n"

const scenes = {
  "scale-yes": {
    lines: ["vibectl vibe give web in shop four replicas"],
    kubectl: scaling,
    says: [look, scale(4), done("`web` in `shop` has **4 replicas** now; it had 2.")],
    play: answers("y")
  },
  "scale-no": {
    lines: ["vibectl vibe give web in shop four replicas"],
    kubectl: scaling,
    says: [look, scale(4)],
    play: answers("n"),
    code: 1
  },
  "scale-but": {
    lines: ["vibectl vibe give web in shop four replicas"],
    kubectl: scaling,
    says: [look, scale(4), scale(3), done("`web` in `shop` has **3 replicas** now; it had 2.")],
    play: async (terminal) => {
      await answers("x")(terminal)
      // Two keys at once would be taken for something pasted, and answer nothing.
      await terminal.waitFor(/Please press one of .*\n.*Run it\?.*…$/m)
      await answers("b")(terminal)
      await terminal.waitFor("Instead of")
      await terminal.type("three are enough")
      await terminal.press("Enter")
      await terminal.waitFor("--replicas=3")
      await answers("y")(terminal)
    }
  },
  "delete": {
    lines: ["vibectl vibe remove the old report jobs in shop"],
    kubectl: [
      {
        match: ["get", "jobs"],
        stdout: "job.batch/report-29401200\njob.batch/report-29401260\njob.batch/report-29401320\n"
      },
      {
        match: ["delete"],
        stdout:
          "job.batch \"report-29401200\" deleted\njob.batch \"report-29401260\" deleted\njob.batch \"report-29401320\" deleted\n"
      }
    ],
    says: [
      run(
        "delete jobs --namespace=shop --selector=app=report",
        "All jobs with the label app=report are from before this week."
      ),
      done("The three report jobs in `shop` are deleted.")
    ],
    play: answers("y")
  },
  "manual": {
    lines: ["vibectl vibe --mode manual are all nodes ready"],
    kubectl: [{
      match: ["get"],
      stdout: "NAME      STATUS   ROLES    AGE   VERSION\nnode-1    Ready    <none>   90d   v1.32.4\n"
    }],
    says: [run("get nodes", "See the state of the nodes."), done("Yes: `node-1` is ready, and it is the only one.")],
    play: answers("y")
  },
  "auto": {
    person: { settings: { assistant: { mode: "auto", allow_verbs: ["scale"] } } },
    lines: ["vibectl vibe give web in shop four replicas"],
    kubectl: scaling,
    says: [scale(4), done("`web` in `shop` has **4 replicas** now.")]
  },
  "manifest": {
    lines: ["vibectl vibe allow ada to read pods in shop"],
    kubectl: [{ match: ["apply"], stdout: "role.rbac.authorization.k8s.io/pod-reader created\n" }],
    says: [
      run("apply -f -", "A role with these rights does not exist yet.", {
        stdin: `apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: pod-reader
  namespace: shop
rules:
  - apiGroups: [""]
    resources: [pods]
    verbs: [get, list, watch]
`
      }),
      done("The role `pod-reader` is there; nobody has it yet.")
    ],
    play: answers("y")
  },
  "feedback": {
    lines: ["vibectl vibe restart web"],
    kubectl: [
      { match: ["get", "deployment/web"], stdout: "deployment.apps/web\n" },
      {
        match: ["get"],
        stdout:
          "NAMESPACE   NAME   READY   UP-TO-DATE   AVAILABLE   AGE\nshop        web    2/2     2            2           41d\nblog        web    1/1     1            1           8d\n"
      },
      { match: ["rollout", "status"], stdout: "deployment \"web\" successfully rolled out\n" },
      { match: ["rollout", "restart"], stdout: "deployment.apps/web restarted\n" }
    ],
    says: [
      run("get deployments --all-namespaces --field-selector=metadata.name=web", "Find the deployment."),
      plan(
        "THOUGHT",
        "There are two deployments of that name, and restarting the wrong one would interrupt somebody else's work, so I ask first."
      ),
      plan("FEEDBACK", "There are two deployments named `web`: one in `shop`, one in `blog`. Which one do you mean?"),
      run("rollout restart deployment/web --namespace=shop", "The one in shop, as you said."),
      plan("WAIT", "the new pods start", { seconds: 1 }),
      run("rollout status deployment/web --namespace=shop --timeout=2m", "See whether the new pods came up."),
      done("`web` in `shop` was restarted, and its new pods are ready.")
    ],
    play: async (terminal) => {
      await terminal.waitFor(/^>$/m)
      await new Promise((resolve) => setTimeout(resolve, 100))
      await terminal.type("the one in shop")
      await terminal.press("Enter")
      await answers("y")(terminal)
    }
  },
  "metrics": {
    lines: ["vibectl vibe --show-metrics what is a pod"],
    says: [{
      ...done(
        "A **pod** is the smallest thing that Kubernetes runs: one or more containers that share an address and storage."
      ),
      tokens: { inputTokens: 912, outputTokens: 41 }
    }]
  },
  "no-cluster": {
    lines: ["vibectl vibe how many nodes are there"],
    kubectl: [{
      match: ["get"],
      stderr: "The connection to the server localhost:8080 was refused - did you specify the right host or port?\n",
      exitCode: 1
    }],
    says: [run("get nodes", "Count the nodes.")],
    code: 1
  },
  "refused": {
    lines: ["vibectl vibe how many pods run in shop"],
    kubectl: [{ match: ["get"], stdout: pods }],
    says: [
      run("get pods -n shop | wc -l", "Count the pods."),
      run("get pods --namespace=shop", "Count the pods."),
      done("4 pods are in `shop`, and 2 of them run.")
    ]
  },
  "dry-run": {
    lines: ["vibectl vibe --dry-run give web in shop four replicas"],
    says: [scale(4)]
  },
  "secret": {
    lines: [`vibectl vibe make a secret db in shop with ${password}`],
    kubectl: [{ match: ["create"], stdout: "secret/db created\n" }],
    says: [
      run(
        `create secret generic db --namespace=shop --from-literal=password=${Session.placeholder(password)}`,
        "Make the secret."
      ),
      done("The secret `db` with the key `password` is in `shop`.")
    ],
    play: answers("y")
  },
  "cluster-secret": {
    lines: ["vibectl vibe which variables has web in shop"],
    kubectl: [{
      match: ["get"],
      stdout: variables
    }],
    says: [
      run("get deployment web -n shop -o yaml", "Read its pod template."),
      done(`\`LOG_LEVEL\` is \`debug\`, and \`DB_PASSWORD\` is \`${Session.placeholder(variables)}\`.`)
    ]
  },
  "first-run": {
    person: { isNew: true },
    lines: [
      "vibectl vibe what is a pod",
      "URL=vibectl-server://$(cat token)@localhost:50051",
      "vibectl setup-proxy configure $URL --ca-bundle ca.crt",
      "vibectl vibe what is a pod"
    ],
    says: [
      done(
        "A **pod** is the smallest thing that Kubernetes runs: one or more containers that share an address and storage."
      )
    ]
  },
  "audit": {
    person: { isDefault: true },
    lines: ["vibectl vibe give web in shop four replicas", "vibectl audit show"],
    kubectl: scaling,
    says: [look, done("It has 2 replicas.")]
  }
} satisfies Record<string, Scene>

/** Half a second at least until the first word, and then some words at a time. */
const slow: PlannedModel.Answer = {
  ...done("First it reads the state of the cluster, then it compares, and at the end it says what it has found."),
  sizes: [24, 12],
  pace: 250
}

const escape = "\u001b"

describe.skipIf(!has)(`a session at a terminal${why}`, () => {
  const both = { "not-ready": notReady, markdown }
  for (const columns of [80, 120]) {
    for (const [name, scene] of Object.entries(both)) {
      it.concurrent(`${name}, on ${columns} columns`, async () => {
        const { styles, text } = await perform(scene, { columns })
        Session.assertCapture(`${name}-${columns}`, text)
        assert.include(styles, `${escape}[1m`)
      })
    }
  }
  for (const [name, scene] of Object.entries(scenes)) {
    it.concurrent(name, async () => Session.assertCapture(name, (await perform(scene)).text))
  }
  for (const [name, scene] of Object.entries({ markdown, "scale-yes": scenes["scale-yes"] })) {
    it.concurrent(`${name}, without colour`, async () => {
      const { styles, text } = await perform(scene, { env: { NO_COLOR: "1" } })
      assert.notInclude(styles, escape)
      Session.assertCapture(`${name}-no-color`, text)
    })
  }

  it.concurrent("has the answer alone in a file, and all else on the terminal", async () => {
    const { home, styles, text } = await perform({
      ...scenes["scale-yes"],
      lines: ["vibectl vibe give web in shop four replicas > answer"]
    })
    assert.include(text, "Run it?")
    assert.notInclude(text, "has **4")
    assert.include(styles, escape)
    assert.strictEqual((await home.sh("cat answer")).stdout, "`web` in `shop` has **4 replicas** now; it had 2.\n")
  })

  it.concurrent("is plain text in pipes", async () => {
    const { home, kubectl, model } = stage.person()
    model.says(...notReady.says)
    kubectl.script(...notReady.kubectl)
    const { code, stderr, stdout } = await home.sh(notReady.lines.join(""), { TERM: "xterm-256color" })
    assert.strictEqual(code, 0)
    Session.assertCapture("not-ready-piped", stdout)
    assert.deepStrictEqual(
      stderr.split("\n").filter((line) => !line.startsWith("$ kubectl get ")),
      [""]
    )
    assert.notInclude(stdout + stderr, escape)
  })
})

describe.skipIf(!has)(`a person who waits${why}`, () => {
  it.concurrent("sees a spinner until the first word, and then words as they come", async () => {
    await perform({
      lines: ["vibectl vibe what do you do"],
      says: [slow],
      play: async (terminal) => {
        await terminal.waitFor(/^\S Thinking…$/m)
        const first = await terminal.waitFor("First it")
        assert.notInclude(first, "Thinking")
        assert.notInclude(first, "found")
        const second = await terminal.waitFor("compares")
        assert.notInclude(second, "found")
      }
    })
  })

  it.concurrent("can stop an answer with Ctrl-C", async () => {
    const { model, screen } = await perform(
      {
        lines: ["vibectl vibe what do you do", "echo still echoed"],
        says: [slow]
      },
      {},
      "First it reads"
    )
    assert.match(screen, /First it reads.*\n\[130\]\$ echo still echoed\nstill echoed\n\[0\]\$$/)
    assert.isDefined(model.requests()[0]?.abandonedAt)
  })

  it.concurrent("can stop kubectl with Ctrl-C", async () => {
    const { kubectl, screen } = await perform(
      {
        lines: ["vibectl vibe --mode auto are all nodes ready", "echo still echoed"],
        kubectl: [{ match: ["get"], stdout: "NAME\n", hang: true }],
        says: [run("get nodes", "See the nodes.")]
      },
      {},
      ({ kubectl }) => kubectl.until(({ length }) => length > 0)
    )
    assert.match(screen, /\$ kubectl get nodes\n\[130\]\$ echo still echoed\nstill echoed\n\[0\]\$$/)
    await kubectl.until(([first]) => first?.exitCode !== undefined)
    assert.isFalse(kubectl.isRunning())
  })

  it.concurrent("can leave a question with Ctrl-C, and nothing is run", async () => {
    const { kubectl, screen } = await perform(
      {
        lines: ["vibectl vibe give web in shop four replicas", "echo still echoed"],
        says: [scale(4)]
      },
      {},
      /Run it\?.*…$/m
    )
    assert.match(screen, /no, but … *\n\[130\]\$ echo still echoed\nstill echoed\n\[0\]\$$/)
    assert.lengthOf(kubectl.invocations(), 0)
  })
})

describe.skipIf(!has)(`80 columns${why}`, () => {
  it.concurrent("are enough for help", async () => {
    const { text } = await perform({ lines: ["vibectl --help", "vibectl vibe --help"] })
    Session.assertCapture("help", text)
  })

  it.concurrent("are enough for what is configured", async () => {
    const { text } = await perform({
      person: { settings: { security: { audit_log_path: "~/a/directory/for/logs/of/vibectl/audit.jsonl" } } },
      lines: ["vibectl models", "vibectl setup-proxy list"]
    })
    Session.assertCapture("configured", text)
    await perform({
      lines: ["vibectl setup-proxy status", "vibectl config show", "vibectl audit info"]
    })
  })

  it.concurrent("are enough for the memory", async () => {
    const { text } = await perform({
      lines: [
        `echo "The team of payment is お支払い. ${"They deploy on Mondays. ".repeat(4)}" | vibectl memory set -`,
        "vibectl memory show"
      ]
    })
    assert.include(text, "They deploy on Mondays.")
  })
})
