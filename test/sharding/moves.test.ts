import { afterEach, describe, expect, test, vi } from 'vitest'
import {
  abortMove,
  finishMove,
  openCoordinator,
  openShards,
  pauseMove,
  planDataMoves,
  readMoveHistory,
  readMover,
  readMoves,
  resumeMove,
  reverseMove,
  runMoves,
  startMoves,
  verifyShards,
  type Coordinator,
  type Shards,
} from '../../src/coordination/index.js'
import { coordinationError } from '../../src/coordination/errors.js'
import type { ShardStore } from '../../src/coordination/sharding/data/store.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { openShard, postgres, sqlite, type ShardEngine } from './engines.js'

const missing = postgresMissing()
const server = PostgresServer.ofSuite()

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

const SCHEMA =
  'CREATE TABLE items (id text NOT NULL PRIMARY KEY, owner text NOT NULL, amount integer NOT NULL)'
const TABLES = { items: { key: 'owner' } }

interface World {
  readonly coordinator: Coordinator
  readonly shards: Shards<unknown>
  readonly urls: readonly string[]
  readonly engine: ShardEngine
}

/** Two databases, the first of which has everything. */
async function open(engine: ShardEngine): Promise<World> {
  const { urls, clean } = await engine.places(2, SCHEMA)
  closing.push(clean)
  const coordinator = await openCoordinator('memory:')
  closing.push(() => coordinator.close())
  const shards = await openShards<unknown>(coordinator, 'items', {
    databases: { a: urls[0]!, b: urls[1]! },
    tables: TABLES,
    buckets: 4,
    weights: { a: 1, b: 0 },
  })
  closing.push(() => shards.close())
  for (let number = 0; number < 12; number++)
    await shards.write(`k${number}`, (db) =>
      engine.run(db, 'INSERT INTO items (id, owner, amount) VALUES (?, ?, ?)', [
        `i${number}`,
        `k${number}`,
        number,
      ]),
    )
  return { coordinator, shards, urls, engine }
}

/** Makes moves until nothing is left to do. */
async function work({ coordinator, shards }: World, stores = shards.stores): Promise<void> {
  await runMoves(coordinator, { name: 'items', stores }, { once: true, every: 20 }).done
}

/** Makes moves until one of them says what is in its way. */
async function problemOf({ coordinator, shards }: World, stores = shards.stores): Promise<string> {
  const runner = runMoves(coordinator, { name: 'items', stores }, { every: 20 })
  const watching = coordinator.watch('banyan/data-shards/', { after: 1 })[Symbol.asyncIterator]()
  try {
    for (;;) {
      const [move] = await readMoves(coordinator, 'items')
      if (move?.problem !== undefined) return move.problem
      await watching.next()
    }
  } finally {
    await runner.close()
    await watching.return?.()
  }
}

async function all({ shards }: World): Promise<number> {
  const { rows } = await shards.query('SELECT id FROM items', [])
  return rows.length
}

const has = (code: string) => expect.objectContaining({ code }) as unknown
const ALL = { buckets: [0, 1, 2, 3], from: 'a', to: 'b' }

