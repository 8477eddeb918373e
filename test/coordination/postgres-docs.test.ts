import { beforeAll, describe, expect, test } from 'vitest'
import { openCoordinator } from '../../src/coordination/index.js'
import { blockOf } from '../support/example.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { runSnippet } from '../support/snippet.js'

const PAGE = 'coordination/postgres.md'

describe.skipIf(postgresMissing())('the page of coordination in PostgreSQL', () => {
  const server = PostgresServer.ofSuite()
  beforeAll(async () => {
    await server.query('CREATE DATABASE shop TEMPLATE template0')
  }, 120_000)

  test('has examples that print what it says', async () => {
    const edit = (code: string): string => code.replaceAll('5432', String(server.port))
    expect(await runSnippet(PAGE, { edit })).toBe(blockOf(PAGE, 'text'))
    expect(await server.query(blockOf(PAGE, 'sql', 0), [], server.url('shop'))).toEqual([])
    expect(await runSnippet(PAGE, { index: 1 })).toMatch(/^BEGIN;\nCREATE SCHEMA .*\nCOMMIT;\n/s)
  })

  test('names what lets revisions jump after a restore that nobody can notice', async () => {
    const url = await server.database()
    await (await openCoordinator(url)).close()
    await server.query(blockOf(PAGE, 'sql', 1), [], url)
    await using coordinator = await openCoordinator(url)
    const made = await coordinator.put('k', '')
    expect(made.ok && made.revision).toBeGreaterThan(2 ** 32)
  })

  test('names the permissions that are enough for everything but migrating', async () => {
    const url = await server.database()
    await (await openCoordinator(url)).close()
    await server.query('CREATE ROLE shop LOGIN', [], url)
    await server.query(blockOf(PAGE, 'sql', 2), [], url)
    await using coordinator = await openCoordinator(url.replace('postgres@', 'shop@'))
    const lease = await coordinator.lease('2s')
    const made = await coordinator.put('k', '1', { lease })
    await lease.release()
    expect(await coordinator.get('k')).toBeUndefined()
    expect(made).toMatchObject({ ok: true, revision: 1 })
    for await (const { changes } of coordinator.watch('', { after: 1 })) {
      expect(changes).toEqual([{ kind: 'deleted', key: 'k' }])
      break
    }
    await server.query('SELECT banyan_coordination.compact(1)', [], url.replace('postgres@', 'shop@'))
  })
})
