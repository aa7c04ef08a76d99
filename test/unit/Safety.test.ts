import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Flags from "../../src/kubectl/Flags.js"
import { decide, judge, type Policy, type Verdict } from "../../src/kubectl/Safety.js"
import * as Text from "../../src/kubectl/Text.js"
import * as Verbs from "../../src/kubectl/Verbs.js"
import * as Plans from "../support/Plans.js"

const policy = (mode: Policy["mode"], ...allow: ReadonlyArray<string>): Policy => ({ mode, allow: new Set(allow) })
const judged = (plan: Plans.Plan) => judge(plan.args, Plans.given(plan))
const confirmed = (...args: ReadonlyArray<string>): Extract<Verdict, { _tag: "Confirm" }> => {
  const verdict = judge(args, { stdin: "kind: ConfigMap\n" })
  if (verdict._tag !== "Confirm") return assert.fail(`${args.join(" ")}: ${verdict._tag}`)
  return verdict
}
const refused = (...args: ReadonlyArray<string>): Extract<Verdict, { _tag: "Refused" }> => {
  const verdict = judge(args)
  if (verdict._tag !== "Refused") return assert.fail(`${args.join(" ")}: ${verdict._tag}`)
  return verdict
}

describe("Safety.judge", () => {
  for (const [group, plans] of Plans.groups) {
    it(`judges the corpus: ${group}`, () => {
      const wrong = plans.flatMap(({ args, stdin, ...expected }) => {
        const { _tag, ...verdict } = judge(args, Plans.given({ stdin }))
        const found = "destructive" in verdict
          ? {
            verdict: _tag,
            destructive: verdict.destructive,
            interactive: verdict.interactive,
            allowable: verdict.allowable
          }
          : { verdict: _tag }
        return JSON.stringify(found) === JSON.stringify(expected) ? [] : [{ args, expected, found, verdict }]
      })
      assert.deepStrictEqual(wrong, [])
    })
  }

  it("has a corpus that is worth its name", () => {
    assert.isAtLeast(Plans.all.length, 220)
    assert.strictEqual(new Set(Plans.all.map((plan) => JSON.stringify([plan.args, plan.stdin]))).size, Plans.all.length)
  })

  it("gives a reason in plain words, which names the verb, the flag or the argument", () => {
    const because: ReadonlyArray<readonly [args: string, because: RegExp]> = [
      ["delete pod x", /^delete deletes resources$/],
      ["delete pods --all", /^delete deletes resources; --all affects every resource of the kind$/],
      ["get pods -s http://evil", /^-s chooses another cluster, identity or connection than the one in use$/],
      ["get pods --bogus", /^--bogus is no flag that is known here$/],
      ["get pods -w", /^-w goes on until it is stopped$/],
      ["get secret x -o yaml", /^-o shows what a Secret holds$/],
      ["get -f x", /^-f reads files of this machine, or URLs$/],
      ["get --raw /api", /^--raw shows what is hidden otherwise/],
      ["get -f -", /^-f reads whatever a manifest names$/],
      ["config view --flatten", /^--flatten shows the credentials of the kubeconfig$/],
      ["cluster-info dump --output-directory=/", /^--output-directory writes files on this machine$/],
      ["logs p --insecure-skip-tls-verify-backend", /trusts any node$/],
      ["get pods -v=9", /^-v makes kubectl log/],
      ["get pods|x", /^pods\|x holds characters that mean something to a shell/],
      ["get pоds", /^pоds holds letters that look like others$/],
      ["GET pods", /^GET is no verb .*which writes it get; /],
      ["foo", /^foo is no verb .*plugin/],
      ["FOO", /^FOO is no verb that is known of kubectl; /],
      ["rollout", /^rollout needs another word$/],
      ["get pods -n", /^-n has no value$/],
      ["get -n --all pods", /^-n would take --all for its value$/],
      ["apply -n x view-last-applied", /view-last-applied may be a part of the verb, or not/],
      ["--watch=false rollout status x", /^rollout status cannot be read with certainty; --watch is no flag/],
      ["rollout status x", /--timeout=60s bounds it$/],
      ["scale x --replicas=0", /scale to no replicas stops a workload/],
      ["delete ns x", /takes other resources or data with it/],
      ["delete pod x --dry-run=client", /dry run/],
      ["exec -it p -- sh", /^exec runs a program in a container; -i needs the terminal; -t needs the terminal$/],
      ["get pods -o templatefile=x", /^-o templatefile=x is no form of output/],
      ["label p a-", /takes away what is there/]
    ]
    for (const [args, expected] of because) {
      const verdict = confirmed(...args.split(" "))
      assert.match(verdict.because, expected, args)
      assert.notMatch(verdict.because, /\.$/, args)
    }
  })

  it("asks about the deletion of what others depend on, by any name of its kind", () => {
    const kinds = [
      "all ns namespace namespaces no node nodes pv persistentvolume persistentvolumes pvc persistentvolumeclaim",
      "persistentvolumeclaims crd crds customresourcedefinition customresourcedefinitions apiservice apiservices sc",
      "storageclass storageclasses clusterrole clusterroles clusterrolebinding clusterrolebindings NS Node.v1"
    ].join(" ").split(" ")
    for (const kind of kinds) {
      for (const args of [["delete", kind, "x"], ["delete", `${kind}/x`], ["delete", `pods,${kind}`, "x"]]) {
        assert.isFalse(confirmed(...args).allowable, args.join(" "))
        assert.isTrue(confirmed(...args).destructive, args.join(" "))
      }
    }
    assert.isTrue(confirmed("delete", "pods", "ns").allowable)
    assert.isTrue(confirmed("delete", "nodeports", "x").allowable)
  })

  it("asks about every flag that reaches further than what is named, and says how far", () => {
    const every: ReadonlyArray<readonly [name: string, args: string, destructive: boolean]> = [
      ["all", "set image deploy c=x --all", true],
      ["all-namespaces", "label pods a=b --all-namespaces", true],
      ["selector", "label pods a=b --selector=c=d", false],
      ["field-selector", "label pods a=b --field-selector=c=d", false],
      ["pod-selector", "drain n --pod-selector=a=b", true],
      ["recursive", "label pods a=b --recursive", false],
      ["force", "apply -f - --force", true],
      ["force-conflicts", "apply -f - --force-conflicts", true],
      ["grace-period", "apply -f - --grace-period=5", true],
      ["now", "delete pod x --now", true],
      ["prune", "apply -f - --prune", true],
      ["prune-allowlist", "apply -f - --prune-allowlist=core/v1/Pod", true],
      ["overwrite", "label pod x a=b --overwrite", true],
      ["delete-emptydir-data", "drain n --delete-emptydir-data", true],
      ["disable-eviction", "drain n --disable-eviction", true],
      ["remove-extra-permissions", "auth reconcile -f - --remove-extra-permissions", true],
      ["remove-extra-subjects", "auth reconcile -f - --remove-extra-subjects", true],
      ["replace", "debug p --copy-to=q --replace", true],
      ["raw", "create -f - --raw=/api", true],
      ["privileged", "run p --image=i --privileged", false],
      ["overrides", "run p --image=i --overrides={}", false]
    ]
    assert.deepStrictEqual(every.map(([name]) => name), [...Flags.widening.keys()])
    for (const [name, args, destructive] of every) {
      const verdict = confirmed(...args.split(" "))
      assert.include(verdict.because, `; --${name} ${Flags.widening.get(name)}`, args)
      assert.deepStrictEqual([verdict.allowable, verdict.destructive], [false, destructive], args)
    }
  })

  it("names the verb in full, whatever alias was used", () => {
    assert.strictEqual(confirmed("create", "ns", "x").verb, "create namespace")
    assert.strictEqual(confirmed("create", "svc", "clusterip", "x").verb, "create service clusterip")
    assert.deepStrictEqual(judge(["top", "po"]), { _tag: "ReadOnly", verb: "top pod" })
    assert.deepStrictEqual(judge(["-n", "x", "get", "po"]), { _tag: "ReadOnly", verb: "get" })
    assert.deepStrictEqual(judge(["delete", "-h"]), { _tag: "ReadOnly", verb: "help" })
  })

  it("says what may have been meant instead", () => {
    assert.strictEqual(refused("kubectl", "get", "pods").instead, "get pods")
    assert.isUndefined(refused("kubectl").instead)
    assert.strictEqual(refused("get", "pods", "|", "grep", "x").instead, "get pods")
    assert.strictEqual(refused("get", "pods", "2>/dev/null").instead, "get pods")
    assert.isUndefined(refused("&&").instead)
    assert.isUndefined(refused("logs", "<pod>").instead)
    assert.match(refused("logs", "<pod>").because, /^<pod> is a placeholder that was not filled in$/)
    assert.match(refused("get", "pods\u202e").because, /U\+202E, which cannot be seen/)
    assert.match(refused("get", "pods\0").because, /U\+0000/)
    assert.match(refused("apply", "-f", "-").because, /^apply would wait for standard input/)
    assert.match(refused("-n", "x").because, /^there is no verb$/)
    assert.match(refused().because, /^there is no command$/)
    assert.match(refused("bin/x").because, /^bin\/x is a path/)
  })

  it("refuses what is longer than an argument list can be", () => {
    const args = (length: number) => ["get", "pods", "x".repeat(length - "get pods ".length - 1)]
    assert.strictEqual(judge(args(Text.longest))._tag, "ReadOnly")
    assert.match(refused(...args(Text.longest + 1)).because, /longer than 131072 bytes/)
    assert.strictEqual(judge(["get", "ä".repeat(Text.longest / 2)])._tag, "Refused")
  })

  it("keeps reasons short and on one line, however long an argument is", () => {
    const verdict = confirmed("get", `${"x".repeat(500)};\n`)
    assert.isBelow(verdict.because.length, 250)
    assert.notInclude(verdict.because, "\n")
    for (const args of [[`--${"x".repeat(500)}\n`], [`-n`, `-${"x".repeat(500)}\n`], ["--", `-${"x".repeat(500)}\n`]]) {
      const { because, verb } = confirmed("get", ...args)
      assert.isBelow(because.length, 300)
      assert.notInclude(because, "\n")
      assert.strictEqual(verb, "get")
    }
    const { because, verb } = confirmed(`x\n${"x".repeat(500)}`)
    assert.isBelow(because.length + verb.length, 300)
    assert.notInclude(because + verb, "\n")
  })

  it("gives eight reasons at most, of however many arguments", () => {
    const many = confirmed("get", ...Array.from({ length: 20_000 }, (_, index) => `a;${index}`.slice(0, 5)))
    assert.strictEqual(many.because.split("; no shell").length, 9)
    assert.match(many.because, /; and \d+ more$/)
    assert.notMatch(confirmed("get", ..."abcdefgh".split("").map((letter) => `${letter};`)).because, /more$/)
  })

  it("takes a manifest on standard input only when there is one", () => {
    for (const args of [["apply", "-f", "-"], ["delete", "-f-"], ["get", "--filename=-"], ["logs", "-f", "-"]]) {
      const follows = args[0] === "logs"
      assert.strictEqual(judge(args)._tag, follows ? "Confirm" : "Refused")
      assert.strictEqual(judge(args, { stdin: "kind: ConfigMap\n" })._tag, "Confirm")
    }
  })
})

