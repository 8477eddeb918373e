import type { Timer } from '../../../core/clock.js'
import type { Runtime } from '../../../core/runtime.js'
import type { Coordinator, Lease } from '../../coordinator.js'
import { hasCode } from '../../errors.js'
import type { Board, BoardChange } from './board.js'
import { BucketClaim } from './claim.js'
import { Gate } from './gate.js'
import { Layout } from './layout.js'
import type { ShardMeter } from './meter.js'
import type { ShardsSettings } from './options.js'
import { Ownership, type OwnershipEnd, type ShardWorkerChange } from './owned-bucket.js'
import { Slots, type Slot } from './slots.js'

/** What {@link Holdings} need of their worker. */
export interface HoldingsContext {
  /** Of the map. */
  readonly name: string
  readonly settings: Pick<ShardsSettings, 'worker' | 'own' | 'backoff'>
  readonly meter: ShardMeter
  /** With which lease the worker is known to others; undefined while it is not. */
  readonly lease: () => Lease | undefined
  /** Aborts when it is closed: nothing is wanted any more. */
  readonly closing: AbortSignal
  /** What has become of a bucket. */
  readonly changed: (change: ShardWorkerChange) => void
  /** Which work should have ended, and since when, in ms since the epoch, is another than before. */
  readonly late: (releasing: Readonly<Record<string, number>>) => void
  /** Something has ended, or the plan is another. */
  readonly news: () => void
  readonly log: (level: 'warn', message: string) => void
}

/** How many keys a worker puts or deletes at the same time. */
const AT_ONCE = 32
/** What could not be claimed is looked at again after that, in ms, if nothing is heard of it before. */
const AGAIN = 1000
/** Work that goes on for longer than this after it should have ended is told to others, in ms. */
const LATE = 1000

/**
 * The buckets that a worker has, gets and gives away: it tries to have those that the plan gives it, and ends its work with others
 * before it gives them back.
 */
export class Holdings {
  readonly #coordinator: Coordinator
  readonly #runtime: Runtime
  readonly #board: Board
  readonly #context: HoldingsContext
  readonly #slots = new Slots()
  readonly #gate = new Gate(AT_ONCE)
  /** Which buckets it shall have. */
  #wanted: ReadonlySet<string>
  /** Since when nobody has a bucket that it shall have, on the monotonic clock. */
  readonly #vacant = new Map<string, number>()
  #again: Timer | undefined
  #releasing: Readonly<Record<string, number>> = {}

  constructor(coordinator: Coordinator, board: Board, context: HoldingsContext) {
    this.#coordinator = coordinator
    this.#runtime = coordinator.runtime
    this.#board = board
    this.#context = context
    this.#wanted = board.facts.wantedOf(context.settings.worker)
  }

  /** What it has at this moment. */
  get owned(): readonly Ownership[] {
    return this.#slots
      .values()
      .flatMap(({ phase, ownership }) => (phase !== 'reserved' && ownership?.held ? [ownership] : []))
  }

  owns(bucket: string): boolean {
    return this.#slots.get(bucket)?.ownership?.held === true
  }

  /** Whether nothing is going on with any bucket. */
  get isEmpty(): boolean {
    return this.#slots.size === 0
  }

  /** Whether it shall have any. */
  get isWanted(): boolean {
    return this.#wanted.size > 0
  }

  /** Whether who asks is part of the work with one of them. */
  get isWithin(): boolean {
    return this.#slots.values().some(({ ownership }) => ownership?.isWithin)
  }

  /** Buckets whose work should have ended, and since when, in ms since the epoch. */
  get releasing(): Readonly<Record<string, number>> {
    return this.#releasing
  }

  holds(key: string): Ownership | undefined {
    const { layout } = this.#board.facts
    return layout && this.#slots.holderOf(key, layout)
  }

  /** Gives back all, now that the worker is closed. */
  close(): void {
    this.#again?.cancel()
    this.considerAll()
  }

