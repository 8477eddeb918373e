import { describe, expect, test } from 'vitest'
import { checkSource } from '../../src/node/config/load.js'
import { readYaml } from '../../src/node/config/yaml-source.js'
import { blockOf } from '../support/example.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { runSnippet } from '../support/snippet.js'

const PAGE = 'events/cdc.md'

describe.skipIf(postgresMissing())('examples of change data capture', () => {
  const server = PostgresServer.ofSuite()

  test('the first prints what the page says', async () => {
    const url = await server.database()
    await server.query(
      `CREATE TABLE customers (id int PRIMARY KEY, name text); INSERT INTO customers VALUES (7, 'Ada');
       CREATE TABLE orders (id int PRIMARY KEY, item text, paid boolean DEFAULT false);
       ALTER TABLE orders REPLICA IDENTITY FULL`,
      [],
      url,
    )
    const changes = `
      import pg from 'pg'
      await capture.caughtUp()
      const db = new pg.Client({ connectionString: '${url}' })
      await db.connect()
      await db.query("UPDATE customers SET name = 'Eve'; INSERT INTO orders VALUES (1, 'apple')")
      await db.query('UPDATE orders SET paid = true')
      await db.end()`
    const edit = (code: string): string =>
      code.replace('postgres://localhost/legacy', url).replace('await capture.caughtUp()', `${changes}\n$&`)
    expect(await runSnippet(PAGE, { edit })).toBe(blockOf(PAGE, 'text', 0))
  })

  test('that of parked rows runs', async () => {
    const url = await server.database()
    await server.query('CREATE TABLE customers (id int PRIMARY KEY)', [], url)
    const before = `
      import { captureChanges, openLog } from 'banyan/events'
      const log = await openLog('memory:')
      const tables = { customers: { topic: 'customer' } }
      const capture = await captureChanges({ from: '${url}', name: 'legacy', log, tables })`
    const edit = (code: string): string =>
      `${before}\n${code}\nconsole.log(released, parked)\nawait capture.remove()`
    expect(await runSnippet(PAGE, { index: 1, edit })).toBe('0 0\n')
    const discard = (code: string): string =>
      `${before}\n${code}\nconsole.log(capture.status().parked)\nawait capture.remove()`
    expect(await runSnippet(PAGE, { index: 2, edit: discard })).toBe('0\n')
  })
})

test('the configuration on the page is right', () => {
  const config = `listen: 8080\nservices: {}\nroutes: { all: { match: {}, respond: {} } }\n${blockOf(PAGE, 'yaml', 0)}`
  const source = readYaml(config, { LEGACY_DATABASE_URL: 'postgres://localhost/legacy' })
  expect(checkSource('docs/events/cdc.md', source)).toMatchObject({ ok: true, warnings: [] })
})
