import { afterEach, describe, expect, it } from 'vitest'
import { bucketOf } from '../../src/coordination/sharding/buckets.js'
import { coordinationError } from '../../src/coordination/errors.js'
import { openShards, type Coordinator, type Shards } from '../../src/coordination/index.js'
import type { ShardStore } from '../../src/coordination/sharding/data/store.js'
import type { SqliteTables } from '../../src/drivers/sqlite/read-models/tables.js'
import { processes, type Processes } from '../support/coordinators.js'
import { FaultyShards, noteInMap } from '../support/faulty-shards.js'
import { closeLogs } from '../support/logs.js'

const opened: (() => unknown)[] = []
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close()
  await closeLogs()
})

interface Setup extends Processes {
  readonly faulty: FaultyShards
  readonly coordinator: Coordinator
  readonly shards: Shards<SqliteTables>
}

async function setUp(options: Parameters<FaultyShards['open']>[1] = {}): Promise<Setup> {
  const world = processes()
  const coordinator = world.open()
  const faulty = new FaultyShards()
  const shards = await faulty.open(coordinator, options)
  opened.push(() => coordinator.close())
  opened.push(() => shards.close())
  return { ...world, coordinator, faulty, shards }
}

const add = (shards: Shards<SqliteTables>, id: number, customer = `customer-${id}`): Promise<unknown> =>
  shards.write(customer, (db) =>
    db.run(
      'INSERT INTO orders (id, customer, status) VALUES (?, ?, ?)',
      id,
      customer,
      id % 2 === 0 ? 'paid' : 'open',
    ),
  )

async function fill(shards: Shards<SqliteTables>, count = 40): Promise<void> {
  for (let id = 0; id < count; id++) await add(shards, id)
}

const read = (shards: Shards<SqliteTables>, customer: string): Promise<unknown> =>
  shards.read(customer, (db) =>
    db.all('SELECT id FROM orders WHERE customer = ?', customer).map(({ id }) => id),
  )

/** A customer of a database, and its bucket. */
function someoneOf(shards: Shards<SqliteTables>, shard: string): { customer: string; bucket: number } {
  for (let id = 0; ; id++) {
    const customer = `customer-${id}`
    if (shards.shardOf(customer) === shard) return { customer, bucket: shards.bucketOf(customer) }
  }
}

const ids = async (shards: Shards<SqliteTables>): Promise<unknown[]> =>
  (await shards.query('SELECT id FROM orders', [], { orderBy: ['id'] })).rows.map(({ id }) => id)

describe('a key', () => {
  it('is the same as number and as text, and decides for ever where its rows are', async () => {
    const { shards, faulty } = await setUp()
    expect([shards.bucketOf(7), shards.bucketOf(7n), shards.bucketOf(-0)]).toEqual([
      shards.bucketOf('7'),
      bucketOf('7', 16),
      shards.bucketOf('0'),
    ])
    await add(shards, 7)
    expect(await read(shards, 'customer-7')).toEqual([7])
    for (const [shard, store] of faulty.stores)
      expect((await store.query('SELECT id FROM orders', [])).rows).toEqual(
        shard === shards.shardOf('customer-7') ? [{ id: 7 }] : [],
      )
  })

  it.each([undefined, null, '', 'half \ud83d', NaN, 1.5, 2 ** 60, true, {}])(
    'that is %s is none',
    async (key) => {
      const { shards, faulty } = await setUp({ shards: ['a'] })
      const before = faulty.asked.length
      const required = expect.objectContaining({ code: 'BANYAN_SHARD_KEY_REQUIRED' }) as Error
      expect(() => shards.shardOf(key as string)).toThrow(required)
      await expect((async () => shards.write(key as string, () => 1))()).rejects.toThrow(required)
      await expect((async () => shards.readMany([key as string], () => ['SELECT 1', []]))()).rejects.toThrow(
        required,
      )
      expect(faulty.asked).toHaveLength(before)
    },
  )

  it('is heard by whoever counts which are hot', async () => {
    const heard: string[] = []
    const { shards } = await setUp({ heat: { record: (key) => heard.push(key) } })
    await shards.read(7, () => undefined)
    await shards.write('x', () => undefined)
    await shards.readMany([1n, 'y'], () => ['SELECT 1 WHERE 0', []])
    expect(heard).toEqual(['7', 'x', '1', 'y'])
  })

  it('is of all rows that its transaction writes', async () => {
    const { shards } = await setUp()
    await expect(
      shards.write('one', (db) => db.run("INSERT INTO orders (id, customer) VALUES (1, 'other')")),
    ).rejects.toMatchObject({ code: 'BANYAN_SHARD_KEY_MISMATCH' })
    await expect(shards.read('one', (db) => db.run('DELETE FROM orders'))).rejects.toThrow(
      'a query only reads',
    )
    expect(await ids(shards)).toEqual([])
  })

  it('may be one of many that are read at once', async () => {
    const { shards, faulty } = await setUp()
    await fill(shards)
    faulty.asked.length = 0
    const keys = ['customer-1', 'customer-2', 'customer-3', 'customer-4', 'customer-5', 'nobody']
    const rows = await shards.readMany(keys, (some) => [
      `SELECT id FROM orders WHERE customer IN (${some.map(() => '?').join(', ')})`,
      some,
    ])
    expect(rows.map(({ id }) => id).sort()).toEqual([1, 2, 3, 4, 5])
    expect(faulty.asked.sort()).toEqual(
      [...new Set(keys.map((key) => `${shards.shardOf(key)} query`))].sort(),
    )
  })
})

