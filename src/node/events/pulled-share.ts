import type { Clock, Timer } from '../../core/clock.js'
import { BanyanError } from '../../core/errors.js'
import type { Deliveries } from '../../events/http/deliveries.js'
import type { Message, PullOptions, Subscription } from '../../events/index.js'

/** So long after the last pull, in ms, the share is left to other nodes. */
const IDLE_MS = 30_000

/** How long the first pull waits at least, in ms: what this node works on is settled with the others first. */
const JOINING_MS = 1000

/**
 * A share in a subscription for as long as clients pull here. A node that nobody pulls from would keep its partitions from
 * those that clients do pull from.
 */
export class PulledShare {
  readonly #join: () => Promise<Subscription>
  readonly #deliveries: Deliveries
  readonly #clock: Clock
  readonly #before: PulledShare | undefined
  readonly #closing = new AbortController()
  #share: Promise<Subscription> | undefined
  #leaving: Promise<void> = Promise.resolve()
  #pulling = 0
  #timer: Timer | undefined
  #deleted: Error | undefined

  /** @param before - the share that this one takes the place of: it leaves first, as it may have had other settings */
  constructor(join: () => Promise<Subscription>, deliveries: Deliveries, clock: Clock, before?: PulledShare) {
    this.#before = before
    this.#join = join
    this.#deliveries = deliveries
    this.#clock = clock
  }

  /** Whether an operator has deleted the subscription while this node took part. */
  get isDeleted(): boolean {
    return this.#deleted !== undefined
  }

  /** @throws what joining throws; `BANYAN_SUBSCRIPTION_DELETED` */
  async pull({ wait = 0, signal, ...options }: PullOptions): Promise<readonly Message[]> {
    this.#pulling++
    this.#timer?.cancel()
    try {
      const isFirst = this.#share === undefined
      const share = await (this.#share ??= this.#take())
      const own = this.#closing.signal
      const until = signal ? AbortSignal.any([signal, own]) : own
      const atLeast = isFirst && (wait === 0 || (typeof wait === 'number' && wait < JOINING_MS))
      return await share.pull({ ...options, wait: atLeast ? JOINING_MS : wait, signal: until })
    } finally {
      this.#pulling--
      this.#leaveLater()
    }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#timer?.cancel()
    this.#leave()
    await this.#leaving
  }

  async #take(): Promise<Subscription> {
    try {
      if (this.#deleted) throw this.#deleted
      await Promise.all([this.#leaving, this.#before?.close()])
      const share = await this.#join()
      share.ended.catch((error: unknown) => {
        this.#deleted = error instanceof BanyanError ? error : new Error(String(error))
      })
      return share
    } catch (error) {
      this.#share = undefined
      throw error
    }
  }

  #leaveLater(): void {
    if (this.#pulling > 0 || !this.#share || this.#closing.signal.aborted) return
    this.#timer?.cancel()
    this.#timer = this.#clock.schedule(this.#clock.now() + IDLE_MS, () => {
      // What clients have is settled here, or its deadline passes.
      if (this.#deliveries.size > 0) this.#leaveLater()
      else this.#leave()
    })
  }

  #leave(): void {
    const share = this.#share
    this.#share = undefined
    if (share)
      this.#leaving = share.then(
        (joined) => joined.close(),
        () => undefined,
      )
  }
}
