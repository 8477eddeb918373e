import { BanyanError } from '../../../core/errors.js'
import { eventError } from '../../../events/errors.js'
import { MovedError } from '../../../events/projections/store.js'

/** What is needed of a `Pool` of pg. */
export interface PostgresPool {
  connect(): Promise<PostgresClient>
  end(): Promise<void>
  readonly totalCount: number
}

/** What is needed of a `PoolClient` of pg. */
export interface PostgresClient {
  query(text: string, values?: unknown[]): Promise<PostgresResult<Record<string, unknown>>>
  release(broken?: boolean | Error): void
  on(event: 'error', listener: (error: Error) => void): unknown
  off(event: 'error', listener: (error: Error) => void): unknown
}

/** What a statement answers. */
export interface PostgresResult<Row> {
  readonly rows: Row[]
  readonly rowCount: number | null
  readonly command: string
}

/**
 * SQL on the tables of a read model, in a transaction of the projection or in the moment of a query. What is not awaited is
 * done too, and awaited before the transaction ends.
 */
export interface PostgresTables {
  query<Row extends object = Record<string, unknown>>(
    text: string,
    values?: readonly unknown[],
  ): Promise<PostgresResult<Row>>
}

/** What would end the transaction. */
const TRANSACTIONS =
  /^\s*(?:BEGIN|START|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|PREPARE\s+TRANSACTION)\b/i

/** The tables as long as a transaction lasts. */
export class TransactionTables implements PostgresTables {
  #client: PostgresClient | undefined
  readonly #asked = new Set<Promise<unknown>>()
  readonly #isRead: boolean
  #failure: { error: unknown } | undefined

  /** @param isRead - in a transaction that only reads */
  constructor(client: PostgresClient, isRead: boolean) {
    this.#client = client
    this.#isRead = isRead
  }

  async query<Row extends object>(text: string, values?: readonly unknown[]): Promise<PostgresResult<Row>> {
    if (!this.#client) throw new Error('the transaction has ended: db is of no use after its handler')
    if (TRANSACTIONS.test(text))
      throw new Error(
        `a handler works inside the transaction of its projection and must not say ${text.trim()}`,
      )
    const answer = this.#client.query(text, values && [...values])
    this.#asked.add(answer)
    try {
      return (await answer) as unknown as PostgresResult<Row>
    } catch (error) {
      const isMistake = this.#isRead && (error as { code?: unknown }).code === READ_ONLY
      const fault = isMistake
        ? new Error(`a query only reads: ${(error as Error).message}`, { cause: error })
        : (passingFault(error) ?? error)
      // Whoever does not wait for the answer would not see it, and it may be all that is wrong.
      this.#failure ??= { error: fault }
      throw fault
    } finally {
      this.#asked.delete(answer)
    }
  }

  /** Waits for what was asked and not awaited; then nothing more is asked. */
  async settle(): Promise<void> {
    while (this.#asked.size > 0) await Promise.allSettled(this.#asked)
    this.end()
    if (this.#failure) throw this.#failure.error
  }

  end(): void {
    this.#client = undefined
  }
}

/** Shutdown, crash of another process, starting up, connection failures, no space, too many connections. */
const PASSING_STATES = /^(57P|08|53|58|XX000|25006)/
/** Somebody writes who may only read; elsewhere a server that has become a standby. */
const READ_ONLY = '25006'
const NO_TABLE = '42P01'
const REMOVED =
  'somebody has removed what Banyan keeps of the read models of this database. Restore it, or drop their tables, open the read models again and build them anew'
/** Others are in the way: it is done anew. */
const CONTENDED_STATES = /^(40001|40P01|55P03)$/

/** An error that is not of the statement itself, as one of the events plane; undefined for those of statements. */
export function passingFault(error: unknown): Error | undefined {
  if (error instanceof BanyanError || error instanceof MovedError) return error
  if (!(error instanceof Error)) return undefined
  const { code, severity } = error as { code?: unknown; severity?: unknown }
  if (code === NO_TABLE && /"banyan_(?:projection|parked)"/.test(error.message))
    return eventError('BANYAN_READ_MODEL_CORRUPT', `${error.message}: ${REMOVED}`, error)
  const state = typeof code === 'string' && severity !== undefined ? code : undefined
  if (state !== undefined && CONTENDED_STATES.test(state)) return new MovedError()
  const isOfConnection =
    state === undefined && (code !== undefined || /connection|terminated|timeout/i.test(error.message))
  if (!isOfConnection && !(state !== undefined && PASSING_STATES.test(state))) return undefined
  return eventError(
    'BANYAN_READ_MODEL_UNAVAILABLE',
    `the read models in PostgreSQL cannot be reached: ${error.message === '' ? String(code) : error.message}`,
    error,
  )
}
