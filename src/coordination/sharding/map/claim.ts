import { backoffWait } from '../../../core/backoff.js'
import type { Coordinator, Entry, Lease } from '../../coordinator.js'
import { hasCode, isPassing } from '../../errors.js'
import { pause } from '../../line/limit.js'
import { fieldsOf } from '../../line/member.js'
import { leave, ownId } from '../../line/own-key.js'
import { RETRY } from '../../patiently.js'
import { bucketOfKey, ownedKey, treePrefix, type ShardKeys } from './keys.js'
import { overlap } from './layout.js'
import { encodeOwner } from './records.js'

/**
 * One try to own a bucket: puts its key while it is absent, and looks in the same step for owners of what it is a part of, and of
 * its parts. Whoever sees one steps back. Of two who put such keys at the same time one sees the other at least: so no key
 * of the application has two owners, whatever plans they follow.
 */
export class BucketClaim {
  readonly id: string
  readonly bucket: string
  readonly lease: Lease
  /** In ms since the epoch. */
  readonly since: number
  readonly #coordinator: Coordinator
  readonly #keys: ShardKeys
  readonly #worker: string
  #revision: number | undefined
  /** Whether another put of the key may still be on its way. */
  #doubtful = false

  constructor(coordinator: Coordinator, keys: ShardKeys, worker: string, bucket: string, lease: Lease) {
    this.#coordinator = coordinator
    this.#keys = keys
    this.#worker = worker
    this.bucket = bucket
    this.lease = lease
    this.id = ownId(lease)
    this.since = coordinator.runtime.clock.wall()
  }

  /**
   * @param mayOverlap - whether an owner that is in the way is not: this worker itself, which gives the one away for the other
   * @returns the epoch; undefined if somebody is in the way, or the signal aborts. Then it has to be given back, too
   */
  async take(signal: AbortSignal, mayOverlap: (claim: string) => boolean): Promise<number | undefined> {
    const { clock, random } = this.#coordinator.runtime
    const key = ownedKey(this.#keys, this.bucket)
    const value = encodeOwner({ worker: this.#worker, claim: this.id, since: this.since })
    for (let failures = 1; !signal.aborted; failures++) {
      try {
        const tree = treePrefix(this.#keys, this.bucket)
        const { put, listing } = await this.#coordinator.putAndList(key, value, tree, {
          expected: 'absent',
          lease: this.lease,
        })
        if (!put.ok && (!put.actual || claimOf(put.actual) !== this.id)) return undefined
        this.#revision = put.ok ? put.revision : put.actual!.revision
        const isFree = listing.entries.every((entry) => {
          const bucket = bucketOfKey(this.#keys, entry.key)
          const claim = claimOf(entry)
          return (
            bucket === undefined || claim === this.id || !overlap(bucket, this.bucket) || mayOverlap(claim)
          )
        })
        return isFree ? this.#revision : undefined
      } catch (error) {
        if (hasCode(error, 'BANYAN_LEASE_LOST')) return undefined
        if (!isPassing(error)) throw error
        this.#doubtful ||= hasCode(error, 'BANYAN_OUTCOME_UNKNOWN')
        await pause(clock, backoffWait(RETRY, failures, 'equal', random), signal)
      }
    }
    return undefined
  }

  /** Gives it back. Whatever needs it must have ended. Never fails: what the engine cannot be told now, it is told later. */
  async release(): Promise<void> {
    const revision = this.#revision
    if (revision === undefined && !this.#doubtful) return
    const key = ownedKey(this.#keys, this.bucket)
    const remove = async (): Promise<void> => {
      const entry = await this.#coordinator.get(key)
      if (entry && claimOf(entry) === this.id)
        await this.#coordinator.delete(key, { expected: entry.revision })
    }
    await leave(this.#coordinator, {
      key,
      lease: this.lease,
      doubtful: this.#doubtful,
      remove:
        revision === undefined || this.#doubtful
          ? remove
          : () => this.#coordinator.delete(key, { expected: revision }),
    })
  }
}

function claimOf(entry: Entry): string {
  return String(fieldsOf(entry)['claim'])
}
