import { andThen, type Maybe } from '../../../core/maybe.js'
import type { Clock } from '../../../core/clock.js'
import {
  fenceBusy,
  type FenceRow,
  type FenceRows,
  type FenceStore,
} from '../../../coordination/fencing/store.js'
import { ApplicationDatabase } from '../application-database.js'
import { runIn, type Run } from '../application-transaction.js'
import { OwnTransactions } from '../own-transactions.js'
import type { SqliteHandle } from '../read-models/store.js'
import type { SqliteTables } from '../read-models/tables.js'
import { FENCES_SCHEMA, FORMAT } from './schema.js'

const KIND = {
  name: 'the table of fences',
  table: 'banyan_fences',
  schema: FENCES_SCHEMA,
  format: { table: 'banyan_fences_state', newest: FORMAT },
  madeBy: "what fencesSchema('sqlite') gives",
  codes: { unavailable: 'BANYAN_FENCES_UNAVAILABLE', closed: 'BANYAN_FENCES_CLOSED' },
} as const

/**
 * Opens the fences in a SQLite file.
 *
 * @param where - a file, made if it is not there, or a database that is open, whose file is opened again
 * @param context.wait - how long transactions of earlier holders are waited for, in ms
 */
export async function openSqliteFences(
  where: string | SqliteHandle,
  { wait, ...context }: { clock: Clock; migrate: boolean; wait: number },
): Promise<FenceStore<SqliteTables>> {
  return new SqliteFences(await ApplicationDatabase.open(where, KIND, context), wait)
}

class SqliteFences implements FenceStore<SqliteTables> {
  readonly #transactions: OwnTransactions

  readonly #wait: number

  constructor(database: ApplicationDatabase, wait: number) {
    this.#wait = wait
    this.#transactions = new OwnTransactions(database)
  }

  within(transaction: unknown): FenceRows {
    return rowsIn(runIn(transaction, 'guard'))
  }

  transact<Result>(
    name: string,
    work: (db: SqliteTables, rows: FenceRows) => Maybe<Result>,
  ): Promise<Result> {
    const wait = this.#wait
    return this.#transactions.run((db, database) => work(db, rowsIn(runIn(database, 'guard'))), {
      wait,
      late: (cause) => fenceBusy(name, { wait, advice: ADVICE, cause }),
    })
  }

  list(): Promise<readonly FenceRow[]> {
    return this.#transactions.run((db) =>
      db.all<FenceRow>('SELECT name, token, raised FROM banyan_fences ORDER BY name'),
    )
  }

  remove(name: string): Promise<boolean> {
    return this.#transactions.run(
      (db) => db.run('DELETE FROM banyan_fences WHERE name = ?', name).changes > 0,
    )
  }

  close(): Promise<void> {
    return this.#transactions.close()
  }
}

const ADVICE =
  'SQLite has one writer at a time, so it may be any transaction that writes to the file: end the process that has it open'

function rowsIn(run: Run): FenceRows {
  return {
    raise: (name, token, at) =>
      andThen(
        // Also if there is nothing to change, this is a write: nobody else writes until the transaction ends, and one that
        // had read what is old by now fails here.
        run(
          `INSERT INTO banyan_fences (name, token, raised) VALUES (?, ?, ?)
           ON CONFLICT (name) DO UPDATE SET token = excluded.token, raised = excluded.raised
           WHERE banyan_fences.token < excluded.token
           RETURNING token`,
          [name, token, at],
        ),
        ([raised]) =>
          raised
            ? token
            : andThen(run('SELECT token FROM banyan_fences WHERE name = ?', [name]), ([row]) =>
                Number(row!['token']),
              ),
      ),
  }
}