describe('a bucket that has moved', () => {
  it('is found by the new map', async () => {
    const { shards, faulty, coordinator, clock } = await setUp()
    await fill(shards)
    const { customer, bucket } = someoneOf(shards, 'a')
    const before = await read(shards, customer)
    await faulty.moveAll(bucket, 'a', 'b')
    await noteInMap(coordinator, bucket, 'b')
    expect(await clock.settle(read(shards, customer))).toEqual(before)
    expect(shards.shardOf(customer)).toBe('b')
    expect(await clock.settle(ids(shards))).toHaveLength(40)
  })

  it('is found by asking the databases while the map is behind, or the coordinator gone', async () => {
    const { shards, faulty, coordinator, clock } = await setUp()
    await fill(shards)
    const { customer, bucket } = someoneOf(shards, 'a')
    const before = await read(shards, customer)
    await coordinator.close()
    await faulty.moveAll(bucket, 'a', 'c')
    expect(
      await clock.settle(shards.readMany([customer], () => ['SELECT count(*) AS n FROM orders', []])),
    ).toEqual([{ n: expect.any(Number) as number }])
    expect(shards.shardOf(customer)).toBe('c')
    await clock.settle(add(shards, 99, customer))
    expect(await clock.settle(read(shards, customer))).toEqual([...(before as number[]), 99])
    expect(await clock.settle(ids(shards))).toHaveLength(41)
  })

  it('is waited for while it is on its way, and no longer than that', async () => {
    const { shards, faulty, clock } = await setUp()
    const { customer, bucket } = someoneOf(shards, 'a')
    await add(shards, 1, customer)
    const move = faulty.move(bucket, 'a', 'b')
    await move.copy()
    await move.block()
    const started = clock.now()
    await expect(clock.settle(add(shards, 2, customer))).rejects.toMatchObject({ code: 'BANYAN_SHARD_BUSY' })
    expect(clock.now() - started).toBeGreaterThanOrEqual(5000)
    // The clock goes on by up to a second while the files are asked.
    expect(clock.now() - started).toBeLessThanOrEqual(6000)
    const waiting = add(shards, 3, customer)
    const reading = shards.readMany([customer], () => ['SELECT id FROM orders ORDER BY id', []])
    await clock.advance('1s')
    await move.adopt()
    await move.retire()
    await clock.settle(waiting)
    // The first database has it no more: nothing stale was read.
    expect(await clock.settle(reading)).toContainEqual({ id: 1 })
    expect(await clock.settle(read(shards, customer))).toEqual([1, 3])
  })

  it('is not read where it was, when the database that has it now may be ahead', async () => {
    const { shards, faulty, clock } = await setUp()
    const { customer, bucket } = someoneOf(shards, 'a')
    await add(shards, 1, customer)
    const move = faulty.move(bucket, 'a', 'b')
    await move.copy()
    await move.block()
    await move.adopt()
    await faulty.stores
      .get('b')!
      .within(bucket, 'write', (db) => db.run('UPDATE orders SET status = ?', 'new'), { key: customer })
    const reads = [
      shards.readMany([customer], () => ['SELECT status FROM orders', []]),
      shards.read(customer, (db) => db.all('SELECT status FROM orders')),
    ]
    await clock.advance('1s')
    await move.retire()
    for (const reading of reads) expect(await clock.settle(reading)).toEqual([{ status: 'new' }])
  })

  it('is not waited for by work that has begun: what it says of others is its own error', async () => {
    const { shards } = await setUp()
    let times = 0
    const busy = coordinationError('BANYAN_SHARD_BUSY', 'of another application')
    await expect(
      shards.write('one', () => {
        times++
        throw busy
      }),
    ).rejects.toBe(busy)
    expect(times).toBe(1)
  })

  it('ends its waiting with a signal', async () => {
    const { shards, faulty, clock } = await setUp()
    const { customer, bucket } = someoneOf(shards, 'a')
    const move = faulty.move(bucket, 'a', 'b')
    await move.copy()
    await move.block()
    const stop = new AbortController()
    const waiting = shards.read(customer, () => 1, { signal: stop.signal })
    await clock.advance('100ms')
    stop.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
  })
})

