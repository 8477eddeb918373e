import { BanyanError } from '../../core/errors.js'
import { andThen, type Maybe } from '../../core/maybe.js'

/** What is needed of the application's client: `Client` and `PoolClient` of `pg` have it, and clients of most ORMs. */
export interface QueryClient {
  query(text: string, values: unknown[]): PromiseLike<unknown>
  /** `I` if no transaction is open; newer versions of `pg` have it. */
  getTransactionStatus?(): string | null
}

/** Runs a statement in a transaction; resolves with its rows. */
export type Run = (text: string, values: readonly unknown[]) => Maybe<Record<string, unknown>[]>

/**
 * How to run statements in a transaction of an application.
 *
 * @param given - a client with a transaction open, or a function `(sql, parameters) => result`
 * @param method - which takes it, for messages
 * @throws `BANYAN_INVALID_OPTIONS` for what is no transaction
 */
export function runIn(given: unknown, method: string): Run {
  if (typeof given === 'function') {
    const run = given as (text: string, values: unknown[]) => Maybe<unknown>
    return (text, values) => {
      const result = run(text, [...values])
      if (result === undefined)
        throw refused(
          `${method} was given a function that gives nothing, so nobody can wait for its statement: return what runs it`,
        )
      return andThen(result, rowsOf)
    }
  }
  const client = given as Partial<QueryClient> | null | undefined
  if (typeof client?.query !== 'function')
    throw refused(
      `${method} needs a client with a transaction open: a Client or PoolClient of pg, what has its query(text, values), or a function (sql, parameters) => result`,
    )
  if ('totalCount' in client)
    throw refused(
      `${method} was given a pool, which has no transaction; give it the client that connect() of the pool returns`,
    )
  if (client.getTransactionStatus?.() === 'I')
    throw refused(
      `${method} was given a client that has no transaction open: BEGIN one, as what it writes belongs together with what you write`,
    )
  return (text, values) => (client as QueryClient).query(text, [...values]).then(rowsOf) as Promise<Row[]>
}

type Row = Record<string, unknown>

/** Clients answer with their rows, or with an object that has them. */
function rowsOf(result: unknown): Row[] {
  if (Array.isArray(result)) return result as Row[]
  const { rows } = (result ?? {}) as { rows?: unknown }
  return Array.isArray(rows) ? (rows as Row[]) : []
}

function refused(message: string): Error {
  return new BanyanError('BANYAN_INVALID_OPTIONS', message)
}
