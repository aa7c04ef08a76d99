/**
 * The settings of one of several processes: what is the server's as a whole is
 * divided, so that all of them together keep to it.
 */
import type { Settings } from "../../config/ServerSettings.js"
import type { Start } from "./Messages.js"

export const of = (settings: Settings, { count, number, port }: Pick<Start, "number" | "count" | "port">): Settings => {
  const share = (whole: number) => Math.floor(whole / count) + (number <= whole % count ? 1 : 0)
  const { providers, server } = settings
  return {
    ...settings,
    server: {
      ...server,
      port,
      // Where none is set, each goes by its own heap.
      ...server.max_bytes_in_flight !== undefined && { max_bytes_in_flight: share(server.max_bytes_in_flight) },
      limits: {
        ...server.limits,
        queue: { ...server.limits.queue, max_waiting: share(server.limits.queue.max_waiting) }
      }
    },
    providers: Object.fromEntries(
      Object.entries(providers).map(([name, { max_concurrent_requests: most, ...provider }]) => [
        name,
        // The configuration has been refused where there are too few for all.
        { ...provider, ...most !== undefined && { max_concurrent_requests: Math.max(1, share(most)) } }
      ])
    )
  }
}
