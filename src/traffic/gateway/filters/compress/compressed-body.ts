import { Body, type BodySink, type BodySource } from '../../../http/body.js'
import type { Fields } from '../../../http/fields.js'
import type { Compressor } from './codec.js'

/**
 * A body that is compressed on its way. Nothing is held back: whenever the compressor has caught up with the source,
 * what it has is given out, so a slow stream arrives event by event, and a fast one in large blocks. A full sink stops
 * the compressor, and a full compressor stops the source.
 */
export class CompressedBody implements BodySink, BodySource {
  /** What comes out. */
  readonly body: Body
  readonly #source: Body
  readonly #compressor: Compressor
  readonly #onOver: (read: number, written: number) => void
  #read = 0
  #written = 0
  /** Parts that the compressor has not worked through. */
  #pending = 0
  #complete = false
  #over = false
  #trailers: Fields | undefined = undefined

  /**
   * @param onOver - called once, when the compressor is given back; gets the bytes that went in and came out
   */
  constructor(source: Body, compressor: Compressor, onOver: (read: number, written: number) => void) {
    this.#source = source
    this.#compressor = compressor
    this.#onOver = onOver
    this.body = new Body(undefined, this)
    const { stream } = compressor
    stream.on('data', (data: Buffer) => {
      this.#written += data.length
      this.body.push(data)
    })
    stream.on('drain', () => source.resume())
    stream.on('end', () => {
      this.#end()
      this.body.finish(this.#trailers)
    })
    stream.on('error', (error) => this.cancel(error))
    source.pipe(this)
  }

  /** Gives up: nobody waits for the rest. */
  cancel(reason: Error): void {
    if (this.#over) return
    this.#end()
    this.#compressor.stream.destroy()
    if (!this.#complete) this.#source.discard()
    this.body.fail(reason)
  }

  // The source's side:

  write(data: Buffer): boolean {
    if (this.#over) return true
    this.#read += data.length
    this.#pending++
    return this.#compressor.stream.write(data, () => {
      if (--this.#pending === 0 && !this.#complete && !this.#over) this.#compressor.flush()
    })
  }

  end(trailers: Fields | undefined): void {
    this.#complete = true
    this.#trailers = trailers
    if (!this.#over) this.#compressor.stream.end()
  }

  fail(error: Error): void {
    this.#complete = true
    this.cancel(error)
  }

  // The sink's side:

  pause(): void {
    this.#compressor.stream.pause()
  }

  resume(): void {
    if (!this.#over) this.#compressor.stream.resume()
  }

  #end(): void {
    this.#over = true
    this.#onOver(this.#read, this.#written)
  }
}
