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

export class Reply {
  readonly ok: boolean
  private readonly chunks: Array<Uint8Array> = []
  private size = 0
  private ended = false
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

  /** The rest of the body as UTF-8. */
  async text(): Promise<string> {
    const decoder = new TextDecoder()
    let text = ""
    for (;;) {
      const bytes = this.take()
      if (bytes !== undefined) text += decoder.decode(bytes, { stream: true })
      else if (this.isOver) return text + decoder.decode()
      else {
        await new Promise<void>((resolve) => {
          this.wake = resolve
        })
      }
    }
  }

  push(chunk: Uint8Array): void {
    this.chunks.push(chunk)
    this.size += chunk.length
    if (this.size > most && !this.sender.paused) this.sender.pause()
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
