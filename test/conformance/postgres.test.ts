import { beforeAll, describe } from 'vitest'
import { openDriver } from '../../src/drivers/open-log.js'
import type { OpenTransaction } from '../../src/testing/index.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { runConformance } from './run.js'

describe.skipIf(postgresMissing())('an event log in PostgreSQL', () => {
  const server = PostgresServer.ofSuite()
  let url: string
  let elsewhere: string
  let logs = 0

  beforeAll(async () => {
    url = await server.database()
    elsewhere = await server.database()
  }, 60_000)

  /** A transaction that has written something, as one that only reads holds nobody up. */
  async function begin(database: string): Promise<OpenTransaction> {
    const client = await server.connect(database)
    await client.query('BEGIN')
    await client.query('SELECT pg_current_xact_id()')
    const end = async (how: 'COMMIT' | 'ROLLBACK'): Promise<void> => {
      await client.query(how)
      await client.end()
    }
    return { client, commit: () => end('COMMIT'), rollback: () => end('ROLLBACK') }
  }

  runConformance({
    capabilities: {
      driver: 'postgres',
      order: 'log',
      atomic: 'log',
      dedupe: 'for ever',
      durable: 'server',
      shared: 'network',
      transactions: true,
      backup: false,
    },
    open: async () => {
      const schema = `log_${logs++}`
      const connect = (): ReturnType<typeof openDriver> => openDriver({ driver: 'postgres', url, schema })
      return {
        driver: await connect(),
        connect,
        transaction: () => begin(url),
        transactionElsewhere: () => begin(elsewhere),
        dispose: async () => {
          await server.query(`DROP SCHEMA ${schema} CASCADE`, [], url)
        },
      }
    },
  })
})
