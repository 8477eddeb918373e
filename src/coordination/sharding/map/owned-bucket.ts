import { backoffWait, type Growth } from '../../../core/backoff.js'
import type { BanyanError } from '../../../core/errors.js'
import type { Runtime } from '../../../core/runtime.js'
import type { Lease } from '../../coordinator.js'
import { coordinationError } from '../../errors.js'
import type { Holding } from '../../fencing/claim.js'
import { GuardedWork } from '../../guarded-work.js'
import { pause } from '../../line/limit.js'
import { isWorkOf, workFor } from '../../../core/within.js'

/** A bucket that a worker has, until another may have it. */
export interface OwnedBucket extends Holding {
  /** `17`; of a bucket that was split `17/0` or `17/1`, and so on. */
  readonly bucket: string
  /** The fencing token: higher than that of every owner of these keys before. Let resources refuse lower ones. */
  readonly epoch: number
  /** The same as {@link epoch}, as claims call it: `fences.run(tx, { name, token: owned }, …)`. */
  readonly token: number
  /** Since when, in ms since the epoch. */
  readonly since: number
  /** Whether this worker has it at this moment, by the clock. Once false it is never true again. */
  readonly held: boolean
  /** Aborts when it is to be given away, or was lost; the reason is a `BANYAN_SHARD_NOT_OWNED` that says why. */
  readonly signal: AbortSignal
  /** What keeps it from others, also while it is given up. */
  readonly lease: Pick<Lease, 'held' | 'signal'>
  /**
   * To be called right before whatever only the owner may do: a blocked event loop delays the signal, this looks at the clock.
   *
   * @throws `BANYAN_SHARD_NOT_OWNED` unless it is held at this moment
   */
  readonly check: () => void
  /**
   * Checks, then works. Nobody else has the bucket before what was begun like this has ended, unless the lease was lost.
   *
   * @throws `BANYAN_SHARD_NOT_OWNED` unless it is held at this moment; then nothing was done
   */
  readonly guard: <Result>(work: () => Result) => Result
}

/** Why a worker does not have a bucket any more. */
export type OwnershipEnd =
  /** The plan gives it to another. */
  | 'moved'
  /** Its halves take its place. */
  | 'split'
  /** What it was a half of takes its place. */
  | 'merged'
  /** The lease was not renewed in time. */
  | 'lease lost'
  /** Its key was deleted by somebody. */
  | 'taken away'
  | 'closed'

/** What has become of a bucket at a worker. */
export interface ShardWorkerChange {
  /** `owned`; `ending`: its signal has aborted, and its work may still go on; `ended`. */
  readonly kind: 'owned' | 'ending' | 'ended'
  readonly bucket: string
  readonly epoch: number
  /** Why it has ended. */
  readonly why?: OwnershipEnd
}

/** What is done with a bucket. */
export type Work = (owned: OwnedBucket) => unknown

/** A bucket that this worker has, and what is done with it. */
export class Ownership implements OwnedBucket {
  readonly bucket: string
  readonly epoch: number
  readonly since: number
  readonly lease: Lease
  /** Why it is over; undefined as long as it is not. */
  why: OwnershipEnd | undefined
  readonly #map: string
  readonly #ending = new AbortController()
  readonly #guarded = new GuardedWork()
  #work: Promise<void> | undefined

  constructor(map: string, bucket: string, epoch: number, since: number, lease: Lease) {
    this.#map = map
    this.bucket = bucket
    this.epoch = epoch
    this.since = since
    this.lease = lease
  }

  get token(): number {
    return this.epoch
  }

  get held(): boolean {
    return this.why === undefined && this.lease.held
  }

  get signal(): AbortSignal {
    return this.#ending.signal
  }

  readonly check = (): void => {
    if (this.held) return
    this.end('lease lost')
    const { reason } = this.#ending.signal as { reason: BanyanError }
    // A new one, with the stack of who asked.
    throw coordinationError('BANYAN_SHARD_NOT_OWNED', reason.message, reason)
  }

  readonly guard = <Result>(work: () => Result): Result => {
    this.check()
    return this.#guarded.run(this, work)
  }

  /** Whether who asks is part of its work, and would wait for itself. */
  get isWithin(): boolean {
    return isWorkOf(this)
  }

  end(why: OwnershipEnd): void {
    if (this.why !== undefined) return
    this.why = why
    const cause: unknown = why === 'lease lost' ? this.lease.signal.reason : undefined
    this.#ending.abort(
      coordinationError(
        'BANYAN_SHARD_NOT_OWNED',
        `the bucket ${this.bucket} of ${JSON.stringify(this.#map)} is not owned any more: ${why}` +
          (cause instanceof Error ? `, ${cause.message}` : ''),
        cause,
      ),
    )
  }

  /** Begins to work. What fails is begun again after a while, for as long as it is owned. */
  begin(work: Work, backoff: Growth, runtime: Runtime): void {
    this.#work = this.#keepWorking(work, backoff, runtime)
  }

  /** Resolves when nothing is done with it any more. */
  async settled(): Promise<void> {
    await this.#work
    await this.#guarded.settled()
  }

  #isOver(): boolean {
    return !this.held
  }

  async #keepWorking(work: Work, backoff: Growth, { clock, random, telemetry }: Runtime): Promise<void> {
    // Whoever observes the worker is told first that it has the bucket.
    await Promise.resolve()
    for (let failures = 1; this.held; failures++)
      try {
        await workFor(this, () => work(this))
        return
      } catch (error) {
        // What is told to end may say so by failing.
        if (this.#isOver()) return
        telemetry.log(
          'error',
          `shards ${JSON.stringify(this.#map)}, the work of bucket ${this.bucket} has failed and begins again: ${String(error)}`,
        )
        await pause(clock, backoffWait(backoff, failures, 'equal', random), this.signal)
      }
  }
}
