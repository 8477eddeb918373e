import type { Clock, Timer } from '../../../core/clock.js'
import { inspect } from 'node:util'
import { BanyanError } from '../../../core/errors.js'
import { checkOptions, type OptionTable } from '../../../core/options.js'
import { duration, type Duration } from '../../../core/duration.js'
import { eventError } from '../../errors.js'
import type { EventShape, Recorded } from '../../log.js'
import type { Entry } from '../lanes/lane.js'
import type { Fencing, Message, Nack } from '../message.js'
import type { Isolation } from './isolation.js'

/** What became of a delivery. */
export type Verdict =
  | { readonly is: 'handled' }
  | {
      readonly is: 'failed'
      readonly reason: string
      readonly delay?: number | undefined
      /** Its deadline has passed. */
      readonly isLate?: boolean
    }
  | { readonly is: 'rejected'; readonly reason: string }
  /** Nobody has begun with it. */
  | { readonly is: 'released' }

const NACK: OptionTable<Nack> = {
  delay: { kind: 'duration', doc: 'until it is tried again' },
  reason: { kind: 'string', doc: 'why, for people' },
}

/** Who is told what became of it. */
export interface DeliveryOwner {
  readonly subscription: string
  readonly clock: Clock
  /** ms */
  readonly deadline: number
  readonly isolation: Isolation
  readonly fencing: Fencing | undefined
  /**
   * @returns resolves when that is durable
   * @throws `BANYAN_DELIVERY_ENDED` if it never will be
   */
  ended(delivery: Delivery, verdict: Verdict): Promise<void>
}

/** One try of one message. It ends once: what comes later does not count. */
export class Delivery implements Message {
  readonly entry: Entry
  readonly attempt: number
  readonly id: string
  /** No other message is handled meanwhile. */
  readonly isAlone: boolean
  /** When, on the monotonic clock. */
  begun = 0
  /** Told when it ends, also if nobody has said what became of it: what handles it may never come back. */
  onEnd: (() => void) | undefined
  readonly #owner: DeliveryOwner
  #abort: AbortController | undefined
  #timer: Timer | undefined
  #ending: string | undefined
  #hasBegun = false

  constructor(owner: DeliveryOwner, entry: Entry, attempt: number, isAlone = false) {
    this.#owner = owner
    this.isAlone = isAlone
    this.entry = entry
    this.attempt = attempt
    this.id = `${entry.event.position}.${attempt}`
  }

  get event(): Recorded<EventShape> {
    return this.entry.event
  }

  get key(): string | undefined {
    return this.entry.lane.key
  }

  get subscription(): string {
    return this.#owner.subscription
  }

  get fencing(): Fencing | undefined {
    return this.#owner.fencing
  }

  /** Made when somebody asks: most handlers do not, and it costs more than all else. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController()
    if (this.#ending !== undefined) this.#abort.abort(ended(this.#ending))
    return this.#abort.signal
  }

  get hasEnded(): boolean {
    return this.#ending !== undefined
  }

  get hasBegun(): boolean {
    return this.#hasBegun
  }

  /** The time for it begins. */
  begin(): void {
    this.begun = this.#owner.clock.now()
    this.#hasBegun = true
    this.#owner.isolation.begin()
    this.#startTimer(this.#owner.deadline)
  }

  extend(time?: Duration): void {
    this.#mustGoOn()
    this.#startTimer(time === undefined ? this.#owner.deadline : duration(time, 'extend'))
  }

  async ack(): Promise<void> {
    this.#mustGoOn()
    await this.end({ is: 'handled' }, 'it was acknowledged')
  }

  async nack(how: Nack = {}): Promise<void> {
    checkOptions('nack', NACK, how)
    this.#mustGoOn()
    const { delay, reason = 'it was not acknowledged' } = how
    const ms = delay === undefined ? undefined : duration(delay, 'nack: delay')
    await this.end({ is: 'failed', reason, delay: ms }, 'it was given back')
  }

  async release(): Promise<void> {
    this.#mustGoOn()
    await this.end({ is: 'released' }, 'it was released')
  }

  async reject(reason: string): Promise<void> {
    if (typeof reason !== 'string' || reason === '')
      throw new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        `reject needs a reason, for people; got ${inspect(reason)}`,
      )
    this.#mustGoOn()
    await this.end({ is: 'rejected', reason }, 'it was rejected')
  }

  /** Ends it, if it has not ended. */
  end(verdict: Verdict, how: string): Promise<void> {
    if (!this.drop(how)) return Promise.resolve()
    return this.#owner.ended(this, verdict)
  }

  /** Nobody wants to know what becomes of it any more. False if that was so before. */
  drop(how: string): boolean {
    if (this.#ending !== undefined) return false
    this.#ending = how
    this.#timer?.cancel()
    if (this.#hasBegun) this.#owner.isolation.end()
    this.#abort?.abort(ended(how))
    this.onEnd?.()
    return true
  }

  #startTimer(ms: number): void {
    const { clock } = this.#owner
    this.#timer?.cancel()
    this.#timer = clock.schedule(clock.now() + ms, () => {
      const reason = `it was not handled within ${ms} ms`
      // What cannot be written is told by whoever writes it.
      this.end({ is: 'failed', reason, isLate: true }, 'its deadline has passed').catch(() => undefined)
    })
  }

  #mustGoOn(): void {
    if (this.#ending !== undefined) throw ended(this.#ending)
  }
}

/** What is said of a delivery that has ended counts no more. */
export function ended(how: string, cause?: unknown): Error {
  return eventError(
    'BANYAN_DELIVERY_ENDED',
    `this delivery has ended, as ${how}; what comes of it now does not count`,
    cause,
  )
}
