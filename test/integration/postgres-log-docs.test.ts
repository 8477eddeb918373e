import { beforeAll, describe, expect, it } from 'vitest'
import { openLog } from '../../src/events/index.js'
import { blockOf } from '../support/example.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { runSnippet } from '../support/snippet.js'

const PAGE = 'events/postgres.md'

describe.skipIf(postgresMissing())('the page of the event log on PostgreSQL', () => {
  const server = PostgresServer.ofSuite()
  beforeAll(async () => {
    await server.query('CREATE DATABASE shop TEMPLATE template0')
  }, 120_000)

  const edit = (code: string): string => code.replaceAll('127.0.0.1:5432', `127.0.0.1:${server.port}`)

  it('has examples that do what they say', async () => {
    expect(await runSnippet(PAGE, { edit })).toBe('order-1 0 OrderPlaced\n')
    await server.query('DROP SCHEMA banyan CASCADE', [], server.url('shop'))
    expect(await runSnippet(PAGE, { index: 1, edit })).toBe('order-1 OrderPlaced 0000000000000001\n')
    expect(await server.query('SELECT * FROM orders', [], server.url('shop'))).toEqual([
      { id: 'order-1', total: 30 },
    ])
    // The second time the stream is there: a conflict, and no second order.
    expect(
      await runSnippet(PAGE, {
        index: 1,
        edit: (code) => edit(code).replace("['order-1', 30]", "['order-2', 30]"),
      }),
    ).toBe('order-1 OrderPlaced 0000000000000001\n')
    expect((await server.query('SELECT * FROM orders', [], server.url('shop'))).length).toBe(1)
  })

  it('names the permissions that are enough for everything but migrating', async () => {
    const url = await server.database()
    await (await openLog(url)).close()
    await server.query('CREATE ROLE shop LOGIN', [], url)
    await server.query(blockOf(PAGE, 'sql', 0), [], url)
    const own = url.replace('postgres@', 'shop@')
    await using log = await openLog(own)
    const commit = { streams: [{ stream: 'a-1', events: [{ type: 'T', tags: ['t'] }] }] }
    expect(await log.append(commit)).toMatchObject({ ok: true })
    const client = await server.connect(own)
    await client.query('BEGIN')
    expect(await log.within(client).append(commit)).toMatchObject({ ok: true })
    await client.query('COMMIT')
    await client.end()
    await log.hold('h', await log.head())
    await log.release('h')
    expect(await log.truncate({ stream: 'a-1', beforeRevision: 1 })).toEqual({ removed: 1 })
    for await (const finding of log.verify()) expect(finding).toMatchObject({ ok: true, events: 1 })
  })
})
