import { andThen, type Maybe } from '../../../core/maybe.js'
import type { InboxId, InboxRows, InboxStore } from '../../../events/inbox/store.js'
import { ApplicationDatabase } from '../application-database.js'
import { runIn, type Run } from '../application-transaction.js'
import type { PostgresPool, PostgresTables } from '../read-models/client.js'
import { FORMAT, INBOX_SCHEMA } from './schema.js'

const KIND = {
  name: 'the inbox',
  table: 'banyan_inbox',
  schema: INBOX_SCHEMA,
  format: { table: 'banyan_inbox_state', newest: FORMAT },
  madeBy: 'what banyan outbox schema postgres --inbox prints',
  codes: { unavailable: 'BANYAN_OUTBOX_UNAVAILABLE', closed: 'BANYAN_OUTBOX_CLOSED' },
} as const

/** Those of nested ones have the same name: the last is meant. */
const SAVEPOINT = 'banyan_inbox'

/**
 * Opens an inbox in a PostgreSQL database.
 *
 * @param where - a URL, or a pool of the application, which is not closed
 */
export async function openPostgresInbox(
  where: string | PostgresPool,
  { migrate }: { migrate: boolean },
): Promise<InboxStore<PostgresTables>> {
  return new PostgresInbox(await ApplicationDatabase.open(where, KIND, migrate))
}

class PostgresInbox implements InboxStore<PostgresTables> {
  readonly #database: ApplicationDatabase

  constructor(database: ApplicationDatabase) {
    this.#database = database
  }

  within(transaction: unknown): InboxRows {
    return rowsIn(runIn(transaction, 'once'))
  }

  transact<Result>(work: (db: PostgresTables, rows: InboxRows) => Maybe<Result>): Promise<Result> {
    return this.#database.transact(async (client) =>
      work(client as PostgresTables, rowsIn(runIn(client, 'once'))),
    )
  }

  async clean(before: number, limit: number): Promise<number> {
    const [row] = await this.#database.ask<{ count: string }>(
      `WITH old AS (SELECT scope, id FROM banyan_inbox WHERE received < $1 ORDER BY received LIMIT $2 FOR UPDATE SKIP LOCKED),
            gone AS (DELETE FROM banyan_inbox USING old
                     WHERE banyan_inbox.scope = old.scope AND banyan_inbox.id = old.id RETURNING 1)
       SELECT count(*) FROM gone`,
      [before, limit],
    )
    return Number(row!.count)
  }

  close(): Promise<void> {
    return this.#database.close()
  }
}

function rowsIn(run: Run): InboxRows {
  return {
    take: ({ scope, id }, fingerprint, received) =>
      andThen(
        // Whoever comes second waits here for the end of the first.
        run(
          `INSERT INTO banyan_inbox (scope, id, fingerprint, received) VALUES ($1, $2, $3, $4)
           ON CONFLICT DO NOTHING RETURNING id`,
          [scope, id, fingerprint, received],
        ),
        (rows) => rows.length > 0,
      ),
    finish: ({ scope, id }, result) =>
      run('UPDATE banyan_inbox SET result = $3 WHERE scope = $1 AND id = $2', [scope, id, result]),
    find: ({ scope, id }: InboxId) =>
      andThen(
        run('SELECT fingerprint, result::text FROM banyan_inbox WHERE scope = $1 AND id = $2', [scope, id]),
        ([row]) => row as { fingerprint: string | null; result: string | null } | undefined,
      ),
    save: () => run(`SAVEPOINT ${SAVEPOINT}`, []),
    release: () => run(`RELEASE SAVEPOINT ${SAVEPOINT}`, []),
    undo: () =>
      andThen(run(`ROLLBACK TO SAVEPOINT ${SAVEPOINT}`, []), () => run(`RELEASE SAVEPOINT ${SAVEPOINT}`, [])),
  }
}
