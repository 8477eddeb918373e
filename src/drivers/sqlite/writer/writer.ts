import type { Database, Statement } from 'better-sqlite3'
import { BanyanError } from '../../../core/errors.js'
import type { Truncation, TruncateResult } from '../../../events/log.js'
import { parsePosition } from '../../../events/position.js'
import { Bell } from '../bell.js'
import { connectWriter, patiently, type Sqlite } from '../connect.js'
import { faultOf } from '../faults.js'
import { packOutcomes, unpackGroup, type PackedGroup, type PackedOutcomes } from '../wire.js'
import { Appending } from './append.js'
import { Checkpoints } from './checkpoint.js'
import { indexEvents } from './index-events.js'
import { truncateSlice, type Slice } from './truncate.js'

/** Events that wait for the indexes: when there are so many, they come in before the next group. */
const INDEX_BUSY = 4096
/** The same if nobody waits. Fewer are left as they are; readers look through them. */
const INDEX_IDLE = 256

/** Everything that changes the file. Each method is one transaction, or several of them, and tells when they are durable. */
export class Writer {
  readonly #sqlite: Sqlite
  readonly #file: string
  readonly #lockWait: number
  readonly #bell: Bell
  #open: Open
  #closing = false
  #damage: Error | undefined

  constructor(sqlite: Sqlite, file: string, lockWait: number) {
    this.#sqlite = sqlite
    this.#file = file
    this.#lockWait = lockWait
    this.#open = this.#connect()
    this.#bell = new Bell(file)
  }

  /** See `LogDriver.append`. */
  append(packed: PackedGroup): PackedOutcomes {
    if (this.#damage) throw this.#damage
    const group = unpackGroup(packed)
    const outcomes = this.#transaction(() => this.#open.appending.appendAll(group))
    this.#bell.ring()
    return packOutcomes(outcomes)
  }

  /**
   * What need not be done before an answer goes out. To be called after each.
   *
   * @param idle - whether nobody waits
   */
  afterwards(idle: boolean): void {
    try {
      if (this.#open.appending.unindexed >= (idle ? INDEX_IDLE : INDEX_BUSY)) this.#index()
      this.#open.checkpoints.afterTransaction()
    } catch (error) {
      // A full disk, say: it is tried again after the next answer. Damage does not go away.
      const fault = faultOf(error, this.#file)
      if (fault instanceof BanyanError && fault.code === 'BANYAN_LOG_CORRUPT') this.#damage = fault
    }
  }

  hold(name: string, position: string): void {
    this.#transaction(() => {
      this.#open.db
        .prepare(
          'INSERT INTO holds VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET position = excluded.position',
        )
        .run(name, parsePosition(position))
    })
  }

  release(name: string): void {
    this.#transaction(() => {
      this.#open.db.prepare('DELETE FROM holds WHERE name = ?').run(name)
    })
  }

  async truncate(what: Truncation): Promise<TruncateResult> {
    let removed = 0
    for (;;) {
      const slice: Slice = this.#transaction(() => {
        this.#open.appending.forget()
        return truncateSlice(this.#open.db, what)
      })
      removed += slice.removed
      if (slice.end) return { removed, ...(slice.heldBy !== undefined && { heldBy: slice.heldBy }) }
      this.afterwards(false)
      // Whoever waits to append comes first.
      await new Promise((resolve) => setImmediate(resolve))
      if (this.#closing) return { removed }
    }
  }

  close(): void {
    this.#closing = true
    this.#bell.close()
    this.#open.db.close()
  }

  #index(): void {
    const { db, appending } = this.#open
    appending.indexed(this.#transaction(() => indexEvents(db)))
  }

  #transaction<T>(work: () => T): T {
    const { begin, commit, rollback, db } = this.#open
    try {
      patiently(() => begin.run(), this.#lockWait)
      try {
        const result = work()
        commit.run()
        return result
      } catch (error) {
        this.#open.appending.forget()
        if (db.inTransaction) rollback.run()
        throw error
      }
    } catch (error) {
      throw faultOf(error, this.#file)
    }
  }

  #connect(): Open {
    try {
      const db = patiently(() => connectWriter(this.#sqlite, this.#file), this.#lockWait)
      return {
        db,
        begin: db.prepare('BEGIN IMMEDIATE'),
        commit: db.prepare('COMMIT'),
        rollback: db.prepare('ROLLBACK'),
        appending: new Appending(db),
        checkpoints: new Checkpoints(db),
      }
    } catch (error) {
      throw faultOf(error, this.#file)
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
  readonly checkpoints: Checkpoints
}
