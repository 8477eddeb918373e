import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ensure } from '../../scripts/engines.mjs'
import {
  coordinatorSchema,
  migrateCoordinator,
  openCoordinator,
  type Changes,
  type Coordinator,
} from '../../src/coordination/index.js'
import { openLog } from '../../src/events/index.js'
import { LossyProxy } from '../support/proxy.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'

/** Revisions of a copy begin above this. */
const FAR = 2 ** 32
const MAX_VALUE = 256 * 1024

describe.skipIf(postgresMissing())('the store of a coordinator in PostgreSQL', () => {
  const server = PostgresServer.ofSuite()

  describe('connections that are lost', () => {
    test('a change whose answer is lost is made once, and answered', async () => {
      const url = await server.database()
      await using proxy = await LossyProxy.start(server.port)
      await using coordinator = await openCoordinator(throughPort(url, proxy.port))
      proxy.loseNextAnswer('the-value')
      const made = await coordinator.put('k', 'the-value', { expected: 'absent' })
      expect(made).toEqual({ ok: true, revision: 1, created: 1 })
      expect(await coordinator.put('k', 'next', { expected: 1 })).toMatchObject({ ok: true, revision: 2 })
    })

    test('a change that arrives late does nothing any more, whatever is true by then', async () => {
      const url = await server.database()
      await using proxy = await LossyProxy.start(server.port)
      await using coordinator = await openCoordinator(throughPort(url, proxy.port))
      const lost = proxy.loseNext('the-value')
      const refused = coordinator.put('k', 'the-value', { expected: 1 })
      const deliver = await lost
      expect(await refused).toEqual({ ok: false, actual: undefined })
      // Now it would be done.
      await coordinator.put('k', 'first')
      deliver()
      await until(async () => {
        const [row] = await server.query<{ busy: string }>(
          `SELECT count(*) AS busy FROM pg_stat_activity WHERE query LIKE '%change(%' AND state <> 'idle' AND pid <> pg_backend_pid()`,
        )
        return row!.busy === '0'
      })
      expect(await coordinator.put('k', 'second', { expected: 1 })).toMatchObject({ ok: true, revision: 2 })
    })

    test('when the server stays away the outcome is unknown if something was sent, and it is unavailable if not', async () => {
      await using own = await PostgresServer.start()
      await using proxy = await LossyProxy.start(own.port)
      const url = throughPort(await own.database(), proxy.port)
      await using coordinator = await openCoordinator({ driver: 'postgres', url, retryFor: '200ms' })
      const lost = proxy.loseNext('the-value')
      const sent = coordinator.put('k', 'the-value')
      sent.catch(() => undefined)
      await lost
      await own.crash()
      await expect(sent).rejects.toMatchObject({ code: 'BANYAN_OUTCOME_UNKNOWN' })
      const unavailable = { code: 'BANYAN_COORDINATOR_UNAVAILABLE' }
      await expect(coordinator.put('k', 'unsent')).rejects.toMatchObject(unavailable)
      await expect(coordinator.get('k')).rejects.toMatchObject(unavailable)
    })
  })

  describe('copies', () => {
    test('a standby is refused; when it is promoted revisions go on far above', async () => {
      await using own = await PostgresServer.start()
      const url = await own.database()
      await using coordinator = await openCoordinator({ driver: 'postgres', url, retryFor: '200ms' })
      await coordinator.put('k', '1')
      await own.shutDown()
      writeFileSync(join(own.directory, 'data/standby.signal'), '')
      await own.restart()
      const refusal = /standby/
      await expect(coordinator.get('k')).rejects.toThrow(refusal)
      await expect(coordinator.put('k', '2')).rejects.toThrow(refusal)
      await expect(openCoordinator(url)).rejects.toMatchObject({
        code: 'BANYAN_COORDINATOR_UNAVAILABLE',
        message: expect.stringMatching(refusal) as string,
      })
      await own.query('SELECT pg_promote()')
      const made = await coordinator.put('k', '2', { expected: 1 })
      expect(made).toMatchObject({ ok: true, created: 1 })
      expect(made.ok && made.revision).toBeGreaterThan(FAR)
      await expectCompacted(coordinator, 1)
    })

    test('a dump that is restored goes on far above, with its keys', async () => {
      const url = await server.database()
      await using coordinator = await openCoordinator(url)
      await coordinator.put('k', '1')
      const restored = await server.database()
      const programs = dirname(ensure('postgres'))
      const dump = execFileSync(join(programs, 'pg_dump'), ['-n', 'banyan_coordination', url])
      execFileSync(join(programs, 'psql'), ['-q', '-v', 'ON_ERROR_STOP=1', restored], { input: dump })
      await using copy = await openCoordinator(restored)
      expect((await copy.get('k'))?.value).toBe('1')
      const made = await copy.put('k2', '1')
      expect(made.ok && made.created).toBeGreaterThan(FAR)
      await expectCompacted(copy, 1)
      const again = await copy.put('k3', '1')
      expect(again.ok && made.ok && again.revision - made.revision).toBe(1)
    })

    test('tables that were put back under a client that lives go on far above what it knows', async () => {
      const url = await server.database()
      await using coordinator = await openCoordinator(url)
      for (const value of ['1', '2', '3']) await coordinator.put('k', value)
      await server.query(
        `BEGIN; DELETE FROM banyan_coordination.changes WHERE revision > 1;
        UPDATE banyan_coordination.keys SET revision = 1; COMMIT`,
        undefined,
        url,
      )
      const made = await coordinator.put('k', '4', { expected: 1 })
      expect(made.ok && made.revision).toBeGreaterThan(FAR)
      await expectCompacted(coordinator, 3)
    })
  })

  test('history is kept for five minutes and ten thousand changes, and no longer', async () => {
    const url = await server.database()
    await using coordinator = await openCoordinator(url)
    const later = (): Promise<unknown> =>
      server.query('UPDATE banyan_coordination.coordination SET aging_since = aging_since - 301000', [], url)
    const first = async (): Promise<number> => {
      const sql = 'SELECT min(revision) AS first FROM banyan_coordination.changes'
      const [row] = await server.query<{ first: string }>(sql, [], url)
      return Number(row!.first)
    }
    await server.query(
      `INSERT INTO banyan_coordination.changes (revision, key) SELECT n, 'k' FROM generate_series(1, 12000) AS n`,
      [],
      url,
    )
    await later()
    // Only from here on it is known how old they are.
    await until(async () => {
      const sql = 'SELECT FROM banyan_coordination.coordination WHERE aging = 12000'
      return (await server.query(sql, [], url)).length === 1
    })
    expect(await first()).toBe(1)
    await later()
    await until(async () => (await first()) > 1)
    expect(await first()).toBe(2001)
    await expectCompacted(coordinator, 1999)
    expect(await firstOf(coordinator, 2000)).toMatchObject({ revision: 2001 })
    expect((await coordinator.list('')).revision).toBe(12_000)
  })

  test('a watch from the beginning gives large values in pages of a bearable size', async () => {
    const url = await server.database()
    await using coordinator = await openCoordinator(url)
    const values = Array.from({ length: 80 }, (_, index) => String(index % 10).repeat(MAX_VALUE))
    await Promise.all(values.map((value, index) => coordinator.put(`k/${index}`, value)))
    const seen: string[] = []
    for await (const { changes } of coordinator.watch('k/', { after: 0 })) {
      for (const change of changes) if (change.kind === 'put') seen.push(change.entry.value)
      if (seen.length === values.length) break
    }
    expect(seen).toEqual(values)
  })

  test('works through PgBouncer with transaction pooling, with and without an address to listen on', async () => {
    const url = await server.database()
    const pooled = throughPort(url, await server.pooler('default_pool_size = 3'))
    for (const [index, more] of [{}, { listen: false }, { listenUrl: url }].entries()) {
      const spec = {
        driver: 'postgres',
        url: pooled,
        schema: `keys_${index}`,
        poll: '50ms',
        ...more,
      } as const
      await using one = await openCoordinator(spec)
      await using other = await openCoordinator(spec)
      const lease = await one.lease('5s')
      const end = new AbortController()
      const keys = new Set<string>()
      const watching = (async () => {
        for await (const { changes } of other.watch('k/', { after: 0, signal: end.signal }))
          for (const change of changes) {
            if (change.kind === 'put') keys.add(change.entry.key)
            else end.abort()
          }
      })()
      await Promise.all(
        [one, other].flatMap((each, by) => range(30).map((n) => each.put(`k/${by}-${n}`, ''))),
      )
      await one.put('k/lease', '', { lease })
      await lease.release()
      await watching
      expect(keys.size).toBe(61)
    }
  })

  test('waits for the disk also where the role has given that up', async () => {
    const url = await server.database()
    await migrateCoordinator(url)
    const client = await server.connect(url)
    await client.query('SET synchronous_commit = off')
    const setting = async (statement: string): Promise<unknown> => {
      await client.query('BEGIN')
      await client.query(`SELECT banyan_coordination.${statement}`)
      const { rows } = await client.query<{ synchronous_commit: string }>('SHOW synchronous_commit')
      await client.query('ROLLBACK')
      return rows[0]!.synchronous_commit
    }
    const put = `change(0, gen_random_uuid(), '{}', '{0}', '{k}', '{v}', '{-2}', '{null}')`
    expect(await setting(put)).toBe('on')
    expect(await setting(`grant_lease('a', 2000)`)).toBe('on')
    await client.end()
  })

  describe('tables', () => {
    test('are made once, however many open it at the same time', async () => {
      const url = await server.database()
      const all = await Promise.all(range(5).map(() => openCoordinator(url)))
      const results = await Promise.all(all.map((each, index) => each.put(`k${index}`, '')))
      expect(results.map((result) => result.ok && result.revision).sort()).toEqual([1, 2, 3, 4, 5])
      for (const each of all) await each.close()
      expect(await migrateCoordinator(url)).toEqual({ from: 1, to: 1 })
    })

    test('are made by hand or by who may, where the others may not', async () => {
      const url = await server.database()
      const without = { driver: 'postgres', url, migrate: false } as const
      await expect(openCoordinator(without)).rejects.toMatchObject({ code: 'BANYAN_COORDINATOR_FORMAT' })
      await server.query(await coordinatorSchema(), undefined, url)
      await using coordinator = await openCoordinator(without)
      expect(await coordinator.put('k', '')).toMatchObject({ ok: true })
      expect(await migrateCoordinator({ ...without, schema: 'other' })).toEqual({ from: 0, to: 1 })
      await using other = await openCoordinator({ ...without, schema: 'other' })
      expect(await other.get('k')).toBeUndefined()
      await expect(coordinatorSchema('"; DROP')).rejects.toMatchObject({ code: 'BANYAN_INVALID_OPTIONS' })
    })

    test('of a newer version are refused', async () => {
      const url = await server.database()
      await migrateCoordinator(url)
      await server.query('UPDATE banyan_coordination.coordination SET format = 99', [], url)
      const refused = {
        code: 'BANYAN_COORDINATOR_FORMAT',
        message: expect.stringContaining('newer') as string,
      }
      await expect(openCoordinator(url)).rejects.toMatchObject(refused)
      await expect(migrateCoordinator(url)).rejects.toMatchObject(refused)
    })

    test('can stand in the schema of an event log', async () => {
      const url = await server.database()
      await using log = await openLog(url)
      await using coordinator = await openCoordinator({ driver: 'postgres', url, schema: 'banyan' })
      await log.append({ streams: [{ stream: 'a-1', events: [{ type: 'T' }] }] })
      expect(await coordinator.put('k', '')).toMatchObject({ ok: true, revision: 1 })
    })
  })

  test('options that are wrong are refused, without a password', async () => {
    const wrong = [
      { url: 'postgres://a:secret@[' },
      { url: 'postgres://a:secret@h/d', schema: 'No' },
      { url: 'postgres://a:secret@h/d', pol: '1s' },
      // What came of a change is known for five minutes.
      { url: 'postgres://a:secret@h/d', retryFor: '4m' },
      { url: 'postgres://a:secret@h/d', retryFor: '2m', answerWithin: '121s' },
    ] as const
    for (const part of wrong) {
      const error: unknown = await openCoordinator({ driver: 'postgres', ...part }).catch((e: unknown) => e)
      expect(error).toMatchObject({ code: 'BANYAN_INVALID_OPTIONS' })
      expect((error as Error).message).not.toContain('secret')
    }
  })
})

function range(length: number): number[] {
  return Array.from({ length }, (_, index) => index)
}

function throughPort(url: string, port: number): string {
  return url.replace(/:\d+\//, `:${port}/`)
}

async function firstOf(coordinator: Coordinator, after: number): Promise<Changes | undefined> {
  for await (const group of coordinator.watch('', { after })) return group
  return undefined
}

async function expectCompacted(coordinator: Coordinator, after: number): Promise<void> {
  await expect(firstOf(coordinator, after)).rejects.toMatchObject({ code: 'BANYAN_COMPACTED' })
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20))
}
