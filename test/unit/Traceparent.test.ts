import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, FastCheck as fc, Tracer } from "effect"
import * as Traceparent from "../../src/telemetry/Traceparent.js"
import * as Property from "../support/Property.js"
import * as Spans from "../support/Spans.js"

const traceId = "0af7651916cd43dd8448eb211c80319c"
const spanId = "b7ad6b7169203331"
const header = `00-${traceId}-${spanId}-01`

const parse = (traceparent: string | undefined, tracestate?: string) => Traceparent.parse(traceparent, tracestate)

/** What is passed on of what came in. */
const through = (traceparent: string, tracestate?: string) => {
  const span = parse(traceparent, tracestate)
  return span === undefined
    ? Effect.succeed(undefined)
    : Effect.map(Traceparent.isTracing, (tracing) => Traceparent.format(span, tracing))
}

const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: length, maxLength: length })
    .filter((text) => !/^0+$/.test(text))

describe("Traceparent.parse", () => {
  it("knows the header of the standard", () => {
    const span = parse(header)
    assert.deepInclude(span, { _tag: "ExternalSpan", traceId, spanId, sampled: true })
    assert.isFalse(parse(`00-${traceId}-${spanId}-00`)?.sampled)
    assert.isTrue(parse(`00-${traceId}-${spanId}-ff`)?.sampled, "flags of the future change nothing")
    assert.isFalse(parse(`00-${traceId}-${spanId}-fe`)?.sampled)
    assert.strictEqual(parse(` ${header}\t`)?.traceId, traceId)
  })

  it("takes later versions, with more at their end", () => {
    assert.strictEqual(parse(`01-${traceId}-${spanId}-01`)?.traceId, traceId)
    assert.strictEqual(parse(`cc-${traceId}-${spanId}-01-what-the-future-will-be`)?.spanId, spanId)
  })

  for (
    const [name, text] of [
      ["nothing", undefined],
      ["an empty one", ""],
      ["version ff", `ff-${traceId}-${spanId}-01`],
      ["a version of three digits", `000-${traceId}-${spanId}-01`],
      ["more in version 00", `${header}-more`],
      ["a dash at the end", `${header}-`],
      ["letters after a later version", `01-${traceId}-${spanId}-01more`],
      ["a trace of zeros", `00-${"0".repeat(32)}-${spanId}-01`],
      ["a span of zeros", `00-${traceId}-${"0".repeat(16)}-01`],
      ["upper case", header.toUpperCase()],
      ["a short trace", `00-${traceId.slice(1)}-${spanId}-01`],
      ["a long span", `00-${traceId}-${spanId}0-01`],
      ["flags of one digit", `00-${traceId}-${spanId}-1`],
      ["two of them", `${header},${header}`],
      ["a line break", `01-${traceId}-${spanId}-01-a\nb`]
    ] as const
  ) {
    it(`takes no notice of ${name}`, () => assert.isUndefined(parse(text)))
  }

  it.effect("passes on whatever is by the grammar, in the version that it writes", () =>
    Property.forAll(
      fc.tuple(hex(32), hex(16), fc.integer({ min: 0, max: 255 })),
      200,
      ([trace, span, flags]) =>
        Effect.gen(function*() {
          const told = yield* through(`00-${trace}-${span}-${flags.toString(16).padStart(2, "0")}`)
          assert.deepStrictEqual(told, {
            traceparent: `00-${trace}-${span}-0${flags & 1}`,
            tracestate: undefined
          })
        })
    ))

  it.effect("never passes on what is not", () =>
    Property.forAll(
      fc.tuple(
        fc.oneof(
          fc.constant(header),
          fc.tuple(fc.nat(header.length), fc.constantFrom(..."0fF-, \n")).map(([at, character]) =>
            header.slice(0, at) + character + header.slice(at + 1)
          )
        ),
        fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(..."ab,= \né\u0000"), maxLength: 600 }))
      ),
      300,
      ([traceparent, tracestate]) =>
        Effect.gen(function*() {
          const told = yield* through(traceparent, tracestate)
          if (told === undefined) return
          assert.match(told.traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/)
          assert.match(told.tracestate ?? "a", /^[\x20-\x7e]{1,512}$/)
        })
    ))
})

