/**
 * Limits in the memory of this process: for tests, and for applications that
 * keep no record of usage.
 */
import { Layer } from "effect"
import * as Embedded from "./Embedded.js"
import { Limits } from "./Limits.js"
import type { Store } from "./Store.js"

/** What callers' access says and nothing more; nothing outlives the process. */
export const layer: Layer.Layer<Limits | Store> = Layer.provideMerge(
  Limits.layer({
    models: {},
    queue: { max_waiting: 0, max_wait_seconds: 10 },
    reserveOutputTokens: 1024,
    onUnavailable: "refuse"
  }),
  Embedded.layerMemory
)
