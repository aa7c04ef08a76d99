/**
 * What the ledger says to SQLite. The tables are those of `LedgerFile`.
 */
import { type Connection, within } from "./LedgerFile.js"
import type { Booking, Charge, Counts, UsageRow } from "./Store.js"

/** What totals have for it, and, as `spent` and `abandoned`, what is booked if its server dies. */
export interface Reserved extends Charge {
  readonly id: string
  readonly day: string
  /** A list of keys, as JSON. */
  readonly keys: string
  /** A list of {@link usageRow}, as JSON. */
  readonly abandoned: string
  readonly spentTokens: number
  readonly spentCost: number
  /** When it was booked as abandoned. */
  readonly booked: number | null
}

/** Of a key and a period. */
export type Total = readonly [key: string, period: string, tokens: number, cost: number]

/** Amounts go in as JSON: a number by itself is a float to SQLite, whose sums are not exact. */
export const statements = (db: Connection) => {
  /** The types of rows are what the text of each says. */
  const prepare = <Row = never>(sql: string) => {
    const statement = db.prepare(sql)
    return {
      run: (...values: ReadonlyArray<string | number>) => void statement.run(values),
      get: (...values: ReadonlyArray<string | number>) => statement.get(values) as Row | undefined,
      all: (...values: ReadonlyArray<string | number>) => statement.all(values) as Array<Row>
    }
  }
  /** A list of {@link usageRow}, into the columns of its table that begin at `from`. */
  const addCounts = (table: "usage" | "endings", columns: Columns, from: number, where: string) => {
    const indexes = [...account.keys(), ...columns.map((_, index) => from + index)]
    return prepare(`
      INSERT INTO ${table} SELECT ${indexes.map((index) => `value->>${index}`).join(", ")}
      FROM json_each(?) WHERE ${where}
      ON CONFLICT DO UPDATE SET ${columns.map(([column]) => `${column} = ${column} + excluded.${column}`).join(", ")}`)
  }
  const endingsFrom = account.length + counts.length
  const addUsage = addCounts("usage", counts, account.length, "true")
  const addEndings = addCounts(
    "endings",
    endings,
    endingsFrom,
    endings.map((_, index) => `value->>${endingsFrom + index} <> 0`).join(" OR ")
  )
  return {
    total: prepare<Charge>("SELECT tokens, cost FROM totals WHERE key = ? AND period = ?"),
    /** A list of {@link Total}. */
    addTotals: prepare(`
      INSERT INTO totals SELECT value->>0, value->>1, value->>2, value->>3 FROM json_each(?) WHERE true
      ON CONFLICT DO UPDATE SET tokens = tokens + excluded.tokens, cost = cost + excluded.cost`),
    /** Of a server, a list of id, day, tokens, cost, keys and rows. */
    reserve: prepare(`
      INSERT INTO reservations SELECT value->>0, ?1, value->>1, value->>2, value->>3, value->>4, value->>5, value->>2,
      value->>3, NULL FROM json_each(?2)`),
    /** A list of id, tokens, cost and rows. */
    progress: prepare(`
      UPDATE reservations SET spent_tokens = value->>1, spent_cost = value->>2, abandoned = value->>3
      FROM json_each(?) WHERE reservations.id = value->>0 AND booked IS NULL`),
    /** A list of ids. */
    take: prepare<Reserved>(`
      DELETE FROM reservations WHERE id IN (SELECT value FROM json_each(?))
      RETURNING ${reserved}`),
    left: prepare<Reserved>(`
      SELECT ${reserved} FROM reservations
      WHERE booked IS NULL AND server NOT IN (SELECT id FROM servers)`),
    book: prepare("UPDATE reservations SET booked = ?, tokens = spent_tokens, cost = spent_cost WHERE id = ?"),
    outstanding: prepare<{ readonly count: number }>(
      "SELECT count(*) AS count FROM reservations WHERE booked IS NULL"
    ),
    /** A list of {@link usageRow}. */
    addUsage: {
      run: (rows: string) => {
        addUsage.run(rows)
        addEndings.run(rows)
      }
    },
    forgetEmpty: prepare(`
      DELETE FROM usage WHERE day = ? AND subject = ? AND tenant = ? AND model = ?
      AND ${counts.map(([column]) => `${column} = 0`).join(" AND ")}`),
    usage: prepare<UsageRow>(`
      SELECT ${account.join(", ")}, ${counts.map(([column, name]) => `${column} AS ${name}`).join(", ")}, ${
      endings.map(([column, name]) => `coalesce(${column}, 0) AS ${name}`).join(", ")
    }
      FROM usage LEFT JOIN endings USING (${account.join(", ")})
      WHERE day BETWEEN ? AND ? ORDER BY ${account.join(", ")}`),
    keepAlive: prepare(
      "INSERT INTO servers VALUES (?, ?) ON CONFLICT DO UPDATE SET alive_until = excluded.alive_until"
    ),
    endLeases: prepare("DELETE FROM servers WHERE alive_until <= ?"),
    endLease: prepare("DELETE FROM servers WHERE id = ?"),
    forgetTotals: prepare(
      "DELETE FROM totals WHERE length(period) = 10 AND period < ? OR length(period) = 7 AND period < ?"
    ),
    forgetUsage: prepare("DELETE FROM usage WHERE day < ?"),
    forgetEndings: prepare("DELETE FROM endings WHERE day < ?"),
    forgetBooked: prepare("DELETE FROM reservations WHERE booked <= ?")
  }
}

