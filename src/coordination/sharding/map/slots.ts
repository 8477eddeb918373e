import type { BucketClaim } from './claim.js'
import { ancestorsOf, overlap, type Layout } from './layout.js'
import type { Ownership } from './owned-bucket.js'

/** What is going on with a bucket at this worker. */
export interface Slot {
  readonly bucket: string
  readonly claim: BucketClaim
  /** Aborted when it is not wanted any more, before it is owned. */
  readonly stop: AbortController
  /**
   * `claiming`: its key is being put. `reserved`: it has the key, and waits until what it is a half of has ended. `owned`.
   * `ending`: it is given away, or was lost, and its work may still go on.
   */
  phase: 'claiming' | 'reserved' | 'owned' | 'ending'
  ownership?: Ownership
  /** When its work should have ended: on the monotonic clock, and in ms since the epoch. */
  ending?: { readonly now: number; readonly wall: number }
}

/** All that is going on at this worker, by bucket. */
export class Slots {
  readonly #all = new Map<string, Slot>()
  readonly #claims = new Set<string>()
  /** Those that are parts of another: none, or a few. */
  readonly #parts = new Set<string>()

  get size(): number {
    return this.#all.size
  }

  get(bucket: string): Slot | undefined {
    return this.#all.get(bucket)
  }

  values(): Slot[] {
    return [...this.#all.values()]
  }

  add(slot: Slot): void {
    this.#all.set(slot.bucket, slot)
    this.#claims.add(slot.claim.id)
    if (slot.bucket.includes('/')) this.#parts.add(slot.bucket)
  }

  delete(slot: Slot): void {
    this.#all.delete(slot.bucket)
    this.#claims.delete(slot.claim.id)
    this.#parts.delete(slot.bucket)
  }

  /** Whether a claim is one of these. */
  hasClaim(claim: string): boolean {
    return this.#claims.has(claim)
  }

  /** What a bucket is a part of. */
  above(bucket: string): Slot[] {
    return ancestorsOf(bucket).flatMap((each) => this.#all.get(each) ?? [])
  }

  /** The parts of a bucket. */
  below(bucket: string): Slot[] {
    return [...this.#parts]
      .filter((part) => part !== bucket && overlap(part, bucket) && part.length > bucket.length)
      .map((part) => this.#all.get(part)!)
  }

  /** The one that has a key at this moment. */
  holderOf(key: string, layout: Layout): Ownership | undefined {
    let found: Ownership | undefined
    layout.onWay(
      key,
      (bucket) => {
        const slot = this.#all.get(bucket)
        if (slot?.phase !== 'reserved' && slot?.ownership?.held) found = slot.ownership
        return found !== undefined
      },
      this.#parts.size === 0 ? 0 : undefined,
    )
    return found
  }
}
