/**
 * What is counted of the processes that take calls, where there are several.
 */
import { counter, gauge } from "../../telemetry/Instruments.js"

export const ready = gauge("vibectl_workers", {
  description: "Processes that take calls now, where server.workers is above 1",
  labels: []
})

export const replaced = counter("vibectl_workers_replaced_total", {
  description: "Processes that took the place of one that ended by itself",
  labels: []
})