describe('a query while buckets move', () => {
  it('never sees a row twice or not at all, at any step', async () => {
    const { shards, faulty, clock } = await setUp()
    await fill(shards)
    for (let bucket = 0; bucket < 6; bucket++) {
      const from = shards.map.owners.find(([low, high]) => low <= bucket && bucket < high)![2]
      const move = faulty.move(bucket, from, 'c')
      if (from === 'c') continue
      for (const step of ['copy', 'block'] as const) {
        await move[step]()
        expect(await clock.settle(ids(shards))).toEqual(Array.from({ length: 40 }, (_, id) => id))
      }
      await move.adopt()
      // Two databases have it now.
      const waiting = ids(shards)
      const stream = shards.queryStream('SELECT id FROM orders')
      await clock.advance('1s')
      await move.retire()
      expect(await clock.settle(waiting)).toEqual(Array.from({ length: 40 }, (_, id) => id))
      const streamed: unknown[] = []
      for await (const row of await clock.settle(stream)) streamed.push(row['id'])
      expect(streamed.sort((a, b) => Number(a) - Number(b))).toEqual(
        Array.from({ length: 40 }, (_, id) => id),
      )
    }
  })

  it('fails if a move has stopped half way', async () => {
    const { shards, faulty, clock } = await setUp({ wait: '2s' })
    const { bucket } = someoneOf(shards, 'a')
    const move = faulty.move(bucket, 'a', 'b')
    await move.copy()
    await move.block()
    await move.adopt()
    const asked = ids(shards)
    await expect(clock.settle(asked)).rejects.toMatchObject({
      code: 'BANYAN_SHARDS_UNSETTLED',
      message: expect.stringContaining(`bucket ${bucket} was in the answers of a and b`) as string,
    })
  })
})