describe("Safety.decide", () => {
  const outcomes = (policy: Policy) => Plans.all.map((plan) => decide(judged(plan), policy))
  const expected = (runs: (plan: Plans.Plan) => boolean) =>
    Plans.all.map((plan) => plan.verdict === "Refused" ? "refuse" : runs(plan) ? "run" : "ask")
  const reads = (plan: Plans.Plan) => plan.verdict === "ReadOnly"

  it("asks about everything that is not refused in manual mode, whatever is allowed", () => {
    assert.deepStrictEqual(outcomes(policy("manual", ...Verbs.names())), expected(() => false))
  })

  it("runs what only reads, and nothing else, in semiauto mode, whatever is allowed", () => {
    assert.deepStrictEqual(outcomes(policy("semiauto")), expected(reads))
    assert.deepStrictEqual(outcomes(policy("semiauto", ...Verbs.names())), expected(reads))
  })

  it("runs what only reads in auto mode, and nothing else when nothing is allowed", () => {
    assert.deepStrictEqual(outcomes(policy("auto")), expected(reads))
  })

  it("runs exactly the verbs that are allowed in auto mode", () => {
    const scales = /^scale |^-n \S+ scale |^rollout restart /
    assert.deepStrictEqual(
      outcomes(policy("auto", "scale", "rollout restart")),
      expected((plan) => reads(plan) || (plan.allowable === true && scales.test(plan.args.join(" "))))
    )
    const ran = Plans.all.filter((plan) =>
      plan.verdict === "Confirm" && decide(judged(plan), policy("auto", "scale", "rollout restart")) === "run"
    )
    assert.deepStrictEqual(ran.map((plan) => plan.args.join(" ")), [
      "scale deploy/web --replicas=3",
      "scale deploy web --replicas 3 -n prod",
      "rollout restart deploy/web",
      "rollout restart deploy web"
    ])
  })

  it("never runs in auto mode what is not allowable, were everything allowed", () => {
    const everything = policy("auto", ...Verbs.all.map((verb) => verb.name), "foo", "", "rollout", "create foo")
    assert.deepStrictEqual(outcomes(everything), expected((plan) => reads(plan) || plan.allowable === true))
  })

  it("lets one word allow none of its sub-verbs, and create only manifests", () => {
    const allowed = policy("auto", "rollout", "create", "set", "apply", "config")
    const run = (...args: ReadonlyArray<string>) => decide(judge(args, { stdin: "kind: ConfigMap\n" }), allowed)
    assert.strictEqual(run("rollout", "restart", "deploy/x"), "ask")
    assert.strictEqual(run("create", "deployment", "x", "--image=y"), "ask")
    assert.strictEqual(run("create", "-f", "-"), "run")
    assert.strictEqual(run("apply", "-f", "-"), "run")
    assert.strictEqual(run("apply", "set-last-applied", "-f", "-"), "ask")
    assert.strictEqual(run("config", "unset", "x"), "ask")
  })
})

