import type { PostgresClient, PostgresResult, PostgresTables } from '../read-models/client.js'

/** What would end the transaction. */
const TRANSACTIONS =
  /^\s*(?:BEGIN|START|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|PREPARE\s+TRANSACTION)\b/i

/** SQL in a transaction that a router has begun and will end. */
export class Statements implements PostgresTables {
  #client: PostgresClient | undefined

  constructor(client: PostgresClient) {
    this.#client = client
  }

  async query<Row extends object>(text: string, values?: readonly unknown[]): Promise<PostgresResult<Row>> {
    if (!this.#client) throw new Error('the transaction has ended: db is of no use after its work')
    if (TRANSACTIONS.test(text))
      throw new Error(`what works in a transaction of read() or write() must not say ${text.trim()}`)
    return (await this.#client.query(text, values && [...values])) as unknown as PostgresResult<Row>
  }

  end(): void {
    this.#client = undefined
  }
}
