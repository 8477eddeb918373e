import { afterEach, describe, expect, test } from 'vitest'
import { systemRuntime } from '../../src/core/runtime.js'
import { noTelemetry } from '../../src/core/telemetry.js'
import {
  finishMove,
  openCoordinator,
  openShards,
  readDataShards,
  readMoves,
  removeDatabase,
  runMoves,
  startMoves,
  unprepareShards,
  type Shards,
} from '../../src/coordination/index.js'
import { bucketOf } from '../../src/coordination/sharding/buckets.js'
import { openShardsWith } from '../../src/coordination/sharding/data/router/open.js'
import { unprepareShardsWith } from '../../src/coordination/sharding/data/leave.js'
import {
  inspectShard,
  openShardStore,
  unprepareShard,
  shardPrepareSql,
} from '../../src/drivers/open-shards.js'
import { DataMover } from '../../src/node/shards/data-mover.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { postgres, sqlite } from './engines.js'

const missing = postgresMissing()
const server = PostgresServer.ofSuite()

const SCHEMA =
  'CREATE TABLE items (id text NOT NULL PRIMARY KEY, owner text NOT NULL, amount integer NOT NULL)'
const SPEC = { name: 'shop', id: 'a', buckets: 8, tables: { items: { key: 'owner' } } }

const opened: (() => unknown)[] = []
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close()
})

const engines = missing ? [sqlite] : [sqlite, postgres(server)]

describe.each(engines)('what would prepare $name', (engine) => {
  test('changes nothing when it is asked for, and is all that is needed when it is executed', async () => {
    const { urls, clean } = await engine.places(1, SCHEMA)
    const [url] = urls as [string]
    const statements = await shardPrepareSql(url, SPEC)
    await expect(openShardStore(url, SPEC, { migrate: false })).rejects.toThrow(
      'make them with banyan shards prepare',
    )
    expect(await shardPrepareSql(url, SPEC)).toEqual(statements)

    for (const statement of statements) await engine.outside(url, statement)
    expect(await shardPrepareSql(url, SPEC)).toEqual([])
    const store = await openShardStore(url, SPEC, { migrate: false })
    expect(await store.prepare()).toEqual({ changed: false, filled: 0 })
    await store.close()
    await clean()
  })

  test('is refused for tables that cannot be sharded', async () => {
    const { urls, clean } = await engine.places(1, SCHEMA)
    await expect(
      shardPrepareSql(urls[0]!, { ...SPEC, tables: { items: { key: 'customer' } } }),
    ).rejects.toMatchObject({ code: 'BANYAN_SHARD_UNFIT' })
    await clean()
  })
})

