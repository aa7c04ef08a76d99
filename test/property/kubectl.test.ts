import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import * as Flags from "../../src/kubectl/Flags.js"
import { parse } from "../../src/kubectl/Invocation.js"
import * as Preview from "../../src/kubectl/Preview.js"
import { decide, judge, type Policy, type Verdict } from "../../src/kubectl/Safety.js"
import * as Text from "../../src/kubectl/Text.js"
import * as Verbs from "../../src/kubectl/Verbs.js"
import * as Plans from "../support/Plans.js"
import * as Property from "../support/Property.js"

const runs = 2000

/** Refused, asked about, asked about unless allowed, run. */
const permission = (verdict: Verdict): number => {
  if (verdict._tag === "Refused") return 0
  if (verdict._tag === "ReadOnly") return 3
  return verdict.allowable ? 2 : 1
}

const words = fc.constantFrom(
  ...new Set([
    ...Plans.all.flatMap((plan) => plan.args),
    ...Verbs.all.flatMap((verb) => verb.name.split(" ")),
    ...Verbs.all.flatMap((verb) => [...verb.flags.keys()].map((flag) => flag.startsWith("-") ? flag : `--${flag}`))
  ])
)
const anyArgs = fc.array(fc.oneof(words, fc.string({ unit: "binary", maxLength: 8 }), fc.string({ maxLength: 8 })), {
  maxLength: 8
})
const plan = fc.constantFrom(...Plans.all)
const args = fc.oneof(plan.map((plan) => plan.args), anyArgs)
const policy: fc.Arbitrary<Policy> = fc.record({
  mode: fc.constantFrom("manual", "semiauto", "auto"),
  allow: fc.array(fc.oneof(fc.constantFrom(...Verbs.all.map((verb) => verb.name)), words)).map((names) =>
    new Set(names)
  )
})

const inserted = (into: ReadonlyArray<string>, at: number, what: ReadonlyArray<string>): ReadonlyArray<string> => {
  const index = at % (into.length + 1)
  return [...into.slice(0, index), ...what, ...into.slice(index)]
}