/**
 * Moves all that this connection knows into the file, which has the same tables. Of two counts of the same, the larger one
 * stays: it is a file that was put back, or that another process has begun. Nothing is left to be moved a second time, and
 * what other processes still have open as this connection does cannot be written any more.
 */
export const carryOver = (db: Connection, file: string): void => {
  db.prepare("ATTACH ? AS found").run([file])
  try {
    within(db, () => {
      if (db.prepare("SELECT 1 FROM main.sqlite_schema WHERE name = 'totals'").get() === undefined) return
      const larger = (columns: ReadonlyArray<string>) =>
        columns.map((column) => `${column} = max(${column}, excluded.${column})`).join(", ")
      const onConflict = {
        totals: `UPDATE SET ${larger(["tokens", "cost"])}`,
        usage: `UPDATE SET ${larger(counts.map(([column]) => column))}`,
        endings: `UPDATE SET ${larger(endings.map(([column]) => column))}`,
        servers: `UPDATE SET ${larger(["alive_until"])}`,
        reservations: "NOTHING"
      }
      for (const [table, conflict] of Object.entries(onConflict)) {
        db.exec(`INSERT INTO found.${table} SELECT * FROM main.${table} WHERE true ON CONFLICT DO ${conflict}`)
        db.exec(`DROP TABLE main.${table}`)
      }
    })
  } finally {
    db.exec("DETACH found")
  }
}

/** The columns of the table `usage`, in their order: the first four are text. */
export type UsageValues = ReadonlyArray<string | number>

export const usageRow = (day: string, booking: Booking): UsageValues => [
  day,
  booking.subject,
  booking.tenant,
  booking.model,
  ...[...counts, ...endings].map(([, name]) => booking[name])
]

// -- internals ---------------------------------------------------------------

type Columns = ReadonlyArray<readonly [column: string, name: keyof Counts]>

/** The first columns of `usage` and of `endings`. */
const account = ["day", "subject", "tenant", "model"] as const

/** A {@link Reserved}. */
const reserved = "id, day, tokens, cost, keys, abandoned, spent_tokens AS spentTokens, spent_cost AS spentCost, booked"

/** What each count of a {@link Booking} is called in the table `usage`. */
const counts = [
  ["requests", "requests"],
  ["failures", "failures"],
  ["estimated", "estimated"],
  ["input_tokens", "inputTokens"],
  ["output_tokens", "outputTokens"],
  ["cached_input_tokens", "cachedInputTokens"],
  ["cache_write_tokens", "cacheWriteTokens"],
  ["reasoning_tokens", "reasoningTokens"],
  ["cost", "cost"],
  ["unpriced_tokens", "unpricedTokens"]
] as const satisfies Columns

/** What the rest of them are called in the table `endings`, which has a row only where one of them is not 0. */
const endings = [
  ["cut_off", "cutOff"],
  ["filtered", "filtered"],
  ["refused", "refused"]
] as const satisfies Columns
