import type { Database, Statement } from 'better-sqlite3'
import { BanyanError } from '../../../core/errors.js'
import { eventError } from '../../../events/errors.js'
import type { Truncation, TruncateResult } from '../../../events/log.js'
import { parsePosition } from '../../../events/position.js'
import { epochOf, type Role, type RoleChange, type Shipment } from '../../../events/replica.js'
import { connectWriter, patiently, type Sqlite } from '../connect.js'
import { faultOf, isSqliteError } from '../faults.js'
import { HeadFile } from '../head-file.js'
import { LogTable } from '../log-table.js'
import { Reader } from '../reader/reader.js'
import { logWithTail } from '../reader/tail.js'
import { packOutcomes, unpackGroup, type PackedGroup, type PackedOutcomes } from '../wire.js'
import { writeReplica } from '../replica-table.js'
import { Appending } from './append.js'
import { applyShipment } from './apply.js'
import { Checkpoints } from './checkpoint.js'
import { Indexing } from './indexing.js'
import { truncateSlice, type Slice } from './truncate.js'

/** Pages that are empty, and their share, from which on the file is made smaller after a truncation. */
const FREE_PAGES = 1000
const FREE_SHARE = 0.25
/** Pages that are given back in one transaction. */
const VACUUM_PAGES = 500

/** Thrown when the end of a transaction failed in a way that leaves open whether it has happened. */
class CommitFailed extends Error {}

/** The other ways. */
const UNWRITTEN = ['SQLITE_FULL', 'SQLITE_IOERR_WRITE']

/** Events that wait for the indexes: when there are so many, they come in before the next group. */
const INDEX_BUSY = 4096
/**
 * The same if nobody waits: fewer are left as they are, and readers look through them. Where more commits come at once, it
 * is worth to gather more, as the next will come soon; where they come one by one, what is short delays none.
 */
const INDEX_IDLE = 256
const INDEX_IDLE_BY_GROUP = 0.25

/** Everything that changes the file. Each method is one transaction, or several of them, and tells when they are durable. */
export class Writer {
  readonly #sqlite: Sqlite
  readonly #file: string
  readonly #lockWait: number
  readonly #headFile: HeadFile
  #open: Open
  #closing = false
  #damage: Error | undefined
  #indexIdle = INDEX_IDLE

  constructor(sqlite: Sqlite, file: string, lockWait: number) {
    this.#sqlite = sqlite
    this.#file = file
    this.#lockWait = lockWait
    this.#open = this.#connect()
    try {
      this.#headFile = new HeadFile(file)
    } catch (error) {
      this.#open.db.close()
      throw faultOf(error, file)
    }
  }

  /** See `LogDriver.append`. */
  append(packed: PackedGroup): PackedOutcomes {
    if (this.#damage) throw this.#damage
    const group = unpackGroup(packed)
    this.#indexIdle = Math.min(Math.max(INDEX_IDLE, group.length ** 2 * INDEX_IDLE_BY_GROUP), INDEX_BUSY)
    const outcomes = this.#transaction(() => this.#open.appending.appendAll(group))
    this.#headFile.write(this.#open.appending.head)
    return packOutcomes(outcomes)
  }

  /**
   * What need not be done before an answer goes out. To be called after each.
   *
   * @param idle - whether nobody waits
   */
  afterwards(idle: boolean): void {
    try {
      if (this.#open.appending.unindexed >= (idle ? this.#indexIdle : INDEX_BUSY)) this.#index()
      this.#open.checkpoints.afterTransaction()
    } catch (error) {
      // A full disk, say: it is tried again after the next answer. Damage does not go away.
      const fault = faultOf(error, this.#file)
      if (fault instanceof BanyanError && fault.code === 'BANYAN_LOG_CORRUPT') this.#damage = fault
    }
  }

  /** See `Replica.apply`. @returns also where the log ends then */
  apply(shipment: Shipment): { applied: boolean; head: number } {
    if (this.#damage) throw this.#damage
    const applied = this.#transaction(() => applyShipment(this.#open, this.#file, shipment))
    const { head } = this.#open.appending
    this.#headFile.write(head)
    return { applied, head }
  }

  /** See `Replica.become`. */
  become(change: RoleChange, from: { role: Role; epoch: number }): void {
    this.#transaction(() => {
      const { db, appending } = this.#open
      const { log, epochs, role } = appending.replica()
      if (role !== from.role || epochOf({ epochs }) !== from.epoch) return
      writeReplica(db, { log, epochs, ...change })
      appending.forget()
    })
  }

  hold(name: string, position: string): void {
    this.#transaction(() => {
      this.#open.appending.mustLead()
      this.#open.db
        .prepare(
          'INSERT INTO holds VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET position = excluded.position',
        )
        .run(name, parsePosition(position))
    })
  }

