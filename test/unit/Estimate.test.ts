import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck as fc } from "effect"
import * as Estimate from "../../src/streaming/Estimate.js"
import samples from "../cases/estimate.json" with { type: "json" }
import { forAll } from "../support/Property.js"

const fill = (text: string, length: number) => text.repeat(Math.ceil(length / text.length)).slice(0, length)
const isWithin = (estimate: number, real: number, share = 0.25) => Math.abs(estimate - real) <= share * real

/** Tokens of o200k_base and cl100k_base by gpt-tokenizer 3.4.0, of the text repeated to 4,000 code units. */
const others: ReadonlyArray<readonly [name: string, text: string, ...real: ReadonlyArray<number>]> = [
  [
    "a log of key=value pairs",
    "2026-11-30T23:19:17.412Z level=INFO msg=\"call ended\" method=StreamExecute outcome=OK subject=ci-bot durationMs=1834 inputTokens=812 peer=10.244.3.17:49122\n",
    1468,
    1442
  ],
  [
    "an access log",
    "10.244.3.17 - - [30/Nov/2026:23:19:17 +0000] \"GET /api/v1/namespaces/default/pods?limit=500 HTTP/1.1\" 200 48123 \"-\" \"kubectl/v1.31.2 (linux/amd64) kubernetes/5864a46\"\n",
    1868,
    1820
  ],
  [
    "JSON",
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"web-7d9c5b6f4-x2v9q\",\"labels\":{\"app\":\"web\"},\"uid\":\"3f2a9c1e-7b1d-4c8e-9a61-2b0f6f1c9d11\"},\"status\":{\"phase\":\"Running\",\"podIP\":\"10.244.3.17\"}}",
    1956,
    1915
  ],
  [
    "a table of kubectl",
    "NAME                        READY   STATUS             RESTARTS      AGE\nweb-7d9c5b6f4-x2v9q         0/1     CrashLoopBackOff   17 (2m ago)   64m\n",
    1384,
    1384
  ],
  ["one letter", "x", 500, 500],
  ["one sign", "-", 62, 62],
  [
    "long English words",
    "Kubernetes schedules containers onto nodes according to resource requests, affinity rules, and taints; when a liveness probe fails repeatedly the kubelet restarts the container with an exponential backoff. ",
    716,
    735
  ],
  ["names in camel case", "maxBufferedBytesOfConnection startChecksLayer ", 697, 784]
]

describe("Estimate", () => {
  for (const { characters, real, text } of samples.cases) {
    it(`lies within 25 % of both encodings of OpenAI for ${text.slice(0, 20)}`, () => {
      for (const tokens of real.split(" / ").map(Number)) {
        const estimate = Estimate.ofText(fill(text, characters))
        assert.isTrue(isWithin(estimate, tokens), `${estimate} for ${tokens}`)
      }
    })
  }

  for (const [name, text, ...real] of others) {
    it(`lies within 25 % of both encodings of OpenAI for ${name}`, () => {
      const estimate = Estimate.ofText(fill(text, 4000))
      for (const tokens of real) assert.isTrue(isWithin(estimate, tokens), `${estimate} for ${tokens}`)
    })
  }

  it("of nothing is nothing, and of anything else at least one token", () => {
    assert.strictEqual(Estimate.ofText(""), 0)
    for (const text of ["a", " a", "1", ".", "\n", "é", "节", "😀", "\ud83d\ude00", "\udc00"]) {
      assert.isAtLeast(Estimate.ofText(text), 1, JSON.stringify(text))
    }
  })

  it.effect("is the same however the text is cut into pieces", () =>
    forAll(
      fc.record({
        text: fc.string({ unit: "binary", maxLength: 400 }),
        cuts: fc.array(fc.nat(400), { maxLength: 10 })
      }),
      300,
      ({ cuts, text }) =>
        Effect.sync(() => {
          const counter = Estimate.counter()
          let from = 0
          for (const to of [...cuts, text.length].sort((one, other) => one - other)) {
            counter.add(text.slice(from, to))
            from = Math.max(from, Math.min(to, text.length))
          }
          assert.strictEqual(counter.tokens(), Estimate.ofText(text))
          assert.strictEqual(counter.length(), text.length)
        })
    ))

  it("of a long text is a sample of it, which is as good and takes no longer for 4 MB than for 100 KB", () => {
    for (const { characters, real, text } of samples.cases) {
      const long = fill(text, 4_000_000)
      const tokens = real.split(" / ").map((tokens) => Number(tokens) * long.length / characters)
      for (const each of tokens) assert.isTrue(isWithin(Estimate.ofText(long), each), text)
    }
    const least = (text: string) => {
      const times = Array.from({ length: 20 }, () => {
        const from = performance.now()
        Estimate.ofText(text)
        return performance.now() - from
      })
      return Math.min(...times)
    }
    const [short, long] = [
      least(fill("web-7d9c5b6f4 is up. ", 100_000)),
      least(fill("web-7d9c5b6f4 is up. ", 4_000_000))
    ]
    assert.isBelow(long, 10 * short + 1)
  })
})