describe('a database that does not answer', () => {
  const gone = (): Promise<never> =>
    Promise.reject(coordinationError('BANYAN_SHARD_UNAVAILABLE', 'disk on fire'))

  it('fails the query, which says which one and why', async () => {
    const { shards, faulty } = await setUp()
    faulty.instead.set('b query', gone)
    await expect(ids(shards)).rejects.toMatchObject({
      code: 'BANYAN_SHARDS_UNAVAILABLE',
      message: expect.stringMatching(/database b of 3 .*disk on fire/) as string,
      cause: { code: 'BANYAN_SHARD_UNAVAILABLE' },
    })
  })

  it('is left out if that is allowed, with what is missing', async () => {
    const { shards, faulty } = await setUp()
    await fill(shards)
    faulty.instead.set('b query', gone)
    faulty.instead.set('b cursor', gone)
    const { rows, missing } = await shards.query('SELECT customer FROM orders', [], { partial: 'allow' })
    expect(rows).toHaveLength(
      Array.from({ length: 40 }, (_, id) => `customer-${id}`).filter((key) => shards.shardOf(key) !== 'b')
        .length,
    )
    const [from, to] = shards.map.owners.find(([, , shard]) => shard === 'b')!
    expect(missing).toMatchObject([{ shard: 'b', error: { message: 'disk on fire' }, buckets: [[from, to]] }])
    await using stream = await shards.queryStream('SELECT customer FROM orders', [], { partial: 'allow' })
    expect(stream.missing).toMatchObject([{ shard: 'b' }])
    for (const shard of ['a', 'c']) faulty.instead.set(`${shard} query`, gone)
    await expect(shards.query('SELECT customer FROM orders', [], { partial: 'allow' })).rejects.toMatchObject(
      {
        code: 'BANYAN_SHARDS_UNAVAILABLE',
        message: expect.stringContaining('none of 3') as string,
      },
    )
  })

  it('has so much time and no more; the others are told to stop', async () => {
    const { shards, faulty, clock } = await setUp()
    const signals: AbortSignal[] = []
    for (const shard of ['a', 'b'])
      faulty.instead.set(`${shard} query`, (_, __, ___, options) => {
        signals.push((options as { signal: AbortSignal }).signal)
        return new Promise(() => undefined)
      })
    const asked = shards.query('SELECT id FROM orders', [], { timeout: '3s' })
    const failing = expect(asked).rejects.toMatchObject({
      code: 'BANYAN_SHARDS_UNAVAILABLE',
      message: expect.stringContaining('has not answered within 3000 ms') as string,
    })
    await clock.advance('2s')
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, false])
    await clock.advance('1s')
    await failing
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true])
  })

  it('is no excuse for a statement that is wrong', async () => {
    const { shards } = await setUp()
    await expect(shards.query('SELECT nobody FROM orders', [], { partial: 'allow' })).rejects.toThrow(
      'no such column',
    )
    await expect(shards.query('DELETE FROM orders', [], { merge: 'concat' })).rejects.toThrow()
  })

  it('is asked with no more than so many others at a time', async () => {
    const { shards, faulty } = await setUp()
    let now = 0
    let most = 0
    for (const shard of ['a', 'b', 'c'])
      faulty.instead.set(`${shard} query`, async (store, ...given) => {
        most = Math.max(most, ++now)
        await new Promise((resolve) => setImmediate(resolve))
        now--
        return (store.query as (...all: unknown[]) => unknown)(...given)
      })
    await shards.query('SELECT id FROM orders', [], { concurrency: 2 })
    expect(most).toBe(2)
  })

  it('is not what keeps rows of sharded tables from all databases', async () => {
    const { shards } = await setUp()
    const work = (db: SqliteTables): unknown => db.run("INSERT INTO orders (id, customer) VALUES (1, 'x')")
    await expect(shards.writeAll(work)).rejects.toMatchObject({
      code: 'BANYAN_SHARD_KEY_REQUIRED',
      message: expect.stringContaining('insert them with write(key, work)') as string,
    })
  })

  it('is not asked what is no statement', async () => {
    const { shards } = await setUp()
    const wrong = { sql: 'SELECT 1', parameters: [] } as never
    const invalid = { code: 'BANYAN_INVALID_OPTIONS' }
    await expect(shards.readMany(['x'], () => wrong)).rejects.toMatchObject(invalid)
    await expect(shards.query(wrong)).rejects.toMatchObject(invalid)
    await expect(shards.queryStream(wrong)).rejects.toMatchObject(invalid)
    await expect(shards.query('SELECT 1', wrong)).rejects.toMatchObject(invalid)
  })

  it('leaves it known in which others a reference table was written', async () => {
    const { shards, faulty } = await setUp()
    const work = (db: SqliteTables): unknown => db.run("INSERT OR REPLACE INTO names VALUES ('open', 'Open')")
    faulty.instead.set('b transact', gone)
    await expect(shards.writeAll(work)).rejects.toMatchObject({
      code: 'BANYAN_SHARDS_UNAVAILABLE',
      message: expect.stringContaining('It was done in a, not in b, c') as string,
    })
    faulty.instead.clear()
    expect([...(await shards.writeAll((db, shard) => [shard, work(db)])).keys()]).toEqual(['a', 'b', 'c'])
    expect(await shards.read('any', (db) => db.get('SELECT label FROM names'))).toEqual({ label: 'Open' })
  })
})

