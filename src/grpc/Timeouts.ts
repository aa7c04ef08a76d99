/**
 * `grpc-timeout` of a request, before grpc-js reads it.
 *
 * grpc-js 1.14 counts it in milliseconds of 32 bits, where anything from 25
 * days on wraps round, and finds a number in text that holds none: it looks
 * for digits and a unit anywhere, and takes the last eight digits of more.
 * Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */
import type * as Http2 from "node:http2"

/** In place of a longer time, and of one that no timer of Node can count. */
export const maxTimeoutMillis = 2 ** 31 - 1

/** Leaves a time that grpc-js reads as it is meant, or one that it refuses. */
export const bound = (headers: Http2.IncomingHttpHeaders): void => {
  const given = headers[name]
  if (given === undefined) return
  const [, digits = "", unit = ""] = (typeof given === "string" ? /^(\d+)([HMSmun])$/.exec(given) : null) ?? []
  const millis = Math.min(Number(digits) * (millisPerUnit[unit] ?? NaN), maxTimeoutMillis)
  if (Number.isNaN(millis)) headers[name] = "invalid"
  // Of either unit there may be eight digits.
  else headers[name] = millis < 10 ** 8 ? `${Math.ceil(millis)}m` : `${Math.floor(millis / 1000)}S`
}

// -- internals ---------------------------------------------------------------

const name = "grpc-timeout"

const millisPerUnit: { readonly [unit: string]: number } = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 0.001,
  n: 0.000_001
}
