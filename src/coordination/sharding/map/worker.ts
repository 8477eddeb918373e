import { Observers, type Unsubscribe } from '../../../core/observers.js'
import type { Timer } from '../../../core/clock.js'
import type { Coordinator, Lease } from '../../coordinator.js'
import { coordinationError, hasCode } from '../../errors.js'
import { leave } from '../../line/own-key.js'
import { onAbort } from '../../on-abort.js'
import { patiently } from '../../patiently.js'
import { Board, type BoardChange } from './board.js'
import { BucketClaim } from './claim.js'
import { Gate } from './gate.js'
import { shardKeys, workerKey, type ShardKeys } from './keys.js'
import { Layout } from './layout.js'
import { LoadReport } from './load-report.js'
import { ShardMeter } from './meter.js'
import { settingsOf, type JoinShardsOptions, type ShardsSettings } from './options.js'
import { Ownership, type OwnedBucket, type OwnershipEnd } from './owned-bucket.js'
import { Planner } from './planner.js'
import { Presence } from './presence.js'
import { bucketsIn } from './records.js'
import { Slots, type Slot } from './slots.js'

/** Has a part of the buckets of a shard map until it is closed. See {@link joinShards}. */
export interface ShardWorker extends AsyncDisposable {
  /** Of the map. */
  readonly name: string
  readonly worker: string
  /**
   * Resolves when others know it; waits while the engine is away, or a process before a restart still has the name. Rejects with
   * `BANYAN_NAME_CLASH` if the map has another number of buckets, with `BANYAN_SHARD_NOT_OWNED` if it is closed before.
   */
  readonly ready: Promise<void>
  readonly state: ShardWorkerState
  /** What it has at this moment. */
  readonly owned: readonly OwnedBucket[]
  /** The bucket that has a key, if this worker has it at this moment; nothing that is not has to be asked for. */
  holds(key: string): OwnedBucket | undefined
  /**
   * Says what buckets cost, in any unit that all workers share; they are smoothed, and told to the one that plans from time to
   * time. What it does not own is left out.
   */
  report(loads: Readonly<Record<string, number>> | ReadonlyMap<string, number>): void
  /**
   * Gives away all it has, a few at a time, each to a worker that is there for it; and gets nothing more. For leaving without a gap:
   * {@link close} it afterwards.
   *
   * @returns when it has nothing any more; that is never, if there is nobody else
   * @param options.signal - stops the waiting; rejects with its reason. It goes on to give away what it has
   */
  drain(options?: { signal?: AbortSignal }): Promise<void>
  /** - `change`: it has got a bucket, has to give it away, or does not have it any more */
  on(event: 'change', listener: (change: ShardWorkerChange) => void): Unsubscribe
  /** Gives back all it has when the work with it has ended, and leaves; for that work itself at once. */
  close(): Promise<void>
}

/** How a worker is. */
export interface ShardWorkerState {
  /** `joining`: others do not know it, or not any more. */
  readonly kind: 'joining' | 'active' | 'draining' | 'closing' | 'closed'
  /** What keeps it from having its part. */
  readonly failure?: unknown
  /** Buckets whose work should have ended, and since when, in ms since the epoch: nobody has them meanwhile. */
  readonly releasing: Readonly<Record<string, number>>
}

/** What has become of a bucket at a worker. */
export interface ShardWorkerChange {
  /** `owned`; `ending`: its signal has aborted, and its work may still go on; `ended`. */
  readonly kind: 'owned' | 'ending' | 'ended'
  readonly bucket: string
  readonly epoch: number
  /** Why it has ended. */
  readonly why?: OwnershipEnd
}

/** How many keys a worker puts or deletes at the same time. */
const AT_ONCE = 32
/** What could not be claimed is looked at again after that, in ms, if nothing is heard of it before. */
const AGAIN = 1000
/** Work that goes on for longer than this after it should have ended is told to others, in ms. */
const LATE = 1000
/** How many buckets a map has, unless said otherwise. */
const BUCKETS = 256

