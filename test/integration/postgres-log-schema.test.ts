import { execFileSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ensure } from '../../scripts/engines.mjs'
import { migratePostgresLog } from '../../src/drivers/postgres/migrate.js'
import { FORMAT, MIGRATIONS } from '../../src/drivers/postgres/migrations/index.js'
import { pageStatement } from '../../src/drivers/postgres/page.js'
import { unseal } from '../../src/drivers/postgres/seal.js'
import { openLog, type EventLog } from '../../src/events/index.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'

const server = PostgresServer.ofSuite()

describe.skipIf(postgresMissing())('the schema of the event log on PostgreSQL', () => {
  describe('migrations', () => {
    test('make the log once, however many open it at the same time', async () => {
      const url = await server.database()
      const logs = await Promise.all(Array.from({ length: 5 }, () => openLog(url)))
      await Promise.all(logs.map((log, number) => put(log, `a-${number}`)))
      expect((await logs[0]!.stats()).events).toBe(5)
      for (const log of logs) await log.close()
    })

    test('by command: say from which format to which, and do nothing the second time', async () => {
      const url = await server.database()
      expect(await migratePostgresLog(url)).toEqual({ from: 0, to: FORMAT })
      expect(await migratePostgresLog({ driver: 'postgres', url })).toEqual({ from: FORMAT, to: FORMAT })
    })

    test('bring a log of the first format up to date', async () => {
      const url = await server.database()
      await server.query('CREATE SCHEMA banyan', [], url)
      await server.query(
        `SET search_path TO banyan; ${MIGRATIONS[0]!}; INSERT INTO log (format) VALUES (1)`,
        undefined,
        url,
      )
      await expect(openLog(url)).rejects.toThrow('has format 1, this version needs')
      expect(await migratePostgresLog(url)).toEqual({ from: 1, to: FORMAT })
      await using log = await openLog(url)
      await put(log, 'a-1')
      const events = await all(log.read({ category: 'a', types: ['T'] }))
      expect(events.map(({ stream }) => stream)).toEqual(['a-1'])
    })

    test('are not run by opening if that is switched off, nor on tables of another version', async () => {
      const url = await server.database()
      const refused = { code: 'BANYAN_LOG_FORMAT' }
      await expect(openLog({ driver: 'postgres', url, migrate: false })).rejects.toMatchObject(refused)
      await migratePostgresLog(url)
      await (await openLog({ driver: 'postgres', url, migrate: false })).close()
      await server.query('UPDATE banyan.log SET format = 0', [], url)
      await expect(openLog(url)).rejects.toThrow('run banyan events migrate')
      await server.query('UPDATE banyan.log SET format = 99', [], url)
      await expect(openLog(url)).rejects.toMatchObject(refused)
      await expect(migratePostgresLog(url)).rejects.toThrow('made by a newer version')
    })

    test('leave nothing behind if they fail', async () => {
      const url = await server.database()
      await server.query('CREATE SCHEMA banyan CREATE TABLE holds (other integer)', [], url)
      await expect(migratePostgresLog(url)).rejects.toMatchObject({ code: 'BANYAN_LOG_UNAVAILABLE' })
      const tables = await server.query(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'banyan'",
        [],
        url,
      )
      expect(tables).toEqual([{ tablename: 'holds' }])
    })

    test('schemas of one database are logs of their own', async () => {
      const url = await server.database()
      await using one = await openLog({ driver: 'postgres', url, schema: 'one' })
      await using two = await openLog({ driver: 'postgres', url, schema: 'two' })
      await put(one, 'a-1')
      expect([await one.revision('a-1'), await two.revision('a-1')]).toEqual([0, 'none'])
    })
  })

  test('a database that cannot hold a log is refused, with what to do', async () => {
    const latin = await server.database("ENCODING 'LATIN1' LOCALE 'C'")
    await expect(openLog(latin)).rejects.toThrow(/encoding UTF8; .* has LATIN1/)
    const serializable = await server.database()
    await server.query(
      `ALTER DATABASE ${nameOf(serializable)} SET default_transaction_isolation = 'serializable'`,
    )
    await expect(openLog(serializable)).rejects.toThrow(/READ COMMITTED .* SERIALIZABLE/)
  })

  test('no message tells a password, and one that is wrong is not tried for long', async () => {
    const url = new URL(await server.database())
    url.password = 'secret'
    const wrong = [
      url.href.replace(/\/test_.*/, '/absent'),
      url.href.replace(/:\d+\//, ':1/'),
      url.href.replace('postgres@', 'nobody@').replace('postgres:', 'postgres://nobody:secret@x'),
      'postgres://a:secret@[',
    ]
    for (const where of wrong) {
      const error = await openLog(where).then(
        () => undefined,
        (reason: unknown) => reason,
      )
      expect(['BANYAN_LOG_UNAVAILABLE', 'BANYAN_INVALID_OPTIONS']).toContain((error as { code: string }).code)
      const told = [error, (error as Error).cause].map(
        (each) => JSON.stringify(each) + String((each as Error | undefined)?.stack),
      )
      expect(told.join()).not.toContain('secret')
    }
  })

  test('a role that may only read reads, also what has no position yet', async () => {
    const url = await server.database()
    await using log = await openLog(url)
    await put(log, 'a-1')
    await server.query('CREATE ROLE reader LOGIN', [], url)
    await server.query('GRANT USAGE ON SCHEMA banyan TO reader', [], url)
    await server.query('GRANT SELECT ON ALL TABLES IN SCHEMA banyan TO reader', [], url)
    await using reader = await openLog(url.replace('postgres@', 'reader@'))
    const client = await server.connect(url)
    await client.query('BEGIN')
    await log.within(client).append({ streams: [{ stream: 'a-1', events: [{ type: 'T' }] }] })
    await client.query('COMMIT')
    await client.end()
    expect((await all(reader.read())).length).toBe(1)
    await expect(put(reader, 'a-1')).rejects.toMatchObject({ code: 'BANYAN_LOG_UNAVAILABLE' })
    expect((await all(log.read())).length).toBe(2)
    expect((await all(reader.read())).length).toBe(2)
  })

  describe('damage', () => {
    test.each([
      ['data', `UPDATE banyan.events SET data = '{"n":2}' WHERE position = 2`],
      ['its place', 'UPDATE banyan.events SET position = 9 WHERE position = 2'],
      ['its revision', 'UPDATE banyan.events SET revision = 7 WHERE position = 3'],
      ['its time', 'UPDATE banyan.events SET recorded = recorded + 1 WHERE position = 2'],
      ['its stream', `UPDATE banyan.events SET stream = 'b-1', revision = 0 WHERE position = 3`],
    ])('of an event (%s) is found, and nothing of it is served', async (_, statement) => {
      const url = await server.database()
      await using log = await openLog(url)
      await put(log, 'a-1', 3)
      await server.query(statement, [], url)
      await expect(all(log.read())).rejects.toMatchObject({ code: 'BANYAN_LOG_CORRUPT' })
      expect((await all(log.verify())).filter(({ ok }) => !ok).length).toBeGreaterThan(0)
    })

    test.each([
      ['an event that is missing', 'DELETE FROM banyan.events WHERE position = 2', /1 events are missing/],
      [
        'the last event',
        'DELETE FROM banyan.events WHERE position = 3',
        /ends at position 3, where no event is/,
      ],
      ['a stream that is missing', `DELETE FROM banyan.streams`, /no row in streams/],
      ['an id that is missing', `DELETE FROM banyan.ids`, /its id is not taken/],
      ['a tag that is missing', 'DELETE FROM banyan.tags', /not found by all of them/],
      ['a tag of nothing', `INSERT INTO banyan.tags VALUES ('t', 99)`, /an event that is not there/],
    ])('of the tables (%s) is found by verify', async (_, statement, message) => {
      const url = await server.database()
      await using log = await openLog(url)
      await put(log, 'a-1', 3)
      await server.query(statement, [], url)
      const messages = (await all(log.verify())).map((finding) => (finding.ok ? 'ok' : finding.message))
      expect(messages.join('\n')).toMatch(message)
    })

    test('indexes are compared with their tables where amcheck is installed', async () => {
      const url = await server.database()
      await using log = await openLog(url)
      await put(log, 'a-1', 3)
      await server.query('CREATE EXTENSION amcheck', [], url)
      expect(await all(log.verify())).toEqual([{ ok: true, events: 3, streams: 1 }])
    })

    test('any change of where an event stands changes its seal', async () => {
      const url = await server.database()
      await migratePostgresLog(url)
      const client = await server.connect(url)
      const number = fc.oneof(fc.nat(), fc.maxSafeNat())
      await fc.assert(
        fc.asyncProperty(
          fc.nat(0xffffffff),
          number,
          number,
          number,
          async (checksum, position, revision, recorded) => {
            const { rows } = await client.query<{ seal: number }>('SELECT banyan.seal($1, $2, $3, $4)', [
              checksum,
              position,
              revision,
              recorded,
            ])
            expect(unseal(rows[0]!.seal, position, revision, recorded)).toBe(checksum)
            expect(unseal(rows[0]!.seal, position + 1, revision, recorded)).not.toBe(checksum)
          },
        ),
        { numRuns: 200 },
      )
      await client.end()
    })
  })

  test('every page of a large log is read along one index, without sorting it', async () => {
    const url = await server.database()
    await migratePostgresLog(url)
    const client = await server.connect(url)
    await client.query('SET search_path TO banyan')
    // The plan of a function is made when it is called first, here of empty tables, and kept.
    await client.query(pageStatement({ stream: 'big-1', after: '0', backwards: false, limit: 100 }, 'banyan'))
    await client.query(`INSERT INTO events (position, revision, time, recorded, ordinal, schema_version, size, checksum,
        stream, category, commit, type, tags)
      SELECT n, n / 2, 0, n, 0, 1, 0, 0, CASE n % 2 WHEN 0 THEN 'big-1' ELSE 'small-' || n END,
        CASE n % 2 WHEN 0 THEN 'big' ELSE 'small' END, 'c' || n, 'T', ARRAY['t']
      FROM generate_series(1, 20000) AS n`)
    await client.query(`INSERT INTO tags SELECT 't', n FROM generate_series(1, 20000) AS n`)
    const parts = [
      {},
      { stream: 'big-1' },
      { category: 'big' },
      { tags: ['t'] },
      { category: 'big', types: ['T'] },
    ]
    // Also before the first ANALYZE, when the planner knows nothing.
    for (const analyze of [false, true]) {
      if (analyze) await client.query('ANALYZE')
      for (const part of parts)
        for (const backwards of [false, true])
          for (const after of ['0', '0000000000015000']) {
            const { text, values } = pageStatement({ ...part, after, backwards, limit: 100 }, 'banyan')
            const { rows } = await client.query<Record<'QUERY PLAN', string>>(
              `EXPLAIN (ANALYZE, BUFFERS) ${text}`,
              values,
            )
            const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
            expect(plan, plan).not.toMatch(/Seq Scan on (events|tags)/)
            const [, most] = /Buffers: shared hit=(\d+)/.exec(plan) ?? []
            expect(Number(most), plan).toBeLessThan(part.types ? 30_000 : 1500)
          }
    }
    await client.end()
  })

  test('a dump, restored elsewhere, is the same log', async () => {
    const url = await server.database()
    await using log = await openLog(url)
    for (const number of [1, 2, 3, 4])
      await log.append({
        id: `c${number}`,
        streams: [{ stream: 'a-1', events: [{ type: 'T', tags: ['t'] }] }],
      })
    await log.truncate({ stream: 'a-1', beforeRevision: 2 })
    const restored = await server.database()
    const programs = dirname(ensure('postgres'))
    const dump = execFileSync(join(programs, 'pg_dump'), ['-n', 'banyan', url])
    execFileSync(join(programs, 'psql'), ['-q', '-v', 'ON_ERROR_STOP=1', restored], { input: dump })
    await using copy = await openLog(restored)
    expect(await all(copy.read())).toEqual(await all(log.read()))
    expect(await all(copy.verify())).toEqual([{ ok: true, events: 2, streams: 1 }])
    const again = { id: 'c1', streams: [{ stream: 'a-1', events: [{ type: 'T' }] }] }
    expect(await copy.append(again)).toMatchObject({ duplicate: true, streams: [{ revision: 0 }] })
    expect(await copy.append({ ...again, id: 'c5' })).toMatchObject({ streams: [{ revision: 4 }] })
  })

  test('times are found in a log of which parts were truncated', async () => {
    const url = await server.database()
    await using log = await openLog(url)
    await put(log, 'a-1', 6)
    const at = async (time: number): Promise<number> => Number(await log.positionAt(time))
    await server.query('UPDATE banyan.events SET recorded = position * 10', [], url)
    expect([await at(0), await at(10), await at(11), await at(35), await at(60), await at(99)]).toEqual([
      0, 0, 1, 3, 5, 6,
    ])
    await log.truncate({ stream: 'a-1', beforeRevision: 2 })
    await server.query('UPDATE banyan.truncated SET recorded = 20 WHERE recorded IS NOT NULL', [], url)
    expect([await at(0), await at(35), await at(99)]).toEqual([0, 3, 6])
    await log.truncate({ stream: 'a-1', beforeRevision: 6 })
    await server.query('UPDATE banyan.truncated SET recorded = 60 WHERE recorded IS NOT NULL', [], url)
    expect(await at(99)).toBe(6)
  })
})

function nameOf(url: string): string {
  return new URL(url).pathname.slice(1)
}

async function put(log: EventLog, stream: string, count = 1): Promise<void> {
  for (let n = 0; n < count; n++)
    await log.append({ streams: [{ stream, events: [{ type: 'T', data: { n }, tags: ['t'] }] }] })
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}