describe("Verbs.isVerb", () => {
  it("knows which names a configuration may allow", () => {
    for (const name of ["scale", "rollout restart", "delete", "apply", "create namespace", "rollout status", "get"]) {
      assert.isTrue(Verbs.isVerb(name), name)
      assert.include(Verbs.names(), name)
    }
    const others = ["exec", "edit", "cp", "config use-context", "rollout", "create ns", "SCALE", "", "foo", "toString"]
    for (const name of others) {
      assert.isFalse(Verbs.isVerb(name), name)
      assert.notInclude(Verbs.names(), name)
    }
  })
})

describe("the commands that the former system judged", () => {
  interface Row {
    readonly commands: ReadonlyArray<string>
    readonly read_only: boolean
    readonly MANUAL: { readonly outcome: string }
    readonly SEMIAUTO: { readonly outcome: string }
    readonly AUTO: { readonly outcome: string }
  }
  const { cases } = JSON.parse(
    Fs.readFileSync(new URL("../conformance/command_safety.json", import.meta.url), "utf8")
  ) as { readonly cases: ReadonlyArray<Row> }
  const reads = "ask run run"
  const asks = "ask ask ask"
  const refuses = "refuse refuse refuse"
  /** Ours in manual, semiauto and auto mode with nothing allowed, and why it is not theirs. */
  const ours: Record<string, readonly [outcomes: string, why: string]> = {
    "get pods": [reads, "manual asks about everything, reads too"],
    "GET pods": [asks, "kubectl has no verb in capitals"],
    "delete pod x": [asks, "auto runs only what is allowed by name"],
    "delete pods --all": [asks, ""],
    "apply -f -": [refuses, "nothing comes from standard input here, and it would hang"],
    "scale deploy/x --replicas=0": [asks, "auto runs only what is allowed by name"],
    "exec p -- sh -c ls;id": [asks, ""],
    "exec p -- id": [asks, "a program in a container can do anything"],
    "get pods && rm": [refuses, ""],
    "get pods|x": [asks, ""],
    "create ns x": [asks, "it changes the cluster"],
    "run x": [asks, "it changes the cluster"],
    "edit x": [asks, "it changes the cluster, and needs an editor"],
    "replace -f x": [asks, "it changes the cluster, from a file of this machine"],
    "drain n --force": [asks, ""],
    "-n x": [refuses, "there is no verb"],
    "logs p": [reads, "manual asks about everything, reads too"],
    "auth can-i x": [reads, "manual asks about everything, reads too"],
    "auth reconcile": [asks, "it changes permissions"],
    "cp a b": [asks, "it writes files, here or in a container"],
    "taint n k": [asks, "it can evict pods"],
    "set image x": [asks, "it changes running workloads"],
    "expose x": [asks, "it changes the cluster"],
    "proxy": [asks, "it opens the cluster to this machine"],
    "wait x": [reads, "manual asks about everything, reads too"],
    "rollout status x": [asks, "it may wait for ever; with --timeout it runs"],
    "get pods --all-namespaces": [reads, "manual asks about everything, reads too"],
    "label p a=b --overwrite": [asks, ""],
    "config view": [reads, "manual asks about everything, reads too"],
    "debug x": [asks, "it starts a container"]
  }

  it("are all judged here too, for a stated reason where the outcome differs", () => {
    const theirs = (outcome: string) => ({ SAFE: "run", CONFIRM: "ask", REJECT: "refuse" })[outcome]
    assert.strictEqual(Object.keys(ours).length, cases.length)
    for (const row of cases) {
      const name = row.commands.join(" ")
      const [outcomes, why] = ours[name] ?? assert.fail(name)
      const found = (["manual", "semiauto", "auto"] as const).map((mode) => decide(judge(row.commands), policy(mode)))
      assert.strictEqual(found.join(" "), outcomes, name)
      const before = [row.MANUAL, row.SEMIAUTO, row.AUTO].map(({ outcome }) => theirs(outcome)).join(" ")
      assert.strictEqual(why === "", before === outcomes, `${name}: was ${before}`)
    }
  })
})
