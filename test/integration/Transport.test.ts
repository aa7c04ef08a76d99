import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
// The default export is the object that `net` looks its `lookup` up in.
import Dns from "node:dns"
import { once } from "node:events"
import * as Http from "node:http"
import type * as Net from "node:net"
import { vi } from "vitest"
import * as Transport from "../../src/models/Transport.js"

/** Holds `/hold` open, and answers everything else on a connection that closes after it. */
const server = Effect.acquireRelease(
  Effect.promise(async () => {
    const server = Http.createServer((request, response) => {
      if (request.url === "/hold") return response.flushHeaders()
      response.writeHead(200, { connection: "close" }).end("ok")
    }).listen(0, "127.0.0.1")
    await once(server, "listening")
    return server
  }),
  (server) => Effect.sync(() => server.close().closeAllConnections())
)

/** Makes every host name resolve so many milliseconds later than it would. */
const slowNames = (millis: number) => {
  const resolve = Dns.lookup as unknown as (...args: ReadonlyArray<unknown>) => void
  return Effect.acquireRelease(
    Effect.sync(() =>
      vi.spyOn(Dns, "lookup").mockImplementation(
        (...args: ReadonlyArray<unknown>) => void setTimeout(() => resolve(...args), millis)
      )
    ),
    (spy) => Effect.sync(() => spy.mockRestore())
  )
}

describe("Transport", () => {
  it.scopedLive("leaves the connection that a new call waits for alone when an old call's signal aborts", () =>
    Effect.gen(function*() {
      const { port } = (yield* server).address() as Net.AddressInfo
      const transport = yield* Transport.make
      const [holder, old, fresh] = [new AbortController(), new AbortController(), new AbortController()]
      const call = ({ signal }: AbortController, path: string) =>
        transport.fetch(`http://localhost:${port}${path}`, {
          method: "POST",
          body: "{}",
          signal,
          dispatcher: transport.pool(5000)
        })
      // A connection that stays keeps the pool, and with it the client that the old call used.
      yield* Effect.promise(() => call(holder, "/hold"))
      yield* Effect.promise(() => call(old, "/").then((response) => response.text()))
      yield* Effect.sleep("50 millis")
      yield* slowNames(300)
      const answer = call(fresh, "/").then((response) => response.text(), (error: unknown) => String(error))
      yield* Effect.sleep("50 millis")
      old.abort()
      assert.strictEqual(yield* Effect.promise(() => answer), "ok")
      holder.abort()
    }))
})