describe('a stream of rows', () => {
  /** Counts what is open, and what was read. */
  function watchCursors(faulty: FaultyShards): { open: number; read: number } {
    const seen = { open: 0, read: 0 }
    for (const shard of ['a', 'b', 'c'])
      faulty.instead.set(`${shard} cursor`, async (store: ShardStore<SqliteTables>, ...given) => {
        const cursor = await store.cursor(...(given as [string, unknown[]]))
        seen.open++
        let isOpen = true
        return {
          ...cursor,
          read: async (limit: number) => {
            const rows = await cursor.read(limit)
            seen.read += rows.length
            return rows
          },
          close: () => {
            if (isOpen) seen.open--
            isOpen = false
            return cursor.close()
          },
        }
      })
    return seen
  }

  it('reads ahead only a little, and closes what is open when nobody reads on', async () => {
    const { shards, faulty } = await setUp()
    for (const shard of ['a', 'b', 'c']) {
      const { customer } = someoneOf(shards, shard)
      await shards.write(customer, (db) => {
        for (let id = 0; id < 3000; id++) db.run('INSERT INTO orders (customer) VALUES (?)', customer)
      })
    }
    const seen = watchCursors(faulty)
    let count = 0
    for await (const row of await shards.queryStream('SELECT id FROM orders', [], { orderBy: ['id'] })) {
      expect(row['id']).toBe(1)
      if (++count === 3) break
    }
    expect(seen.open).toBe(0)
    expect(seen.read).toBeLessThanOrEqual(3 * 1000)
    for await (const row of await shards.queryStream('SELECT id FROM orders', [], { limit: 7 }))
      count += Number(row['id'] !== null)
    expect([count, seen.open]).toEqual([10, 0])
  })

  it('ends with its signal, and with its close', async () => {
    const { shards, faulty } = await setUp()
    await fill(shards)
    const seen = watchCursors(faulty)
    const stop = new AbortController()
    const stream = await shards.queryStream('SELECT id FROM orders', [], { signal: stop.signal })
    const reading = (async () => {
      for await (const row of stream) if (row['id'] !== null) stop.abort(new Error('enough'))
    })()
    await expect(reading).rejects.toThrow('enough')
    expect(seen.open).toBe(0)
    const unread = await shards.queryStream('SELECT id FROM orders')
    expect(seen.open).toBe(3)
    await unread.close()
    expect(seen.open).toBe(0)
    await expect(shards.queryStream('SELECT id FROM orders', [], { signal: stop.signal })).rejects.toThrow(
      'enough',
    )
  })

  it('gives groups when every database has said all', async () => {
    const { shards } = await setUp()
    await fill(shards)
    const rows: unknown[] = []
    for await (const row of await shards.queryStream(
      'SELECT status, count(*) AS n FROM orders GROUP BY status',
      [],
      {
        merge: { groupBy: ['status'], count: ['n'] },
        orderBy: ['status'],
      },
    ))
      rows.push(row)
    expect(rows).toEqual([
      { status: 'open', n: 20 },
      { status: 'paid', n: 20 },
    ])
  })
})

describe('an answer that cannot be what one database would say', () => {
  it.each([
    ['a column that is not there', 'SELECT id FROM orders', { orderBy: ['status'] }, 'no such column'],
    [
      'a merged column that is not there',
      'SELECT count(*) AS n, max(id) AS m FROM orders',
      { merge: { sum: ['n'], max: ['m'] }, orderBy: ['x'] },
      'orderBy names x',
    ],
    [
      'a column nothing is said about',
      'SELECT count(*) AS n, 1 AS other FROM orders',
      { merge: { sum: ['n'] } },
      'what becomes of other',
    ],
    [
      'a group that comes twice',
      'SELECT count(*) AS n FROM orders GROUP BY customer || status',
      { merge: { sum: ['n'], unchecked: true } },
      'more than one row',
    ],
    [
      'an order that is not that of the databases',
      'SELECT customer FROM orders',
      {
        orderBy: [
          { column: 'customer', compare: (a: unknown, b: unknown) => (String(a) < String(b) ? 1 : -1) },
        ],
      },
      'not the order they are merged in',
    ],
  ])('is refused: %s', async (_, sql, options, why) => {
    const { shards } = await setUp()
    await fill(shards, 20)
    await expect(shards.query(sql, [], options)).rejects.toThrow(why)
  })

  it('is refused above a limit', async () => {
    const { shards } = await setUp()
    await fill(shards, 20)
    const tooLarge = { code: 'BANYAN_QUERY_TOO_LARGE' }
    await expect(shards.query('SELECT id FROM orders', [], { maxRows: 19 })).rejects.toMatchObject(tooLarge)
    expect((await shards.query('SELECT id FROM orders', [], { maxRows: 20 })).rows).toHaveLength(20)
    await expect(
      shards.query('SELECT id, count(*) AS n FROM orders GROUP BY id', [], {
        merge: { groupBy: ['id'], sum: ['n'] },
        maxRows: 19,
      }),
    ).rejects.toMatchObject(tooLarge)
  })

  it.each([
    [{ order: ['id'] }, 'order is not an option'],
    [{ offset: 3 }, 'offset needs orderBy'],
    [{ limit: -1 }, 'limit must be'],
    [{ having: () => true }, 'having is for merge'],
    [{ merge: { group: ['id'] } }, 'did you mean'],
    [{ partial: 'maybe' }, 'partial must be'],
  ])('is refused before anything is asked: %o', async (options, why) => {
    const { shards, faulty } = await setUp()
    faulty.asked.length = 0
    await expect(shards.query('SELECT id FROM orders', [], options as object)).rejects.toThrow(why)
    expect(faulty.asked).toEqual([])
  })
})

