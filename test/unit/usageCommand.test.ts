import { assert, describe, it } from "@effect/vitest"
import { Console, Effect, FastCheck as fc, Layer, Logger, TestClock } from "effect"
import { noCounts, Store, StoreUnavailable, type UsageRow } from "../../src/limits/Store.js"
import * as Usage from "../../src/server/commands/usage.js"
import * as Report from "../../src/server/commands/UsageReport.js"
import * as Failure from "../../src/terminal/Failure.js"
import * as Commands from "../support/Commands.js"
import * as Property from "../support/Property.js"

const row = (
  day: string,
  subject: string,
  tenant: string,
  model: string,
  counts: Partial<UsageRow> = {}
): UsageRow => ({
  ...noCounts,
  requests: 1,
  ...counts,
  day,
  subject,
  tenant,
  model
})

const rows = [
  row("2026-11-01", "ada", "acme", "openai/gpt-4o", { inputTokens: 1000, outputTokens: 200, cost: 4_500_000 }),
  row("2026-11-26", "ada", "acme", "openai/o3", {
    requests: 1200,
    failures: 2,
    estimated: 3,
    inputTokens: 1_234_567,
    outputTokens: 89,
    cachedInputTokens: 600_000,
    cacheWriteTokens: 10,
    reasoningTokens: 40,
    cost: 1_234_567_890_123,
    cutOff: 6,
    refused: 1
  }),
  row("2026-11-26", "bob", "", "ollama/llama", { inputTokens: 70, outputTokens: 7, unpricedTokens: 77, filtered: 2 }),
  row("2026-10-31", "eve", "acme", "openai/o3", { inputTokens: 5, cost: 400 })
]

/** A store that is only asked what was used. */
const storeWith = (usage: Store["Type"]["usage"]) =>
  Layer.succeed(
    Store,
    Store.of({
      reserve: () => Effect.die("the command only reads"),
      settle: () => Effect.die("the command only reads"),
      progress: () => Effect.die("the command only reads"),
      usage,
      outstanding: Effect.die("the command only reads"),
      ready: Effect.void
    })
  )

/** Types `usage` with these words where this was used, on 26 November 2026; what the store was asked is in `asked`. */
const usage = (recorded: ReadonlyArray<UsageRow>) => {
  const asked: Array<{ readonly from: string; readonly to: string }> = []
  const store = storeWith((range) =>
    Effect.sync(() => {
      asked.push(range)
      return recorded.filter(({ day }) => range.from <= day && day <= range.to)
    })
  )
  const execute = Commands.executor(Commands.program(Usage.make(["demo"], () => store)))
  const type = (...words: ReadonlyArray<string>) =>
    Effect.zipRight(
      TestClock.setTime(Date.parse("2026-11-26T23:59:59Z")),
      Commands.inDirectory(() => execute(...words))
    )
  return { asked, type }
}

const json = (text: string) => JSON.parse(text) as ReadonlyArray<Record<string, unknown>>

