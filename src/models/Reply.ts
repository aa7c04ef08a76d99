/**
 * An HTTP response as it comes in: what the SDKs look at of a `Response`, and
 * its bytes as they are, without a web stream around them.
 *
 * Whoever does not read slows the sender down: little more is kept than came
 * before it was told to wait.
 */
import * as Zlib from "node:zlib"
import type { Dispatcher } from "undici"

/** `response` as {@link Transport.fetch} made it. */
export const of = (response: Response): Reply => {
  const reply: unknown = response
  if (reply instanceof Reply) return reply
  throw new TypeError("the response is of another transport")
}

/** Of a whole answer, in bytes: as much as one event of a stream may have. */
export const maxAnswerBytes = 16 * 1024 * 1024

/** Of the body of an error, in bytes. */
export const maxErrorBytes = 64 * 1024

/** How long the body of an error is waited for, in milliseconds. */
export const maxErrorMillis = 2000

/** A provider sent a whole answer of more than {@link maxAnswerBytes}. */
export class AnswerTooLarge extends Error {
  readonly code = "ANSWER_TOO_LARGE"
  constructor() {
    super(`the answer is longer than ${maxAnswerBytes} bytes`)
  }
}

/** The connection failed in the middle of a body. */
export class CutBody extends Error {
  /** `text` is what came before. */
  constructor(readonly text: string, override readonly cause: unknown) {
    super("the body was cut")
  }
}

export class Reply {
  readonly ok: boolean
  private readonly chunks: Array<Uint8Array> = []
  private size = 0
  private ended = false
  /** What makes the bytes, where the sender compressed them: waits and goes on with the sender. */
  private decoder: Pick<Zlib.Gunzip, "pause" | "resume"> | undefined
  private failure: { readonly cause: unknown } | undefined
  private wake: (() => void) | undefined

  constructor(
    readonly url: string,
    readonly status: number,
    private readonly raw: { readonly [name: string]: string | Array<string> | undefined },
    private readonly sender: Pick<Dispatcher.DispatchController, "pause" | "resume" | "paused">,
    /** Whether who reads it has little time. */
    readonly isBusy: () => boolean
  ) {
    this.ok = status >= 200 && status <= 299
  }

  get headers(): Headers {
    const headers = new Headers()
    for (const name in this.raw) {
      for (const value of [this.raw[name] ?? []].flat()) headers.append(name, value)
    }
    Object.defineProperty(this, "headers", { value: headers })
    return headers
  }

  /** Of one header; empty when it was not sent. */
  header(name: string): string {
    return String(this.raw[name] ?? "")
  }

  /**
   * All bytes that are here; undefined when there are none, which at {@link isOver} is the end. Throws what the
   * connection failed with, after the bytes that came before.
   */
  take(): Uint8Array | undefined {
    const { chunks } = this
    if (chunks.length === 0) {
      if (this.failure !== undefined) throw this.failure.cause
      return undefined
    }
    const bytes = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)
    chunks.length = 0
    this.size = 0
    if (this.sender.paused && !this.isOver) this.sender.resume()
    this.decoder?.resume()
    return bytes
  }

  /** Whether there are bytes to {@link take}. */
  get hasMore(): boolean {
    return this.chunks.length > 0
  }

  /** Whether no more bytes come. */
  get isOver(): boolean {
    return this.ended || this.failure !== undefined
  }

  /** Calls back once, later, when there is something to {@link take}, if only the end. One may wait at a time. */
  wait(wake: (() => void) | undefined): void {
    this.wake = wake
  }

  /**
   * The rest of the body as UTF-8. An answer must not be longer than {@link maxAnswerBytes}. Of an error, only the first
   * {@link maxErrorBytes} are read, and for {@link maxErrorMillis}: its status says enough, and who asked closes the connection.
   */
  async text(): Promise<string> {
    const decoder = new TextDecoder()
    const bound = this.ok ? maxAnswerBytes : maxErrorBytes
    const due = this.ok ? Infinity : performance.now() + maxErrorMillis
    let text = ""
    let size = 0
    for (;;) {
      let bytes: Uint8Array | undefined
      try {
        bytes = this.take()
      } catch (cause) {
        throw new CutBody(text, cause)
      }
      if (bytes !== undefined) {
        size += bytes.length
        if (size > bound && this.ok) throw new AnswerTooLarge()
        text += decoder.decode(bytes.subarray(0, bytes.length - Math.max(0, size - bound)), { stream: true })
        if (size > bound) return text
      } else if (this.isOver || performance.now() >= due) return text + decoder.decode()
      else {
        await new Promise<void>((resolve) => {
          const timer = this.ok ? undefined : setTimeout(resolve, due - performance.now())
          this.wait(() => {
            clearTimeout(timer)
            resolve()
          })
        })
      }
    }
  }

  /** The bytes that are pushed come out of `decoder`. */
  through(decoder: Pick<Zlib.Gunzip, "pause" | "resume">): void {
    this.decoder = decoder
  }

  push(chunk: Uint8Array): void {
    this.chunks.push(chunk)
    this.size += chunk.length
    if (this.size > most) {
      if (!this.sender.paused) this.sender.pause()
      this.decoder?.pause()
    }
    this.tell()
  }

  end(): void {
    this.ended = true
    this.tell()
  }

  fail(cause: unknown): void {
    if (this.isOver) return
    this.failure = { cause }
    this.tell()
  }

  private tell(): void {
    const { wake } = this
    this.wake = undefined
    wake?.()
  }
}

/** Where the bytes of the body go to; through a decoder where the sender compressed them, whom nobody asked to. */
export const sink = (reply: Reply): Pick<Reply, "push" | "end" | "fail"> => {
  const make = decoders[reply.header("content-encoding").trim().toLowerCase()]
  if (make === undefined) return reply
  const decoder = make()
  reply.through(decoder)
  decoder.on("data", (chunk: Uint8Array) => reply.push(chunk))
  decoder.on("end", () => reply.end())
  decoder.on("error", (error) => reply.fail(error))
  return {
    push: (chunk) => void decoder.write(chunk),
    end: () => void decoder.end(),
    fail: (cause) => {
      reply.fail(cause)
      decoder.destroy()
    }
  }
}

// -- internals ---------------------------------------------------------------

/** Bytes that may wait to be read. */
const most = 256 * 1024

/** What was written is given out at once. */
const flush = Zlib.constants.Z_SYNC_FLUSH

const decoders: { readonly [encoding: string]: (() => Zlib.Gunzip | Zlib.BrotliDecompress) | undefined } = {
  "gzip": () => Zlib.createGunzip({ flush }),
  "x-gzip": () => Zlib.createGunzip({ flush }),
  "deflate": () => Zlib.createInflate({ flush }),
  "br": () => Zlib.createBrotliDecompress({ flush: Zlib.constants.BROTLI_OPERATION_FLUSH })
}
