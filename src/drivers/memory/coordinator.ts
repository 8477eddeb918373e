import type { Clock, Timer } from '../../core/clock.js'
import type {
  Change,
  Changes,
  CoordinatorCapabilities,
  DeleteResult,
  Entry,
  Expected,
  Listing,
  PutResult,
} from '../../coordination/coordinator.js'
import {
  compareKeys,
  isExpected,
  keyOf,
  type CoordinatorContext,
  type CoordinatorDriver,
  type Grant,
} from '../../coordination/driver.js'
import { coordinationError } from '../../coordination/errors.js'
import { MEMORY_LEASES } from './leases.js'
import { Feed, type History, type HistoryPage } from '../../coordination/feed.js'

const CAPABILITIES: CoordinatorCapabilities = {
  driver: 'memory',
  shared: 'process',
  durable: 'none',
  ...MEMORY_LEASES,
}

/** How many changes are kept for those who watch from further back. */
const KEPT = 10_000

/**
 * Keys in the memory of one process, for tests and for a process that is alone. Several coordinators of the process can share
 * them.
 */
export class MemoryCoordination implements History {
  readonly #clock: Clock
  readonly #entries = new Map<string, Entry>()
  readonly #leases = new Map<string, MemoryLease>()
  #history: Changes[] = []
  #compacted = 0
  #revision = 0
  #lastLease = 0
  #waiting = new Set<() => void>()
  readonly feed: Feed

  /** @param clock - the engine's, which leases expire on */
  constructor(clock: Clock) {
    this.#clock = clock
    this.feed = new Feed(this, clock)
  }

  /** A driver over these keys. */
  connect(): CoordinatorDriver {
    return new MemoryCoordinator(this)
  }

  get revision(): number {
    return this.#revision
  }

  get(key: string): Entry | undefined {
    return this.#entries.get(key)
  }

