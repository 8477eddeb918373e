import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { blockOf } from '../support/example.js'
import { postgresMissing, PostgresServer } from '../support/postgres.js'
import { runSnippet } from '../support/snippet.js'

const PAGE = 'coordination/leader-follower.md'

describe.skipIf(postgresMissing())('the page of leader and followers', () => {
  let a: PostgresServer
  let b: PostgresServer
  let c: PostgresServer
  beforeAll(async () => {
    a = await PostgresServer.start({ fsync: 'off' })
    await a.query('CREATE DATABASE shop TEMPLATE template0')
    await a.query('CREATE TABLE orders (id serial PRIMARY KEY, item text NOT NULL)', [], a.url('shop'))
    ;[b, c] = await Promise.all([a.standby(), a.standby()])
  }, 120_000)
  afterAll(() => Promise.all([a, b, c].map((server) => server.stop())), 60_000)

  test('has examples that print what it says, and names the permissions that are enough', async () => {
    const edit = (code: string): string =>
      code.replaceAll(/:543([234])/g, (_, which: string) => `:${[a, b, c][Number(which) - 2]!.port}`)
    await a.query(blockOf(PAGE, 'sql'), [], a.url('shop'))
    for (const index of [0, 1, 2])
      expect(await runSnippet(PAGE, { index, edit })).toBe(blockOf(PAGE, 'text', index))
    const asShop = b.url('shop').replace('postgres@', 'shop@')
    const [row] = await b.query<{ history: string }>(
      'SELECT banyan_timeline_history(2) AS history',
      [],
      asShop,
    )
    expect(row!.history).toMatch(/^1\t/)
  })
})