describe('opening', () => {
  it('spreads buckets by weight, once; a database that comes later has none, and weights that are said again are for plans', async () => {
    const { shards, faulty, open, clock } = await setUp({ shards: ['a', 'b'], weights: { a: 3 } })
    expect(shards.map.owners).toEqual([
      [0, 12, 'a'],
      [12, 16, 'b'],
    ])
    await fill(shards)
    const other = open()
    opened.push(() => other.close())
    const later = await faulty.open(other, { shards: ['a', 'b', 'c'], weights: { a: 1, b: 5 } })
    opened.push(() => later.close())
    expect(later.map).toMatchObject({
      owners: shards.map.owners,
      shards: { a: { weight: 1 }, b: { weight: 5 }, c: { weight: 1 } },
    })
    const unsaid = await faulty.open(other, { shards: ['a', 'b', 'c'] })
    opened.push(() => unsaid.close())
    expect(unsaid.map.shards).toEqual(later.map.shards)
    expect(await ids(later)).toHaveLength(40)
    const { bucket, customer } = someoneOf(later, 'a')
    await faulty.moveAll(bucket, 'a', 'c')
    await noteInMap(other, bucket, 'c')
    // The first process does not know this database.
    await expect(clock.settle(read(shards, customer))).rejects.toMatchObject({
      code: 'BANYAN_SHARD_UNKNOWN',
    })
    await expect(clock.settle(ids(shards))).rejects.toMatchObject({ code: 'BANYAN_SHARD_UNKNOWN' })
  })

  it('refuses what does not fit to what is there', async () => {
    const { faulty, open } = await setUp()
    const other = open()
    opened.push(() => other.close())
    await expect(faulty.open(other, { buckets: 32 })).rejects.toMatchObject({ code: 'BANYAN_NAME_CLASH' })
    await expect(faulty.open(other, { shards: ['a', 'b'] })).rejects.toMatchObject({
      code: 'BANYAN_SHARD_UNKNOWN',
    })
    const elsewhere = new FaultyShards()
    await expect(elsewhere.open(other)).rejects.toMatchObject({ code: 'BANYAN_SHARD_FOREIGN' })
    const alone = processes().open()
    opened.push(() => alone.close())
    // Chance is the same in each world of a test.
    alone.runtime.random.next()
    await expect(faulty.open(alone)).rejects.toMatchObject({ code: 'BANYAN_SHARD_FOREIGN' })
  })

  it.each([
    [{ databases: {} }, 'databases must name one'],
    [{ tables: {} }, 'tables must name one'],
    [{ tables: { orders: { key: '' } } }, 'tables.orders.key'],
    [{ reference: ['orders'] }, 'one or the other'],
    [{ weights: { z: 1 } }, 'weights names z'],
    [{ weights: { a: 0 } }, 'one database above 0'],
    [{ weights: { a: -1 } }, 'weights.a'],
    [{ bucket: 3 }, 'bucket is not an option'],
  ])('refuses %o', async (options, why) => {
    const coordinator = processes().open()
    opened.push(() => coordinator.close())
    const given = {
      databases: { a: 'sqlite:./never.db' as const },
      tables: { orders: { key: 'customer' } },
      ...options,
    }
    await expect(openShards(coordinator, 'orders', given)).rejects.toThrow(why)
  })
})