describe("usage", () => {
  it.effect("shows this month by subject, the most expensive first, with thousands and a total", () =>
    Effect.gen(function*() {
      const { asked, type } = usage(rows)
      const { error, stderr, stdout } = yield* type()
      assert.isUndefined(error)
      assert.strictEqual(stderr, "")
      assert.deepStrictEqual(asked, [{ from: "2026-11-01", to: "2026-11-26" }])
      const [, head, , ...lines] = stdout.split("\n")
      const cells = (line: string | undefined) => line?.split(/[│┃]/).slice(1, -1).map((cell) => cell.trim())
      assert.deepStrictEqual(cells(head), [
        ...["Subject", "Requests", "Failures", "Estimated", "Input", "Output", "Cached", "Cache write", "Reasoning"],
        ...["Cost (USD)", "Unpriced", "Cut off", "Filtered", "Refused"]
      ])
      assert.deepStrictEqual(lines.slice(0, -1).map(cells), [
        ["ada", "1,201", "2", "3", "1,235,567", "289", "600,000", "10", "40", "1,234.572390", "0", "6", "0", "1"],
        ["bob", "1", "0", "0", "70", "7", "0", "0", "0", "0.000000", "77", "0", "2", "0"],
        ["Total", "1,202", "2", "3", "1,235,637", "296", "600,000", "10", "40", "1,234.572390", "77", "6", "2", "1"]
      ])
      assert.match(lines[0] ?? "", /│ 1,234\.572390 │ {8}0 │ {7}6 │ {8}0 │ {7}1 │$/, "numbers stand at the right")
    }))

  it.effect("adds up by what is asked for", () =>
    Effect.gen(function*() {
      const { type } = usage(rows)
      const named = (by: string, ...more: ReadonlyArray<string>) =>
        Effect.map(type("--by", by, "--from", "2026-10-01", "--output", "json", ...more), ({ stdout }) =>
          json(stdout).map((object) => by.split(",").map((key) => object[key.trim()])))
      assert.deepStrictEqual(yield* named("model"), [["openai/o3"], ["openai/gpt-4o"], ["ollama/llama"]])
      assert.deepStrictEqual(yield* named("tenant"), [["acme"], [""]])
      assert.deepStrictEqual(yield* named("day"), [["2026-10-31"], ["2026-11-01"], ["2026-11-26"]])
      assert.deepStrictEqual(yield* named("subject, day"), [
        ["eve", "2026-10-31"],
        ["ada", "2026-11-01"],
        ["ada", "2026-11-26"],
        ["bob", "2026-11-26"]
      ])
      assert.deepStrictEqual(yield* named("subject", "--to", "2026-10-31"), [["eve"]])
      assert.deepStrictEqual(yield* named("tenant,model"), [
        ["acme", "openai/o3"],
        ["acme", "openai/gpt-4o"],
        ["", "ollama/llama"]
      ])
    }))

  it.effect("gives programs numbers, all of them", () =>
    Effect.gen(function*() {
      const { type } = usage(rows)
      const [ada] = json((yield* type("--by", "subject,model", "--output", "json")).stdout)
      const counts = {
        requests: 1200,
        failures: 2,
        estimated: 3,
        input_tokens: 1234567,
        output_tokens: 89,
        cached_input_tokens: 600000,
        cache_write_tokens: 10,
        reasoning_tokens: 40,
        cost_usd: 1234.567890123,
        unpriced_tokens: 0,
        cut_off: 6,
        filtered: 0,
        refused: 1
      }
      assert.deepStrictEqual(ada, { subject: "ada", model: "openai/o3", ...counts })
      const csv = (yield* type("--by", "subject,model", "--output", "csv")).stdout
      assert.deepStrictEqual(csv.split("\n").slice(0, 2), [
        `subject,model,${Object.keys(counts).join(",")}\r`,
        "ada,openai/o3,1200,2,3,1234567,89,600000,10,40,1234.567890,0,6,0,1\r"
      ])
    }))

  it.effect("says that nothing was used, and prints as much", () =>
    Effect.gen(function*() {
      const { type } = usage([])
      const note = "Nothing was used from 2026-02-01 to 2026-02-28 (UTC)."
      for (
        const [output, expected] of [
          ["json", /^\[\]$/],
          ["csv", /^subject,requests,[a-z_,]+,refused\r$/],
          ["table", /^┏[^\n]+\n┃ Subject ┃[^\n]+\n┡[^\n]+\n└[^\n]+$/]
        ] as const
      ) {
        const { stderr, stdout } = yield* type("--to", "2026-02-28", "--output", output)
        assert.match(stdout, expected)
        assert.strictEqual(stderr, note)
      }
    }))

  it.effect("refuses days that are none, and keys that it does not know", () =>
    Effect.gen(function*() {
      const { asked, type } = usage(rows)
      for (
        const [words, complaint] of [
          [["--from", "2026-13-01"], "--from 2026-13-01 is not a day. Write the year"],
          [["--to", "2026-02-29"], "--to 2026-02-29 is not a day."],
          [["--to", "26.11.2026"], "is not a day."],
          [["--from", "2026-11-26T00:00:00"], "is not a day."],
          [["--from", "2026-11-27"], "--from 2026-11-27 is after today, 2026-11-26."],
          [["--from", "2026-11-02", "--to", "2026-11-01"], "--from 2026-11-02 is after --to 2026-11-01."],
          [["--by", "colour"], "--by colour is not what"],
          [["--by", "model,"], "Write one or several of subject, model, tenant, day"]
        ] as const
      ) {
        const { error, stdout } = yield* type(...words)
        assert.include(error ?? "no error", complaint)
        assert.strictEqual(stdout, "")
      }
      assert.deepStrictEqual(asked, [])
      assert.isUndefined((yield* type("--from", "2024-02-29", "--to", "2024-02-29")).error, "in a leap year it is")
    }))

  it.effect("explains a store that cannot be read", () =>
    Effect.gen(function*() {
      const broken = new StoreUnavailable({ store: "Redis at redis.example:6379", cause: "no answer" })
      const run = Commands.program(Usage.make(["demo"], () => storeWith(() => broken)))
      const error = yield* Commands.inDirectory(() => Effect.flip(run(["node", "t"])))
      const report = Failure.report(error)
      assert.strictEqual(report?.exitCode, 5)
      assert.match(
        report?.lines ?? "",
        /^Error: What was used cannot be read: Redis at redis\.example:6379 .*\nSolution: /
      )
    }))

  it.effect("keeps what a store logs from stdout", () =>
    Effect.gen(function*() {
      const talkative = storeWith(() => Effect.as(Effect.zipRight(Effect.logWarning("hm"), Effect.logError("oh")), []))
      const store = Layer.tap(talkative, () => Effect.logError("ah"))
      const run = Commands.program(Usage.make(["demo"], () => store))
      const [stdout, stderr]: [Array<string>, Array<string>] = [[], []]
      const into = (stream: Array<string>) => (...texts: ReadonlyArray<unknown>) => void stream.push(texts.join(" "))
      const [log, error] = [into(stdout), into(stderr)]
      const present = yield* Console.consoleWith(Effect.succeed)
      yield* Commands.inDirectory(() => run(["node", "t", "--output", "json"])).pipe(
        Effect.withConsole({
          ...present,
          log: (text: unknown) => Effect.sync(() => log(text)),
          error: (text: unknown) => Effect.sync(() => error(text)),
          unsafe: { ...present.unsafe, log, error, group: error, groupCollapsed: error }
        }),
        // The one of programs that set none.
        Effect.provide(Logger.add(Logger.defaultLogger))
      )
      assert.deepStrictEqual(stdout, ["[]"])
      assert.match(stderr.join("\n"), /ah[^]*oh/)
      assert.notInclude(stderr.join("\n"), "hm")
    }))

  it.effect("lets no name tell the terminal what to do, or a spreadsheet what to compute", () =>
    Effect.gen(function*() {
      const names = [
        "\u001b[2Jx",
        "a\u009b31mb",
        "=1+1",
        "+1",
        "-2",
        "@x",
        " =3",
        "＝4",
        "\t=5",
        "a,b",
        "a\"b",
        "a\r\nb",
        "'q"
      ]
      const { type } = usage(names.map((name) => row("2026-11-26", name, "", "m")))
      for (const output of ["table", "json", "csv"]) {
        const { stdout } = yield* type("--output", output)
        // What a line ends in is ours.
        assert.notMatch(stdout.replace(/\r?\n|\r$/g, ""), /[\u0000-\u001f\u007f-\u009f]/, output)
      }
      const objects = json((yield* type("--output", "json")).stdout)
      assert.sameMembers(objects.map(({ subject }) => subject), names, "JSON loses nothing")
      const cells = (yield* type("--output", "csv")).stdout.split("\r\n").slice(1).map((line) =>
        line.split(",1,0,0")[0]
      )
      assert.sameMembers(cells, [
        ...[
          " [2Jx",
          "a 31mb",
          "'=1+1",
          "'+1",
          "'-2",
          "'@x",
          "' =3",
          "'＝4",
          "' =5",
          "\"a,b\"",
          "\"a\"\"b\"",
          "a  b",
          "'q"
        ]
      ])
    }))
})

