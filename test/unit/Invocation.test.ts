import { assert, describe, it } from "@effect/vitest"
import { parse } from "../../src/kubectl/Invocation.js"

/** Verb, flags, operands and what follows `--`, on one line each. */
const read = (...args: ReadonlyArray<string>) => {
  const { flags, known, operands, problems, rest, verb } = parse(args)
  return {
    verb: known === undefined ? `? ${verb}` : verb,
    flags: flags.map(({ name, on, value }) => on ? `${name}=${value}` : `not ${name}`),
    operands,
    ...(rest === undefined ? {} : { rest }),
    ...(problems.length === 0 ? {} : { problems })
  }
}

describe("Invocation.parse", () => {
  const expected = { verb: "get", flags: ["namespace=x"], operands: ["pods"] }

  it("reads every way of giving a flag its value", () => {
    for (
      const line of [
        "get pods -n x",
        "get pods -nx",
        "get pods -n=x",
        "get pods --namespace x",
        "get pods --namespace=x",
        "get -n x pods",
        "-n x get pods",
        "-nx get pods",
        "--namespace x get pods"
      ]
    ) assert.deepStrictEqual(read(...line.split(" ")), expected, line)
  })

  it("reads grouped short flags, of which the last may take a value", () => {
    assert.deepStrictEqual(read("exec", "-it", "p").flags, ["stdin=true", "tty=true"])
    assert.deepStrictEqual(read("get", "-Af", "x").flags, ["all-namespaces=true", "filename=x"])
    assert.deepStrictEqual(read("get", "-Afx").flags, ["all-namespaces=true", "filename=x"])
    assert.deepStrictEqual(read("get", "-wA=false").flags, ["watch=true", "not all-namespaces"])
    assert.deepStrictEqual(read("logs", "-fc", "x").flags, ["follow=true", "container=x"])
    assert.deepStrictEqual(read("get", "-nA").flags, ["namespace=A"])
    assert.deepStrictEqual(read("get", "-AZn", "x"), {
      verb: "get",
      flags: ["all-namespaces=true"],
      operands: ["x"],
      problems: ["-Z is no flag that is known here"]
    })
  })

  it("gives a short flag with = and nothing after it the = itself, as kubectl does", () => {
    assert.deepStrictEqual(read("get", "-n=").flags, ["namespace=="])
    assert.deepStrictEqual(read("get", "--namespace=").flags, ["namespace="])
    assert.deepStrictEqual(read("get", "-A=").problems, ["-= is no flag that is known here"])
  })

  it("gives booleans, and flags with a default of their own, a value only after a =", () => {
    assert.deepStrictEqual(read("get", "--watch", "false"), {
      verb: "get",
      flags: ["watch=true"],
      operands: ["false"]
    })
    assert.deepStrictEqual(read("get", "--watch=F", "-w=0", "-w=1").flags, ["not watch", "not watch", "watch=1"])
    assert.deepStrictEqual(read("delete", "--dry-run", "client").operands, ["client"])
    assert.deepStrictEqual(read("delete", "--dry-run=client", "--cascade").flags, ["dry-run=client", "cascade="])
    assert.deepStrictEqual(read("get", "--watch=yes").problems, ["--watch is on or off, and not yes"])
  })

  it("keeps every value of a repeated flag", () => {
    assert.deepStrictEqual(read("get", "-n", "a", "--namespace=b", "-nc").flags, [
      "namespace=a",
      "namespace=b",
      "namespace=c"
    ])
  })

  it("ends flags at --, and keeps what follows apart", () => {
    assert.deepStrictEqual(read("exec", "p", "-c", "x", "--", "ls", "-l", "--", "y"), {
      verb: "exec",
      flags: ["container=x"],
      operands: ["p"],
      rest: ["ls", "-l", "--", "y"]
    })
    assert.deepStrictEqual(read("get", "-n", "--").problems, ["-n would take -- for its value"])
    assert.deepStrictEqual(read("--", "get"), { verb: "? ", flags: [], operands: [], rest: ["get"] })
    assert.deepStrictEqual(read("rollout", "--", "status"), {
      verb: "? rollout",
      flags: [],
      operands: [],
      rest: ["status"]
    })
  })

  it("finds verbs of one, two and three words, by their aliases too", () => {
    for (
      const [line, verb] of [
        ["get pods", "get"],
        ["rollout restart x", "rollout restart"],
        ["rollout -n x restart y", "rollout restart"],
        ["-n x rollout restart y", "rollout restart"],
        ["create secret generic x", "create secret generic"],
        ["create svc clusterip x", "create service clusterip"],
        ["create -f x", "create"],
        ["create", "create"],
        ["apply -f x", "apply"],
        ["apply set-last-applied -f x", "apply set-last-applied"],
        ["cluster-info", "cluster-info"],
        ["cluster-info dump", "cluster-info dump"],
        ["cluster-info foo", "cluster-info"],
        ["top po", "top pod"],
        ["config use x", "config use-context"],
        ["rollout", "? rollout"],
        ["rollout foo", "? rollout foo"],
        ["rollout ns", "? rollout ns"],
        ["create foo", "? create foo"],
        ["create secret foo", "? create secret foo"],
        ["Get pods", "? Get"],
        ["foo get", "? foo"],
        ["", "? "]
      ] as const
    ) assert.strictEqual(read(...line === "" ? [] : line.split(" ")).verb, verb, line)
    assert.strictEqual(read("config view").verb, "? config view")
    assert.strictEqual(read("", "get").verb, "? ")
  })

  it("does not trust a verb that follows a flag of which only the verb would tell what it takes", () => {
    for (const line of ["-A get pods", "--force delete x", "--watch=false get x", "rollout --watch=false status x"]) {
      const { known, problems } = parse(line.split(" "))
      assert.isUndefined(known, line)
      assert.strictEqual(problems.length, 1, line)
    }
    assert.deepStrictEqual(read("apply", "-f", "x", "view-last-applied").problems, [
      "view-last-applied may be a part of the verb, or not"
    ])
  })

  it("abbreviates nothing, takes _ for -, and knows no flag by a wrong number of dashes", () => {
    assert.deepStrictEqual(read("get", "--all_namespaces").flags, ["all-namespaces=true"])
    for (
      const flag of [
        "--all",
        "--N",
        "--n",
        "---n",
        "--_n",
        "-all-namespaces",
        "--=x",
        "---",
        "--Watch",
        "--constructor"
      ]
    ) {
      const { flags, problems } = parse(["get", flag])
      assert.isAtLeast(problems.length, 1, flag)
      assert.isFalse(flags.some(({ name }) => name === "namespace" || name === "watch"), flag)
    }
  })

  it("takes - for an operand and for a value, and a negative number for a value", () => {
    assert.deepStrictEqual(read("apply", "-f", "-"), { verb: "apply", flags: ["filename=-"], operands: [] })
    assert.deepStrictEqual(read("logs", "x", "--tail", "-1").flags, ["tail=-1"])
    assert.deepStrictEqual(read("logs", "-f", "-"), { verb: "logs", flags: ["follow=true"], operands: ["-"] })
    assert.deepStrictEqual(read("logs", "x", "--tail", "-x").problems, ["--tail would take -x for its value"])
    assert.deepStrictEqual(read("logs", "x", "--tail").problems, ["--tail has no value"])
  })

  it("knows a verb's own flag from the one of every command with the same name", () => {
    assert.isFalse(parse(["config", "set-context", "x", "--user=y"]).flags[0]?.global)
    assert.isTrue(parse(["get", "x", "--user=y"]).flags[0]?.global)
  })
})