  list(prefix: string): Listing {
    const entries: Entry[] = []
    for (const entry of this.#entries.values()) if (entry.key.startsWith(prefix)) entries.push(entry)
    entries.sort((a, b) => compareKeys(a.key, b.key))
    return { entries, revision: this.#revision }
  }

  put(key: string, value: string, expected: Expected, lease: string | undefined): PutResult {
    const actual = this.#entries.get(key)
    const holder = lease === undefined ? undefined : this.#leases.get(lease)
    if (lease !== undefined && !holder)
      throw coordinationError(
        'BANYAN_LEASE_LOST',
        `${key} was not set: the lease ${lease} has expired or was released`,
      )
    if (!isExpected(expected, actual)) return { ok: false, actual }
    const revision = ++this.#revision
    const created = actual?.created ?? revision
    const entry: Entry = { key, value, revision, created, ...(lease !== undefined && { lease }) }
    if (actual?.lease !== undefined) this.#leases.get(actual.lease)?.keys.delete(key)
    holder?.keys.add(key)
    this.#entries.set(key, entry)
    this.#changed([{ kind: 'put', entry }])
    return { ok: true, revision, created }
  }

  delete(key: string, expected: Expected): DeleteResult {
    const actual = this.#entries.get(key)
    if (!isExpected(expected, actual)) return { ok: false, actual }
    if (!actual) return { ok: true, revision: undefined }
    if (actual.lease !== undefined) this.#leases.get(actual.lease)?.keys.delete(key)
    return { ok: true, revision: this.#remove([key]) }
  }

  grant(ttl: number): Grant {
    const id = `${++this.#lastLease}`
    const lease: MemoryLease = { ttl, keys: new Set(), until: this.#clock.now() + ttl, timer: undefined }
    this.#leases.set(id, lease)
    this.#expireLater(id, lease)
    return { id, ttl }
  }

  renew(id: string): boolean {
    const lease = this.#leases.get(id)
    if (lease) lease.until = this.#clock.now() + lease.ttl
    return lease !== undefined
  }

  revoke(id: string): void {
    const lease = this.#leases.get(id)
    if (!lease) return
    lease.timer?.cancel()
    this.#leases.delete(id)
    if (lease.keys.size > 0) this.#remove([...lease.keys].sort(compareKeys))
  }

  page(prefix: string, after: number, limit: number): HistoryPage {
    if (after > this.#revision)
      throw coordinationError(
        'BANYAN_REVISION_AHEAD',
        `revision ${after} was not reached yet, the last one is ${this.#revision}: it is of another store`,
      )
    if (after < this.#compacted)
      throw coordinationError(
        'BANYAN_COMPACTED',
        `changes behind revision ${after} are not kept any more, only those behind ${this.#compacted}`,
      )
    const groups: Changes[] = []
    for (let index = this.#indexBehind(after); index < this.#history.length; index++) {
      const { revision, changes } = this.#history[index]!
      const part = changes.filter((change) => keyOf(change).startsWith(prefix))
      if (part.length > 0) groups.push({ revision, changes: part })
      if (groups.length >= limit) return { groups, upTo: revision }
    }
    return { groups, upTo: this.#revision }
  }

  changed(after: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (this.#revision > after || signal.aborted) {
        resolve()
        return
      }
      const wake = (): void => {
        this.#waiting.delete(wake)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      this.#waiting.add(wake)
      signal.addEventListener('abort', wake)
    })
  }

  reached(revision: number): boolean {
    return revision <= this.#revision
  }

  passes(): boolean {
    return false
  }

  /** Forgets the changes before now. */
  compact(): void {
    this.#compacted = this.#revision
    this.#history = []
  }

  #expireLater(id: string, lease: MemoryLease): void {
    // Renewals only move `until`: one timer a ttl instead of one a renewal.
    lease.timer = this.#clock.schedule(lease.until, () => {
      if (this.#clock.now() < lease.until) this.#expireLater(id, lease)
      else this.revoke(id)
    })
  }

  #remove(keys: readonly string[]): number {
    const revision = ++this.#revision
    for (const key of keys) this.#entries.delete(key)
    this.#changed(keys.map((key) => ({ kind: 'deleted', key })))
    return revision
  }

  #changed(changes: readonly Change[]): void {
    this.#history.push({ revision: this.#revision, changes })
    if (this.#history.length >= 2 * KEPT) {
      this.#compacted = this.#history[KEPT - 1]!.revision
      this.#history = this.#history.slice(KEPT)
    }
    for (const wake of this.#waiting) wake()
  }

  /** Where the changes behind a revision begin; every revision has one entry. */
  #indexBehind(after: number): number {
    return Math.max(0, after - this.#compacted)
  }
}

interface MemoryLease {
  readonly ttl: number
  readonly keys: Set<string>
  until: number
  timer: Timer | undefined
}

class MemoryCoordinator implements CoordinatorDriver {
  readonly capabilities = CAPABILITIES
  readonly #store: MemoryCoordination

  constructor(store: MemoryCoordination) {
    this.#store = store
  }

  get(key: string): Entry | undefined {
    return this.#store.get(key)
  }

  list(prefix: string): Listing {
    return this.#store.list(prefix)
  }

  put(key: string, value: string, expected: Expected, lease: string | undefined): PutResult {
    return this.#store.put(key, value, expected, lease)
  }

  delete(key: string, expected: Expected): DeleteResult {
    return this.#store.delete(key, expected)
  }

  head(): number {
    return this.#store.revision
  }

  grant(ttl: number): Grant {
    return this.#store.grant(ttl)
  }

  renew(leases: readonly string[]): boolean[] {
    return leases.map((id) => this.#store.renew(id))
  }

  revoke(lease: string): void {
    this.#store.revoke(lease)
  }

  watch(prefix: string, after: number, signal: AbortSignal): AsyncIterable<Changes> {
    return this.#store.feed.watch(prefix, after, signal)
  }

  close(): void {
    // The keys belong to the store; leases of a process that is gone expire.
  }
}

/** A coordinator in the memory of one process: for tests, and for a process that is alone. */
export function memoryCoordinator({ clock }: CoordinatorContext): CoordinatorDriver {
  return new MemoryCoordination(clock).connect()
}
