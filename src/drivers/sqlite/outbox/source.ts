import { watch, type FSWatcher } from 'node:fs'
import { basename, dirname } from 'node:path'
import type { Database } from 'better-sqlite3'
import type { Clock, Timer } from '../../../core/clock.js'
import { Hint } from '../../../core/hint.js'
import type { OutboxSource, Settled, StoredRow } from '../../../events/outbox/store.js'
import type { ApplicationDatabase } from '../application-database.js'
import { isBusy } from '../faults.js'

/** Between a write to the file and the look at it, in ms: the application writes other things as well. */
const GATHER_MS = 1

const OLDEST = `SELECT number, id, topic, key, type, data, bytes, metadata, tags, schema_version AS schemaVersion,
    time, deliver_at AS deliverAt, published, size,
    EXISTS (SELECT 1 FROM banyan_outbox_parked AS p WHERE p.topic = o.topic AND p.key = o.key) AS isHeld
  FROM banyan_outbox AS o ORDER BY number LIMIT ?`

/**
 * Takes messages without keeping the file locked while the log is waited for. That one relay works at a time is what a lock
 * on a file beside it is for: the system lets go of that when a process ends, however it does.
 */
export class SqliteOutboxSource implements OutboxSource {
  readonly #application: ApplicationDatabase
  readonly #clock: Clock
  readonly #hint = new Hint()
  #turn: Database | undefined
  #watcher: FSWatcher | undefined
  #timer: Timer | undefined
  #closed = false

  constructor(application: ApplicationDatabase, clock: Clock) {
    this.#application = application
    this.#clock = clock
  }

  async work(
    limits: { rows: number; bytes: number },
    send: (rows: readonly StoredRow[]) => Promise<Settled>,
  ): Promise<{ found: number; settled: number } | 'busy'> {
    if (!this.#takeTurn()) return 'busy'
    const rows = await this.#application.patiently(() => this.#oldest(limits))
    if (rows.length === 0) return { found: 0, settled: 0 }
    const settled = await send(rows)
    return { found: rows.length, settled: await this.#settle(settled) }
  }

  changed(ms: number, signal: AbortSignal): Promise<void> {
    this.#startWatching()
    return this.#hint.wait(this.#clock, ms, signal)
  }

  close(): Promise<void> {
    this.#closed = true
    this.#timer?.cancel()
    this.#watcher?.close()
    this.#turn?.close()
    return Promise.resolve()
  }

  #takeTurn(): boolean {
    if (this.#turn) return true
    const turn = this.#application.beside('-relay')
    try {
      // Nothing is written to it.
      turn.pragma('journal_mode = MEMORY')
      turn.exec('BEGIN EXCLUSIVE')
      this.#turn = turn
      return true
    } catch (error) {
      turn.close()
      if (isBusy(error)) return false
      throw this.#application.errorOf(error)
    }
  }

  #oldest({ rows: most, bytes }: { rows: number; bytes: number }): StoredRow[] {
    const rows: StoredRow[] = []
    let left = bytes
    // Row by row, so that large ones are not all in memory before they are counted.
    for (const row of this.#application.database.prepare<[number], ReadRow>(OLDEST).iterate(most)) {
      rows.push({ ...row, isHeld: row.isHeld === 1 })
      left -= Math.max(row.size, (row.data?.length ?? 0) + (row.bytes?.length ?? 0))
      if (left <= 0) break
    }
    return rows
  }

  #settle({ relayed, parked, held }: Settled): Promise<number> {
    const { database } = this.#application
    return this.#application.write(() => {
      const remove = database.prepare<[number]>('DELETE FROM banyan_outbox WHERE number = ?')
      const move = database.prepare<[string | null, number, number]>(
        'INSERT INTO banyan_outbox_parked SELECT *, ?, ? FROM banyan_outbox WHERE number = ?',
      )
      const isHeld = database
        .prepare<[number], number>(
          `SELECT EXISTS (SELECT 1 FROM banyan_outbox_parked AS p JOIN banyan_outbox AS o USING (topic, key)
                          WHERE o.number = ? AND p.number < o.number)`,
        )
        .pluck()
      const now = Math.floor(this.#clock.wall())
      let count = 0
      for (const number of relayed) count += remove.run(number).changes
      for (const { number, reason } of parked) {
        move.run(reason, now, number)
        remove.run(number)
      }
      for (const number of held) {
        // What it waited for may go on by now.
        if (isHeld.get(number) === 0) continue
        move.run(null, now, number)
        remove.run(number)
      }
      database.prepare<[number]>('UPDATE banyan_outbox_state SET relayed = relayed + ?').run(count)
      return relayed.length + parked.length + held.length
    })
  }

  /** The file, or the one that its changes are written to first. */
  #startWatching(): void {
    if (this.#watcher || this.#closed) return
    const { file } = this.#application
    const name = basename(file)
    try {
      const watcher = watch(dirname(file), { persistent: false }, (_event, changed) => {
        if (changed === name || changed === `${name}-wal`) this.#hintSoon()
      })
      watcher.on('error', () => watcher.close())
      this.#watcher = watcher
    } catch {
      // No watching here, or too much is watched already: looks alone find it.
    }
  }

  #hintSoon(): void {
    if (this.#closed) return
    this.#timer ??= this.#clock.schedule(this.#clock.now() + GATHER_MS, () => {
      this.#timer = undefined
      this.#hint.give()
    })
  }
}

type ReadRow = Omit<StoredRow, 'isHeld'> & { readonly isHeld: 0 | 1 }
