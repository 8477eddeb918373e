import { CompiledQuery, Kysely, PostgresDialect, type Transaction } from 'kysely'
import pg from 'pg'
import { expect, it } from 'vitest'
import { openInbox, openLog, openOutbox } from '../../src/events/index.js'
import { collect } from '../support/logs.js'
import { postgresMissing, PostgresServer } from '../support/postgres.js'

interface Tables {
  account: { owner: string; balance: number }
}

it.skipIf(postgresMissing())(
  'messages and ids go through the transaction of a query builder',
  async () => {
    await using server = await PostgresServer.start()
    const pool = new pg.Pool({ connectionString: await server.database() })
    pool.on('error', () => undefined)
    const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
    await pool.query('CREATE TABLE account (owner text PRIMARY KEY, balance integer NOT NULL)')
    const within = (trx: Transaction<Tables>) => (sql: string, parameters: readonly unknown[]) =>
      trx.executeQuery(CompiledQuery.raw(sql, [...parameters]))
    await using outbox = await openOutbox(pool)
    await using inbox = await openInbox(pool)
    const open = (owner: string, balance: number): Promise<unknown> =>
      db.transaction().execute((trx) =>
        inbox.once(within(trx), `open-${owner}`, async () => {
          await trx.insertInto('account').values({ owner, balance }).execute()
          await outbox.publish(within(trx), 'account', {
            type: 'Opened',
            key: owner,
            data: new Uint8Array([balance]),
          })
          if (balance < 0) throw new Error('below zero')
          return { balance }
        }),
      )
    expect(await open('ada', 7)).toEqual({ result: { balance: 7 }, isRepeated: false })
    expect(await open('ada', 8)).toEqual({ result: { balance: 7 }, isRepeated: true })
    await expect(open('bob', -1)).rejects.toThrow('below zero')
    expect(await open('bob', 1)).toMatchObject({ isRepeated: false })

    const log = await openLog('memory:')
    const relay = outbox.relay(log)
    for await (const { position } of log.follow({ category: 'account' })) {
      const events = await collect(log.read({ category: 'account' }, { to: position }))
      if (events.length < 2) continue
      expect(events).toMatchObject([
        { stream: 'account-ada', data: new Uint8Array([7]) },
        { stream: 'account-bob', data: new Uint8Array([1]) },
      ])
      break
    }
    await relay.close()
    await log.close()
    await inbox.close()
    await outbox.close()
    await db.destroy()
  },
  60_000,
)
