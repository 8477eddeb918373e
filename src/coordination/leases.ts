import type { Clock, Timer } from '../core/clock.js'
import { formatDuration } from '../core/duration.js'
import type { BanyanError } from '../core/errors.js'
import type { Runtime } from '../core/runtime.js'
import type { Lease } from './coordinator.js'
import type { CoordinatorDriver } from './driver.js'
import { coordinationError } from './errors.js'
import { LeaseMeter } from './lease-meter.js'
import { elapsed, elapsedSince, moment, type Moment } from './lease-clock.js'

/**
 * The part of its time for which a holder believes in a lease: half, so that it has given up in time even if its clock runs at
 * half the speed of the engine's (client-go keeps 10 of 15 s, which is 1.5).
 */
export const HELD = 1 / 2
/** The part of its time after which a lease is renewed: three tries fit into what is believed. */
const RENEWED = 1 / 6
/** Leases that are due within this part of their time go along. */
const ALONG = 1 / 24

/** How long closing waits for leases to be given back, in ms: an engine that is away does not keep a process from ending. */
const CLOSING_MS = 3000

const GONE = 'the engine does not have it any more'

/** Takes leases and keeps them: one timer and one request at a time for all that are due. */
export class Leases {
  readonly #driver: CoordinatorDriver
  readonly #clock: Clock
  readonly #telemetry: Runtime['telemetry']
  readonly #held = new Set<KeptLease>()
  readonly #meter: LeaseMeter
  #timer: Timer | undefined
  #timerAt = Infinity
  #closed = false

  constructor(driver: CoordinatorDriver, { clock, telemetry }: Runtime) {
    this.#driver = driver
    this.#clock = clock
    this.#telemetry = telemetry
    this.#meter = new LeaseMeter(driver.capabilities.driver, telemetry, () => this.size)
  }

  /** How many are held. */
  get size(): number {
    return this.#held.size
  }

  /** @param ttl - ms */
  async take(ttl: number): Promise<Lease> {
    const sent = moment(this.#clock)
    const grant = await this.#driver.grant(ttl)
    const took = elapsedSince(sent, this.#clock)
    if (took > grant.ttl * (HELD - RENEWED)) {
      await this.#revoke(grant.id)
      throw coordinationError(
        'BANYAN_LEASE_TTL',
        `the engine took ${formatDuration(took)} to grant a lease of ${formatDuration(grant.ttl)}, which could not be ` +
          `renewed in time like that; if it often takes so long, it needs a ttl of ${formatDuration(Math.ceil(took / RENEWED))}`,
      )
    }
    if (this.#closed) {
      await this.#revoke(grant.id)
      throw coordinationError(
        'BANYAN_COORDINATOR_CLOSED',
        'the coordinator was closed before the lease was granted',
      )
    }
    const lease = new KeptLease(grant.id, grant.ttl, sent, this.#clock, {
      ended: () => this.#held.delete(lease),
      revoke: () => this.#revoke(grant.id),
    })
    this.#held.add(lease)
    this.#wakeAt(lease.next())
    return lease
  }

  /** The engine has said that it does not have it. */
  lost(lease: Lease): void {
    if (lease instanceof KeptLease) lease.lose(GONE)
  }

  /** Releases all, and what is still granted. What takes too long goes on and nobody waits for it. */
  async close(): Promise<void> {
    this.#closed = true
    this.#timer?.cancel()
    this.#meter.close()
    const closed = coordinationError('BANYAN_COORDINATOR_CLOSED', 'the coordinator was closed')
    const released = Promise.all([...this.#held].map((lease) => lease.release(closed)))
    await new Promise<void>((resolve) => {
      const late = this.#clock.schedule(this.#clock.now() + CLOSING_MS, resolve)
      void released.then(() => {
        late.cancel()
        resolve()
      })
    })
  }

  async #revoke(id: string): Promise<void> {
    try {
      await this.#driver.revoke(id)
    } catch (error) {
      this.#telemetry.log('debug', `a lease could not be released, it expires: ${String(error)}`)
    }
  }

  #wakeAt(at: number): void {
    if (at >= this.#timerAt) return
    this.#timer?.cancel()
    this.#timerAt = at
    this.#timer = this.#clock.schedule(at, () => {
      this.#timerAt = Infinity
      this.#look()
    })
  }

