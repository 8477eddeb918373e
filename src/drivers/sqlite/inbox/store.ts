import { andThen, type Maybe } from '../../../core/maybe.js'
import type { DriverContext } from '../../../events/driver.js'
import type { InboxRows, InboxStore } from '../../../events/inbox/store.js'
import { ApplicationDatabase } from '../application-database.js'
import { runIn, type Run } from '../application-transaction.js'
import { OwnTransactions } from '../own-transactions.js'
import type { SqliteHandle } from '../read-models/store.js'
import type { SqliteTables } from '../read-models/tables.js'
import { FORMAT, INBOX_SCHEMA } from './schema.js'

const KIND = {
  name: 'the inbox',
  table: 'banyan_inbox',
  schema: INBOX_SCHEMA,
  format: { table: 'banyan_inbox_state', newest: FORMAT },
  madeBy: 'what banyan outbox schema sqlite --inbox prints',
  codes: { unavailable: 'BANYAN_OUTBOX_UNAVAILABLE', closed: 'BANYAN_OUTBOX_CLOSED' },
} as const

/** Those of nested ones have the same name: the last is meant. */
const SAVEPOINT = 'banyan_inbox'

/**
 * Opens an inbox in a SQLite file.
 *
 * @param where - a file, made if it is not there, or a database that is open, whose file is opened again
 */
export async function openSqliteInbox(
  where: string | SqliteHandle,
  context: DriverContext & { migrate: boolean },
): Promise<InboxStore<SqliteTables>> {
  return new SqliteInbox(await ApplicationDatabase.open(where, KIND, context))
}

class SqliteInbox implements InboxStore<SqliteTables> {
  readonly #transactions: OwnTransactions

  constructor(database: ApplicationDatabase) {
    this.#transactions = new OwnTransactions(database)
  }

  within(transaction: unknown): InboxRows {
    return rowsIn(runIn(transaction, 'once'))
  }

  transact<Result>(work: (db: SqliteTables, rows: InboxRows) => Maybe<Result>): Promise<Result> {
    return this.#transactions.run((db, database) => work(db, rowsIn(runIn(database, 'once'))))
  }

  clean(before: number, limit: number): Promise<number> {
    return this.transact((db) => {
      const sql =
        'DELETE FROM banyan_inbox WHERE (scope, id) IN (SELECT scope, id FROM banyan_inbox WHERE received < ? ORDER BY received LIMIT ?)'
      return db.run(sql, before, limit).changes
    })
  }

  close(): Promise<void> {
    return this.#transactions.close()
  }
}

function rowsIn(run: Run): InboxRows {
  return {
    take: ({ scope, id }, fingerprint, received) =>
      andThen(
        run(
          'INSERT INTO banyan_inbox (scope, id, fingerprint, received) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id',
          [scope, id, fingerprint, received],
        ),
        (rows) => rows.length > 0,
      ),
    finish: ({ scope, id }, result) =>
      run('UPDATE banyan_inbox SET result = ? WHERE scope = ? AND id = ?', [result, scope, id]),
    find: ({ scope, id }) =>
      andThen(
        run('SELECT fingerprint, result FROM banyan_inbox WHERE scope = ? AND id = ?', [scope, id]),
        ([row]) => row as { fingerprint: string | null; result: string | null } | undefined,
      ),
    save: () => run(`SAVEPOINT ${SAVEPOINT}`, []),
    release: () => run(`RELEASE SAVEPOINT ${SAVEPOINT}`, []),
    undo: () =>
      andThen(run(`ROLLBACK TO SAVEPOINT ${SAVEPOINT}`, []), () => run(`RELEASE SAVEPOINT ${SAVEPOINT}`, [])),
  }
}