  /** What the board has that is new. */
  look(change: BoardChange): void {
    const { facts } = this.#board
    if (change.plan) this.#wanted = facts.wantedOf(this.#context.settings.worker)
    for (const bucket of change.owned) {
      const owner = facts.owned.get(bucket)
      // Its own key may be seen before the answer to its put.
      if (owner) {
        if (!this.#slots.hasClaim(owner.claim)) this.#vacant.delete(bucket)
      } else if (this.#wanted.has(bucket)) this.#vacant.set(bucket, this.#runtime.clock.now())
      this.#checkTaken(bucket, change.revision)
    }
    if (change.plan) this.considerAll()
    else for (const bucket of change.owned) this.#considerTree(bucket)
    this.#context.news()
  }

  /** Whether the key of what it has was deleted by somebody, as of a revision. */
  #isTaken({ bucket, claim, ownership }: Slot, revision: number): boolean {
    return revision >= ownership!.epoch && this.#board.facts.owned.get(bucket)?.claim !== claim.id
  }

  #checkTaken(bucket: string, revision: number): void {
    const slot = this.#slots.get(bucket)
    if (slot?.phase !== 'owned' || !this.#isTaken(slot, revision)) return
    // Also who stood still sees its keys go, when the lease is over.
    void this.#giveAway(slot, slot.claim.lease.held ? 'taken away' : 'lease lost')
  }

  /** Whatever is had with a lease is over, also if nobody has looked at the clock. */
  lost(lease: Lease): void {
    for (const slot of this.#slots.values()) {
      if (slot.claim.lease !== lease) continue
      slot.stop.abort()
      slot.ownership?.end('lease lost')
      if (slot.phase === 'owned' || slot.phase === 'reserved') void this.#giveAway(slot, 'lease lost')
    }
  }

  /** Does what is to be done about any bucket. */
  considerAll(): void {
    for (const { bucket } of this.#slots.values()) this.#consider(bucket)
    for (const bucket of this.#wanted) this.#consider(bucket)
  }

  /** A bucket, those that it is a part of, and its parts. */
  #considerTree(bucket: string): void {
    this.#consider(bucket)
    const { layout } = this.#board.facts
    if (!layout || (layout.splits.size === 0 && !bucket.includes('/'))) return
    for (const each of this.#slots.above(bucket)) this.#consider(each.bucket)
    for (const each of layout.leavesNear(bucket)) this.#consider(each)
  }

  /** Does what is to be done about a bucket now, if anything: gives it away, or claims it. */
  #consider(bucket: string): void {
    const slot = this.#slots.get(bucket)
    const isWanted = this.#wanted.has(bucket) && !this.#context.closing.aborted
    if (slot) {
      if (isWanted) return
      if (slot.phase === 'claiming') slot.stop.abort()
      else if (slot.phase !== 'ending') void this.#giveAway(slot, this.#whyNot(bucket))
      return
    }
    const lease = this.#context.lease()
    if (!isWanted || !lease?.held) return
    // What it is a part of sees to it, and its parts are given away first.
    if (this.#slots.above(bucket).length > 0 || this.#slots.below(bucket).length > 0) return
    if (this.#board.facts.ownersOf(bucket).length > 0) return
    void this.#claim(bucket, lease)
  }

  #whyNot(bucket: string): OwnershipEnd {
    if (this.#context.closing.aborted) return 'closed'
    const layout = this.#board.facts.layout ?? new Layout(0)
    if (layout.splits.has(bucket)) return 'split'
    return layout.hasNode(bucket) ? 'moved' : 'merged'
  }

  /** Tries to own a bucket. */
  async #claim(bucket: string, lease: Lease): Promise<void> {
    const claim = new BucketClaim(
      this.#coordinator,
      this.#board.keys,
      this.#context.settings.worker,
      bucket,
      lease,
    )
    const slot: Slot = { bucket, claim, stop: new AbortController(), phase: 'claiming' }
    this.#slots.add(slot)
    let epoch: number | undefined
    try {
      epoch = await this.#gate.pass(() =>
        claim.take(slot.stop.signal, (other) => this.#slots.hasClaim(other)),
      )
    } catch (error) {
      if (!hasCode(error, 'BANYAN_COORDINATOR_CLOSED'))
        this.#context.log('warn', `the bucket ${bucket} is claimed later: ${String(error)}`)
    }
    if (epoch === undefined || slot.stop.signal.aborted || !lease.held) {
      await claim.release()
      this.#slots.delete(slot)
      this.#context.news()
      // Somebody is in the way, and is seen soon. What was not wanted for a while may be by now.
      if (slot.stop.signal.aborted) this.#considerTree(bucket)
      else this.#lookAgain()
      return
    }
    slot.ownership = new Ownership(this.#context.name, bucket, epoch, claim.since, lease)
    slot.phase = 'reserved'
    this.#beginIfFree(slot)
  }

  /** Begins with what it has the key of, unless what it is a part of has not ended. */
  #beginIfFree(slot: Slot): void {
    if (slot.phase !== 'reserved' || this.#slots.above(slot.bucket).length > 0) return
    const { bucket, ownership } = slot
    if (this.#isTaken(slot, this.#board.view.revision ?? 0)) {
      void this.#giveAway(slot, 'taken away')
      return
    }
    slot.phase = 'owned'
    const vacant = this.#vacant.get(bucket)
    this.#vacant.delete(bucket)
    this.#context.meter.owned(vacant === undefined ? undefined : this.#runtime.clock.now() - vacant)
    const { own, backoff } = this.#context.settings
    if (own) ownership!.begin(own, backoff, this.#runtime)
    this.#context.changed({ kind: 'owned', bucket, epoch: ownership!.epoch })
    this.#consider(bucket)
  }

  /** Ends the work with a bucket, and then gives it back. */
  async #giveAway(slot: Slot, why: OwnershipEnd): Promise<void> {
    const { bucket } = slot
    const ownership = slot.ownership!
    const wasReserved = slot.phase === 'reserved'
    slot.phase = 'ending'
    if (why === 'split') await this.#reserveParts(slot)
    ownership.end(why)
    if (!wasReserved) {
      const { clock } = this.#runtime
      slot.ending = { now: clock.now(), wall: clock.wall() }
      this.#context.changed({ kind: 'ending', bucket, epoch: ownership.epoch, why: ownership.why! })
      const late = this.#watchLate()
      await ownership.settled()
      late.cancel()
    }
    // Without the lease the key goes by itself, and the engine is most likely away.
    if (ownership.lease.held) await this.#gate.pass(() => slot.claim.release())
    this.#slots.delete(slot)
    this.#reportReleasing()
    if (!wasReserved) {
      this.#context.meter.ended(ownership.why!)
      this.#context.changed({ kind: 'ended', bucket, epoch: ownership.epoch, why: ownership.why! })
    }
    for (const part of this.#slots.below(bucket)) this.#beginIfFree(part)
    this.#considerTree(bucket)
    this.#context.news()
  }

  /** Has the keys of the parts of a bucket before it gives it back: nobody comes between. */
  async #reserveParts({ bucket, claim: { lease } }: Slot): Promise<void> {
    const parts = (this.#board.facts.layout?.leavesOf(bucket) ?? []).filter(
      (part) => this.#wanted.has(part) && !this.#slots.get(part),
    )
    await Promise.all(parts.map((part) => this.#claim(part, lease)))
  }

  #lookAgain(): void {
    if (this.#again || this.#context.closing.aborted) return
    const { clock, random } = this.#runtime
    this.#again = clock.schedule(clock.now() + AGAIN * (0.5 + random.next()), () => {
      this.#again = undefined
      this.considerAll()
    })
  }

  #watchLate(): Timer {
    const { clock } = this.#runtime
    return clock.schedule(clock.now() + LATE, () => this.#reportReleasing())
  }

  /** Tells what should have ended, if that is another than before. */
  #reportReleasing(): void {
    const since = this.#runtime.clock.now() - LATE
    const late = this.#slots
      .values()
      .flatMap(({ bucket, ending }) =>
        ending && ending.now <= since ? [[bucket, ending.wall] as const] : [],
      )
    const releasing = Object.fromEntries(late)
    if (JSON.stringify(releasing) === JSON.stringify(this.#releasing)) return
    for (const [bucket] of late)
      if (this.#releasing[bucket] === undefined)
        this.#context.log('warn', `the work of bucket ${bucket} has not ended; nobody has it meanwhile`)
    this.#releasing = releasing
    this.#context.late(releasing)
  }
}
