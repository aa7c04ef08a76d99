import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { ServerConfig } from "../../src/config/ServerConfig.js"
import { Store, StoreUnavailable } from "../../src/limits/Store.js"
import * as Catalog from "../../src/models/Catalog.js"
import { Ops as OpsService } from "../../src/server/Ops.js"
import * as Ops from "../support/Ops.js"
import * as Programs from "../support/Programs.js"

const away = new StoreUnavailable({ store: "redis", cause: "ECONNREFUSED" })

const store = Layer.succeed(
  Store,
  Store.of({
    reserve: () => away,
    settle: () => Effect.void,
    progress: () => away,
    usage: () => away,
    outstanding: away,
    ready: away
  })
)
const catalog = Catalog.Catalog.layer({ providers: [], aliases: new Map(), defaultModel: undefined })

describe("/readyz", () => {
  it.scopedLive("stays ready without the store of limits, which /info shows as gone", () =>
    Effect.gen(function*() {
      const port = yield* Effect.promise(Programs.freePort)
      const config = ServerConfig.layerTest({ server: { metrics_port: port } })
      const layer = OpsService.layer.pipe(Layer.provide([store, catalog, config, NodeFileSystem.layer]))
      yield* Effect.provide(
        Effect.gen(function*() {
          const ops = yield* OpsService
          yield* ops.open("127.0.0.1:1")
          assert.strictEqual((yield* Ops.ask(port, "/readyz")).status, 200)
          const info = JSON.parse((yield* Ops.ask(port, "/info")).body) as {
            readonly store: { readonly ready: boolean }
          }
          assert.isFalse(info.store.ready)
          yield* ops.close
          assert.strictEqual((yield* Ops.ask(port, "/readyz")).status, 503)
        }),
        layer
      )
    }))
})
