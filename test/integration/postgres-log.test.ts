import { describe, expect, test } from 'vitest'
import {
  openLog,
  type Commit,
  type EventLog,
  type Expected,
  type Position,
  type StreamAppend,
} from '../../src/events/index.js'
import { LossyProxy } from '../support/proxy.js'
import { postgresMissing, PostgresServer } from '../support/postgres.js'

type Spec = Exclude<Parameters<typeof openLog>[0], string>
type PostgresSpec = Extract<Spec, { driver: 'postgres' }>

const server = PostgresServer.ofSuite()

describe.skipIf(postgresMissing())('the event log on PostgreSQL', () => {
  describe('streams that transactions hold', () => {
    test('do not keep others of the same group waiting, and keep their order', async () => {
      const url = await server.database()
      await using log = await open(url)
      await log.append(commit('held-1'))
      const client = await server.connect(url)
      await client.query('BEGIN')
      await log.within(client).append(commit('held-1', 'in the transaction'))

      const first = log.append(commit('held-1', 'first'))
      const free = await Promise.all([log.append(commit('free-1')), log.append(commit('free-2'))])
      const second = log.append(commit('held-1', 'second'))
      // A later commit to two streams waits with the one that is held, and what is appended to the other after it too.
      const both = log.append({ id: 'both', streams: [stream('held-1'), stream('free-1')] })
      const behind = log.append(commit('free-1', 'behind'))
      expect(free.every(({ ok }) => ok)).toBe(true)
      expect(await log.revision('held-1')).toBe(0)

      await client.query('COMMIT')
      await client.end()
      await Promise.all([first, second, both, behind])
      expect(await commitsOf(log, 'held-1')).toEqual([
        expect.any(String),
        'in the transaction',
        'first',
        'second',
        'both',
      ])
      expect((await commitsOf(log, 'free-1')).slice(1)).toEqual(['both', 'behind'])
    })

    test('are waited for only so long, and then nothing was appended', async () => {
      const url = await server.database()
      await using log = await open(url, { lockTimeout: '300ms' })
      const client = await server.connect(url)
      await client.query('BEGIN')
      await log.within(client).append(commit('held-1', 'in the transaction'))
      await expect(log.append(commit('held-1', 'late'))).rejects.toMatchObject({ code: 'BANYAN_LOG_LOCKED' })
      await client.query('ROLLBACK')
      await client.end()
      expect(await log.revision('held-1')).toBe('none')
      expect(await log.append(commit('held-1', 'late'))).toMatchObject({ ok: true, duplicate: false })
    })

    test('are had in turn, if there is always a transaction that holds them', async () => {
      const url = await server.database()
      await using log = await open(url)
      let done = false
      const transact = async (name: string): Promise<number> => {
        const client = await server.connect(url)
        let count = 0
        for (; !done; count++) {
          await client.query('BEGIN')
          await log.within(client).append(commit('hot-1', `${name} ${count}`))
          await client.query('SELECT pg_sleep(0.02)')
          await client.query('COMMIT')
        }
        await client.end()
        return count
      }
      const crowd = ['a', 'b', 'c'].map(transact)
      for (let number = 0; number < 5; number++)
        expect(await log.append(commit('hot-1', `direct ${number}`))).toMatchObject({ ok: true })
      done = true
      const counts = await Promise.all(crowd)
      const commits = await commitsOf(log, 'hot-1')
      expect(commits.length).toBe(5 + counts.reduce((sum, count) => sum + count, 0))
    })

    test('a commit that only checks a stream waits for who changes it, and holds nobody who only checks it too', async () => {
      const url = await server.database()
      await using log = await open(url)
      await log.append(commit('rule-1'))
      const client = await server.connect(url)
      await client.query('BEGIN')
      const checks = [{ stream: 'rule-1', expected: 0 }] as const
      expect(await log.within(client).append({ ...commit('a-1', 'inside'), checks })).toMatchObject({
        ok: true,
      })
      expect(await log.append({ ...commit('a-2', 'beside'), checks })).toMatchObject({ ok: true })
      const change = log.append(commit('rule-1', 'change'))
      await client.query('COMMIT')
      await client.end()
      await change
      expect((await commitsOf(log)).slice(1)).toEqual(['beside', 'inside', 'change'])
    })
  })

  describe('transactions of the application', () => {
    test('what they have appended is seen by everybody at once, in the order of the streams', async () => {
      const url = await server.database()
      await using log = await open(url, { listen: false })
      await using other = await open(url, { listen: false })
      const client = await server.connect(url)
      for (const look of [
        async () => expect(await other.revision('a-1')).toBe(0),
        async () => expect(await other.head()).toBe('0000000000000002'),
        async () => expect((await commitsOf(other)).length).toBe(3),
        async () => expect((await other.stats()).events).toBe(4),
        async () => expect(await all(other.streams())).toMatchObject([{ revision: 4 }]),
        async () => expect(await other.append(commit('a-1', 'direct'))).toMatchObject({ ok: true }),
      ]) {
        await client.query('BEGIN')
        await log.within(client).append(commit('a-1'))
        await client.query('COMMIT')
        await look()
      }
      await client.end()
      const events = await all(other.read())
      expect(events.map(({ revision }) => revision)).toEqual([0, 1, 2, 3, 4, 5, 6])
      expect(await all(log.verify())).toEqual([{ ok: true, events: 7, streams: 1 }])
    })

    test('wake followers, with and without listening', async () => {
      const url = await server.database()
      await using log = await open(url)
      for (const listen of [true, false]) {
        await using other = await open(url, { listen, poll: '100ms' })
        const follower = other.follow({ stream: `a-${listen}` }, { from: 'end' })[Symbol.asyncIterator]()
        expect((await follower.next()).value).toMatchObject({ events: [], caughtUp: true })
        const next = follower.next()
        const client = await server.connect(url)
        await client.query('BEGIN')
        await log.within(client).append(commit(`a-${listen}`, `c-${listen}`))
        await client.query('COMMIT')
        await client.end()
        expect((await next).value).toMatchObject({ events: [{ commit: `c-${listen}` }] })
      }
    })

    test('with another isolation: a stream that is new to them makes them run again, like any change', async () => {
      const url = await server.database()
      await using log = await open(url)
      const client = await server.connect(url)
      const transact = async (): Promise<void> => {
        await client.query('BEGIN ISOLATION LEVEL SERIALIZABLE')
        await client.query('SELECT 1 FROM pg_class LIMIT 1')
        await log.within(client).append(commit('a-1', 'inside'))
        await client.query('COMMIT')
      }
      await expect(transact()).rejects.toMatchObject({ code: '40001' })
      await client.query('ROLLBACK')
      await transact()
      await client.end()
      expect(await commitsOf(log)).toEqual(['inside'])
    })

    test('are what within needs: not a pool, not a client without one', async () => {
      const url = await server.database()
      await using log = await open(url)
      const { default: pg } = await import('pg')
      const pool = new pg.Pool({ connectionString: url })
      await expect(log.within(pool).append(commit('a-1'))).rejects.toMatchObject({
        code: 'BANYAN_INVALID_COMMIT',
      })
      await expect(log.within({}).append(commit('a-1'))).rejects.toMatchObject({
        code: 'BANYAN_INVALID_COMMIT',
      })
      const client = await pool.connect()
      await expect(log.within(client).append(commit('a-1'))).rejects.toMatchObject({
        code: 'BANYAN_INVALID_COMMIT',
      })
      client.release()
      await pool.end()
      expect(await log.revision('a-1')).toBe('none')
    })

    test('keep bytes, tags, metadata and ids', async () => {
      const url = await server.database()
      await using log = await open(url)
      const client = await server.connect(url)
      await client.query('BEGIN')
      const events = [
        { type: 'Bytes', data: Buffer.from([0, 255, 1]), tags: ['a"b\\', 'c,d'], id: 'own' },
        {
          type: 'Text',
          data: { text: 'ü\u0000\ud800 "' },
          metadata: { actor: 'me' },
          schemaVersion: 3,
          time: 17,
        },
      ]
      expect(await log.within(client).append({ id: 'c', streams: [{ stream: 'a-1', events }] })).toEqual({
        ok: true,
        id: 'c',
        duplicate: false,
        streams: [{ stream: 'a-1', revision: 1 }],
      })
      await client.query('COMMIT')
      await client.end()
      expect(await all(log.read())).toMatchObject([
        { type: 'Bytes', tags: ['a"b\\', 'c,d'], id: 'own', commit: 'c' },
        { ...events[1], id: 'c/1' },
      ])
      await expect(
        log.append({ streams: [{ stream: 'b', events: [{ id: 'own', type: 'T' }] }] }),
      ).rejects.toMatchObject({
        code: 'BANYAN_COMMIT_OVERLAP',
      })
    })
  })

  describe('connections that are lost', () => {
    test('an attempt that arrives late does nothing any more, whatever is true by then', async () => {
      const url = await server.database()
      await using proxy = await LossyProxy.start(server.port)
      await using log = await open(throughPort(url, proxy.port))
      const lost = proxy.loseNext('late')
      // The stream is empty: this is a conflict, and whoever appended it is told so.
      const conflict = log.append({ ...commit('a-1', 'late', 0) })
      const deliver = await lost
      expect(await conflict).toMatchObject({ ok: false, conflicts: [{ actual: 'none' }] })
      // Now it would not be one.
      await log.append(commit('a-1', 'first', 'none'))
      deliver()
      await until(
        async () =>
          (
            await server.query(
              "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%append%' AND state <> 'idle' AND pid <> pg_backend_pid()",
            )
          ).length === 0,
      )
      await log.append(commit('a-2', 'last'))
      expect(await commitsOf(log)).toEqual(['first', 'last'])
    })

    test('an answer that is lost is found again by the id of the commit', async () => {
      const url = await server.database()
      await using proxy = await LossyProxy.start(server.port)
      await using log = await open(throughPort(url, proxy.port))
      await log.append(commit('a-1', 'before'))
      proxy.loseNextAnswer('once')
      expect(await log.append(commit('a-1', 'once'))).toMatchObject({ ok: true, duplicate: true })
      expect(await commitsOf(log)).toEqual(['before', 'once'])
    })

    test('after a while the outcome is unknown if something was sent, and the log unavailable if not', async () => {
      await using own = await PostgresServer.start()
      await using proxy = await LossyProxy.start(own.port)
      const url = throughPort(await own.database(), proxy.port)
      await using log = await open(url, { retryFor: '300ms' })
      const lost = proxy.loseNext('sent')
      const sent = log.append(commit('a-1', 'sent'))
      await lost
      await own.crash()
      await expect(sent).rejects.toMatchObject({ code: 'BANYAN_OUTCOME_UNKNOWN' })
      await expect(log.append(commit('a-1', 'unsent'))).rejects.toMatchObject({
        code: 'BANYAN_LOG_UNAVAILABLE',
      })
      await expect(log.head()).rejects.toMatchObject({ code: 'BANYAN_LOG_UNAVAILABLE' })
      await own.restart()
      expect(await log.append(commit('a-1', 'sent'))).toMatchObject({ ok: true })
    })

    test('backends that are terminated all the time lose, repeat and invent nothing', async () => {
      const url = await server.database()
      await using log = await open(url)
      const stop = new AbortController()
      const followed = follow(log, stop.signal)
      const done = new AbortController()
      let kills = 0
      const killing = (async () => {
        const admin = await server.connect()
        while (!done.signal.aborted) {
          const { rowCount } = await admin.query(
            'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1',
            [new URL(url).pathname.slice(1)],
          )
          kills += rowCount ?? 0
          await admin.query('SELECT pg_sleep(0.2)')
        }
        await admin.end()
      })()
      const writers = await Promise.all([1, 2, 3, 4].map((writer) => write(log, writer, 40, () => kills > 3)))
      done.abort()
      await killing
      expect(kills).toBeGreaterThan(3)
      await expectExactly(log, writers, followed, stop)
    })

    test('a server that is killed and started again loses nothing that was acknowledged', async () => {
      await using own = await PostgresServer.start()
      const url = await own.database()
      // Off for everything else in this database; the log has to see to itself.
      await own.query(`ALTER DATABASE ${new URL(url).pathname.slice(1)} SET synchronous_commit = off`)
      await using log = await open(url)
      const stop = new AbortController()
      const followed = follow(log, stop.signal)
      const writing = [1, 2, 3, 4].map((writer) => write(log, writer, 150))
      for (const acknowledged of [100, 250]) {
        await until(() => followed.length >= acknowledged)
        await own.crash()
        await own.restart()
      }
      await expectExactly(log, await Promise.all(writing), followed, stop)
    })
  })

  test('works through PgBouncer with transaction pooling, with and without an address to listen on', async () => {
    const url = await server.database()
    const pooled = throughPort(url, await server.pooler('default_pool_size = 3'))
    for (const spec of [{}, { listen: false }, { listenUrl: url }]) {
      const schema = `log_${Object.keys(spec).join('').toLowerCase()}`
      await using log = await open(pooled, { ...spec, schema, poll: '100ms' })
      await using other = await open(pooled, { ...spec, schema, poll: '100ms' })
      const stop = new AbortController()
      const followed = follow(other, stop.signal)
      const client = await server.connect(pooled)
      const writers = await Promise.all([1, 2, 3, 4].map((writer) => write(log, writer, 30)))
      await client.query('BEGIN')
      await log.within(client).append(commit('inside-1', 'inside'))
      await client.query('COMMIT')
      await client.end()
      await expectExactly(log, [...writers, ['inside']], followed, stop)
    }
  })

  test('two processes append the same commits at once, and each is there once', async () => {
    const url = await server.database()
    const logs = await Promise.all([open(url), open(url), open(url)])
    const ids = Array.from({ length: 100 }, (_, number) => `c-${number}`)
    const results = await Promise.all(
      logs.flatMap((log) => ids.map((id) => log.append(commit(`a-${id.length}`, id)))),
    )
    expect(results.filter((result) => result.ok && !result.duplicate).length).toBe(ids.length)
    expect((await commitsOf(logs[0])).sort()).toEqual([...ids].sort())
    for (const log of logs) await log.close()
  })

  test('one commit that the server does not take fails alone', async () => {
    const url = await server.database()
    await using log = await open(url)
    const data = JSON.parse(`${'['.repeat(6000)}${']'.repeat(6000)}`) as unknown
    await server.query('ALTER ROLE postgres SET max_stack_depth = 100', [], url)
    await using strict = await open(url)
    const results = await Promise.allSettled([
      strict.append(commit('a-1', 'before')),
      strict.append({ streams: [{ stream: 'a-1', events: [{ type: 'Deep', data }] }] }),
      strict.append(commit('a-1', 'after')),
    ])
    await server.query('ALTER ROLE postgres RESET max_stack_depth', [], url)
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(results[1]).toMatchObject({ reason: { code: 'BANYAN_INVALID_EVENT' } })
    expect(await commitsOf(log)).toEqual(['before', 'after'])
  })
})