/**
 * Joins the workers that share a keyspace: all keys are in virtual buckets, and every bucket is owned by one worker at most at any
 * time. One of the workers, which is elected, plans who has what, so that everybody has a part for its weight, and as little as
 * possible moves.
 *
 * Who owns a bucket is who has put its key while it was absent, with the lease of its process; the revision of that is its epoch,
 * a fencing token. The plan only says who shall try: whatever it says, and however old it is where it is read, no two own a
 * bucket. When a bucket is to move, the signal of its owner aborts, its work ends, its key is deleted, and then the next one puts its
 * own. The buckets of a worker that is gone are free when its lease is over, and it has stopped to believe in it before that, as
 * long as no clock is more than twice as fast as another. A bucket whose work does not end is nobody else's.
 *
 * That is no mutual exclusion for anything outside of the coordinator: send the epoch along, and let the resource refuse a lower one
 * than it has seen.
 *
 * @param name - of the map, the same for all workers
 * @throws `BANYAN_INVALID_OPTIONS`, `BANYAN_INVALID_KEY`, `BANYAN_LEASE_TTL`
 */
export function joinShards(
  coordinator: Coordinator,
  name: string,
  options: JoinShardsOptions = {},
): ShardWorker {
  return new RunningShardWorker(coordinator, name, options)
}

class RunningShardWorker implements ShardWorker {
  readonly name: string
  readonly worker: string
  readonly ready: Promise<void>
  readonly #coordinator: Coordinator
  readonly #keys: ShardKeys
  readonly #settings: ShardsSettings
  readonly #board: Board
  readonly #presence: Presence
  readonly #slots = new Slots()
  readonly #gate = new Gate(AT_ONCE)
  readonly #meter: ShardMeter
  readonly #loads = new LoadReport()
  readonly #observers = new Observers<{ change: ShardWorkerChange }>()
  readonly #closing = new AbortController()
  readonly #forget: (() => void)[] = []
  readonly #ttl: JoinShardsOptions['ttl']
  /** Which buckets it shall have. */
  #wanted: ReadonlySet<string> = new Set()
  /** Since when nobody has a bucket that it shall have, on the monotonic clock. */
  readonly #vacant = new Map<string, number>()
  #planner: Planner | undefined
  #settle: { ready(): void; never(error: unknown): void } | undefined
  #again: Timer | undefined
  #reporting: Timer | undefined
  #telling: Promise<void> | undefined
  #isDraining = false
  #failure: unknown
  #releasing: Readonly<Record<string, number>> = {}
  /** Told when something has ended, or the plan is another. */
  readonly #waiting = new Set<() => void>()
  #closed: Promise<void> | undefined
  #isClosed = false