describe("tracestate", () => {
  it.effect("is passed on unchanged", () =>
    Effect.gen(function*() {
      for (const text of ["a=1", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "a@b=x y , c/d=1", "a=1,,b=2"]) {
        assert.deepStrictEqual(yield* through(header, text), { traceparent: header, tracestate: text })
      }
    }))

  it.effect("has no other space than a space when it is passed on", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* through(header, "\ta=1,\tb=2 "))?.tracestate, "a=1,b=2")
      assert.isUndefined((yield* through(header, ",\na=a"))?.tracestate)
    }))

  it.effect("is left away when it is none", () =>
    Effect.gen(function*() {
      const many = Array.from({ length: 33 }, (_, index) => `k${index}=1`).join(",")
      for (const text of ["", " , ", "a", "A=1", "a=1=2", "a=", "a=é", "a=1\n", "=1", many]) {
        const told = yield* through(header, text)
        assert.strictEqual(told?.tracestate, text === "a=1\n" ? "a=1" : undefined, text)
      }
    }))

  it.effect("that is too long loses its longest members, then its last ones", () =>
    Effect.gen(function*() {
      const long = `long=${"x".repeat(200)}`
      const others = Array.from({ length: 6 }, (_, index) => `k${index}=${"y".repeat(90)}`)
      assert.strictEqual(
        (yield* through(header, [long, ...others].join(",")))?.tracestate,
        others.slice(0, 5).join(",")
      )
      const fits = `a=${"x".repeat(254)},b=${"y".repeat(252)}`
      assert.lengthOf(fits, 511)
      assert.strictEqual((yield* through(header, fits))?.tracestate, fits)
    }))

  it.effect("stays where the traceparent is not one", () =>
    Effect.map(through("00-0-0-0", "a=1"), (told) => assert.isUndefined(told)))
})

describe("Traceparent.current", () => {
  const caller = parse(header, "a=1")!

  it.effect("is nothing outside of spans, and in those that nobody sees", () =>
    Effect.gen(function*() {
      assert.isUndefined(yield* Traceparent.current)
      assert.isUndefined(yield* Effect.withSpan(Traceparent.current, "unseen"))
    }))

  it.effect("is the caller's where the program has no tracer", () =>
    Traceparent.current.pipe(
      Effect.withSpan("unseen"),
      Effect.withSpan("above"),
      Effect.withParentSpan(caller),
      Effect.map((told) => assert.deepStrictEqual(told, { traceparent: header, tracestate: "a=1" }))
    ))

  it.effect("is the nearest span that is made, with the state of the caller", () => {
    const tracer = Tracer.make({
      context: (run) => run(),
      span: (name, parent, context, links, startTime, kind) => ({
        ...parse(header)!,
        _tag: "Span",
        name,
        spanId: name,
        parent,
        context,
        links: [...links],
        kind,
        status: { _tag: "Started", startTime },
        attributes: new Map(),
        end: () => {},
        attribute: () => {},
        event: () => {},
        addLinks: () => {}
      })
    })
    return Traceparent.current.pipe(
      Effect.withSpan("off", { context: Context.make(Tracer.DisablePropagation, true) }),
      Effect.withSpan("00f067aa0ba902b7"),
      Effect.withParentSpan(caller),
      Effect.withTracer(tracer),
      Effect.map((told) =>
        assert.deepStrictEqual(told, { traceparent: `00-${traceId}-00f067aa0ba902b7-01`, tracestate: "a=1" })
      )
    )
  })

  it.effect("is nothing with a tracer of other ids", () =>
    Traceparent.current.pipe(
      Effect.withSpan("a span"),
      Effect.provide(Spans.keep().layer),
      Effect.map((told) => assert.isUndefined(told))
    ))
})