describe("a planned kubectl command", () => {
  it("is judged whatever it is, always in the same way, and previewed by what only reads", async () => {
    await Property.check(
      fc.property(args, fc.boolean(), policy, (args, stdin, policy) => {
        const verdict = judge(args, Plans.given({ stdin }))
        assert.deepStrictEqual(judge([...args], Plans.given({ stdin })), verdict)
        assert.isNotEmpty("because" in verdict ? verdict.because : verdict.verb)
        if (verdict._tag === "Confirm" && verdict.interactive) assert.isFalse(verdict.allowable)
        const decision = decide(verdict, policy)
        if (verdict._tag === "Refused") assert.strictEqual(decision, "refuse")
        else if (policy.mode === "manual") assert.strictEqual(decision, "ask")
        else if (verdict._tag === "ReadOnly") assert.strictEqual(decision, "run")
        else {
          const allowed = policy.mode === "auto" && verdict.allowable && policy.allow.has(verdict.verb)
          assert.strictEqual(decision, allowed ? "run" : "ask")
        }
        const preview = Preview.of(args)
        if (preview === undefined) return
        assert.strictEqual(judge(preview)._tag, "ReadOnly")
        assert.strictEqual(preview[0], "get")
        for (const { global, name } of parse(preview).flags) {
          if (global) assert.strictEqual(name, "namespace")
        }
      }),
      runs
    )
  })

  it("is ReadOnly only with a verb that reads, or for help", async () => {
    const reads = new Set(Verbs.all.filter((verb) => verb.effect === "reads").map((verb) => verb.name))
    await Property.check(
      fc.property(fc.oneof(words, fc.string({ maxLength: 10 })), fc.array(words, { maxLength: 5 }), (verb, rest) => {
        const args = [verb, ...rest]
        const verdict = judge(args, { stdin: "kind: ConfigMap\n" })
        if (verdict._tag !== "ReadOnly") return
        assert.isTrue(reads.has(verdict.verb), args.join(" "))
        const help = args.includes("-h") || args.includes("--help")
        if (!help) assert.isTrue(reads.has(parse(args).verb), args.join(" "))
      }),
      runs
    )
  })

  it("is never ReadOnly with an unknown flag anywhere", async () => {
    const letters = fc.string({ unit: fc.constantFrom(..."abcdefghijklmnopqrstuvwxyz-"), minLength: 1, maxLength: 12 })
    const known = new Set(Verbs.all.flatMap((verb) => [...verb.flags.keys()]))
    const flag = fc.oneof(
      letters.filter((name) => !known.has(name) && name !== "-").map((name) => `--${name}`),
      letters.filter((name) => !known.has(name)).map((name) => `--${name}=x`),
      fc.constantFrom("-Z", "-é", "-Q=x", "-y", "-AZ", "---namespace=x", "--Namespace=x")
    )
    const reading = fc.constantFrom(...Plans.all.filter((plan) => plan.verdict === "ReadOnly"))
    await Property.check(
      fc.property(reading, fc.nat(), flag, (plan, at, flag) => {
        const args = inserted(plan.args, at, [flag])
        assert.notStrictEqual(judge(args)._tag, "ReadOnly", args.join(" "))
      }),
      runs
    )
  })

  it("is not more permissive with a dangerous flag anywhere", async () => {
    const dangerous = fc.constantFrom(
      ...[...Flags.redirecting, ...Flags.recording].flatMap((name) => [[`--${name}=x`], [`--${name}`, "x"]]),
      ...[
        "--all",
        "--force",
        "--grace-period=0",
        "--prune",
        "--all-namespaces",
        "-A",
        "--overwrite",
        "--now",
        "--raw=/x"
      ]
        .map((flag) => [flag]),
      ...["-f", "--filename", "-k", "-s", "--patch-file", "--from-file"].map((flag) => [flag, "/x"]),
      ...["-w", "--watch", "--watch-only", "-it", "--stdin", "--edit", "-v=9", "-fx", "-Af-", "--force-conflicts"]
        .map((flag) => [flag])
    )
    await Property.check(
      fc.property(args, fc.nat(), dangerous, fc.boolean(), (args, at, flag, stdin) => {
        const before = judge(args, Plans.given({ stdin }))
        // An operand that cannot be refused any more, because it has become a value, was refused for how it is written.
        if (before._tag === "Refused") return
        const after = judge(inserted(args, at, flag), Plans.given({ stdin }))
        assert.isAtMost(permission(after), permission(before), inserted(args, at, flag).join(" "))
      }),
      runs
    )
  })

  it("never runs unasked with a flag that goes elsewhere, before its end of flags", async () => {
    const elsewhere = fc.constantFrom(
      ...[...Flags.redirecting, ...Flags.recording].map((name) => `--${name}=x`),
      "-shttp://evil",
      "-s=http://evil",
      "-v9"
    )
    const everything: Policy = { mode: "auto", allow: new Set(Verbs.all.map((verb) => verb.name)) }
    await Property.check(
      fc.property(args, fc.nat(), elsewhere, (args, at, flag) => {
        const dashes = args.indexOf("--")
        const before = dashes < 0 ? args : args.slice(0, dashes)
        const plan = [...inserted(before, at, [flag]), ...dashes < 0 ? [] : args.slice(dashes)]
        // A verb's own flag of the same name does not choose a connection.
        const own = parse(plan).flags.some((given) => !given.global && flag.startsWith(`--${given.name}=`))
        if (!own) {
          assert.notStrictEqual(decide(judge(plan, { stdin: "kind: ConfigMap\n" }), everything), "run", plan.join(" "))
        }
      }),
      runs
    )
  })

  it("is judged the same whatever the order of its flags", async () => {
    const chosen = fc.constantFrom(...Plans.all.filter((plan) => parse(plan.args).problems.length === 0)).filter((
      plan
    ) => plan.verdict !== "Refused")
    const shuffled = chosen.chain((plan) => {
      const { flags, operands, rest, verb } = parse(plan.args)
      const given = flags.map((flag) => `--${flag.name}=${flag.value}`)
        .filter((flag) => flag !== "--dry-run=" && flag !== "--dry-run=none")
      const tail = rest === undefined ? [] : ["--", ...rest]
      return fc.tuple(
        fc.shuffledSubarray(given, { minLength: given.length }),
        fc.array(fc.nat({ max: 3 }), { minLength: given.length, maxLength: given.length })
      ).map(([order, places]) => {
        const build = (flags: ReadonlyArray<string>) => {
          const spread: Array<string> = [...operands]
          flags.forEach((flag, index) => spread.splice((places[index] ?? 0) % (spread.length + 1), 0, flag))
          return [...verb.split(" "), ...spread, ...tail]
        }
        return { plan, one: build(given), other: build(order) }
      })
    })
    await Property.check(
      fc.property(shuffled, ({ one, other, plan }) => {
        const [a, b] = [one, other].map((args) => ({ ...judge(args, Plans.given(plan)), because: "" }))
        assert.deepStrictEqual(a, b, `${one.join(" ")} | ${other.join(" ")}`)
      }),
      runs
    )
  })

  it("is refused with a character that cannot be seen, anywhere in it", async () => {
    const hidden = fc.constantFrom(
      ..."\0\x01\r\x1b\x7f\u0085\u00a0\u00ad\u034f\u061c\u115f\u180e\u200b\u200d\u200f\u2028\u202e\u2060\u2066\u3000\u3164\ufe0f\ufeff\u{e0041}"
    )
    const at = fc.tuple(fc.nat(), fc.nat())
    await Property.check(
      fc.property(plan, at, hidden, ({ args, stdin }, [which, where], hidden) => {
        if (args.length === 0) return
        const index = which % args.length
        const arg = args[index]!
        const cut = where % (arg.length + 1)
        const hiding = args.with(index, arg.slice(0, cut) + hidden + arg.slice(cut))
        assert.strictEqual(judge(hiding, Plans.given(Plans.given({ stdin })))._tag, "Refused")
      }),
      runs
    )
  })

  it("is the same after a leading kubectl was dropped, and refused with it", async () => {
    await Property.check(
      fc.property(args, (args) => {
        assert.strictEqual(judge(["kubectl", ...args])._tag, "Refused")
        assert.deepStrictEqual(Text.withoutProgram(["kubectl", ...args]), args)
      })
    )
  })
})