  /** Gives up what is over, renews what is due, and looks again when something next is. */
  #look(): void {
    const present = moment(this.#clock)
    const due: KeptLease[] = []
    let next = Infinity
    for (const lease of this.#held) {
      if (!lease.heldAt(present)) continue
      if (lease.due <= present.now + lease.ttl * ALONG) {
        lease.due = present.now + lease.ttl * RENEWED
        due.push(lease)
      }
      next = Math.min(next, lease.next())
    }
    if (next !== Infinity) this.#wakeAt(next)
    if (due.length > 0) void this.#renew(due)
  }

  async #renew(leases: readonly KeptLease[]): Promise<void> {
    const sent = moment(this.#clock)
    const within = leases.reduce((least, { ttl }) => Math.min(least, ttl), Infinity) * RENEWED
    try {
      const answers = await this.#driver.renew(
        leases.map(({ id }) => id),
        within,
      )
      const answered = moment(this.#clock)
      this.#meter.answered(answered.now - sent.now)
      let lost = 0
      for (const [index, lease] of leases.entries())
        if (answers[index]) lease.renewed(sent, answered)
        else {
          lost++
          lease.lose(GONE)
        }
      this.#meter.renewals(leases.length - lost, 'renewed')
      this.#meter.renewals(lost, 'lost')
    } catch (error) {
      // Tried again when it is next due; the belief in it ends by itself.
      for (const lease of leases) lease.failure = error
      this.#meter.renewals(leases.length, 'failed')
    }
  }
}

/** A lease and until when it is believed in. */
class KeptLease implements Lease {
  readonly id: string
  readonly ttl: number
  /** When to renew it next, on the monotonic clock. */
  due: number
  /** Why the last renewal was not answered. */
  failure: unknown
  readonly #clock: Clock
  readonly #ending = new AbortController()
  readonly #hooks: { ended(): void; revoke(): Promise<void> }
  #renewal: Moment
  /** The same as its signal says, which takes longer to look at. */
  #over = false
  #release: Promise<void> | undefined

  constructor(
    id: string,
    ttl: number,
    granted: Moment,
    clock: Clock,
    hooks: { ended(): void; revoke(): Promise<void> },
  ) {
    this.id = id
    this.ttl = ttl
    this.#clock = clock
    this.#renewal = granted
    this.#hooks = hooks
    this.due = granted.now + ttl * RENEWED
  }

  get signal(): AbortSignal {
    return this.#ending.signal
  }

  get remaining(): number {
    return this.#over ? 0 : this.#remainingAt(moment(this.#clock))
  }

  get held(): boolean {
    return this.heldAt(moment(this.#clock))
  }

  /** @param present - this moment: whoever looks at many of them looks at the clock once */
  heldAt(present: Moment): boolean {
    if (this.#over) return false
    if (this.#remainingAt(present) > 0) return true
    const cause = this.failure instanceof Error ? `: ${this.failure.message}` : ''
    this.lose(`no renewal was answered for ${formatDuration(elapsed(this.#renewal, present))}${cause}`)
    return false
  }

  check(): void {
    if (this.held) return
    const { reason } = this.#ending.signal as { reason: BanyanError }
    // A new one, with the stack of who asked.
    throw coordinationError('BANYAN_LEASE_LOST', reason.message, reason)
  }

  /** When somebody has to look at it, on the monotonic clock. */
  next(): number {
    return Math.min(this.due, this.#renewal.now + this.ttl * HELD)
  }

  /** The renewal that was sent then was answered now. What came to its end meanwhile stays so. */
  renewed(sent: Moment, present: Moment): void {
    if (!this.heldAt(present) || sent.now < this.#renewal.now) return
    this.#renewal = sent
    this.failure = undefined
  }

  lose(why: string): void {
    if (this.#over) return
    this.#over = true
    this.#hooks.ended()
    this.#ending.abort(
      coordinationError(
        'BANYAN_LEASE_LOST',
        `the lease ${this.id} of ${formatDuration(this.ttl)} is lost, ${why}`,
        this.failure,
      ),
    )
  }

  /** @param cause - why, unless whoever has it wants it */
  release(cause?: BanyanError): Promise<void> {
    this.#release ??= this.#giveBack(cause)
    return this.#release
  }

  #remainingAt(present: Moment): number {
    return this.ttl * HELD - elapsed(this.#renewal, present)
  }

  async #giveBack(cause: BanyanError | undefined): Promise<void> {
    this.#over = true
    this.#hooks.ended()
    this.#ending.abort(coordinationError('BANYAN_LEASE_LOST', `the lease ${this.id} was released`, cause))
    await this.#hooks.revoke()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release()
  }
}
