/**
 * The bytes of all requests that a server holds at once, and what one message may be made of.
 *
 * A gRPC message says its length before it comes, so a call that there is no
 * room for is refused before its message is kept, and what a message is made
 * of is counted before it is decoded.
 * Source: `BaseServerInterceptingCall` and `StreamDecoder` in @grpc/grpc-js 1.14, whose fields are used here.
 */
import * as Grpc from "@grpc/grpc-js"
import * as Metrics from "../telemetry/Metrics.js"
import * as Proto from "./Proto.js"

export interface Options {
  /** Of all requests together; a call that there is no room for ends with `SERVER_BUSY`. */
  readonly most: number
  /** Of one message, unpacked too. */
  readonly mostOfOne: number
}

/** Counts what the calls hold until their streams close. */
export interface RequestBytes {
  /** To be called with grpc-js' innermost call, before it reads. */
  readonly watch: (call: Grpc.ServerInterceptingCallInterface, rpc: string) => void
}

/** What refuses a call, for {@link FrameFaults} to say properly. */
export const busy = "No room for the request"
export const tooManyFields = "Too many fields"

/** Fields of a message at its top level; each fragment of a prompt is one. */
export const mostFields = 10_000

/** Requests up to this size are counted and never refused, so that probes and small questions are answered. */
export const small = 1024

export const make = ({ most, mostOfOne }: Options): RequestBytes => {
  let total = 0
  return {
    watch: (call, rpc) => {
      const { decoder, stream, ...inner } = internalsOf(call)
      const write = decoder.write.bind(decoder)
      const unpack = inner.decompressMessage.bind(call)
      let [held, refused, closed] = [0, false, false]
      // A packed message counts as the largest one while it is unpacked: how long it will be, nobody knows.
      let [raw, packed, unpacked] = [0, 0, 0]
      const change = (bytes: number) => {
        total += bytes - held
        Metrics.bytesInFlight.unsafe([], bytes - held)
        held = bytes
      }
      const hold = () => {
        const wanted = closed ? 0 : raw + packed * mostOfOne + unpacked
        if (refused || (wanted > held && wanted > small && total + wanted - held > most)) {
          if (!refused) Metrics.refusedBusy.unsafe([])
          refused = true
          throw new Fault(Grpc.status.RESOURCE_EXHAUSTED, busy)
        }
        if (wanted !== held) change(wanted)
      }
      stream.once("close", () => {
        closed = true
        change(0)
      })
      const counted: typeof write = (data) => {
        // grpc-js may wait with the status, and would keep what comes until then.
        if (refused) return []
        const messages = write(data)
        const coming = decoder.readState === readingMessage ? decoder.readMessageSize : 0
        const bytes = messages.reduce((sum, message) => sum + message.length - prefix, coming)
        if (bytes > 0) {
          // Those before have been handed on: grpc-js reads no more until they were asked for.
          raw = bytes
          unpacked = 0
          hold()
        }
        return messages
      }
      decoder.write = counted
      inner.set((message, encoding) => {
        if (encoding === "identity") return checked(message.subarray(prefix), rpc)
        packed++
        hold()
        return Promise.resolve(unpack(message, encoding)).finally(() => packed--).then((whole) => {
          unpacked += whole.length
          hold()
          return checked(whole, rpc)
        })
      })
    }
  }
}

/**
 * The number of the field with which an encoded message has more than `most` at its top level; undefined when it has
 * not. What is no message is left to whoever decodes it.
 */
export const fieldBeyond = (message: Uint8Array, most: number): number | undefined => {
  let [at, count] = [0, 0]
  const varint = () => {
    let value = 0
    for (let shift = 1; at < message.length; shift *= 128) {
      const byte = message[at++] ?? 0
      value += (byte & 127) * shift
      if (byte < 128) return value
    }
    return value
  }
  while (at < message.length) {
    const tag = varint()
    if (++count > most) return Math.floor(tag / 8)
    const kind = tag % 8
    if (kind === 0) varint()
    else if (kind === 1) at += 8
    else if (kind === 2) {
      // Reading it moves on, too.
      const length = varint()
      at += length
    } else if (kind === 5) at += 4
  }
  return undefined
}

// -- internals ---------------------------------------------------------------

/** A status that grpc-js sends for what it catches. */
class Fault extends Error {
  constructor(readonly code: Grpc.status, readonly details: string) {
    super(details)
  }
}

const checked = (message: Buffer, rpc: string): Buffer => {
  const field = fieldBeyond(message, mostFields)
  if (field === undefined) return message
  throw new Fault(Grpc.status.INVALID_ARGUMENT, `${tooManyFields}: ${Proto.fieldName(rpc, field) ?? "request"}`)
}

/** Of a message: whether it is packed, and its length. */
const prefix = 5

/** `ReadState.READING_MESSAGE`. */
const readingMessage = 2

type Unpack = (message: Buffer, encoding: string) => Buffer | Promise<Buffer>

interface Internals {
  readonly stream: { readonly once: (event: "close", listener: () => void) => unknown }
  readonly decoder: {
    readonly readState: number
    readonly readMessageSize: number
    write: (data: Buffer) => Array<Buffer>
  }
  decompressMessage: Unpack
}

/** They are private in its types; the package is held to this minor version, and tests send what they are to stop. */
const internalsOf = (call: Grpc.ServerInterceptingCallInterface) => {
  const internals = call as unknown as Internals
  return {
    stream: internals.stream,
    decoder: internals.decoder,
    decompressMessage: internals.decompressMessage,
    set: (unpack: Unpack) => {
      internals.decompressMessage = unpack
    }
  }
}
