import type { Fields } from './fields.js'

/** Where a body goes. */
export interface BodySink {
  /** Takes a part; false asks to hold the next ones back until `resume` is called on the body. */
  write(data: Buffer): boolean
  /** The body is complete. */
  end(trailers: Fields | undefined): void
  /** The body will never be complete. */
  fail(error: Error): void
}

/** What a body can ask of the connection it arrives on. */
export interface BodySource {
  pause(): void
  resume(): void
}

/** Bytes held for a consumer that has not come yet, before the source is paused. */
const HELD_BYTES = 64 * 1024

/**
 * A body on its way through: what arrives is handed on at once, the same buffer, and a full sink stops the source.
 * Until a sink is there, a little is held.
 */
export class Body {
  /** Stated length in bytes; `undefined` for a chunked body and one that ends with its connection. */
  readonly length: number | undefined
  #source: BodySource | undefined
  #sink: BodySink | undefined = undefined
  #held: Buffer[] = []
  #heldBytes = 0
  #received = 0
  #paused = false
  #ended = false
  #trailers: Fields | undefined = undefined
  #error: Error | undefined = undefined
  #discarded = false
  #waiting: (() => void)[] | undefined = undefined

  constructor(length: number | undefined, source: BodySource | undefined) {
    this.length = length
    this.#source = source
  }

  /** A body that is already here in full. */
  static of(data: Buffer): Body {
    const body = new Body(data.length, undefined)
    if (data.length > 0) body.push(data)
    body.finish(undefined)
    return body
  }

  /** True once its last byte has arrived. */
  get ended(): boolean {
    return this.#ended
  }

  /** What came after it, once it has ended. */
  get trailers(): Fields | undefined {
    return this.#trailers
  }

  /** Why it will never be complete. */
  get error(): Error | undefined {
    return this.#error
  }

  /** Bytes that wait for a sink. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /** Bytes that have arrived so far. */
  get received(): number {
    return this.#received
  }

  // For the connection it arrives on:

  push(data: Buffer): void {
    this.#received += data.length
    if (this.#discarded) return
    if (this.#sink) {
      if (!this.#sink.write(data)) this.#pause()
      return
    }
    this.#held.push(data)
    this.#heldBytes += data.length
    if (this.#heldBytes >= HELD_BYTES) this.#pause()
  }

  finish(trailers: Fields | undefined): void {
    if (this.#ended || this.#error) return
    this.#ended = true
    this.#trailers = trailers
    this.#source = undefined
    this.#sink?.end(trailers)
    this.#settle()
  }

  fail(error: Error): void {
    if (this.#ended || this.#error) return
    this.#error = error
    this.#source = undefined
    this.#sink?.fail(error)
    this.#settle()
  }

  // For the one who wants it:

  /** Starts the flow into `sink`, beginning with what has arrived. */
  pipe(sink: BodySink): void {
    this.#sink = sink
    let open = true
    const held = this.#held
    if (held.length > 0) {
      this.#held = []
      this.#heldBytes = 0
      for (const data of held) open = sink.write(data) && open
    }
    if (this.#error) sink.fail(this.#error)
    else if (this.#ended) sink.end(this.#trailers)
    else if (open) this.resume()
    else this.#pause()
  }

  /** Takes the whole of a complete body that waits here. */
  take(): Buffer {
    const held = this.#held
    this.#held = []
    this.#heldBytes = 0
    return held.length === 1 ? held[0]! : Buffer.concat(held)
  }

  /** The sink has room again. */
  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#source?.resume()
  }

  /** Reads and drops the rest. */
  discard(): void {
    this.#discarded = true
    this.#sink = undefined
    this.#held = []
    this.#heldBytes = 0
    this.resume()
  }

  /** Calls back once, when the body has ended or failed; at once if it has. */
  onSettled(callback: () => void): void {
    if (this.#ended || this.#error) callback()
    else (this.#waiting ??= []).push(callback)
  }

  #pause(): void {
    if (this.#paused || !this.#source) return
    this.#paused = true
    this.#source.pause()
  }

  #settle(): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting) for (const callback of waiting) callback()
  }
}
