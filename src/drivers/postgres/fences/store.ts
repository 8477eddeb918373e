import { andThen, type Maybe } from '../../../core/maybe.js'
import type { FenceRow, FenceRows, FenceStore } from '../../../coordination/fencing/store.js'
import { ApplicationDatabase } from '../application-database.js'
import { runIn, type Run } from '../application-transaction.js'
import type { PostgresPool, PostgresTables } from '../read-models/client.js'
import { FENCES_SCHEMA, FORMAT } from './schema.js'

const KIND = {
  name: 'the table of fences',
  table: 'banyan_fences',
  schema: FENCES_SCHEMA,
  format: { table: 'banyan_fences_state', newest: FORMAT },
  madeBy: "what fencesSchema('postgres') gives",
  codes: { unavailable: 'BANYAN_FENCES_UNAVAILABLE', closed: 'BANYAN_FENCES_CLOSED' },
} as const

/**
 * Opens the fences in a PostgreSQL database.
 *
 * @param where - a URL, or a pool of the application, which is not closed
 */
export async function openPostgresFences(
  where: string | PostgresPool,
  { migrate }: { migrate: boolean },
): Promise<FenceStore<PostgresTables>> {
  return new PostgresFences(await ApplicationDatabase.open(where, KIND, migrate))
}

class PostgresFences implements FenceStore<PostgresTables> {
  readonly #database: ApplicationDatabase

  constructor(database: ApplicationDatabase) {
    this.#database = database
  }

  within(transaction: unknown): FenceRows {
    return rowsIn(runIn(transaction, 'guard'))
  }

  transact<Result>(work: (db: PostgresTables, rows: FenceRows) => Maybe<Result>): Promise<Result> {
    return this.#database.transact(async (client) =>
      work(client as PostgresTables, rowsIn(runIn(client, 'guard'))),
    )
  }

  async list(): Promise<readonly FenceRow[]> {
    const rows = await this.#database.ask<{ name: string; token: string; raised: string }>(
      'SELECT name, token, raised FROM banyan_fences ORDER BY name COLLATE "C"',
    )
    return rows.map(({ name, token, raised }) => ({ name, token: Number(token), raised: Number(raised) }))
  }

  async remove(name: string): Promise<boolean> {
    const rows = await this.#database.ask('DELETE FROM banyan_fences WHERE name = $1 RETURNING name', [name])
    return rows.length > 0
  }

  close(): Promise<void> {
    return this.#database.close()
  }
}

function rowsIn(run: Run): FenceRows {
  const tokenOf = ([row]: readonly Record<string, unknown>[]): number | undefined =>
    row && Number(row['token'])
  return {
    raise: (name, token, at) =>
      andThen(
        // Transactions of one holder do not wait for each other, and who raises it waits for all of them. A row with a lower
        // token is not locked here: two that are about to raise it would wait for each other.
        run('SELECT token FROM banyan_fences WHERE name = $1 AND token >= $2 FOR SHARE', [name, token]),
        (found) =>
          tokenOf(found) ??
          andThen(
            run(
              `INSERT INTO banyan_fences (name, token, raised) VALUES ($1, $2, $3)
               ON CONFLICT (name) DO UPDATE SET token = excluded.token, raised = excluded.raised
               WHERE banyan_fences.token < excluded.token
               RETURNING token`,
              [name, token, at],
            ),
            (raised) =>
              tokenOf(raised) ??
              // Somebody was faster. The row is locked by now.
              andThen(run('SELECT token FROM banyan_fences WHERE name = $1', [name]), (row) => tokenOf(row)!),
          ),
      ),
  }
}
