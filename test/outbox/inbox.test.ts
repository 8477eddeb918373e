import { afterAll, beforeAll, describe, expect, it } from 'vitest'
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
import { postgresMissing, PostgresServer } from '../support/postgres.js'
import { Bench, engines, errorOf } from './engines.js'

const missing = postgresMissing()
let server: PostgresServer
beforeAll(async () => {
  if (!missing) server = await PostgresServer.start()
})
afterAll(async () => {
  if (!missing) await server.stop()
})

describe.each(engines(missing ? undefined : () => server))('an inbox in $name', (engine) => {
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
  'keeps no id whose work has failed, also if what was done besides is committed',
  async () => {
    const url = await server.database()
    await using inbox = await openInbox(url as `postgres:${string}`)
    const client = await server.connect(url)
    await client.query('BEGIN')
    expect(await errorOf(inbox.once(client, 'a', () => Promise.reject(new Error('no'))))).toMatchObject({
      message: 'no',
    })
    await client.query('COMMIT')
    await client.query('BEGIN')
    expect(await inbox.once(client, 'a', () => 'done')).toEqual({ result: 'done', isRepeated: false })
    await client.query('COMMIT')
    await client.end()
  },
)