describe("UsageReport.group", () => {
  const name = fc.constantFrom("a", "b", "")
  const count = fc.nat(5)
  const used = fc.record({
    day: fc.constantFrom("2026-11-01", "2026-11-02"),
    subject: name,
    tenant: name,
    model: name,
    requests: count,
    failures: count,
    estimated: count,
    inputTokens: count,
    outputTokens: count,
    cachedInputTokens: count,
    cacheWriteTokens: count,
    reasoningTokens: count,
    cost: count,
    unpricedTokens: count,
    cutOff: count,
    filtered: count,
    refused: count
  })
  const by = fc.uniqueArray(fc.constantFrom(...Report.keys), { minLength: 1 })

  it("loses nothing and counts nothing twice, and does not depend on the order of the rows", async () => {
    await Property.check(fc.property(fc.array(used), by, (rows, by) => {
      const groups = Report.group(rows, by)
      const sum = (of: (counts: UsageRow | Report.Group["counts"]) => number) => [
        rows.reduce((total, row) => total + of(row), 0),
        groups.reduce((total, { counts }) => total + of(counts), 0)
      ]
      for (const key of Object.keys(noCounts) as ReadonlyArray<keyof typeof noCounts>) {
        const [given, grouped] = sum((counts) => counts[key])
        assert.strictEqual(grouped, given, key)
      }
      assert.strictEqual(new Set(groups.map(({ names }) => JSON.stringify(names))).size, groups.length)
      assert.deepStrictEqual(Report.group([...rows].reverse(), by), groups)
    }))
  })

  it("puts days in their order, then what costs most, then what has most tokens", async () => {
    await Property.check(fc.property(fc.array(used), by, (rows, by) => {
      const ranks = Report.group(rows, by).map(({ counts, names }) => [
        Date.parse(names[by.indexOf("day")] ?? "2026-01-01"),
        -counts.cost,
        -counts.inputTokens - counts.outputTokens
      ])
      for (const [index, rank] of ranks.slice(1).entries()) {
        const change = rank.map((value, at) => value - (ranks[index]?.[at] ?? 0)).find((difference) => difference !== 0)
        assert.isAtLeast(change ?? 0, 0)
      }
    }))
  })
})
