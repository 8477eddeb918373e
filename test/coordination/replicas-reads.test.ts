import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasCode } from '../../src/coordination/errors.js'
import { openReplicas, type Replicas, type ReplicasOptions } from '../../src/coordination/index.js'
import type { PostgresTables } from '../../src/drivers/postgres/read-models/client.js'
import { times } from '../support/effort.js'
import { postgresMissing, PostgresServer } from '../support/postgres.js'

describe.skipIf(postgresMissing())('reads from streaming standbys of PostgreSQL', () => {
  let a: PostgresServer
  let b: PostgresServer
  let c: PostgresServer

  beforeAll(async () => {
    a = await PostgresServer.start({ fsync: 'off' })
    await a.query('CREATE TABLE counters (id int PRIMARY KEY, value int NOT NULL)')
    ;[b, c] = await Promise.all([a.standby(), a.standby()])
  })
  afterAll(() => Promise.all([a, b, c].map((server) => server.stop())))

  const open = (options: Partial<ReplicasOptions> = {}): Promise<Replicas<PostgresTables>> =>
    openReplicas({ nodes: { a: a.url(), b: b.url(), c: c.url() }, interval: '50ms', ...options })

  /** Waits for a state, without asking for it again and again. */
  const reach = async (
    replicas: Replicas<PostgresTables>,
    isIt: (state: Replicas<PostgresTables>['state']) => boolean,
  ): Promise<void> => {
    if (isIt(replicas.state)) return
    await new Promise<void>((resolve) => {
      const stop = replicas.on('change', (state) => {
        if (!isIt(state)) return
        stop()
        resolve()
      })
    })
  }

  test('says who leads, who follows, and how far behind', async () => {
    await using replicas = await open()
    await reach(replicas, ({ nodes }) => nodes.every(({ healthy }) => healthy))
    expect(replicas.state).toMatchObject({
      name: 'main',
      leader: 'a',
      timeline: 1,
      nodes: [
        { node: 'a', role: 'leader', healthy: true },
        { node: 'b', role: 'follower', healthy: true, timeline: 1 },
        { node: 'c', role: 'follower', healthy: true, timeline: 1 },
      ],
    })
    expect(JSON.parse(JSON.stringify(replicas.state))).toEqual(replicas.state)
  })

  test('a read after the token of a write sees it, whoever serves it, also while replay stands still', async () => {
    await using replicas = await open({ wait: '20s', answerWithin: '20s' })
    await reach(replicas, ({ nodes }) => nodes.every(({ healthy }) => healthy))
    await a.query('INSERT INTO counters SELECT id, 0 FROM generate_series(1, 4) AS id')
    const served = new Map<string, number>()
    const load = new AbortController()
    // One of them stands still now and then.
    const pausing = (async () => {
      while (!load.signal.aborted) {
        await b.query('SELECT pg_wal_replay_pause()')
        await new Promise((resolve) => setTimeout(resolve, 30))
        await b.query('SELECT pg_wal_replay_resume()')
        await new Promise((resolve) => setTimeout(resolve, 30))
      }
    })()
    await Promise.all(
      [1, 2, 3, 4].map(async (id) => {
        for (let round = 0; round < times(40); round++) {
          const { result: written, token } = await replicas.write(async (db) => {
            const sql = 'UPDATE counters SET value = value + 1 WHERE id = $1 RETURNING value'
            return (await db.query<{ value: number }>(sql, [id])).rows[0]!.value
          })
          const reads = [1, 2, 3].map(() =>
            replicas.read(
              async (db) => {
                const { rows } = await db.query<{ value: number }>(
                  'SELECT value FROM counters WHERE id = $1',
                  [id],
                )
                return rows[0]!.value
              },
              { after: token },
            ),
          )
          for (const { result, node } of await Promise.all(reads)) {
            expect(result).toBeGreaterThanOrEqual(written)
            served.set(node, (served.get(node) ?? 0) + 1)
          }
        }
      }),
    )
    load.abort()
    await pausing
    // Nobody had to fall back on the leader.
    expect([...served.keys()].sort()).toEqual(['b', 'c'])
  })

  test('a follower that does not come to a token in time is passed over, or said to be behind', async () => {
    await using replicas = await open({ nodes: { a: a.url(), b: b.url() }, wait: '30ms' })
    await reach(replicas, ({ nodes }) => nodes.every(({ healthy }) => healthy))
    await b.query('SELECT pg_wal_replay_pause()')
    try {
      const { token } = await replicas.write((db) => db.query('INSERT INTO counters VALUES (10, 1)'))
      const count = (db: PostgresTables) => db.query('SELECT FROM counters WHERE id = 10')
      const { node, role, staleness, result } = await replicas.read(count, { after: token })
      expect({ node, role, staleness, rows: result.rowCount }).toEqual({
        node: 'a',
        role: 'leader',
        staleness: 0,
        rows: 1,
      })
      await expect(replicas.read(count, { after: token, fallback: 'refuse' })).rejects.toSatisfy((error) =>
        hasCode(error, 'BANYAN_FOLLOWER_BEHIND'),
      )
      // Whoever asks for nothing gets what it has, and hears how old that may be.
      const old = await replicas.read(count)
      expect(old).toMatchObject({ node: 'b', role: 'follower', result: { rowCount: 0 } })
      const waiting = replicas.read(count, { after: token, wait: '20s', fallback: 'refuse' })
      await b.query('SELECT pg_wal_replay_resume()')
      expect(await waiting).toMatchObject({ node: 'b', result: { rowCount: 1 } })
    } finally {
      await b.query('SELECT pg_wal_replay_resume()')
    }
  })

  test('a read that must not be older than that is served by nobody who is', async () => {
    await using replicas = await open({ nodes: { a: a.url(), b: b.url() }, interval: '10ms', wait: 0 })
    await reach(replicas, ({ nodes }) => nodes.every(({ healthy }) => healthy))
    const one = (db: PostgresTables) => db.query('SELECT 1')
    // Nothing is written, and yet it is known to be fresh.
    const fresh = await replicas.read(one, { maxStaleness: '5s' })
    expect(fresh).toMatchObject({ node: 'b' })
    expect(fresh.staleness).toBeLessThan(5000)
    await b.query('SELECT pg_wal_replay_pause()')
    try {
      const { token } = await replicas.write((db) => db.query('INSERT INTO counters VALUES (20, 1)'))
      // Until the leader was looked at behind that.
      await replicas.read(one, { after: token, wait: '100ms' })
      expect(await replicas.read(one, { maxStaleness: '20ms' })).toMatchObject({ node: 'a', staleness: 0 })
      expect(await replicas.read(one, { maxStaleness: '1h' })).toMatchObject({ node: 'b' })
    } finally {
      await b.query('SELECT pg_wal_replay_resume()')
    }
  })

  describe.each(['URLs', 'pools of the application'])('given as %s', (given) => {
    const pools: pg.Pool[] = []
    const places = (): ReplicasOptions['nodes'] => {
      if (given === 'URLs') return { a: a.url(), b: b.url() }
      pools.push(
        ...[a, b].map((server) => {
          const pool = new pg.Pool({ connectionString: server.url(), max: 2 })
          return pool.on('error', () => undefined)
        }),
      )
      return { a: pools.at(-2)!, b: pools.at(-1)! } as never
    }
    afterAll(() => Promise.all(pools.map((pool) => pool.end())))
    const one = (db: PostgresTables) => db.query('SELECT 1')

    test('a frozen follower holds nobody, nor does it hold the end', async () => {
      const replicas = await open({ nodes: places(), answerWithin: '300ms', connections: 2 })
      await reach(replicas, ({ nodes }) => nodes.every(({ healthy }) => healthy))
      expect((await replicas.read(one)).node).toBe('b')
      b.freeze()
      try {
        // More than there are connections.
        const begun = performance.now()
        const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => replicas.read(one)))
        expect(performance.now() - begun).toBeLessThan(5000)
        for (const outcome of outcomes)
          expect(outcome).toMatchObject({ status: 'fulfilled', value: { node: 'a' } })
        // From then on nobody tries.
        expect(replicas.state.nodes[1]).toMatchObject({ healthy: false, inFlight: 0 })
        expect((await replicas.read(one)).node).toBe('a')
        const closing = performance.now()
        await replicas.close()
        expect(performance.now() - closing).toBeLessThan(5000)
      } finally {
        b.thaw()
      }
    })

    test('a frozen leader does not hold the end', async () => {
      const replicas = await open({ nodes: places(), answerWithin: '300ms', connections: 2 })
      await reach(replicas, ({ nodes }) => nodes.every(({ healthy }) => healthy))
      let begin: () => void
      const begun = new Promise<void>((resolve) => (begin = resolve))
      const writing = replicas
        .write(async (db) => {
          await one(db)
          begin()
          await db.query('SELECT pg_sleep(60)')
        })
        .catch((error: unknown) => error)
      await begun
      a.freeze()
      try {
        const closing = performance.now()
        await replicas.close()
        expect(performance.now() - closing).toBeLessThan(5000)
        expect(await writing).toMatchObject({ code: 'BANYAN_REPLICA_LOST' })
      } finally {
        a.thaw()
      }
    })

    test('that all connections are in use says nothing of a server', async () => {
      await using replicas = await open({ nodes: places(), answerWithin: '300ms', connections: 2 })
      await reach(replicas, ({ nodes }) => nodes.every(({ healthy }) => healthy))
      const leaders: (string | undefined)[] = []
      replicas.on('change', ({ leader, nodes }) =>
        leaders.push(nodes.every(({ healthy }) => healthy) ? leader : undefined),
      )
      let free: () => void
      const held = new Promise<void>((resolve) => (free = resolve))
      const holding = [1, 2].flatMap(() => [
        replicas.write(async (db) => (await one(db), held)),
        replicas.read(async (db) => (await one(db), held)),
      ])
      await new Promise(setImmediate)
      const full = {
        code: 'BANYAN_REPLICAS_BUSY',
        message: expect.stringContaining('2 connections') as string,
      }
      await Promise.all([
        expect(replicas.write(one)).rejects.toMatchObject(full),
        expect(replicas.read(one)).rejects.toMatchObject(full),
        expect(replicas.read(one, { fallback: 'refuse' })).rejects.toMatchObject(full),
      ])
      const patient = replicas.write(one)
      free!()
      await patient
      await Promise.all(holding)
      expect(leaders).toEqual([])
    })
  })

  test('tokens of other clusters and what is no token are refused', async () => {
    await using replicas = await open()
    const one = (db: PostgresTables) => db.query('SELECT 1')
    const token = await replicas.token()
    expect(await replicas.read(one, { after: token })).toBeDefined()
    const foreign = token.replace(/^\d+/, '12345')
    await expect(replicas.read(one, { after: foreign })).rejects.toMatchObject({
      code: 'BANYAN_TOKEN_FOREIGN',
    })
    await expect(replicas.read(one, { after: 'x' })).rejects.toMatchObject({ code: 'BANYAN_INVALID_TOKEN' })
    const ahead = `${token}fffff`
    await expect(replicas.read(one, { after: ahead, wait: 0 })).rejects.toMatchObject({
      code: 'BANYAN_TOKEN_LOST',
    })
  })

  test('a transaction commits what it does, unless it throws; one that reads writes nothing', async () => {
    await using replicas = await open()
    const failing = replicas.write(async (db) => {
      await db.query('INSERT INTO counters VALUES (30, 1)')
      throw new Error('changed my mind')
    })
    await expect(failing).rejects.toThrow('changed my mind')
    const swallowing = replicas.write(async (db) => {
      await db.query('INSERT INTO nowhere VALUES (1)').catch(() => undefined)
    })
    await expect(swallowing).rejects.toThrow('a statement in it had failed')
    await expect(replicas.write((db) => db.query('COMMIT'))).rejects.toThrow('must not say COMMIT')
    const writing = replicas.read((db) => db.query('INSERT INTO counters VALUES (30, 1)'), {
      prefer: 'leader',
    })
    await expect(writing).rejects.toMatchObject({ code: '25006' })
    expect(await a.query('SELECT FROM counters WHERE id = 30')).toEqual([])
  })

  test('sessions that do not keep what is prepared in them: behind a pooler, and where an application discards it', async () => {
    const port = await a.pooler('default_pool_size = 3')
    const nodes = { a: a.url('postgres', port) }
    // Each meets sessions that the other one has prepared.
    const routers = await Promise.all([open({ nodes, connections: 4 }), open({ nodes, connections: 4 })])
    await a.query('INSERT INTO counters VALUES (50, 0), (51, 0)')
    const sql = 'UPDATE counters SET value = value + 1 WHERE id = $1'
    await Promise.all(
      routers.flatMap((router, index) =>
        Array.from({ length: 4 }, async () => {
          for (let round = 0; round < 5; round++) {
            const { token } = await router.write((db) => db.query(sql, [50 + index]))
            await router.read((db) => db.query('SELECT 1'), { after: token })
          }
        }),
      ),
    )
    await Promise.all(routers.map((router) => router.close()))
    expect(await a.query('SELECT value FROM counters WHERE id IN (50, 51)')).toEqual([
      { value: 20 },
      { value: 20 },
    ])
    const pool = new pg.Pool({ connectionString: a.url(), max: 1 })
    const replicas = await open({ nodes: { a: pool } as never })
    for (let round = 0; round < 3; round++) {
      await pool.query('DISCARD ALL')
      await replicas.write((db) => db.query(sql, [50]))
    }
    await replicas.close()
    await pool.end()
    expect(await a.query('SELECT value FROM counters WHERE id = 50')).toEqual([{ value: 23 }])
  })

  test('a server of another cluster is never used', async () => {
    await using other = await PostgresServer.start({ fsync: 'off' })
    await using replicas = await open({ nodes: { a: a.url(), b: b.url(), x: other.url() } })
    await reach(replicas, ({ nodes }) => nodes.filter(({ healthy }) => healthy).length === 2)
    expect(replicas.state.nodes[2]).toMatchObject({ node: 'x', role: 'foreign', healthy: false })
    expect(replicas.state.leader).toBe('a')
  })

  test('without pg_monitor a role reads from followers, but not after a token', async () => {
    await a.query('CREATE ROLE plain LOGIN; GRANT SELECT, INSERT ON counters TO plain')
    const plain = (server: PostgresServer): string => server.url().replace('postgres@', 'plain@')
    await using replicas = await open({ nodes: { a: plain(a), b: plain(b) }, wait: '20ms' })
    const { token } = await replicas.write((db) => db.query('INSERT INTO counters VALUES (40, 1)'))
    const one = (db: PostgresTables) => db.query('SELECT 1')
    await reach(replicas, ({ nodes }) => nodes.every(({ healthy }) => healthy))
    expect(await replicas.read(one)).toMatchObject({ node: 'b' })
    expect(await replicas.read(one, { after: token })).toMatchObject({ node: 'a' })
    expect(replicas.state.nodes[1]!.problem).toContain('GRANT pg_monitor')
    await a.query('GRANT pg_monitor TO plain')
    await using monitor = await open({ nodes: { a: plain(a), b: plain(b) }, wait: '20s' })
    expect(await monitor.read(one, { after: await monitor.token(), fallback: 'refuse' })).toMatchObject({
      node: 'b',
    })
  })
})