  release(name: string): void {
    this.#transaction(() => {
      this.#open.appending.mustLead()
      this.#open.db.prepare('DELETE FROM holds WHERE name = ?').run(name)
    })
  }

  async truncate(what: Truncation): Promise<TruncateResult> {
    let removed = 0
    for (;;) {
      const slice: Slice = this.#transaction(() => {
        const { appending, indexing } = this.#open
        appending.mustLead()
        indexing.run(appending.tail())
        appending.forget()
        return truncateSlice(this.#open.db, this.#file, what)
      })
      removed += slice.removed
      await this.#letOthers()
      if (slice.end || this.#closing) {
        await this.#giveBackSpace()
        return { removed, ...(slice.heldBy !== undefined && { heldBy: slice.heldBy }) }
      }
    }
  }

  /** Makes the file smaller, if much of it is empty; some is left for what comes. */
  async #giveBackSpace(): Promise<void> {
    while (!this.#closing) {
      const { db } = this.#open
      const free = db.pragma('freelist_count', { simple: true }) as number
      const pages = db.pragma('page_count', { simple: true }) as number
      if (free < Math.max(FREE_PAGES, pages * FREE_SHARE)) return
      this.#transaction(() => this.#open.db.pragma(`incremental_vacuum(${VACUUM_PAGES})`))
      await this.#letOthers()
    }
  }

  /** Whoever waits to append comes first. */
  async #letOthers(): Promise<void> {
    this.afterwards(false)
    await new Promise((resolve) => setImmediate(resolve))
  }

  async close(): Promise<void> {
    this.#closing = true
    this.#headFile.close()
    await this.#open.checkpoints.close()
    this.#indexRest()
    this.#open.db.close()
  }

  /** What is in the indexes can be told from what is damaged; what is not has to be checked by whoever opens the log. */
  #indexRest(): void {
    if (this.#damage || !this.#open.db.open || this.#open.appending.unindexed === 0) return
    try {
      this.#transaction(() => this.#open.indexing.run(this.#open.appending.tail()), 0)
    } catch {
      // It is in use, or the disk is full: another process will do it.
    }
  }

  #index(): void {
    this.#transaction(() => this.#open.indexing.run(this.#open.appending.tail()))
    this.#open.appending.indexed()
  }

  /**
   * Makes changes in one transaction, which is durable when this returns; if it throws, nothing was changed.
   *
   * When the disk fails at the end of a transaction, what it did may be there after the next crash, although it is not
   * now. So it is done once more, over a new connection: commits that are found by their ids were there, and anything else
   * takes the place in the file that the failed transaction had.
   *
   * @throws `BANYAN_OUTCOME_UNKNOWN` if that fails too
   */
  #transaction<T>(work: () => T, lockWait = this.#lockWait): T {
    try {
      return this.#once(work, lockWait)
    } catch (error) {
      if (!(error instanceof CommitFailed)) throw faultOf(error, this.#file)
      try {
        this.#disconnect()
        return this.#once(work, lockWait)
      } catch (again) {
        throw unknownOutcome(error, again)
      }
    }
  }

  #once<T>(work: () => T, lockWait: number): T {
    if (!this.#open.db.open) this.#open = this.#connect()
    patiently(() => this.#open.begin.run(), lockWait)
    try {
      const result = work()
      this.#commit()
      return result
    } catch (error) {
      this.#rollBack()
      throw error
    }
  }

  #commit(): void {
    try {
      this.#open.commit.run()
    } catch (error) {
      // The frame that makes a transaction one is written last: if it could not be written, there is none.
      if (isSqliteError(error) && UNWRITTEN.includes(error.code)) throw error
      throw new CommitFailed(error instanceof Error ? error.message : String(error), { cause: error })
    }
  }

  #rollBack(): void {
    const { appending, db, rollback } = this.#open
    appending.forget()
    try {
      if (db.inTransaction) rollback.run()
    } catch {
      this.#disconnect()
    }
  }

  /** The next transaction has a new connection. */
  #disconnect(): void {
    void this.#open.checkpoints.close()
    try {
      this.#open.db.close()
    } catch {
      // It did not work any more; that is why.
    }
  }

  #connect(): Open {
    try {
      const db = patiently(() => connectWriter(this.#sqlite, this.#file), this.#lockWait)
      this.#checkTail(db)
      const log = new LogTable(db, this.#file)
      return {
        db,
        begin: db.prepare('BEGIN IMMEDIATE'),
        commit: db.prepare('COMMIT'),
        rollback: db.prepare('ROLLBACK'),
        appending: new Appending(db, this.#file, log),
        indexing: new Indexing(db, this.#file, log),
        checkpoints: new Checkpoints(db, this.#file),
      }
    } catch (error) {
      throw faultOf(error, this.#file)
    }
  }

  /** Nothing is appended behind events that are damaged, whose streams and ids would be taken for others. */
  #checkTail(db: Database): void {
    const reader = new Reader(db, this.#file)
    try {
      reader.transaction(() => logWithTail(reader))
    } catch (error) {
      const fault = faultOf(error, this.#file)
      if (!(fault instanceof BanyanError) || fault.code !== 'BANYAN_LOG_CORRUPT') throw error
      this.#damage = fault
    }
  }
}

/** A connection and what lives with it. */
interface Open {
  readonly db: Database
  readonly begin: Statement<[]>
  readonly commit: Statement<[]>
  readonly rollback: Statement<[]>
  readonly appending: Appending
  readonly indexing: Indexing
  readonly checkpoints: Checkpoints
}

function unknownOutcome(first: unknown, second: unknown): Error {
  const why = [first, second].map((error) => (error instanceof Error ? error.message : String(error)))
  return eventError(
    'BANYAN_OUTCOME_UNKNOWN',
    `the disk failed while the events were made durable (${why[0]}), and when it was tried again (${why[1]}). ` +
      'They may be in the log after the next start; append them again with the same id to know',
    second,
  )
}