describe.each(engines)('the beginning of data shards in $name', (engine) => {
  async function setUp(): Promise<World> {
    const { urls, clean } = await engine.places(2, SCHEMA)
    const coordinator = await openCoordinator('memory:', {
      runtime: { ...systemRuntime, telemetry: noTelemetry },
    })
    opened.push(clean, () => coordinator.close())
    const [a, b] = urls as [string, string]
    const open: World['open'] = async (options = {}) => {
      const shards = await openShards<unknown>(coordinator, 'shop', {
        ...{ databases: { a, b }, tables: SPEC.tables, buckets: 8 },
        ...options,
      })
      opened.push(() => shards.close())
      return shards
    }
    return { coordinator, a, b, open, read: (shards) => shards.query('SELECT id, banyan_bucket FROM items') }
  }

  const insert = (id: string): string =>
    `INSERT INTO items (id, owner, amount) VALUES ('${id}', 'owner-${id}', 1)`

  test('leaves databases as they were if it is refused, and follows what it is told then', async () => {
    const { coordinator, a, open, read } = await setUp()
    await engine.outside(a, insert('1'))
    await expect(open()).rejects.toMatchObject({
      code: 'BANYAN_SHARD_STRAY',
      message: expect.stringContaining('weights: { "a": 1, "b": 0 }') as string,
    })
    await engine.outside(a, insert('2'))
    expect(await readDataShards(coordinator, 'shop')).toBeUndefined()
    const shards = await open({ weights: { a: 1, b: 0 } })
    expect((await read(shards)).rows).toHaveLength(2)
  })

  test('refuses rows in several databases, which it cannot adopt, and says what to do', async () => {
    const { a, b, open } = await setUp()
    await engine.outside(a, insert('1'))
    await engine.outside(b, insert('2'))
    for (const weights of [{}, { a: 1, b: 0 }])
      await expect(open({ weights })).rejects.toMatchObject({
        code: 'BANYAN_SHARD_STRAY',
        message: expect.stringMatching(
          /rows already in a \(items\) and b \(items\).*through the router/s,
        ) as string,
      })
    await engine.outside(b, 'DELETE FROM items')
    const shards = await open({ databases: { a } })
    await expect(open()).resolves.toBeDefined()
    await shards.write('owner-2', (db) => engine.run(db, insert('2'), []))
  })

  test('takes other weights, buckets and databases as long as it has come to no end', async () => {
    const { coordinator, a, b, open, read } = await setUp()
    await engine.outside(a, Array.from({ length: 20 }, (_, id) => insert(String(id))).join(';'))
    const failing = openShardsWith<string, unknown>(
      coordinator,
      'shop',
      { databases: { a, b }, tables: SPEC.tables, buckets: 64, weights: { a: 1, b: 0 } },
      {
        inspect: inspectShard,
        open: async (where, spec) => {
          const store = await openShardStore(where, spec)
          const broken = { found: () => Promise.reject(new Error('the process is killed')) }
          return spec.id === 'b' ? Object.assign(store, broken) : store
        },
      },
    )
    await expect(failing).rejects.toThrow('the process is killed')
    expect(await readDataShards(coordinator, 'shop')).toMatchObject({ founded: false, buckets: 64 })

    await expect(
      startMoves(coordinator, 'shop', [{ buckets: [1], from: 'a', to: 'b' }]),
    ).rejects.toMatchObject({
      code: 'BANYAN_SHARDS_UNKNOWN',
    })
    const shards = await open({ weights: { a: 3 }, databases: { a }, buckets: 8 })
    expect(shards.map).toMatchObject({ founded: true, owners: [[0, 8, 'a']], shards: { a: { weight: 3 } } })
    for (const { id, banyan_bucket } of (await read(shards)).rows)
      expect(banyan_bucket).toBe(bucketOf(`owner-${String(id)}`, 8))
    expect((await open()).map.shards).toEqual({ a: { weight: 3 }, b: { weight: 1 } })
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, id) =>
        shards.write(`owner-${id}`, (db) =>
          engine.run(db, `SELECT amount FROM items WHERE id = '${id}'`, []),
        ),
      ),
    )
    expect(all.flat()).toHaveLength(20)
  })

  test('is one, however many begin it at the same time', async () => {
    const { open } = await setUp()
    // Each makes it anew as it says itself, if it comes in the middle of the beginning of another one.
    const weights = engine.name === 'sqlite' ? [1, 2, 3, 4, 5, 6] : [1, 3]
    const all = await Promise.all([open(), ...weights.map((b) => open({ weights: { a: 1, b } }))])
    expect(new Set(all.map(({ map }) => map.owner)).size).toBe(1)
    await Promise.all(
      Array.from({ length: 10 }, (_, id) =>
        all[id % all.length]!.write(`owner-${id}`, (db) => engine.run(db, insert(String(id)), [])),
      ),
    )
    expect((await all[0].query('SELECT id FROM items')).rows).toHaveLength(10)
  })

  test('makes no new database in the place of one that is away, which is used when it is back', async () => {
    const { a, b, open, read } = await setUp()
    const first = await open()
    const [here, there] = ['a', 'b'].map((shard) =>
      Array.from({ length: 50 }, (_, id) => id).find((id) => first.shardOf(`owner-${id}`) === shard),
    )
    for (const id of [here, there])
      await first.write(`owner-${id}`, (db) => engine.run(db, insert(String(id)), []))
    await first.close()
    const back = await engine.away(b)
    const shards = await open()
    expect(Object.keys(shards.away)).toEqual(['b'])
    expect(shards.away['b']).toMatch(/no file|does not exist/)
    await expect(shards.write(`owner-${there}`, () => 0)).rejects.toMatchObject({
      code: 'BANYAN_SHARD_UNAVAILABLE',
      message: expect.stringContaining('the shard "b"') as string,
    })
    expect(await shards.write(`owner-${here}`, () => 'done')).toBe('done')
    expect(await shards.query('SELECT id FROM items', [], { partial: 'allow' })).toMatchObject({
      rows: [{ id: String(here) }],
      missing: [{ shard: 'b' }],
    })
    await expect(read(shards)).rejects.toMatchObject({ code: 'BANYAN_SHARDS_UNAVAILABLE' })
    await expect(shards.stores.get('b')!.moves.count({ id: 'm', buckets: [], token: 1 }, 'items', 'tables')).rejects.toMatchObject({ code: 'BANYAN_SHARD_UNAVAILABLE' }) // prettier-ignore
    await expect(open({ databases: { a, b, c: b } })).rejects.toMatchObject({
      code: 'BANYAN_SHARD_UNAVAILABLE',
      message: expect.stringMatching(/^the database c: /) as string,
    })
    await back()
    await expect.poll(() => shards.away, { timeout: 10_000 }).toEqual({})
    expect((await read(shards)).rows).toHaveLength(2)
    await shards.close()

    for (const url of [a, b]) await engine.away(url)
    await expect(open()).rejects.toMatchObject({
      code: 'BANYAN_SHARD_UNAVAILABLE',
      message: expect.stringContaining('no database of "shop" can be reached') as string,
    })
  })

  test('lets a node make the moves of those that are there, and of the others when they are back', async () => {
    const { coordinator, a, b, open } = await setUp()
    const [c] = (await engine.places(1, SCHEMA)).urls as [string]
    const databases = { a, b, c }
    await (await open({ databases })).close()
    const back = await engine.away(b)
    const spec = { databases, tables: SPEC.tables, moves: { every: 20 } }
    const mover = new DataMover('shop', spec, coordinator, coordinator.runtime)
    opened.push(() => mover.close())
    await expect
      .poll(() => mover.state(), { timeout: 10_000 })
      .toMatchObject({ ready: true, away: { b: expect.anything() as string } })
    await startMoves(coordinator, 'shop', [
      { buckets: [0], from: 'a', to: 'b' },
      { buckets: [1], from: 'a', to: 'c' },
    ])
    const moves = async (): Promise<unknown> =>
      (await readMoves(coordinator, 'shop')).map(({ step, problem }) => [step, problem?.slice(0, 13)])
    await expect.poll(moves, { timeout: 10_000 }).toEqual([['copy', 'the shard "b"'], ['switched', undefined]]) // prettier-ignore
    await back()
    await expect.poll(moves, { timeout: 10_000 }).toEqual([['switched', undefined], ['switched', undefined]]) // prettier-ignore
    expect(mover.state()).toEqual({ ready: true, moves: 2, stuck: 0 })
  })

  test('does not take another database for one that has buckets, nor a new one with rows', async () => {
    const { a, b, open } = await setUp()
    await (await open({ databases: { a } })).close()
    await engine.outside(b, insert('1'))
    await expect(open()).rejects.toMatchObject({ code: 'BANYAN_SHARD_STRAY' })
    await expect(open({ databases: { a: b } })).rejects.toMatchObject({
      code: 'BANYAN_SHARD_FOREIGN',
      message: expect.stringContaining('knows nothing of the buckets') as string,
    })
    // Nothing was added to it.
    await engine.outside(b, insert('2'))
    await expect(open({ databases: { b: a, a: b } })).rejects.toMatchObject({ code: 'BANYAN_SHARD_FOREIGN' })
  })

  test('ends: sharding is taken off, and what is left is what was there before, and can begin anew', async () => {
    const { coordinator, a, b, open, read } = await setUp()
    const before = await Promise.all([a, b].map((url) => engine.schema(url)))
    await engine.outside(a, insert('1'))
    const shards = await open({ weights: { a: 1, b: 0 } })
    await shards.write('owner-2', (db) => engine.run(db, insert('2'), []))
    const leave = (options: object = {}): Promise<string[]> =>
      unprepareShards(coordinator, 'shop', { databases: { a, b }, ...options })
    const refused = (code: string): object => expect.objectContaining({ code }) as object
    await expect(leave({ databases: { a } })).rejects.toEqual(refused('BANYAN_SHARD_UNKNOWN'))

    const buckets = [shards.bucketOf('owner-2')]
    const [id] = await startMoves(coordinator, 'shop', [{ buckets, from: 'a', to: 'b' }])
    await runMoves(coordinator, shards, { once: true }).done
    await expect(leave()).rejects.toEqual(refused('BANYAN_SHARD_MOVING'))
    await expect(removeDatabase(coordinator, 'shop', 'b')).rejects.toMatchObject({
      code: 'BANYAN_SHARD_IN_USE',
      message: expect.stringContaining(`takes part in moves, ${id}`) as string,
    })
    await finishMove(coordinator, 'shop', id!)
    await runMoves(coordinator, shards, { once: true }).done
    await expect(leave()).rejects.toMatchObject({
      code: 'BANYAN_SHARD_IN_USE',
      message: expect.stringContaining('lie in a (items) and b (items)') as string,
    })
    await expect(removeDatabase(coordinator, 'shop', 'b')).rejects.toThrow('has 1 buckets: move them off')
    const elsewhere = await openCoordinator('memory:')
    opened.push(() => elsewhere.close())
    await expect(unprepareShards(elsewhere, 'shop', { databases: { a } })).rejects.toEqual(refused('BANYAN_SHARDS_UNKNOWN')) // prettier-ignore
    await expect(unprepareShards(elsewhere, 'other', { databases: { a }, force: true })).rejects.toEqual(refused('BANYAN_SHARD_FOREIGN')) // prettier-ignore
    expect((await read(shards)).rows).toHaveLength(2)
    await shards.close()

    expect(await leave({ force: true })).toEqual(['a', 'b'])
    expect(await Promise.all([a, b].map((url) => engine.schema(url)))).toEqual(before)
    expect(await readDataShards(coordinator, 'shop')).toBeUndefined()
    await engine.outside(b, 'DELETE FROM items')
    await engine.outside(a, insert('3'))
    expect((await read(await open({ weights: { a: 1, b: 0 }, buckets: 16 }))).rows).toHaveLength(2)
  })

  test('goes on taking sharding off if that has ended in the middle, and is not opened until then', async () => {
    const { coordinator, a, b, open } = await setUp()
    await (await open({ weights: { a: 1, b: 0 } })).close()
    const back = await engine.away(b)
    await expect(unprepareShards(coordinator, 'shop', { databases: { a, b } })).rejects.toMatchObject({
      code: 'BANYAN_SHARD_UNAVAILABLE',
      message: expect.stringMatching(/^the database b: /) as string,
    })
    await back()
    const failing = unprepareShardsWith(
      coordinator,
      'shop',
      { databases: { a, b } },
      {
        inspect: inspectShard,
        unprepare: (url) => (url === b ? Promise.reject(new Error('killed')) : unprepareShard(url)),
      },
    )
    await expect(failing).rejects.toThrow('killed')
    await expect(open()).rejects.toThrow('sharding is being taken off')
    await expect(startMoves(coordinator, 'shop', [{ buckets: [1], from: 'a', to: 'b' }])).rejects.toThrow(
      'sharding is being taken off',
    )
    expect(await unprepareShards(coordinator, 'shop', { databases: { a, b } })).toEqual(['b'])
    expect(await readDataShards(coordinator, 'shop')).toBeUndefined()
  })

  test('lets a database go that has no buckets, while the others go on', async () => {
    const { coordinator, a, b, open } = await setUp()
    const shards = await open({ weights: { a: 1, b: 0 } })
    const fewer = await open({ databases: { a } })
    await removeDatabase(coordinator, 'shop', 'b')
    await expect(removeDatabase(coordinator, 'shop', 'b')).rejects.toMatchObject({
      code: 'BANYAN_SHARD_UNKNOWN',
    })
    await expect(
      startMoves(coordinator, 'shop', [{ buckets: [1], from: 'a', to: 'b' }]),
    ).rejects.toMatchObject({
      code: 'BANYAN_SHARD_UNKNOWN',
    })
    await shards.close()
    expect(await unprepareShards(coordinator, 'shop', { databases: { b } })).toEqual(['b'])
    await engine.outside(b, insert('1'))
    await fewer.write('owner-1', (db) => engine.run(db, insert('1'), []))
    expect(Object.keys((await open({ databases: { a } })).map.shards)).toEqual(['a'])
  })
})

interface World {
  readonly coordinator: Awaited<ReturnType<typeof openCoordinator>>
  readonly a: string
  readonly b: string
  readonly open: (options?: Partial<Parameters<typeof openShards<unknown>>[2]>) => Promise<Shards<unknown>>
  readonly read: (shards: Shards<unknown>) => ReturnType<Shards<unknown>['query']>
}
