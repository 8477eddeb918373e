import type { Database, Statement } from 'better-sqlite3'
import { eventError } from '../../events/errors.js'
import { checksumOfRow, logRow, sealRow, type LogRow } from './rows.js'

/** The one row of `log`. */
export class LogTable {
  readonly #file: string
  readonly #select: Statement<[], LogRow & { checksum: number }>
  readonly #update: Statement<[LogRow & { checksum: number }]>

  constructor(db: Database, file: string) {
    this.#file = file
    this.#select = db.prepare(
      'SELECT head, recorded, indexed, events, commits, truncated, missed, checksum FROM log',
    )
    this.#update = db.prepare(
      `UPDATE log SET head = @head, recorded = @recorded, indexed = @indexed, events = @events, commits = @commits,
         truncated = @truncated, missed = @missed, checksum = @checksum`,
    )
  }

  /** @throws `BANYAN_LOG_CORRUPT` if it is not what was written */
  read(): LogRow {
    const row = this.#select.get()
    if (row !== undefined && isWhole(row)) return row
    throw eventError(
      'BANYAN_LOG_CORRUPT',
      `${this.#file} is damaged: where the log ends is not what was written. Restore a backup`,
    )
  }

  /** In a transaction that has read it. */
  write(row: LogRow): void {
    this.#update.run(sealRow(logRow, row))
  }
}

function isWhole(row: LogRow & { checksum: number }): boolean {
  return checksumOfRow(logRow.map((column) => row[column])) === row.checksum
}
