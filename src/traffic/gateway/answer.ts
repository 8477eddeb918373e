import { Body } from '../http/body.js'
import type { Fields } from '../http/fields.js'
import type { Framing } from '../http/framing.js'
import type { ResponseHead } from '../http/message.js'
import { reasonOf } from '../http/writer.js'
import type { Socket } from 'node:net'

/** What an endpoint answered; the value that the policies of a gateway judge by its `status`. */
export class UpstreamAnswer {
  readonly status: number
  readonly head: ResponseHead
  /** The connection after a 101, on which the other protocol is spoken from now on. */
  readonly socket: Socket | undefined
  /** Whether the request could be made once more, should this answer not do. */
  readonly repeatable: boolean
  /** How a call of gRPC ended, as it is judged, where its answer is nothing but that (trailers only). */
  readonly grpcCode: number | undefined
  readonly #body: Body
  #stored: Buffer | undefined = undefined

  constructor(
    head: ResponseHead,
    body: Body,
    socket: Socket | undefined,
    repeatable: boolean,
    grpcCode?: number,
  ) {
    this.status = head.status
    this.head = head
    this.#body = body
    this.socket = socket
    this.repeatable = repeatable
    this.grpcCode = grpcCode
  }

  /** An answer of our own. */
  static of(status: number, fields: Fields, data: Buffer): UpstreamAnswer {
    const head: ResponseHead = {
      status,
      reason: reasonOf(status),
      minor: 1,
      fields,
      framing: { kind: 'length', length: data.length },
      // A 304 would say the length of what it stands for, which is not here.
      contentLength: status === 304 ? undefined : data.length,
      keepAlive: true,
      upgrade: undefined,
    }
    return new UpstreamAnswer(head, Body.of(data), undefined, false)
  }

  /** The same answer with another body, which takes the place of this one's. */
  withBody(body: Body): UpstreamAnswer {
    const { length } = body
    const framing: Framing = length === undefined ? { kind: 'chunked' } : { kind: 'length', length }
    const head = { ...this.head, framing, contentLength: length }
    return new UpstreamAnswer(head, body, undefined, false)
  }

  /** The same answer once more, so that what is done to one shows in no other. Its body must be stored. */
  copy(): UpstreamAnswer {
    const head = { ...this.head, fields: this.head.fields.copy() }
    const copy = new UpstreamAnswer(head, this.open(), undefined, this.repeatable)
    copy.#stored = this.#stored
    return copy
  }

  /** So that `retry` finds `Retry-After` here as in a `fetch` Response. */
  get headers(): { get(name: string): string | undefined } {
    return { get: (name) => this.head.fields.get(name.toLowerCase()) }
  }

  get fields(): Fields {
    return this.head.fields
  }

  /** The body, for one reader; again and again once it is stored. */
  open(): Body {
    return this.#stored === undefined ? this.#body : Body.of(this.#stored)
  }

  /**
   * Keeps the whole body, so that the answer can be given again.
   *
   * @param most - bytes; a body that is or may be longer is left alone
   * @returns whether it was kept
   */
  async store(most: number): Promise<boolean> {
    const body = this.#body
    if (!body.ended && (body.length === undefined || body.length > most)) return false
    await new Promise<void>((resolve) => body.onSettled(resolve))
    if (body.error || body.heldBytes > most) return false
    this.#stored = body.take()
    return true
  }
}
