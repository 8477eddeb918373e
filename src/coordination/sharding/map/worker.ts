import { Observers, type Unsubscribe } from '../../../core/observers.js'
import type { Coordinator, Lease } from '../../coordinator.js'
import { coordinationError, hasCode } from '../../errors.js'
import { onAbort } from '../../on-abort.js'
import { patiently } from '../../patiently.js'
import { Board, type BoardChange } from './board.js'
import { Holdings } from './holdings.js'
import { shardKeys, workerKey, type ShardKeys } from './keys.js'
import { LoadTeller } from './load-teller.js'
import { ShardMeter } from './meter.js'
import { settingsOf, type JoinShardsOptions, type ShardsSettings } from './options.js'
import type { OwnedBucket, ShardWorkerChange } from './owned-bucket.js'
import { Planner } from './planner.js'
import { Presence } from './presence.js'
import { bucketsIn } from './records.js'

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
  readonly #meter: ShardMeter
  readonly #holdings: Holdings
  readonly #loads: LoadTeller
  readonly #observers = new Observers<{ change: ShardWorkerChange }>()
  readonly #closing = new AbortController()
  readonly #forget: (() => void)[] = []
  readonly #ttl: JoinShardsOptions['ttl']
  #planner: Planner | undefined
  #settle: { ready(): void; never(error: unknown): void } | undefined
  #isDraining = false
  #failure: unknown
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
    this.#meter = new ShardMeter(coordinator.runtime, name, this.worker, () => this.owned.length)
    const lease = (): Lease | undefined => this.#presence.lease
    const log = (level: 'debug' | 'warn' | 'error', message: string): void => this.#log(level, message)
    this.#holdings = new Holdings(coordinator, this.#board, {
      name,
      settings,
      meter: this.#meter,
      lease,
      closing: this.#closing.signal,
      changed: (change) => this.#observers.emit('change', change),
      // Whoever is closed is gone for the one that plans, but for what it has still to do.
      late: (releasing) => this.#presence.say({ releasing, leaving: this.#isClosing }),
      news: () => this.#tellWaiting(),
      log,
    })
    this.#loads = new LoadTeller(coordinator, {
      key: workerKey(this.#keys.loads, this.worker),
      every: settings.reportEvery,
      load: settings.load,
      lease,
      owned: () => this.owned.map(({ bucket }) => bucket),
      owns: (bucket) => this.#holdings.owns(bucket),
      log,
    })
    this.#forget.push(this.#board.on((change) => this.#look(change)))
    void this.#start()
  }

  get state(): ShardWorkerState {
    const rest = {
      releasing: this.#holdings.releasing,
      ...(this.#failure !== undefined && { failure: this.#failure }),
    }
    if (this.#isClosed) return { kind: 'closed', ...rest }
    if (this.#isClosing) return { kind: 'closing', ...rest }
    if (!this.#presence.lease?.held) return { kind: 'joining', ...rest }
    const isDraining = this.#isDraining || this.#board.facts.isDraining(this.worker)
    return { kind: isDraining ? 'draining' : 'active', ...rest }
  }

  get owned(): readonly OwnedBucket[] {
    return this.#holdings.owned
  }

  holds(key: string): OwnedBucket | undefined {
    return this.#holdings.holds(key)
  }

  report(loads: Readonly<Record<string, number>> | ReadonlyMap<string, number>): void {
    this.#loads.say(loads instanceof Map ? (loads as ReadonlyMap<string, number>) : Object.entries(loads))
  }

  async drain({ signal }: { signal?: AbortSignal } = {}): Promise<void> {
    signal?.throwIfAborted()
    if (!this.#isDraining) this.#presence.say({ draining: true })
    this.#isDraining = true
    await new Promise<void>((resolve, reject) => {
      const look = (): void => {
        const { facts } = this.#board
        const isEmpty = this.#holdings.isEmpty && !this.#holdings.isWanted
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
    const { isWithin } = this.#holdings
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
    onAbort(lease.signal, () => this.#holdings.lost(lease))
    this.#holdings.considerAll()
    this.#loads.came()
  }

  #look(change: BoardChange): void {
    if (change.workers && !this.#board.facts.workers.has(this.worker)) this.#presence.missed(change.revision)
    this.#holdings.look(change)
  }

  async #close(): Promise<void> {
    this.#closing.abort()
    this.#settle?.never(
      coordinationError(
        'BANYAN_SHARD_NOT_OWNED',
        'the worker was closed before others knew it',
        this.#failure,
      ),
    )
    const planned = this.#planner?.close()
    this.#holdings.close()
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (!this.#holdings.isEmpty) return
        this.#waiting.delete(look)
        resolve()
      }
      this.#waiting.add(look)
      look()
    })
    await this.#loads.close()
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
