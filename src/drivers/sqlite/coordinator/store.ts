import type { Database } from 'better-sqlite3'
import type {
  Change,
  Changes,
  DeleteResult,
  Entry,
  Expected,
  Listing,
  PutAndListResult,
  PutResult,
} from '../../../coordination/coordinator.js'
import { isExpected, type Grant } from '../../../coordination/driver.js'
import { coordinationError } from '../../../coordination/errors.js'
import type { HistoryPage } from '../../../coordination/feed.js'
import { isSqliteError } from '../faults.js'
import { unknownOutcome } from './faults.js'
import type { Machine } from './machine.js'
import { BLOCK, checkLeft } from './revisions.js'
import type { Range } from './range.js'
import { statementsOf, type EntryColumns } from './statements.js'

/** Changes that are kept, counted in revisions; how long others are, in ms. */
export const KEPT = 10_000
export const KEPT_MS = 5 * 60_000
/** How many are kept at most, and of how many bytes of keys and values, however young they are. */
export const KEPT_AT_MOST = 500_000
export const KEPT_BYTES = 32 * 1024 * 1024
/** After so many changes, or so many bytes of them, some are removed; so many at once. */
const REMOVED_AFTER = 512
const REMOVED_AFTER_BYTES = 4 * 1024 * 1024
const REMOVED = 1024
/** How many leases that are over end in one transaction, and from so many keys on no more do: a few ms of this thread. */
const ENDED = 128
const ENDED_KEYS = 128
/** A page ends behind so many bytes of values. */
const PAGE_BYTES = 4 * 1024 * 1024

/** The end of the transaction failed before the frame that makes it one was written. */
const UNWRITTEN = ['SQLITE_FULL', 'SQLITE_IOERR_WRITE', 'SQLITE_BUSY']

/** Thrown inside of a transaction, which is made again when there are more revisions. */
class CeilingReached extends Error {}

/**
 * What is done to the file, each in one short transaction of this thread. Throws what SQLite throws when another process is at
 * it; nothing was done then.
 */
export class Store {
  /** The last revision, the last time that this process looked. */
  revision = 0
  /** The last change that must outlive a loss of power, the last time that this process looked. */
  lasting = 0
  /** Whether another epoch has begun. */
  takenOver = false
  /** How many revisions it gave out. */
  changes = 0
  readonly #db: Database
  readonly #file: string
  readonly #epoch: number
  readonly #machine: Machine
  readonly #sql: ReturnType<typeof statementsOf>
  #ordinal = 0
  /** What was noted since some was removed the last time. */
  #noted = { changes: 0, bytes: 0 }

  /** @param epoch - the one that it was taken over in; when another one has begun, nothing works any more */
  constructor(db: Database, file: string, epoch: number, machine: Machine) {
    this.#db = db
    this.#file = file
    this.#epoch = epoch
    this.#machine = machine
    this.#sql = statementsOf(db)
  }

  get(key: string): Entry | undefined {
    return this.#look(key).entry
  }