function open(url: string, spec: Partial<PostgresSpec> = {}): Promise<EventLog> {
  return openLog({ driver: 'postgres', url, ...spec })
}

function stream(name: string, expected: Expected = 'any'): StreamAppend {
  return { stream: name, expected, events: [{ type: 'Happened', data: { in: name } }] }
}

function commit(name: string, id?: string, expected: Expected = 'any'): Commit {
  return { ...(id !== undefined && { id }), streams: [stream(name, expected)] }
}

async function commitsOf(log: EventLog, name?: string): Promise<string[]> {
  const events = await all(log.read(name === undefined ? {} : { stream: name }))
  return events.map((event) => event.commit)
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}

function throughPort(url: string, port: number): string {
  const through = new URL(url)
  through.port = String(port)
  return through.href
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setImmediate(resolve))
}

/** Appends one commit after the other; the ids of those that were acknowledged. */
async function write(log: EventLog, writer: number, count: number, enough = () => true): Promise<string[]> {
  const ids: string[] = []
  for (let number = 0; number < count || !enough(); number++) {
    const id = `${writer} ${number}`
    const result = await log.append(commit(`writer-${writer}`, id, number === 0 ? 'none' : number - 1))
    expect(result).toMatchObject({ ok: true, streams: [{ revision: number }] })
    ids.push(id)
  }
  return ids
}

/** What a follower is given, as it comes. */
function follow(log: EventLog, signal: AbortSignal): { commit: string; position: Position }[] {
  const seen: { commit: string; position: Position }[] = []
  void (async () => {
    for await (const batch of log.follow({}, { signal })) seen.push(...batch.events)
  })()
  return seen
}

/** The log holds what was acknowledged, once, in the order of each writer, and the follower was given just that. */
async function expectExactly(
  log: EventLog,
  writers: string[][],
  followed: readonly { commit: string; position: Position }[],
  stop: AbortController,
): Promise<void> {
  const events = await all(log.read())
  const commits = events.map((event) => event.commit)
  expect([...commits].sort()).toEqual(writers.flat().sort())
  for (const ids of writers) expect(commits.filter((id) => ids.includes(id))).toEqual(ids)
  await until(() => followed.length >= events.length)
  stop.abort()
  expect(followed.map(({ position }) => position)).toEqual(events.map(({ position }) => position))
  expect(events.map(({ position }) => Number(position))).toEqual(events.map((_, index) => index + 1))
}
