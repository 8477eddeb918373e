import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  openCoordinator,
  openReplicas,
  promoteReplica,
  readReplicas,
  type Coordinator,
  type Replicas,
  type ReplicasOptions,
  type ReplicasState,
} from '../../src/coordination/index.js'
import type { PostgresTables } from '../../src/drivers/postgres/read-models/client.js'
import { postgresMissing, PostgresServer } from '../support/postgres.js'

/** What a write may fail with while the leader changes. */
const EXPECTED = ['BANYAN_REPLICA_LOST', 'BANYAN_OUTCOME_UNKNOWN', 'BANYAN_LEADER_UNKNOWN']

describe.skipIf(postgresMissing())('a leader that changes', () => {
  let a: PostgresServer
  let b: PostgresServer
  let c: PostgresServer
  let coordinator: Coordinator

  beforeAll(async () => {
    a = await PostgresServer.start({ fsync: 'off', wal_keep_size: '256MB' })
    await a.query('CREATE TABLE counters (id int PRIMARY KEY, value int NOT NULL)')
    await a.query('INSERT INTO counters SELECT id, 0 FROM generate_series(1, 9) AS id')
    ;[b, c] = await Promise.all([a.standby(), a.standby()])
    coordinator = await openCoordinator('memory:')
  })
  afterAll(async () => {
    await coordinator.close()
    await Promise.all([a, b, c].map((server) => server.stop()))
  })

  const open = (options: Partial<ReplicasOptions> = {}): Promise<Replicas<PostgresTables>> =>
    openReplicas({
      nodes: { a: a.url(), b: b.url(), c: c.url() },
      ...{ coordinator, interval: '30ms', wait: '100ms', ttl: '1s', failover: '20s', answerWithin: '500ms' },
      ...options,
    })

  const reach = (
    replicas: Replicas<PostgresTables>,
    isIt: (state: ReplicasState) => boolean,
  ): Promise<void> =>
    new Promise((resolve) => {
      const check = (state: ReplicasState): void => {
        if (!isIt(state)) return
        stop()
        resolve()
      }
      const stop = replicas.on('change', check)
      check(replicas.state)
    })

  const bump = (replicas: Replicas<PostgresTables>, id: number) =>
    replicas.write(async (db) => {
      const sql = 'UPDATE counters SET value = value + 1 WHERE id = $1 RETURNING value'
      return (await db.query<{ value: number }>(sql, [id])).rows[0]!.value
    })
  const value = (id: number) => async (db: PostgresTables) => {
    const { rows } = await db.query<{ value: number }>('SELECT value FROM counters WHERE id = $1', [id])
    return rows[0]!.value
  }

  const follow = async (follower: PostgresServer, leader?: PostgresServer): Promise<void> => {
    const to = leader ? `host=127.0.0.1 port=${leader.port} user=postgres` : ''
    await follower.query(`ALTER SYSTEM SET primary_conninfo = '${to}'`)
    await follower.query('SELECT pg_reload_conf()')
  }

  /** Bumps counters and reads them behind that, until it is told to stop. @returns what was answered, by counter */
  const load = (replicas: Replicas<PostgresTables>) => {
    const stopping = new AbortController()
    const answered: { id: number; value: number; token: string }[] = []
    const working = [1, 2, 3].map(async (id) => {
      while (!stopping.signal.aborted) {
        try {
          const { result, token } = await bump(replicas, id)
          answered.push({ id, value: result, token })
          const read = await replicas.read(value(id), { after: token })
          expect(read.result).toBeGreaterThanOrEqual(result)
        } catch (error) {
          const { code } = error as { code: string }
          if (!EXPECTED.includes(code) && code !== 'BANYAN_TOKEN_LOST') throw error
        }
      }
    })
    return {
      answered,
      stop: async () => {
        stopping.abort()
        await Promise.all(working)
      },
    }
  }

  test('by an operator who gives up, as the follower does not get there: the leader goes on', async () => {
    await using replicas = await open()
    await reach(replicas, ({ nodes }) => nodes.every(({ healthy }) => healthy))
    await b.query('SELECT pg_wal_replay_pause()')
    try {
      const before = await bump(replicas, 9)
      await expect(promoteReplica(coordinator, replicas, { to: 'b', wait: '200ms' })).rejects.toMatchObject({
        code: 'BANYAN_PROMOTION_REFUSED',
        message: expect.stringContaining('b has come to') as string,
      })
      expect(await readReplicas(coordinator)).toMatchObject([{ kind: 'leading', node: 'a', timeline: 1 }])
      const after = await bump(replicas, 9)
      expect(after).toMatchObject({ node: 'a', result: before.result + 1 })
    } finally {
      await b.query('SELECT pg_wal_replay_resume()')
    }
  })

  test('by an operator, under load: nothing is lost, and the old one is fenced', async () => {
    await using replicas = await open()
    await using operator = await open()
    await reach(replicas, ({ nodes }) => nodes.every(({ healthy }) => healthy))
    const running = load(replicas)
    const early = await bump(replicas, 9)
    const promotion = await promoteReplica(coordinator, operator, { to: 'b' })
    expect(promotion).toEqual({ from: 'a', to: 'b', timeline: 2, planned: true, lostBytes: 0 })
    await follow(c, b)
    await reach(
      replicas,
      ({ leader, nodes }) => leader === 'b' && nodes.some(({ node, healthy }) => node === 'c' && healthy),
    )
    const late = await bump(replicas, 9)
    expect(late.node).toBe('b')
    await running.stop()
    // Tokens from before are as good as ever.
    const read = await replicas.read(value(9), { after: early.token, wait: '20s', fallback: 'refuse' })
    expect(read.node).toBe('c')
    for (const { id, value: written, token } of running.answered.slice(-50))
      expect((await replicas.read(value(id), { after: token })).result).toBeGreaterThanOrEqual(written)
    await reach(replicas, ({ nodes }) => nodes[0]!.role === 'old leader')
    expect(replicas.state.nodes[0]).toMatchObject({ node: 'a', healthy: false, fenced: true })
    await expect(a.query('UPDATE counters SET value = 0')).rejects.toMatchObject({ code: '25006' })
    expect(await readReplicas(coordinator)).toMatchObject([
      { name: 'main', kind: 'leading', node: 'b', timeline: 2, ttl: 1000 },
    ])
  })

  test('that does not answer, by force: what was lost is said, and no read is stale', async () => {
    await using replicas = await open()
    await using operator = await open()
    await reach(replicas, ({ leader, nodes }) => leader === 'b' && nodes[2]!.healthy)
    await expect(promoteReplica(coordinator, operator, { to: 'a' })).rejects.toMatchObject({
      code: 'BANYAN_PROMOTION_REFUSED',
    })
    const running = load(replicas)
    const kept = await bump(replicas, 9)
    await replicas.read(value(9), { after: kept.token, wait: '20s', fallback: 'refuse' })
    // From here on nothing arrives there.
    await follow(c)
    await reach(replicas, ({ nodes }) => nodes[2]!.problem?.startsWith('it is not connected') === true)
    const lost = await bump(replicas, 9)
    await expect.poll(() => operator.state.nodes[2]!.lagBytes, { timeout: 20_000 }).toBeGreaterThan(0)
    let begun: () => void
    const beginning = new Promise<void>((resolve) => (begun = resolve))
    const caught = replicas.write(async (db) => {
      begun()
      await db.query('SELECT pg_sleep(60)')
    })
    const outcome = caught.catch((error: unknown) => error)
    await beginning
    b.freeze()
    await expect(promoteReplica(coordinator, operator, { to: 'c' })).rejects.toThrow(/`force`/)
    const promotion = await promoteReplica(coordinator, operator, { to: 'c', force: true })
    expect(promotion).toMatchObject({ from: 'b', to: 'c', timeline: 3, planned: false })
    expect(promotion.lostBytes).toBeGreaterThan(0)
    expect(await outcome).toMatchObject({ code: 'BANYAN_REPLICA_LOST' })
    await b.crash()
    expect((await bump(replicas, 8)).node).toBe('c')
    await running.stop()
    expect(await replicas.read(value(9), { after: kept.token })).toMatchObject({
      node: 'c',
      result: kept.result,
    })
    await expect(replicas.read(value(9), { after: lost.token })).rejects.toMatchObject({
      code: 'BANYAN_TOKEN_LOST',
    })
    for (const { id, value: written, token } of running.answered) {
      const reading = replicas.read(value(id), { after: token }).catch((error: unknown) => error)
      const read = (await reading) as { result: number } | { code: string }
      if ('code' in read) expect(read.code).toBe('BANYAN_TOKEN_LOST')
      else expect(read.result).toBeGreaterThanOrEqual(written)
    }
  })

  test('and comes back: it is fenced as soon as it is seen, and no router writes there', async () => {
    await using replicas = await open()
    await reach(replicas, ({ leader }) => leader === 'c')
    await b.restart()
    await reach(replicas, ({ nodes }) => nodes[1]!.fenced === true)
    expect(replicas.state.nodes[1]).toMatchObject({ role: 'old leader', timeline: 2, healthy: false })
    await expect(b.query('UPDATE counters SET value = 0')).rejects.toMatchObject({ code: '25006' })
    expect((await bump(replicas, 8)).node).toBe('c')
    // A router that hears of it only now, and of nobody else, does not write there either.
    await using alone = await open({ nodes: { b: b.url() }, failover: '200ms' })
    await expect(bump(alone, 8)).rejects.toMatchObject({ code: 'BANYAN_LEADER_UNKNOWN' })
  })

  test('a role that may not fence says so, loudly', async () => {
    await b.query('ALTER SYSTEM RESET default_transaction_read_only')
    await b.query('SELECT pg_reload_conf()')
    await c.query('CREATE ROLE plain LOGIN IN ROLE pg_monitor')
    const plain = b.url().replace('postgres@', 'plain@')
    await b.query('SET transaction_read_only = off; CREATE ROLE plain LOGIN IN ROLE pg_monitor')
    await using replicas = await open({ nodes: { b: plain, c: c.url() } })
    await reach(replicas, ({ nodes }) => nodes[0]!.problem?.includes('cannot be fenced') === true)
    expect(replicas.state.nodes[0]).toMatchObject({ role: 'old leader', fenced: false })
    expect(replicas.state.nodes[0]!.problem).toMatch(/^UNFENCED/)
    expect((await bump(replicas, 8)).node).toBe('c')
  })

  test('while the coordinator is away: half its ttl later nobody writes, and reads go on', async () => {
    const own = await openCoordinator('memory:')
    await using replicas = await open({ name: 'other', coordinator: own, failover: '100ms', ttl: '300ms' })
    await reach(replicas, ({ leader }) => leader === 'c')
    await own.close()
    await reach(replicas, ({ leader }) => leader === undefined)
    expect(replicas.state.problem).toContain('nobody knows whether c still leads')
    await expect(bump(replicas, 8)).rejects.toMatchObject({ code: 'BANYAN_LEADER_UNKNOWN' })
  })
})
