import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, FastCheck as fc, Runtime } from "effect"
import * as Eager from "../../src/effect/Eager.js"
import { forAll } from "../support/Property.js"

/** How a step ends, and whether it waits before. */
interface Step {
  readonly ends: "succeeds" | "fails" | "dies" | "is interrupted"
  readonly value: number
}

/** What a program is made of, from the inside out. */
type Link = Step & {
  readonly with: "flatMap" | "map" | "mapError" | "mapBoth" | "catch" | "match" | "matchEffect" | "matchCauseEffect"
}

const step = ({ ends, value }: Step): Exit.Exit<number, string> =>
  ends === "succeeds"
    ? Exit.succeed(value)
    : ends === "fails"
    ? Exit.fail(`failure ${value}`)
    : ends === "dies"
    ? Exit.die(`defect ${value}`)
    : Exit.failCause(Cause.empty)

type Ends = Effect.Effect<number, string>

/** The program, and what it did on its way. */
const program = (first: Step, links: ReadonlyArray<Link>, make: (step: Step) => Ends, did: Array<string>): Ends => {
  const note = <A>(what: string, a: A) => {
    did.push(`${what} ${String(a)}`)
    return a
  }
  let self = make(first)
  for (const link of links) {
    const next = (a: unknown) => {
      note(link.with, a)
      return make(link)
    }
    const plain = (a: unknown) => note(link.with, String(a).length + link.value)
    switch (link.with) {
      case "flatMap":
        self = Eager.flatMapEager(self, next)
        break
      case "map":
        self = Eager.mapEager(self, plain)
        break
      case "mapError":
        self = Eager.mapErrorEager(self, (error) => note("mapError", `${error}!`))
        break
      case "mapBoth":
        self = Eager.mapBothEager(self, { onFailure: (error) => note("mapBoth", `${error}?`), onSuccess: plain })
        break
      case "catch":
        self = Eager.catchEager(self, next)
        break
      case "match":
        self = Eager.matchEager(self, { onFailure: plain, onSuccess: plain })
        break
      case "matchEffect":
        self = Eager.matchEffectEager(self, { onFailure: next, onSuccess: next })
        break
      case "matchCauseEffect":
        self = Eager.matchCauseEffectEager(self, { onFailure: next, onSuccess: next })
    }
  }
  return self
}

const arbitraryStep = {
  ends: fc.constantFrom<Step["ends"]>("succeeds", "succeeds", "succeeds", "fails", "fails", "dies", "is interrupted"),
  value: fc.nat({ max: 9 })
}

const links = fc.array(
  fc.record({
    ...arbitraryStep,
    with: fc.constantFrom<Link["with"]>(
      "flatMap",
      "map",
      "mapError",
      "mapBoth",
      "catch",
      "match",
      "matchEffect",
      "matchCauseEffect"
    )
  }),
  { maxLength: 8 }
)

describe("Eager", () => {
  it.effect("does the same with steps that know their answer and with steps that wait", () =>
    forAll(fc.tuple(fc.record(arbitraryStep), links), 500, ([first, links]) =>
      Effect.gen(function*() {
        const [eager, waiting]: [Array<string>, Array<string>] = [[], []]
        const known = program(first, links, step, eager)
        assert.isTrue(Eager.isExit(known), "nothing waits, so the answer is here")
        const waited = program(first, links, (own) => Effect.zipRight(Effect.yieldNow(), step(own)), waiting)
        assert.isFalse(Eager.isExit(waited))
        const [one, other] = [yield* Effect.exit(known), yield* Effect.exit(waited)]
        assert.deepStrictEqual(eager, waiting)
        assert.deepStrictEqual(one, other)
      })))

  it("runs the next step at once, and needs no fiber for it", () => {
    const done: Array<string> = []
    const ended = Eager.flatMapEager(Exit.succeed(1), (one) => {
      done.push("next")
      return Eager.mapEager(Effect.succeed(one), (value) => value + 1)
    })
    assert.deepStrictEqual(done, ["next"])
    assert.deepStrictEqual(ended, Exit.succeed(2))
  })

  it("leaves a step that waits to the fiber that runs it", () => {
    const done: Array<string> = []
    const waiting = Eager.flatMapEager(Effect.suspend(() => Exit.succeed(1)), () => {
      done.push("next")
      return Exit.void
    })
    assert.isFalse(Eager.isExit(waiting))
    assert.isEmpty(done)
    Runtime.runSync(Runtime.defaultRuntime)(waiting)
    assert.deepStrictEqual(done, ["next"])
  })

  it("makes a defect of what is thrown at once", () => {
    const ended = Eager.suspendEager(() =>
      Eager.mapEager(Exit.succeed(1), () => {
        throw new Error("canary")
      })
    )
    assert.isTrue(Eager.isExit(ended) && Exit.isFailure(ended) && Cause.isDie(ended.cause))
  })
})
