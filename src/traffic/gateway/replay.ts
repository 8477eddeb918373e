import { withoutStack } from '../../core/errors.js'
import { Body, type BodySink, type BodySource } from '../http/body.js'
import type { Fields } from '../http/fields.js'
import type { BodyCopy } from './body-copy.js'
import { safeTrailers } from './heads.js'
import { dropOwn } from './own-fields.js'

/** Up to this many bytes of a request body are kept to be sent again; a longer body is sent once. */
const KEPT_BYTES = 64 * 1024

/** Why a try fails whose body goes to another one. */
const MOVED = withoutStack(() => new Error('the body went to another try'))

/**
 * A request body that can be sent more than once, as long as it is small: what passes is kept up to a bound, and
 * each try begins with that. Beyond the bound it just streams.
 */
export class ReplayableBody implements BodySink, BodySource {
  readonly #source: Body
  readonly #ownFields: readonly string[] | undefined
  #kept: Buffer[] = []
  #keptBytes = 0
  #overflown = false
  #target: Body | undefined = undefined
  #started = false
  #ended = false
  #trailers: Fields | undefined = undefined
  #error: Error | undefined = undefined
  #full = false
  /** Gets whatever passes. */
  copy: BodyCopy | undefined = undefined

  /** @param ownFields - fields that no trailer may set, in lower case */
  constructor(source: Body, ownFields?: readonly string[]) {
    this.#source = source
    this.#ownFields = ownFields
  }

  /** Whether another try can have the whole body. */
  get replayable(): boolean {
    return !this.#overflown && this.#error === undefined
  }

  /** The body for one more try, from its first byte; a try before that still waits for the rest fails. */
  open(): Body {
    const body = new Body(this.#source.length, this)
    const held = this.#full
    this.#full = false
    for (const data of this.#kept) body.push(data)
    this.#target?.fail(MOVED)
    this.#target = body
    if (!this.#started) {
      this.#started = true
      this.#source.pipe(this)
    } else if (this.#error) {
      body.fail(this.#error)
    } else if (this.#ended) {
      body.finish(this.#trailers)
      // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- the pushes above may have set it
    } else if (held && !this.#full) {
      // The try before was full; this one says itself when it is.
      this.#source.resume()
    }
    return body
  }

  /** No further try will come: nothing needs to be kept from here on. */
  release(): void {
    this.#kept = []
    this.#overflown = true
  }

  // The client's side:

  write(data: Buffer): boolean {
    if (!this.#overflown) {
      this.#keptBytes += data.length
      if (this.#keptBytes > KEPT_BYTES) this.release()
      else this.#kept.push(data)
    }
    this.copy?.push(data)
    this.#target?.push(data)
    return !this.#full
  }

  end(trailers: Fields | undefined): void {
    this.#ended = true
    this.copy?.finish()
    this.#trailers = safeTrailers(trailers)
    if (this.#trailers && this.#ownFields) dropOwn(this.#trailers, this.#ownFields)
    this.#target?.finish(this.#trailers)
  }

  fail(error: Error): void {
    this.#error = error
    this.#target?.fail(error)
  }

  // The try's side:

  pause(): void {
    this.#full = true
  }

  resume(): void {
    this.#full = false
    this.#source.resume()
  }
}
