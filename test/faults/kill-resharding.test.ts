import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import {
  finishMove,
  openCoordinator,
  readDataShards,
  readMoves,
  reverseMove,
  startMoves,
  type Coordinator,
} from '../../src/coordination/index.js'
import { SEED, times } from '../support/effort.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { openShard, postgres, sqlite } from '../sharding/engines.js'
import { Child } from './support/child.js'
import { Choices } from './support/choices.js'

const SCHEMA =
  'CREATE TABLE items (id text NOT NULL PRIMARY KEY, owner text NOT NULL, amount integer NOT NULL)'
const BUCKETS = 16
const SHARDS = ['a', 'b', 'c']
const TTL = 500
const missing = postgresMissing()
const server = PostgresServer.ofSuite()

/** Rows of each database, in order, with whether it owns their buckets. */
async function rowsOf(databases: Record<string, string>): Promise<{ rows: string[]; problems: string[] }> {
  const rows: string[] = []
  const problems: string[] = []
  const owners = new Map<number, string>()
  for (const [id, url] of Object.entries(databases)) {
    const store = await openShard(url, {
      name: 'orders',
      id,
      buckets: BUCKETS,
      tables: { items: { key: 'owner' } },
    })
    const { rows: found, owned } = await store.query(
      'SELECT id, owner, amount, banyan_bucket AS bucket FROM items',
      [],
    )
    for (const [from, to] of owned.ranges)
      for (let bucket = from; bucket < to; bucket++) {
        if (owners.has(bucket)) problems.push(`bucket ${bucket} is owned twice`)
        owners.set(bucket, id)
      }
    if (owned.blocked.length > 0) problems.push(`${id} has blocked ${owned.blocked.join()}`)
    for (const row of found) {
      rows.push(JSON.stringify([row['id'], row['owner'], row['amount']]))
      if (owners.get(row['bucket'] as number) !== id)
        problems.push(`${id} has a row of bucket ${String(row['bucket'])}`)
    }
    const left = await store.query('SELECT id FROM banyan_staged_items', [])
    if (left.rows.length > 0) problems.push(`${id} has ${left.rows.length} rows staged`)
    await store.close()
  }
  if (owners.size !== BUCKETS) problems.push(`${owners.size} buckets are owned`)
  return { rows: rows.sort(), problems }
}

/** Executors that are killed a few times, and one that ends by itself. */
async function moveAll(argument: object, choices: Choices, kills: number): Promise<void> {
  for (let count = 0; count < kills; count++) {
    const mover = new Child('shard-mover.mjs', { ...argument, ttl: TTL, rate: 2000 })
    await mover.ready
    await Promise.race([sleep(100 + choices.below(1400)), mover.exited])
    mover.signal('SIGKILL')
    await mover.exited
  }
  await new Child('shard-mover.mjs', { ...argument, ttl: TTL }).output()
}

async function finishAll(coordinator: Coordinator): Promise<void> {
  for (const { id, step } of await readMoves(coordinator, 'orders')) {
    expect(step).toBe('switched')
    await finishMove(coordinator, 'orders', id)
  }
}

describe.each(missing ? [sqlite] : [sqlite, postgres(server)])('databases of $name', (engine) => {
  test('rows are what their writers have written, while buckets move and executors are killed', async () => {
    const choices = new Choices(SEED)
    const directory = await mkdtemp(join(tmpdir(), 'banyan-resharding-'))
    const { urls, clean } = await engine.places(SHARDS.length, SCHEMA)
    const databases = Object.fromEntries(SHARDS.map((shard, index) => [shard, urls[index]!]))
    const where = `sqlite:${directory}/coordinator.db`
    const argument = { where, databases, buckets: BUCKETS }
    const coordinator = await openCoordinator(where)
    const writers: Child[] = []
    try {
      for (const id of ['x', 'y']) {
        const writer = new Child('shard-writer.mjs', { ...argument, id })
        writers.push(writer)
        await writer.ready
      }
      const { owners } = (await readDataShards(coordinator, 'orders'))!
      expect(owners).toEqual([[0, BUCKETS, 'a']])
      const moves = [
        { buckets: [0, 1, 2, 3], from: 'a', to: 'b' },
        { buckets: [4, 5], from: 'a', to: 'b' },
        { buckets: [10, 11, 12, 13, 14], from: 'a', to: 'c' },
      ]
      await startMoves(coordinator, 'orders', moves)
      await moveAll(argument, choices, times(3))
      const [first, ...others] = await readMoves(coordinator, 'orders')
      expect(others.map(({ step }) => step)).toEqual(['switched', 'switched'])
      await reverseMove(coordinator, 'orders', first!.id)
      await moveAll(argument, choices, times(1))
      await finishAll(coordinator)
      await moveAll(argument, choices, 0)
      expect(await readMoves(coordinator, 'orders')).toEqual([])
    } finally {
      const written: string[] = []
      for (const writer of writers) {
        writer.signal('SIGTERM')
        const lines = (await writer.output()).trim().split('\n')
        written.push(...(JSON.parse(lines.at(-1)!) as unknown[]).map((row) => JSON.stringify(row)))
      }
      const { rows, problems } = await rowsOf(databases)
      expect(problems).toEqual([])
      expect(rows).toEqual(written.sort())
      expect(rows.length).toBeGreaterThan(10)
      await coordinator.close()
      await clean()
      await rm(directory, { recursive: true, force: true })
    }
  }, 300_000)
})