  constructor(coordinator: Coordinator, name: string, options: JoinShardsOptions) {
    const settings = settingsOf(options)
    this.name = name
    this.worker = settings.worker
    this.#coordinator = coordinator
    this.#keys = shardKeys(name)
    this.#settings = settings
    this.#ttl = options.ttl
    const key = workerKey(this.#keys.workers, settings.worker)
    const session = coordinator.session(options.ttl)
    const { weight, metadata } = settings
    const since = coordinator.runtime.clock.wall()
    const said = { weight, metadata, draining: false, leaving: false, since, releasing: {} }
    this.#presence = new Presence(coordinator, session, key, settings.worker, said, {
      came: (lease) => this.#came(lease),
      kept: (problem) => (this.#failure = problem),
    })
    this.ready = new Promise((ready, never) => (this.#settle = { ready, never }))
    // Whoever never asks never hears of it.
    this.ready.catch(() => undefined)
    this.#board = Board.open(coordinator, name)
    this.#wanted = this.#board.facts.wantedOf(this.worker)
    this.#forget.push(this.#board.on((change) => this.#look(change)))
    this.#meter = new ShardMeter(coordinator.runtime, name, this.worker, () => this.owned.length)
    void this.#start()
  }

  get state(): ShardWorkerState {
    const rest = {
      releasing: this.#releasing,
      ...(this.#failure !== undefined && { failure: this.#failure }),
    }
    if (this.#isClosed) return { kind: 'closed', ...rest }
    if (this.#isClosing) return { kind: 'closing', ...rest }
    if (!this.#presence.lease?.held) return { kind: 'joining', ...rest }
    const isDraining = this.#isDraining || this.#board.facts.isDraining(this.worker)
    return { kind: isDraining ? 'draining' : 'active', ...rest }
  }

  get owned(): readonly OwnedBucket[] {
    return this.#slots
      .values()
      .flatMap(({ phase, ownership }) => (phase !== 'reserved' && ownership?.held ? [ownership] : []))
  }

  holds(key: string): OwnedBucket | undefined {
    const { layout } = this.#board.facts
    return layout && this.#slots.holderOf(key, layout)
  }

  report(loads: Readonly<Record<string, number>> | ReadonlyMap<string, number>): void {
    const entries: Iterable<readonly [string, number]> =
      loads instanceof Map ? (loads as ReadonlyMap<string, number>) : Object.entries(loads)
    for (const [bucket, load] of entries)
      if (this.#slots.get(bucket)?.ownership?.held) this.#loads.add(bucket, load)
    this.#reportLater()
  }

  async drain({ signal }: { signal?: AbortSignal } = {}): Promise<void> {
    signal?.throwIfAborted()
    if (!this.#isDraining) this.#presence.say({ draining: true })
    this.#isDraining = true
    await new Promise<void>((resolve, reject) => {
      const look = (): void => {
        const { facts } = this.#board
        const isEmpty = this.#slots.size === 0 && this.#wanted.size === 0
        // Before others know that it drains, it may still be given something.
        if (!this.#isClosed && !(isEmpty && facts.plan && facts.isDraining(this.worker))) return
        end()
        resolve()
      }
      const end = (): void => {
        this.#waiting.delete(look)
        forget()
      }
      let forget = (): void => undefined
      if (signal)
        forget = onAbort(signal, () => {
          end()
          reject(signal.reason as Error)
        })
      this.#waiting.add(look)
      look()
    })
  }

  on(event: 'change', listener: (change: ShardWorkerChange) => void): Unsubscribe {
    return this.#observers.on(event, listener)
  }

  async close(): Promise<void> {
    const isWithin = this.#slots.values().some(({ ownership }) => ownership?.isWithin)
    this.#closed ??= this.#close()
    if (!isWithin) await this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  get #isClosing(): boolean {
    return this.#closing.signal.aborted
  }

  async #start(): Promise<void> {
    try {
      const buckets = await this.#agree()
      // It may have been closed meanwhile: nothing would end what begins now.
      if (buckets === undefined || this.#isClosing) return
      this.#presence.start()
      if (!this.#settings.plans) return
      const { worker, rules, movesAtOnce } = this.#settings
      this.#planner = new Planner(this.#coordinator, this.name, this.#board, {
        worker,
        ttl: this.#ttl,
        rules,
        movesAtOnce,
        buckets,
      })
    } catch (error) {
      if (!this.#isClosing && !hasCode(error, 'BANYAN_NAME_CLASH'))
        this.#log('error', `the worker is closed: ${String(error)}`)
      this.#failure = error
      this.#settle?.never(error)
      void this.close()
    }
  }

  /** Makes the map, unless it is there; then with how many buckets it was made. */
  async #agree(): Promise<number | undefined> {
    const { buckets } = this.#settings
    const { signal } = this.#closing
    const value = JSON.stringify({ buckets: buckets ?? BUCKETS })
    const result = await patiently(
      this.#coordinator.runtime,
      () => this.#coordinator.put(this.#keys.settings, value, { expected: 'absent' }),
      signal,
    )
    if (!result) return undefined
    const made = result.ok ? (buckets ?? BUCKETS) : bucketsIn(result.actual)
    if (made === undefined || (buckets !== undefined && made !== buckets))
      throw coordinationError(
        'BANYAN_NAME_CLASH',
        made === undefined
          ? `${JSON.stringify(this.name)} is no shard map of this version`
          : `the shard map ${JSON.stringify(this.name)} was made with ${made} buckets, not ${buckets}; that stays so until it is removed`,
      )
    return made
  }

  #came(lease: Lease): void {
    this.#settle?.ready()
    // What was had with the one before is over, also if nobody has looked at the clock.
    onAbort(lease.signal, () => this.#lost(lease))
    this.#loads.forgotten()
    this.#considerAll()
    if (this.#settings.load) this.#reportLater()
  }

  /** What the board has that is new. */
  #look(change: BoardChange): void {
    const { facts } = this.#board
    if (change.plan) this.#wanted = facts.wantedOf(this.worker)
    if (change.workers && !facts.workers.has(this.worker)) this.#presence.missed(change.revision)
    for (const bucket of change.owned) {
      const owner = facts.owned.get(bucket)
      // Its own key may be seen before the answer to its put.
      if (owner) {
        if (!this.#slots.hasClaim(owner.claim)) this.#vacant.delete(bucket)
      } else if (this.#wanted.has(bucket)) this.#vacant.set(bucket, this.#coordinator.runtime.clock.now())
      this.#checkTaken(bucket, change.revision)
    }
    if (change.plan) this.#considerAll()
    else for (const bucket of change.owned) this.#considerTree(bucket)
    this.#tellWaiting()
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

  #lost(lease: Lease): void {
    for (const slot of this.#slots.values()) {
      if (slot.claim.lease !== lease) continue
      slot.stop.abort()
      slot.ownership?.end('lease lost')
      if (slot.phase === 'owned' || slot.phase === 'reserved') void this.#giveAway(slot, 'lease lost')
    }
  }

  #considerAll(): void {
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
    const isWanted = this.#wanted.has(bucket) && !this.#isClosing
    if (slot) {
      if (isWanted) return
      if (slot.phase === 'claiming') slot.stop.abort()
      else if (slot.phase !== 'ending') void this.#giveAway(slot, this.#whyNot(bucket))
      return
    }
    const { lease } = this.#presence
    if (!isWanted || !lease?.held) return
    // What it is a part of sees to it, and its parts are given away first.
    if (this.#slots.above(bucket).length > 0 || this.#slots.below(bucket).length > 0) return
    if (this.#board.facts.ownersOf(bucket).length > 0) return
    void this.#claim(bucket, lease)
  }

  #whyNot(bucket: string): OwnershipEnd {
    if (this.#isClosing) return 'closed'
    const layout = this.#board.facts.layout ?? new Layout(0)
    if (layout.splits.has(bucket)) return 'split'
    return layout.hasNode(bucket) ? 'moved' : 'merged'
  }

  /** Tries to own a bucket. */
  async #claim(bucket: string, lease: Lease): Promise<void> {
    const claim = new BucketClaim(this.#coordinator, this.#keys, this.worker, bucket, lease)
    const slot: Slot = { bucket, claim, stop: new AbortController(), phase: 'claiming' }
    this.#slots.add(slot)
    let epoch: number | undefined
    try {
      epoch = await this.#gate.pass(() =>
        claim.take(slot.stop.signal, (other) => this.#slots.hasClaim(other)),
      )
    } catch (error) {
      if (!hasCode(error, 'BANYAN_COORDINATOR_CLOSED'))
        this.#log('warn', `the bucket ${bucket} is claimed later: ${String(error)}`)
    }
    if (epoch === undefined || slot.stop.signal.aborted || !lease.held) {
      await claim.release()
      this.#slots.delete(slot)
      this.#tellWaiting()
      // Somebody is in the way, and is seen soon. What was not wanted for a while may be by now.
      if (slot.stop.signal.aborted) this.#considerTree(bucket)
      else this.#lookAgain()
      return
    }
    slot.ownership = new Ownership(this.name, bucket, epoch, claim.since, lease)
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
    this.#meter.owned(vacant === undefined ? undefined : this.#coordinator.runtime.clock.now() - vacant)
    const { own, backoff } = this.#settings
    if (own) ownership!.begin(own, backoff, this.#coordinator.runtime)
    this.#observers.emit('change', { kind: 'owned', bucket, epoch: ownership!.epoch })
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
      const { clock } = this.#coordinator.runtime
      slot.ending = { now: clock.now(), wall: clock.wall() }
      this.#observers.emit('change', { kind: 'ending', bucket, epoch: ownership.epoch, why: ownership.why! })
      const late = this.#watchLate()
      await ownership.settled()
      late.cancel()
    }
    // Without the lease the key goes by itself, and the engine is most likely away.
    if (ownership.lease.held) await this.#gate.pass(() => slot.claim.release())
    this.#slots.delete(slot)
    this.#reportReleasing()
    if (!wasReserved) {
      this.#meter.ended(ownership.why!)
      this.#observers.emit('change', { kind: 'ended', bucket, epoch: ownership.epoch, why: ownership.why! })
    }
    for (const part of this.#slots.below(bucket)) this.#beginIfFree(part)
    this.#considerTree(bucket)
    this.#tellWaiting()
  }

  /** Has the keys of the parts of a bucket before it gives it back: nobody comes between. */
  async #reserveParts({ bucket, claim: { lease } }: Slot): Promise<void> {
    const parts = (this.#board.facts.layout?.leavesOf(bucket) ?? []).filter(
      (part) => this.#wanted.has(part) && !this.#slots.get(part),
    )
    await Promise.all(parts.map((part) => this.#claim(part, lease)))
  }

  #lookAgain(): void {
    if (this.#again || this.#isClosing) return
    const { clock, random } = this.#coordinator.runtime
    this.#again = clock.schedule(clock.now() + AGAIN * (0.5 + random.next()), () => {
      this.#again = undefined
      this.#considerAll()
    })
  }

  #watchLate(): Timer {
    const { clock } = this.#coordinator.runtime
    return clock.schedule(clock.now() + LATE, () => this.#reportReleasing())
  }

  /** Tells what should have ended, if that is another than before. */
  #reportReleasing(): void {
    const since = this.#coordinator.runtime.clock.now() - LATE
    const late = this.#slots
      .values()
      .flatMap(({ bucket, ending }) =>
        ending && ending.now <= since ? [[bucket, ending.wall] as const] : [],
      )
    const releasing = Object.fromEntries(late)
    if (JSON.stringify(releasing) === JSON.stringify(this.#releasing)) return
    for (const [bucket] of late)
      if (this.#releasing[bucket] === undefined)
        this.#log('warn', `the work of bucket ${bucket} has not ended; nobody has it meanwhile`)
    this.#releasing = releasing
    // Whoever is closed is gone for the one that plans, but for what it has still to do.
    this.#presence.say({ releasing, leaving: this.#isClosing })
  }

  #reportLater(): void {
    if (this.#reporting || this.#isClosing) return
    const { clock } = this.#coordinator.runtime
    this.#reporting = clock.schedule(clock.now() + this.#settings.reportEvery, () => {
      this.#reporting = undefined
      this.#telling = this.#reportLoads()
    })
  }

  async #reportLoads(): Promise<void> {
    const { lease } = this.#presence
    const { load } = this.#settings
    const owned = this.owned
    if (load)
      for (const { bucket } of owned)
        try {
          this.#loads.add(bucket, load(bucket))
        } catch (error) {
          this.#log('error', `the load of bucket ${bucket} could not be asked: ${String(error)}`)
        }
    this.#loads.keep(new Set(owned.map(({ bucket }) => bucket)))
    const key = workerKey(this.#keys.loads, this.worker)
    if (lease?.held && this.#loads.isNews)
      await this.#loads.tell(this.#coordinator, key, lease).catch((error: unknown) => {
        this.#log('debug', `loads are told later: ${String(error)}`)
        this.#loads.forgotten()
      })
    this.#reportLater()
  }

  async #close(): Promise<void> {
    this.#closing.abort()
    this.#again?.cancel()
    this.#reporting?.cancel()
    this.#settle?.never(
      coordinationError(
        'BANYAN_SHARD_NOT_OWNED',
        'the worker was closed before others knew it',
        this.#failure,
      ),
    )
    const planned = this.#planner?.close()
    this.#considerAll()
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (this.#slots.size > 0) return
        this.#waiting.delete(look)
        resolve()
      }
      this.#waiting.add(look)
      look()
    })
    const { lease } = this.#presence
    const key = workerKey(this.#keys.loads, this.worker)
    // What is told after that would stay for as long as the process has its lease.
    await this.#telling
    if (lease?.held) await leave(this.#coordinator, { key, lease, doubtful: false })
    await this.#presence.close()
    await planned
    for (const forget of this.#forget) forget()
    this.#board.leave()
    this.#meter.close()
    this.#isClosed = true
    this.#tellWaiting()
  }

  #tellWaiting(): void {
    for (const look of [...this.#waiting]) look()
  }

  #log(level: 'debug' | 'warn' | 'error', message: string): void {
    this.#coordinator.runtime.telemetry.log(level, `shards ${JSON.stringify(this.name)}, ${message}`)
  }
}
