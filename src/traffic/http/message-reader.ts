import { ChunkedReader } from './chunked-reader.js'
import type { Fields } from './fields.js'
import type { Framing } from './framing.js'
import { HeadReader, type RawHead } from './head-reader.js'
import { HttpError } from './http-error.js'
import type { HttpLimits } from './limits.js'

/** What a reader tells about the messages it reads, in their order. */
export interface MessageSink {
  /** A head is complete. Says how its body is framed. */
  onHead(head: RawHead): Framing
  /** A part of the body. Only valid during the call, unless copied. */
  onData(data: Buffer): void
  /** The message is complete. */
  onEnd(trailers: Fields | undefined): void
}

/** Reads one message after another from the bytes of a connection, whatever pieces they come in. */
export class MessageReader {
  readonly #head: HeadReader
  readonly #chunked: ChunkedReader
  readonly #sink: MessageSink
  readonly #bodyBytes: number
  #framing: Framing | undefined = undefined
  #left = 0
  #body = 0

  constructor(kind: 'request' | 'response', limits: HttpLimits, sink: MessageSink) {
    this.#head = new HeadReader(kind, limits)
    this.#chunked = new ChunkedReader(limits)
    this.#sink = sink
    this.#bodyBytes = kind === 'request' ? limits.bodyBytes : Infinity
  }

  /** Where in a message the bytes read so far have ended. */
  get position(): 'between' | 'head' | 'body' {
    if (this.#framing !== undefined) return 'body'
    return this.#head.started ? 'head' : 'between'
  }

  /**
   * Reads on in `buffer[start, buffer.length)`, to the end of the current message at most.
   *
   * @returns the index after what was read; less than the length if a message has ended before
   * @throws {@link HttpError} if this is not valid; the reader is of no use after that
   */
  read(buffer: Buffer, start: number): number {
    const stop = buffer.length
    let index = start
    if (this.#framing === undefined) {
      const head = this.#head.read(buffer, index, stop)
      if (!head) return stop
      index = this.#head.end
      const framing = this.#sink.onHead(head)
      if (framing.kind === 'none') {
        this.#sink.onEnd(undefined)
        return index
      }
      this.#framing = framing
      this.#body = 0
      if (framing.kind === 'length') {
        this.#left = framing.length
      } else if (framing.kind === 'chunked') {
        this.#chunked.reset()
      }
    }
    if (index === stop) return stop
    switch (this.#framing.kind) {
      case 'length': {
        const end = Math.min(stop, index + this.#left)
        this.#left -= end - index
        this.#sink.onData(index === 0 && end === stop ? buffer : buffer.subarray(index, end))
        if (this.#left === 0) this.#end(undefined)
        return end
      }
      case 'chunked': {
        index = this.#chunked.read(buffer, index, stop, this.#onData)
        if (this.#chunked.trailers) this.#end(this.#chunked.trailers)
        return index
      }
      case 'close':
        this.#sink.onData(index === 0 ? buffer : buffer.subarray(index, stop))
        return stop
      case 'none':
        return index
    }
  }

  /**
   * The connection has ended.
   *
   * @returns true if that completes the message (a response without a stated length); false if it cuts it off
   */
  close(): boolean {
    if (this.#framing?.kind !== 'close') return false
    this.#end(undefined)
    return true
  }

  readonly #onData = (data: Buffer): void => {
    this.#body += data.length
    if (this.#body > this.#bodyBytes) throw new HttpError(413, 'The request body is too large')
    this.#sink.onData(data)
  }

  #end(trailers: Fields | undefined): void {
    this.#framing = undefined
    this.#sink.onEnd(trailers)
  }
}
