import type { Random } from '../../core/random.js'
import { eventError } from '../errors.js'
import type { Message } from '../pubsub/index.js'

/** What was settled is remembered for so many deliveries, for clients that have not heard the answer and ask again. */
const REMEMBERED = 10_000

/** What a client has said of a delivery, and the promise that it is durable. */
interface Settled {
  readonly as: string
  readonly done: Promise<void>
}

/**
 * The deliveries of a subscription that are with clients. Each has an id that no other ever has, also if the same message
 * is delivered again: who comes too late settles nothing that is with somebody else by now.
 */
export class Deliveries {
  readonly #with = new Map<string, Message>()
  readonly #settled = new Map<string, Settled>()
  readonly #random: Random
  readonly #process: string
  #count = 0

  constructor(random: Random) {
    this.#random = random
    this.#process = this.#token()
  }

  /** How many there are. */
  get size(): number {
    return this.#with.size
  }

  /** @returns the id of the delivery */
  add(message: Message): string {
    const id = `${message.id}.${this.#process}${(this.#count++).toString(36)}.${this.#token()}`
    this.#with.set(id, message)
    message.signal.addEventListener('abort', () => this.#with.delete(id), { once: true })
    return id
  }

  /**
   * Ends a delivery. The same again does nothing, for a while.
   *
   * @param as - what is said of it
   * @throws `BANYAN_DELIVERY_ENDED`
   */
  settle(id: string, as: string, end: (message: Message) => Promise<void>): Promise<void> {
    const before = this.#settled.get(id)
    if (before?.as === as) return before.done
    const done = end(this.find(id))
    this.#settled.set(id, { as, done })
    if (this.#settled.size > REMEMBERED) this.#settled.delete(this.#settled.keys().next().value!)
    return done
  }

  /** @throws `BANYAN_DELIVERY_ENDED` */
  find(id: string): Message {
    const message = this.#with.get(id)
    if (message) return message
    throw eventError(
      'BANYAN_DELIVERY_ENDED',
      'this delivery has ended, or another node has given it out; what comes of it now does not count',
    )
  }

  #token(): string {
    return Math.floor(this.#random.next() * 36 ** 6)
      .toString(36)
      .padStart(6, '0')
  }
}
