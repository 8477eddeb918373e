import { Body, type BodySink, type BodySource } from '../../../http/body.js'
import type { Fields } from '../../../http/fields.js'

/** Room for answers that are being received; taken byte by byte, given back at the end. */
export class Room {
  #left: number

  constructor(bytes: number) {
    this.#left = bytes
  }

  take(bytes: number): boolean {
    if (bytes > this.#left) return false
    this.#left -= bytes
    return true
  }

  give(bytes: number): void {
    this.#left += bytes
  }
}

/** How a recording ended: with all of it, without as it was too large, or broken off. */
export type Recorded = { kind: 'whole'; data: Buffer } | { kind: 'too-large' } | { kind: 'broken' }

/**
 * A body that is kept on its way to a client. As long as it is kept, the client does not hold the source back, since
 * others wait for the answer too; once it has turned out too large to keep, it just streams.
 */
export class Recording implements BodySink, BodySource {
  /** For the client. */
  readonly body: Body
  readonly #source: Body
  readonly #most: number
  readonly #room: Room
  readonly #onEnd: (recorded: Recorded) => void
  #parts: Buffer[] = []
  #length = 0
  #isOver = false
  #paused = false

  /** @param most - bytes that are kept */
  constructor(source: Body, most: number, room: Room, onEnd: (recorded: Recorded) => void) {
    this.#source = source
    this.#most = most
    this.#room = room
    this.#onEnd = onEnd
    this.body = new Body(source.length, this)
  }

  start(): void {
    this.#source.pipe(this)
  }

  write(data: Buffer): boolean {
    if (!this.#isOver) this.#keep(data)
    this.body.push(data)
    return !this.#isOver || !this.#paused
  }

  end(trailers: Fields | undefined): void {
    if (!this.#isOver) this.#over({ kind: 'whole', data: joined(this.#parts, this.#length) })
    this.body.finish(trailers)
  }

  fail(error: Error): void {
    if (!this.#isOver) this.#over({ kind: 'broken' })
    this.body.fail(error)
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#source.resume()
  }

  #keep(data: Buffer): void {
    if (this.#length + data.length > this.#most || !this.#room.take(data.length)) {
      this.#over({ kind: 'too-large' })
      return
    }
    this.#length += data.length
    this.#parts.push(data)
  }

  #over(recorded: Recorded): void {
    this.#isOver = true
    this.#room.give(this.#length)
    this.#parts = []
    this.#onEnd(recorded)
  }
}

/** In memory of its own: a part may be a small piece of a large buffer, which it would keep from being freed. */
export function joined(parts: readonly Buffer[], length: number): Buffer {
  const data = Buffer.allocUnsafeSlow(length)
  let at = 0
  for (const part of parts) at += part.copy(data, at)
  return data
}