describe.each(missing ? [sqlite] : [sqlite, postgres(server)])('moves in $name', (engine) => {
  test('a database that is new gets its part by a plan, and another is drained', async () => {
    const world = await open(engine)
    const { coordinator, shards } = world
    const plan = await planDataMoves(coordinator, 'items', { drain: [] })
    expect(plan).toEqual([])
    await startMoves(coordinator, 'items', [
      { ...ALL, buckets: [1] },
      { ...ALL, buckets: [3, 2] },
    ])
    expect(await planDataMoves(coordinator, 'items')).toEqual([])
    await work(world)
    const moves = await readMoves(coordinator, 'items')
    expect(moves.map(({ step, buckets }) => [step, buckets])).toEqual([['switched', [1]], ['switched', [2, 3]]]) // prettier-ignore
    expect(moves.reduce((sum, { rows }) => sum + rows, 0)).toBe(
      moves.reduce((sum, { estimate }) => sum + estimate, 0),
    )
    expect(await all(world)).toBe(12)
    for (const { id } of moves) await finishMove(coordinator, 'items', id)
    await work(world)
    expect(await readMoves(coordinator, 'items')).toEqual([])
    expect(shards.stores.size).toBe(2)
    const back = await planDataMoves(coordinator, 'items', { drain: ['b'], group: 2 })
    expect(back).toEqual([{ buckets: [1, 2], from: 'b', to: 'a' }, { buckets: [3], from: 'b', to: 'a' }]) // prettier-ignore
  })

  test('what cannot be asked for is refused, and nothing is begun', async () => {
    const world = await open(engine)
    const { coordinator } = world
    const start = (...moves: Parameters<typeof startMoves>[2]) => startMoves(coordinator, 'items', moves)
    await expect(start({ ...ALL, to: 'x' })).rejects.toEqual(has('BANYAN_SHARD_UNKNOWN'))
    await expect(start({ ...ALL, from: 'b', to: 'a' })).rejects.toEqual(has('BANYAN_MOVE_STEP'))
    await expect(start({ ...ALL, buckets: [4] })).rejects.toEqual(has('BANYAN_INVALID_OPTIONS'))
    await expect(start(ALL, { ...ALL, buckets: [2] })).rejects.toThrow(/bucket 2 is in two of the moves/)
    expect(await readMoves(coordinator, 'items')).toEqual([])
    const [id] = await start({ ...ALL, buckets: [2, 2] })
    expect(await readMoves(coordinator, 'items')).toMatchObject([{ buckets: [2] }])
    await expect(start(ALL)).rejects.toEqual(has('BANYAN_SHARD_MOVING'))
    await expect(finishMove(coordinator, 'items', id!)).rejects.toEqual(has('BANYAN_MOVE_STEP'))
    await expect(reverseMove(coordinator, 'items', id!)).rejects.toEqual(has('BANYAN_MOVE_STEP'))
    await expect(abortMove(coordinator, 'items', 'x')).rejects.toEqual(has('BANYAN_MOVE_UNKNOWN'))
    await expect(readMoves(coordinator, 'x')).rejects.toEqual(has('BANYAN_SHARDS_UNKNOWN'))
    await work(world)
    await expect(abortMove(coordinator, 'items', id!)).rejects.toEqual(has('BANYAN_MOVE_STEP'))
    await reverseMove(coordinator, 'items', id!)
    await abortMove(coordinator, 'items', id!)
    await work(world)
    expect((await readMoves(coordinator, 'items'))[0]).toMatchObject({ step: 'switched', from: 'a', to: 'b' })
    expect(await all(world)).toBe(12)
    await finishMove(coordinator, 'items', id!)
    for (const act of [abortMove, reverseMove])
      await expect(act(coordinator, 'items', id!)).rejects.toThrow(/is being removed; .* move them again/)
  })

  test('what has become of moves is remembered, and who makes them is known', async () => {
    const world = await open(engine)
    const { coordinator, shards } = world
    const start = async (buckets: number[]): Promise<string> =>
      (await startMoves(coordinator, 'items', [{ ...ALL, buckets }]))[0]!
    const [moved, back, off] = [await start([0, 1]), await start([2]), await start([3])]
    await abortMove(coordinator, 'items', off)
    await work(world)
    await reverseMove(coordinator, 'items', back)
    expect(await readMover(coordinator, 'items')).toBeUndefined()
    const runner = runMoves(coordinator, shards, { holder: 'me', every: 20 })
    await vi.waitFor(async () =>
      expect(await readMover(coordinator, 'items')).toMatchObject({ holder: 'me' }),
    )
    await runner.close()
    await work(world)
    for (const id of [moved, back]) await finishMove(coordinator, 'items', id)
    await work(world)
    const history = await readMoveHistory(coordinator, 'items')
    expect(history).toMatchObject([
      { id: off, buckets: 1, ranges: [[3, 4]], outcome: 'aborted', rows: 0 },
      { id: moved, buckets: 2, ranges: [[0, 2]], from: 'a', to: 'b', outcome: 'moved' },
      { id: back, buckets: 1, from: 'a', to: 'b', outcome: 'reversed' },
    ])
    expect(history[0]).not.toHaveProperty('switched')
    for (const { since, switched, ended, rows } of history.slice(1)) {
      expect([since, switched, ended]).toEqual([since, switched, ended].sort())
      expect(rows).toBeGreaterThan(0)
    }
  })

  test('what every database holds is compared with the map', async () => {
    const world = await open(engine)
    const { coordinator, shards, urls } = world
    await startMoves(coordinator, 'items', [{ ...ALL, buckets: [0, 1] }])
    await work(world)
    const right = await verifyShards(coordinator, shards, { tables: TABLES })
    expect(right).toMatchObject({ isRight: true, owners: [], databases: [{ buckets: 2 }, { buckets: 2 }] })
    expect(right.databases.reduce((sum, { rows }) => sum + rows['items']!, 0)).toBe(12)
    // As a backup of another time would have it.
    await engine.outside(
      urls[1]!,
      'DELETE FROM banyan_shard_buckets WHERE bucket = 0; UPDATE banyan_shard SET version = version + 1',
    )
    const wrong = await verifyShards(coordinator, shards)
    expect(wrong).toMatchObject({ isRight: false, owners: [{ bucket: 0, map: 'b', owners: [] }] })
    expect(wrong.databases[1]!.astray).toMatchObject([{ table: 'items', bucket: 0 }])
    const [a] = shards.stores
    const alone = await verifyShards(coordinator, { name: 'items', stores: new Map([a!]) })
    expect(alone).toMatchObject({ isRight: false, owners: [] })
    expect(alone.databases[1]!.problem).toContain('not among the databases that were opened')
  })

  test('a move that is paused waits', async () => {
    const world = await open(engine)
    const { coordinator } = world
    const [id] = await startMoves(coordinator, 'items', [ALL])
    await pauseMove(coordinator, 'items', id!)
    await work(world)
    expect((await readMoves(coordinator, 'items'))[0]?.step).toBe('copy')
    await resumeMove(coordinator, 'items', id!)
    await work(world)
    expect((await readMoves(coordinator, 'items'))[0]?.step).toBe('switched')
  })

  test('tables that differ are named, and the move goes on when they are the same', async () => {
    const world = await open(engine)
    const { coordinator, urls, shards } = world
    await engine.outside(urls[0]!, 'ALTER TABLE items ADD COLUMN extra integer')
    await shards.stores.get('a')!.prepare()
    await startMoves(coordinator, 'items', [ALL])
    expect(await problemOf(world)).toMatch(
      /"items" is not the same in both databases: extra integer only in a/i,
    )
    await engine.outside(urls[1]!, 'ALTER TABLE items ADD COLUMN extra integer')
    await shards.stores.get('b')!.prepare()
    await work(world)
    expect((await readMoves(coordinator, 'items'))[0]).toMatchObject({ step: 'switched' })
    expect(await all(world)).toBe(12)
  })

  test('a table may change while a move of it is switched: who comes new starts, and the move is finished before others begin', async () => {
    const world = await open(engine)
    const { coordinator, urls, shards } = world
    const [id] = await startMoves(coordinator, 'items', [{ ...ALL, buckets: [0, 1] }])
    await work(world)
    for (const url of urls) await engine.outside(url, 'ALTER TABLE items ADD COLUMN extra integer')
    const fresh = await openShards<unknown>(coordinator, 'items', {
      databases: { a: urls[0]!, b: urls[1]! },
      tables: TABLES,
    })
    closing.push(() => fresh.close())
    const insert = 'INSERT INTO items (id, owner, amount, extra) VALUES (?, ?, ?, ?)'
    for (const key of ['k0', 'k1', 'k2', 'k3'])
      await fresh.write(key, (db) => engine.run(db, insert, [`new-${key}`, key, 1, 1]))
    expect(await all(world)).toBe(16)
    const told = 'was changed while rows of it are on their way, and nothing of it moves as it is: undo'
    expect(await problemOf(world)).toContain(told)
    await finishMove(coordinator, 'items', id!)
    await work(world)
    expect(await readMoves(coordinator, 'items')).toEqual([])
    for (const store of shards.stores.values()) await store.prepare()
    await startMoves(coordinator, 'items', [{ ...ALL, buckets: [2, 3] }])
    await work(world)
    expect(await readMoves(coordinator, 'items')).toMatchObject([{ step: 'switched' }])
    expect(await all(world)).toBe(16)
  })

  test('a move of a table that has changed can be called off', async () => {
    const world = await open(engine)
    const { coordinator, urls, shards } = world
    const [id] = await startMoves(coordinator, 'items', [ALL])
    // One that is gone in the middle has left rows behind.
    const { moves } = shards.stores.get('b')!
    const step = { id: id!, buckets: ALL.buckets, token: 1 }
    const page = { table: 'items', bucket: 0, after: undefined, limit: 100 }
    const rows = await shards.stores.get('a')!.moves.readPage(step, page)
    await moves.writePage(step, page, rows)
    for (const url of urls) await engine.outside(url, 'ALTER TABLE items ADD COLUMN extra integer')
    for (const store of shards.stores.values()) await store.prepare()
    expect(await problemOf(world)).toContain('was changed while rows of it are on their way')
    await abortMove(coordinator, 'items', id!)
    await work(world)
    expect(await readMoves(coordinator, 'items')).toEqual([])
    expect(await all(world)).toBe(12)
  })

  test('a target that is away in the middle is waited for, and nobody else has to', async () => {
    const world = await open(engine)
    const { coordinator, shards } = world
    await startMoves(coordinator, 'items', [ALL])
    const away = (method: 'writePage' | 'count' | 'adopt'): ReadonlyMap<string, ShardStore<unknown>> => {
      const b = shards.stores.get('b')!
      const moves = new Proxy(b.moves, {
        get: (of, name) => {
          if (name === method)
            return () => Promise.reject(coordinationError('BANYAN_SHARD_UNAVAILABLE', 'no space is left'))
          const value: unknown = Reflect.get(of, name)
          return typeof value === 'function' ? (value as () => unknown).bind(of) : value
        },
      })
      const broken = { id: 'b', moves, shapes: () => b.shapes() } as ShardStore<unknown>
      return new Map([...shards.stores, ['b', broken]])
    }
    expect(await problemOf(world, away('writePage'))).toBe('no space is left')
    expect(await problemOf(world, away('count'))).toBe('no space is left')
    expect((await shards.stores.get('a')!.owned()).blocked).toEqual([])
    await work(world)
    const [move] = await readMoves(coordinator, 'items')
    expect(move).toMatchObject({ step: 'switched' })
    expect(move).not.toHaveProperty('problem')
  })

  test('a row whose bucket is not that of its key ends the move, and is named', async () => {
    const world = await open(engine)
    const { coordinator, urls, shards } = world
    const wrong = `UPDATE items SET banyan_bucket = (banyan_bucket + 1) % 4 WHERE id = 'i7'`
    await engine.outside(
      urls[0]!,
      engine.name === 'sqlite'
        ? `UPDATE banyan_shard_now SET moving = 1; ${wrong}; UPDATE banyan_shard_now SET moving = 0`
        : `SET banyan.moving = 'on'; ${wrong}`,
    )
    expect(await verifyShards(coordinator, shards)).toMatchObject({ isRight: true })
    const verified = await verifyShards(coordinator, shards, { tables: TABLES })
    expect(verified).toMatchObject({ isRight: false, owners: [] })
    expect(verified.databases[0]).toMatchObject({
      rows: { items: 12 },
      mismarked: [{ table: 'items', rows: 1 }],
    })
    const [id] = await startMoves(coordinator, 'items', [ALL])
    await work(world)
    const [move] = await readMoves(coordinator, 'items')
    expect(move?.step).toBe('diverged')
    expect(move?.problem).toMatch(/its key is not of that: .*i7/)
    await abortMove(coordinator, 'items', id!)
    await work(world)
    expect(await readMoves(coordinator, 'items')).toEqual([])
    expect((await shards.stores.get('a')!.owned()).ranges).toEqual([[0, 4, 1]])
    expect(await all(world)).toBe(12)
  })

  test('rows that refer to what the target has not end the move, and nobody waits for them', async () => {
    const world = await open(engine)
    const { coordinator, urls, shards } = world
    for (const url of urls)
      await engine.outside(
        url,
        `CREATE TABLE kinds (kind integer PRIMARY KEY); ALTER TABLE items ADD COLUMN kind integer REFERENCES kinds DEFERRABLE INITIALLY DEFERRED`,
      )
    for (const store of shards.stores.values()) await store.prepare()
    await engine.outside(urls[0]!, 'INSERT INTO kinds VALUES (1); UPDATE items SET kind = 1')
    const [id] = await startMoves(coordinator, 'items', [ALL])
    await work(world)
    const [move] = await readMoves(coordinator, 'items')
    expect(move).toMatchObject({
      step: 'diverged',
      problem: expect.stringMatching(/refer to rows that are not there/) as unknown,
    })
    expect((await shards.stores.get('a')!.owned()).blocked).toEqual([])
    await abortMove(coordinator, 'items', id!)
    await work(world)
    expect(await all(world)).toBe(12)
  })

  test('tables that cannot be sharded are refused, and say why', async () => {
    const prepare = async (
      schema: string,
      tables: Record<string, { key: string }> = TABLES,
    ): Promise<unknown> => {
      const { urls, clean } = await engine.places(1, schema)
      closing.push(clean)
      const store = await openShard(urls[0]!, { id: 'a', buckets: 4, tables })
      closing.push(() => store.close())
      return store.prepare()
    }
    await expect(prepare('CREATE TABLE items (id text, owner text)')).rejects.toThrow(/no primary key/)
    await expect(prepare(SCHEMA, { items: { key: 'other' } })).rejects.toThrow(/no column "other"/)
    await expect(prepare(SCHEMA, { others: { key: 'id' } })).rejects.toThrow(/"others" is not there/)
    const rows = (owner: string) =>
      `CREATE TABLE items (id text NOT NULL PRIMARY KEY, owner text); INSERT INTO items VALUES ('i1', ${owner})`
    await expect(prepare(rows('NULL'))).rejects.toEqual(has('BANYAN_SHARD_UNFIT'))
    expect(await prepare(rows("'ann'"))).toEqual({ changed: true, filled: 1 })
  })

  test('a database with rows of buckets that it is not to own is not founded', async () => {
    const { urls, clean } = await engine.places(1, `${SCHEMA}; INSERT INTO items VALUES ('i1', 'ann', 1)`)
    closing.push(clean)
    const store = await openShard(urls[0]!, { id: 'a', buckets: 4, tables: TABLES })
    closing.push(() => store.close())
    await store.prepare()
    await expect(store.found('one', [])).rejects.toEqual(has('BANYAN_SHARD_STRAY'))
    expect(await store.identity()).toBeUndefined()
    await store.found('one', [[0, 4]])
  })
})
