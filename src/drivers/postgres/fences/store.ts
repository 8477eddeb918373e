import { andThen, isPromise, type Maybe } from '../../../core/maybe.js'
import {
  fenceBusy,
  type FenceRow,
  type FenceRows,
  type FenceStore,
} from '../../../coordination/fencing/store.js'
import { ApplicationDatabase } from '../application-database.js'
import { runIn, type Run } from '../application-transaction.js'
import { isLockTimeout } from '../faults.js'
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
 * @param options.wait - how long transactions of earlier holders are waited for, in ms
 */
export async function openPostgresFences(
  where: string | PostgresPool,
  { migrate, wait }: { migrate: boolean; wait: number },
): Promise<FenceStore<PostgresTables>> {
  return new PostgresFences(await ApplicationDatabase.open(where, KIND, migrate, wait), wait)
}

class PostgresFences implements FenceStore<PostgresTables> {
  readonly #database: ApplicationDatabase
  readonly #wait: number

  constructor(database: ApplicationDatabase, wait: number) {
    this.#database = database
    this.#wait = wait
  }

  within(transaction: unknown): FenceRows {
    return rowsIn(runIn(transaction, 'guard'), this.#wait)
  }

  transact<Result>(
    _name: string,
    work: (db: PostgresTables, rows: FenceRows) => Maybe<Result>,
  ): Promise<Result> {
    return this.#database.transact(async (client) =>
      work(client as PostgresTables, rowsIn(runIn(client, 'guard'), this.#wait)),
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

const ADVICE =
  'Try again; if it stands still, end its connection (pg_terminate_backend of its pid in pg_stat_activity), and set ' +
  'idle_in_transaction_session_timeout, so that the server does so next time'

function rowsIn(run: Run, wait: number): FenceRows {
  const tokenOf = ([row]: readonly Row[]): number | undefined => row && Number(row['token'])
  const keep = (name: string, token: number, unless = ''): Maybe<Row[]> =>
    run(`SELECT token FROM banyan_fences WHERE name = $1 AND token >= $2 FOR SHARE${unless}`, [name, token])
  const raise = (name: string, token: number, at: number): Maybe<number> =>
    andThen(
      // Transactions of one holder do not wait for each other, and who raises it waits for all of them. A row with a lower
      // token is not locked here: two that are about to raise it would wait for each other.
      keep(name, token),
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
    )
  return {
    raise: (name, token, at) =>
      // What waits for nobody needs no limit, and is what is usual.
      andThen(
        keep(name, token, ' SKIP LOCKED'),
        (found) =>
          tokenOf(found) ??
          limited(
            run,
            wait,
            () => raise(name, token, at),
            (cause) => fenceBusy(name, { wait, advice: ADVICE, cause }),
          ),
      ),
  }
}

type Row = Record<string, unknown>

/** Of a setting of PostgreSQL in ms. */
const LONGEST_MS = 2 ** 31 - 1

/** Has statements wait for locks for so long, and what comes behind them in their transaction as long as before. */
function limited<Result>(
  run: Run,
  wait: number,
  work: () => Maybe<Result>,
  busy: (cause: unknown) => Error,
): Maybe<Result> {
  const limit = String(Math.min(Math.ceil(wait), LONGEST_MS))
  const set = (value: string): Maybe<Row[]> =>
    run("SELECT current_setting('lock_timeout') AS before, set_config('lock_timeout', $1, true)", [value])
  return andThen(set(limit), ([row]) => {
    const done = work()
    const settled = isPromise(done)
      ? done.catch((error: unknown) => {
          throw isLockTimeout(error) ? busy(error) : error
        })
      : done
    return andThen(settled, (result) => andThen(set(String(row!['before'])), () => result))
  })
}
