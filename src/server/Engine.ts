/**
 * How V8 manages the memory of a server.
 *
 * It lets the heap of a process that has work grow to several times what lives in it before it looks for garbage among
 * what is old. A server is to be small beside others: it looks when half as much again has come, which takes
 * a third to a half off its memory under load and costs a few hundredths of its CPU.
 *
 * V8 notices which lines of code make objects that live long, and then puts all that they make among the old ones. In
 * a server that is the array of listeners that Node keeps of a stream: some streams are long, and so the arrays of all
 * of them, and with them their calls, stay until the next major collection, seconds after they are over, and minor
 * collections copy them.
 * Source: `AllocationSite` in https://github.com/v8/v8/blob/main/src/objects/allocation-site.h
 */
import { setFlagsFromString } from "node:v8"

/** To be called before there is any load. */
export const tune = (): void => {
  setFlagsFromString("--no-allocation-site-pretenuring")
  // Whoever starts it may know better.
  if (!process.execArgv.some((flag) => growing.test(flag))) setFlagsFromString("--heap-growing-percent=50")
}

// -- internals ---------------------------------------------------------------

const growing = /^--heap[-_]growing[-_]percent\b/