  list({ from, to }: Range): Listing {
    const rows = this.#sql.list.all(from, to)
    const [first] = rows
    this.#saw(first!)
    const entries: Entry[] = []
    if (first![3] !== null)
      for (const [, , , key, ...columns] of rows) entries.push(this.#entryOf(key!, columns as EntryColumns))
    return { entries, revision: this.revision }
  }

  put(key: string, value: string, expected: Expected, lease: string | undefined): PutResult {
    return this.#write((now) => this.#put(now, key, value, expected, lease))
  }

  putAndList(
    key: string,
    value: string,
    expected: Expected,
    lease: string | undefined,
    range: Range,
  ): PutAndListResult {
    return this.#write((now) => ({
      put: this.#put(now, key, value, expected, lease),
      listing: this.list(range),
    }))
  }

  delete(key: string, expected: Expected): DeleteResult {
    return this.#write((now) => {
      const { entry: actual, ceiling } = this.#look(key)
      if (!isExpected(expected, actual)) return { ok: false, actual }
      if (!actual) return { ok: true, revision: undefined }
      const revision = this.#next(ceiling)
      this.#sql.remove.run(key)
      this.#record(now, actual.lease === undefined, key, null, null, null)
      return { ok: true, revision }
    })
  }

  head(): number {
    this.#saw(this.#sql.heads.get()!)
    return this.revision
  }

  grant(ttl: number): Grant {
    return this.#write((now) => {
      this.head()
      const number = this.#sql.nextLease.get()![0]
      this.#sql.grant.run(number, ttl, Math.ceil(now + ttl))
      return { id: `${this.#epoch}-${number}`, ttl }
    })
  }

  renew(leases: readonly string[]): boolean[] {
    return this.#write((now) => {
      this.head()
      return leases.map((lease) => {
        const number = this.#numberOf(lease)
        return number !== undefined && this.#sql.renew.run(Math.ceil(now), number, now).changes > 0
      })
    })
  }

  revoke(lease: string): void {
    const number = this.#numberOf(lease)
    if (number === undefined) return
    this.#write((now) => {
      this.head()
      this.#end(number, now)
    })
  }

  /**
   * Ends some of the leases whose time is over.
   *
   * @returns when the next is, on the clock of the machine, which may be past; undefined if there is none
   */
  expire(): number | undefined {
    const next = this.#sql.nextEnd.get()?.[0]
    if (next === undefined || next > this.#machine.now()) return next
    this.#write((now) => {
      this.head()
      let keys = 0
      for (const [number] of this.#sql.ended.all(now, ENDED)) {
        keys += this.#end(number, now)
        if (keys >= ENDED_KEYS) break
      }
    })
    return this.#sql.nextEnd.get()?.[0]
  }

  /** See `History.page`. Looks through so many changes, or some more, as those of one revision stay together. */
  page(prefix: string, after: number, limit: number): HistoryPage {
    return this.#read(() => {
      const [epoch, head, lasting, compacted] = this.#sql.heads.get()!
      this.#saw([epoch, head, lasting])
      if (after > head)
        throw coordinationError(
          'BANYAN_REVISION_AHEAD',
          `revision ${after} was not reached yet, the last one of ${this.#file} is ${head}: it is of another store`,
        )
      if (after < compacted)
        throw coordinationError(
          'BANYAN_COMPACTED',
          `changes behind revision ${after} are not kept any more, only those behind ${compacted}`,
        )
      let upTo = this.#sql.nth.get(after, limit - 1)?.[0] ?? head
      let bytes = 0
      const groups: { revision: number; changes: Change[] }[] = []
      let last = after
      for (const [key, revision, created, lease, value] of this.#sql.changes.iterate(after, upTo)) {
        if (bytes > PAGE_BYTES && revision > last) {
          upTo = last
          break
        }
        last = revision
        bytes += value?.length ?? 0
        if (!key.startsWith(prefix)) continue
        const change: Change =
          value === null
            ? { kind: 'deleted', key }
            : { kind: 'put', entry: this.#entryOf(key, [revision, created!, lease, value]) }
        const group = groups.at(-1)
        if (group?.revision === revision) group.changes.push(change)
        else groups.push({ revision, changes: [change] })
      }
      return { groups: groups satisfies Changes[], upTo }
    })
  }

  /** Whether a key of the range had a change behind that revision that a loss of power must not undo. */
  touched({ from, to }: Range, after: number): boolean {
    // Looking through many costs more than waiting for the disk once.
    if (this.revision - after > KEPT) return true
    const [, , , compacted] = this.#sql.heads.get()!
    // What is not kept any more may have been one.
    return compacted > after || this.#sql.touched.get(after, from, to) !== undefined
  }

  /** Counts what the changes that are kept take: a process that was killed has not said what it noted last. */
  recount(): void {
    this.#write(() => {
      this.#sql.compacted.run(0, this.#sql.bytesUpTo.get(this.head())![0])
    })
  }

  /** Whether it is time to {@link compact}. */
  get compactable(): boolean {
    return this.#noted.changes >= REMOVED_AFTER || this.#noted.bytes >= REMOVED_AFTER_BYTES
  }

  /** Forgets some of the changes that are not kept any more. */
  compact(): void {
    this.#write((now) => {
      const head = this.head()
      let compacted = 0
      const kept = this.#sql.bytes.get()![0] + this.#noted.bytes
      let bytes = kept
      for (const [revision, time, size] of this.#sql.oldest.iterate(REMOVED)) {
        const young = revision > head - KEPT || time > now - KEPT_MS
        if (young && revision > head - KEPT_AT_MOST && bytes <= KEPT_BYTES) break
        compacted = revision
        bytes -= size
      }
      // With all of a revision, of which only the first were looked at.
      const removed = this.#sql.bytesUpTo.get(compacted)![0]
      this.#sql.forget.run(compacted)
      this.#sql.compacted.run(compacted, Math.max(0, kept - removed))
    })
    this.#noted = { changes: 0, bytes: 0 }
  }

  #put(now: number, key: string, value: string, expected: Expected, lease: string | undefined): PutResult {
    const { entry: actual, ceiling } = this.#look(key)
    const number = lease === undefined ? null : this.#numberOf(lease)
    if (number === undefined || (number !== null && !this.#sql.alive.get(number, now)))
      throw leaseLost(key, lease!)
    if (!isExpected(expected, actual)) return { ok: false, actual }
    const revision = this.#next(ceiling)
    const created = actual?.created ?? revision
    const lasting = number === null || (actual !== undefined && actual.lease === undefined)
    this.#sql.set.run(key, revision, created, number, value)
    this.#record(now, lasting, key, created, number, value)
    return { ok: true, revision, created }
  }

  /** @param work - is given the time, at which others are kept from changing anything */
  #write<Result>(work: (now: number) => Result): Result {
    for (;;) {
      const { revision, lasting } = this
      this.#sql.begin.run()
      try {
        const result = work(this.#machine.now())
        this.#commit()
        return result
      } catch (error) {
        this.#rollBack()
        // What was given out goes to somebody else.
        this.revision = revision
        this.lasting = lasting
        if (!(error instanceof CeilingReached)) throw error
      }
      this.#reserve()
    }
  }

  #commit(): void {
    try {
      this.#sql.commit.run()
    } catch (error) {
      if (isSqliteError(error) && !UNWRITTEN.some((code) => error.code.startsWith(code)))
        throw unknownOutcome(this.#file, error)
      throw error
    }
  }

  #rollBack(): void {
    if (this.#db.inTransaction) this.#sql.rollback.run()
  }

  /** Several looks at one state. */
  #read<Result>(work: () => Result): Result {
    this.#sql.beginReading.run()
    try {
      return work()
    } finally {
      if (this.#db.inTransaction) this.#sql.commit.run()
    }
  }

  /** More revisions, which are on disk before anybody sees them. */
  #reserve(): void {
    // A transaction that is synced is in the index of the write-ahead log, where others look, only after it.
    this.#db.pragma('synchronous = FULL')
    try {
      this.#sql.begin.run()
      try {
        const head = this.head()
        checkLeft(this.#file, head + BLOCK)
        this.#sql.reserve.run(head + BLOCK, head + 1)
        this.#commit()
      } finally {
        this.#rollBack()
      }
    } finally {
      this.#db.pragma('synchronous = NORMAL')
    }
  }

  #look(key: string): { entry: Entry | undefined; ceiling: number } {
    const [epoch, head, lasting, ceiling, revision, created, lease, value] = this.#sql.look.get(key)!
    this.#saw([epoch, head, lasting])
    const entry = revision === null ? undefined : this.#entryOf(key, [revision, created, lease, value])
    return { entry, ceiling }
  }

  #saw([epoch, revision, lasting]: readonly [number, number, number, ...unknown[]]): void {
    this.takenOver = epoch !== this.#epoch
    if (this.takenOver)
      throw coordinationError(
        'BANYAN_COORDINATOR_UNAVAILABLE',
        `${this.#file} was taken over: it is used by another machine as well, or was put back to an earlier state while ` +
          'this process had it open. Nothing was done; open it again',
      )
    this.revision = revision
    this.lasting = lasting
  }

  #next(ceiling: number): number {
    const revision = this.revision + 1
    if (revision > ceiling) throw new CeilingReached()
    this.#ordinal = 0
    this.changes++
    return (this.revision = revision)
  }

  /** Notes a change of the revision that was given out last. */
  #record(
    now: number,
    lasting: boolean,
    key: string,
    created: number | null,
    lease: number | null,
    value: string | null,
  ): void {
    const ordinal = this.#ordinal++
    this.#sql.record.run(this.revision, ordinal, Math.floor(now), lasting ? 1 : 0, key, created, lease, value)
    this.#noted.changes++
    this.#noted.bytes += Buffer.byteLength(key) + (value === null ? 0 : Buffer.byteLength(value))
    if (!lasting) return
    this.#sql.lasting.run(this.revision)
    this.lasting = this.revision
  }

  /**
   * Ends a lease. The epoch was looked at: in another one the number is of somebody else's.
   *
   * @returns how many keys have ended with it
   */
  #end(number: number, now: number): number {
    this.#sql.end.run(number)
    const keys = this.#sql.keysOf.all(number)
    if (keys.length === 0) return 0
    this.#next(this.#sql.ceiling.get()![0])
    this.#sql.removeOf.run(number)
    for (const [key] of keys) this.#record(now, false, key, null, null, null)
    return keys.length
  }

  #entryOf(key: string, [revision, created, lease, value]: EntryColumns): Entry {
    return lease === null
      ? { key, value, revision, created }
      : { key, value, revision, created, lease: `${this.#epoch}-${lease}` }
  }

  /** Undefined if it is of another epoch, and so is over, or none of ours. */
  #numberOf(lease: string): number | undefined {
    const [epoch, number] = lease.split('-')
    return Number(epoch) === this.#epoch ? Number(number) : undefined
  }
}

function leaseLost(key: string, lease: string): Error {
  return coordinationError(
    'BANYAN_LEASE_LOST',
    `${key} was not set: the lease ${lease} has expired or was released`,
  )
}
