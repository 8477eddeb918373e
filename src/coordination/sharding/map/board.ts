import { Observers, type Unsubscribe } from '../../../core/observers.js'
import type { Coordinator, Entry } from '../../coordinator.js'
import { openView, type View, type ViewChanges } from '../../view/view.js'
import { bucketOfKey, shardKeys, workerOfKey, type ShardKeys } from './keys.js'
import { ancestorsOf, Layout } from './layout.js'
import {
  bucketsIn,
  loadsIn,
  NO_WISHES,
  ownerIn,
  planIn,
  wishesIn,
  workerIn,
  type OwnedRecord,
  type Plan,
  type Wishes,
  type WorkerRecord,
} from './records.js'

/** What has become different on a board. */
export interface BoardChange {
  /** Everything up to here is on it. */
  readonly revision: number
  readonly plan: boolean
  readonly wishes: boolean
  readonly workers: boolean
  readonly loads: boolean
  /** Buckets that somebody has put, or lost. */
  readonly owned: ReadonlySet<string>
}

/** All that is known of a shard map: what its keys say, decoded. */
export class Facts {
  buckets: number | undefined
  layout: Layout | undefined
  plan: Plan | undefined
  planRevision: number | undefined
  wishes: Wishes = NO_WISHES
  wishesRevision: number | undefined
  readonly workers = new Map<string, WorkerRecord>()
  readonly loads = new Map<string, ReadonlyMap<string, number>>()
  readonly owned = new Map<string, OwnedRecord>()
  readonly #keys: ShardKeys
  /** Those of the owned that are parts of another: none, or a few. */
  readonly #parts = new Set<string>()

  constructor(keys: ShardKeys) {
    this.#keys = keys
  }

  /** Whether a part of a bucket is owned: otherwise nobody has to look for one. */
  get hasParts(): boolean {
    return this.#parts.size > 0
  }

  /** Which worker shall have which bucket. */
  targets(): Map<string, string> {
    const { plan, layout } = this
    const targets = new Map<string, string>()
    if (plan && layout)
      for (const [place, bucket] of layout.leaves.entries()) {
        const target = plan.targets[place]
        if (target !== undefined) targets.set(bucket, target)
      }
    return targets
  }

  /** Which buckets a worker shall have. */
  wantedOf(worker: string): Set<string> {
    const { plan, layout } = this
    return new Set(plan && layout?.leaves.filter((_, index) => plan.targets[index] === worker))
  }

  /** Those who can have something: not those who were closed, and wait for their work to end. */
  get staying(): Map<string, WorkerRecord> {
    return new Map([...this.workers].filter(([, { leaving }]) => !leaving))
  }

  /** Whether a worker gives away what it has: because it wants to or was closed, or an operator wants it to. */
  isDraining(worker: string): boolean {
    const record = this.workers.get(worker)
    if (!record) return false
    return record.draining || record.leaving || this.wishes.drains[worker]?.incarnation === record.incarnation
  }

  /** Who owns a bucket, or has keys of it as the owner of another. */
  ownersOf(bucket: string): OwnedRecord[] {
    const found = [bucket, ...ancestorsOf(bucket)].flatMap((each) => this.owned.get(each) ?? [])
    for (const part of this.#parts) if (part.startsWith(`${bucket}/`)) found.push(this.owned.get(part)!)
    return found
  }

  /** Takes what a key has now; undefined if it is gone. */
  take(key: string, entry: Entry | undefined, change: MutableChange): void {
    const keys = this.#keys
    if (key.startsWith(keys.owned)) {
      const bucket = bucketOfKey(keys, key)
      if (bucket === undefined) return
      if (entry) this.owned.set(bucket, ownerIn(entry, bucket))
      else this.owned.delete(bucket)
      if (bucket.includes('/'))
        if (entry) this.#parts.add(bucket)
        else this.#parts.delete(bucket)
      change.owned.add(bucket)
    } else if (key === keys.plan) {
      this.plan = planIn(entry)
      this.planRevision = entry?.revision
      change.plan = true
      this.#lay()
    } else if (key === keys.wishes) {
      this.wishes = wishesIn(entry)
      this.wishesRevision = entry?.revision
      change.wishes = true
    } else if (key.startsWith(keys.workers)) {
      const worker = workerOfKey(keys.workers, key)
      if (entry) this.workers.set(worker, workerIn(entry, worker))
      else this.workers.delete(worker)
      change.workers = true
    } else if (key.startsWith(keys.loads)) {
      const worker = workerOfKey(keys.loads, key)
      if (entry) this.loads.set(worker, loadsIn(entry))
      else this.loads.delete(worker)
      change.loads = true
    } else if (key === keys.settings) {
      this.buckets = bucketsIn(entry)
      change.plan = true
      this.#lay()
    }
  }

  #lay(): void {
    const { buckets, plan, layout } = this
    if (buckets === undefined) this.layout = undefined
    else if (layout?.buckets !== buckets || !isSame(layout.splits, plan?.splits ?? []))
      this.layout = new Layout(buckets, plan?.splits)
  }
}

type MutableChange = { -readonly [Name in keyof BoardChange]: BoardChange[Name] } & { owned: Set<string> }

/** The facts that keys tell, of one map. */
export function factsOf(name: string, entries: Iterable<Entry>): Facts {
  const facts = new Facts(shardKeys(name))
  for (const entry of entries) facts.take(entry.key, entry, noChange(0))
  return facts
}

/** A view of a shard map: what is known of it, kept up to date. All of a process that need it share one. */
export class Board {
  static readonly #all = new WeakMap<Coordinator, Map<string, Board>>()
  readonly keys: ShardKeys
  readonly facts: Facts
  readonly view: View
  readonly #observers = new Observers<{ change: BoardChange }>()
  readonly #forget: () => void
  #users = 0

  private constructor(coordinator: Coordinator, name: string, forget: () => void) {
    this.keys = shardKeys(name)
    this.facts = new Facts(this.keys)
    this.view = openView(coordinator, this.keys.prefix)
    this.#forget = forget
    this.view.on('change', (changes) => this.#take(changes))
  }

  /** To be left by whoever opens it. */
  static open(coordinator: Coordinator, name: string): Board {
    let boards = Board.#all.get(coordinator)
    if (!boards) Board.#all.set(coordinator, (boards = new Map<string, Board>()))
    const ofThis = boards
    let board = boards.get(name)
    if (!board) boards.set(name, (board = new Board(coordinator, name, () => ofThis.delete(name))))
    board.#users++
    return board
  }

  on(listener: (change: BoardChange) => void): Unsubscribe {
    return this.#observers.on('change', listener)
  }

  leave(): void {
    if (--this.#users > 0) return
    this.#forget()
    void this.view.close()
  }

  #take({ revision, changes }: ViewChanges): void {
    const change = noChange(revision)
    for (const each of changes)
      if (each.kind === 'put') this.facts.take(each.entry.key, each.entry, change)
      else this.facts.take(each.key, undefined, change)
    this.#observers.emit('change', change)
  }
}

function noChange(revision: number): MutableChange {
  return { revision, plan: false, wishes: false, workers: false, loads: false, owned: new Set<string>() }
}

function isSame(splits: ReadonlySet<string>, others: readonly string[]): boolean {
  return splits.size === others.length && others.every((each) => splits.has(each))
}
