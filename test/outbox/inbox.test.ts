import { join } from 'node:path'
import SQLite from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import {
  inboxSchema,
  openInbox,
  openLog,
  outboxSchema,
  subscribe,
  topic,
  type Handler,
  type PostgresTables,
  type SqliteTables,
} from '../../src/events/index.js'
import { virtualRuntime } from '../../src/testing/index.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { closeLogs, newDirectory } from '../support/logs.js'
import { Bench, engines, errorOf } from './engines.js'

const missing = postgresMissing()
const server = PostgresServer.ofSuite()

describe.each(engines(missing ? undefined : server))('an inbox in $name', (engine) => {
  it('does once what comes twice, and gives the same answer again', async () => {
    await using bench = await Bench.open(engine)
    const inbox = await bench.inbox()
    const { application } = bench
    expect(await application.once(inbox, 'a', 1)).toEqual({ result: { number: 1 }, isRepeated: false })
    expect(await application.once(inbox, 'a', 2)).toEqual({ result: { number: 1 }, isRepeated: true })
    expect(await application.once(inbox, 'b', 3)).toEqual({ result: { number: 3 }, isRepeated: false })
    expect(await application.entries()).toEqual([1, 3])
  })

  it('knows nothing of what was rolled back', async () => {
    await using bench = await Bench.open(engine)
    const inbox = await bench.inbox()
    const { application } = bench
    await application.once(inbox, 'a', 1, { outcome: 'rollback' })
    expect(await application.once(inbox, 'a', 2)).toMatchObject({ isRepeated: false })
    expect(await application.entries()).toEqual([2])
  })

  it('lets one of many do it that come at the same time', async () => {
    await using bench = await Bench.open(engine)
    const inboxes = await Promise.all(Array.from({ length: 4 }, () => bench.inbox()))
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, number) => bench.application.once(inboxes[number % 4]!, 'a', number)),
    )
    const [entry, ...others] = await bench.application.entries()
    expect(others).toEqual([])
    expect(answers.filter((answer) => !(answer as { isRepeated: boolean }).isRepeated)).toHaveLength(1)
    for (const answer of answers) expect(answer).toMatchObject({ result: { number: entry } })
  })

  it('refuses an id that comes with something else, and ids that are none', async () => {
    await using bench = await Bench.open(engine)
    const inbox = await bench.inbox()
    const { application } = bench
    await application.once(inbox, 'a', 1, { fingerprint: 'one' })
    expect(await application.once(inbox, 'a', 1, { fingerprint: 'one' })).toMatchObject({ isRepeated: true })
    expect(await errorOf(application.once(inbox, 'a', 1, { fingerprint: 'two' }))).toMatchObject({
      code: 'BANYAN_INBOX_MISMATCH',
    })
    for (const id of ['', 'x'.repeat(300)])
      expect(await errorOf(application.once(inbox, id, 1))).toMatchObject({
        code: 'BANYAN_INVALID_EVENT',
      })
  })

  it('forgets ids after their time, in steps', async () => {
    const runtime = virtualRuntime()
    await using bench = await Bench.open(engine)
    const inbox = await bench.inbox({ runtime, retention: '2h' })
    const { application } = bench
    await application.once(inbox, 'a', 1)
    const many = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
      INSERT INTO banyan_inbox (scope, id, received) SELECT '', i, 0 FROM n`
    await application.sql(engine.name === 'postgres' ? many.replace("'', i,", "'', i::text,") : many)
    expect(await inbox.clean()).toBe(2500)
    await runtime.clock.advance('1h')
    expect(await application.once(inbox, 'a', 2)).toMatchObject({ isRepeated: true })
    await runtime.clock.advance('61m')
    await inbox.clean()
    expect(await application.once(inbox, 'a', 3)).toMatchObject({ isRepeated: false })
  })

  it('is a handler of a subscription, and does each message once', async () => {
    await using bench = await Bench.open(engine)
    const inbox = await openInbox<SqliteTables & PostgresTables>(bench.application.url)
    let tries = 0
    const handler: Handler = inbox.handler(async (db, event) => {
      const number = event.data as number
      if (engine.name === 'sqlite') db.run('INSERT INTO entry (number) VALUES (?)', number)
      else await db.query('INSERT INTO entry (number) VALUES ($1)', [number])
      if (number === 2 && ++tries === 1) throw new Error('not yet')
    })
    const log = await openLog('memory:')
    const subscription = await subscribe(log, { name: 'entries', topic: 'number', backoff: { base: '1ms' } })
    let count = 0
    const all = new Promise<void>((resolve) => {
      subscription.handle(async (event, context) => {
        await handler(event, context)
        // As when the acknowledgement is lost.
        await handler(event, context)
        if (++count === 3) resolve()
      })
    })
    await topic(log, 'number').publish([1, 2, 3].map((data) => ({ type: 'Said', data, key: 'one' })))
    await all
    expect(await bench.application.entries()).toEqual([1, 2, 3])
    await subscription.close()
    await log.close()
    await inbox.close()
  })

  it('and an outbox have tables that can be made beforehand', async () => {
    const application = await engine.application()
    await application.sql(outboxSchema(engine.name) + inboxSchema(engine.name))
    const inbox = await openInbox<unknown>(application.url)
    expect(await application.once(inbox, 'a', 1)).toMatchObject({ isRepeated: false })
    await inbox.close()
    await application.sql('UPDATE banyan_inbox_state SET format = 99')
    expect(await errorOf(openInbox(application.url))).toMatchObject({ code: 'BANYAN_OUTBOX_UNAVAILABLE' })
    await application.close()
  })
})

it.skipIf(missing)(
  'undoes all of a work that fails, and nothing else, whoever commits in spite of it',
  async () => {
    const url = await server.database()
    await server.query('CREATE TABLE entry (place serial, number integer)', [], url)
    const inbox = await openInbox(url as `postgres:${string}`)
    const client = await server.connect(url)
    const numbers = async (): Promise<number[]> =>
      (await client.query<{ number: number }>('SELECT number FROM entry ORDER BY place')).rows.map(
        (row) => row.number,
      )
    const insert = async (number: number): Promise<void> => {
      await client.query('INSERT INTO entry (number) VALUES ($1)', [number])
    }
    const ask = (sql: string, values: readonly unknown[]): Promise<unknown> => client.query(sql, [...values])
    for (const [index, given] of [client, ask].entries()) {
      await client.query('TRUNCATE entry; BEGIN')
      await insert(1)
      const failing = inbox.once(given, `a${index}`, async () => {
        await inbox.once(given, `inner${index}`, () => insert(2))
        await inbox
          .once(given, `failed${index}`, () => insert(3).then(() => Promise.reject(new Error('in'))))
          .catch(() => undefined)
        expect(await numbers()).toEqual([1, 2])
        await client.query('SELECT nothing')
      })
      expect((await errorOf(failing)).message).toContain('nothing')
      await insert(4)
      await client.query('COMMIT')
      expect(await numbers()).toEqual([1, 4])
      await client.query('BEGIN')
      for (const id of ['a', 'inner', 'failed'])
        expect(await inbox.once(given, `${id}${index}`, () => 'done')).toEqual({
          result: 'done',
          isRepeated: false,
        })
      await client.query('COMMIT')
    }
    // Outside a transaction a function would write the id alone.
    expect((await errorOf(inbox.once(ask, 'b', () => 'done'))).message).toContain('transaction block')
    await inbox.close()
    await client.query('BEGIN')
    expect(await errorOf(inbox.once(client, 'b', () => 'done'))).toMatchObject({
      code: 'BANYAN_OUTBOX_CLOSED',
    })
    await client.end()
  },
)

it('undoes all of a work that fails in SQLite', async () => {
  const database = new SQLite(join(newDirectory(), 'app.db'))
  database.exec('CREATE TABLE entry (number INTEGER)')
  const inbox = await openInbox(database)
  const insert = (number: number): unknown => database.prepare('INSERT INTO entry VALUES (?)').run(number)
  const numbers = (): unknown => database.prepare('SELECT number FROM entry').pluck().all()
  const ask = (sql: string, values: readonly unknown[]): unknown => {
    const statement = database.prepare(sql)
    return statement.reader ? statement.all(...values) : statement.run(...values)
  }
  for (const [index, given] of [database, ask].entries()) {
    database.exec('DELETE FROM entry; BEGIN IMMEDIATE')
    insert(1)
    const failing = (): unknown =>
      inbox.once(given, `a${index}`, () => {
        inbox.once(given, `inner${index}`, () => insert(2))
        throw new Error('no')
      })
    expect(failing).toThrow('no')
    insert(3)
    database.exec('COMMIT')
    expect(numbers()).toEqual([1, 3])
    database.exec('BEGIN IMMEDIATE')
    for (const id of ['a', 'inner'])
      expect(inbox.once(given, `${id}${index}`, () => 'done')).toEqual({ result: 'done', isRepeated: false })
    // Its work may be waited for, if the transaction is open until then.
    const later = inbox.once(given, `later${index}`, async () => {
      insert(5)
      await Promise.resolve()
      throw new Error('not yet')
    })
    expect((await errorOf(Promise.resolve(later))).message).toBe('not yet')
    database.exec('COMMIT')
    expect(numbers()).toEqual([1, 3])
  }
  await inbox.close()
  database.exec('BEGIN')
  expect(() => inbox.once(database, 'b', () => 'done')).toThrow('the inbox is closed')
  database.close()
  await closeLogs()
})
