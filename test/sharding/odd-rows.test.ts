import { afterEach, describe, expect, test } from 'vitest'
import {
  finishMove,
  openCoordinator,
  openShards,
  readDataShards,
  readMoves,
  reverseMove,
  runMoves,
  startMoves,
  type Coordinator,
  type Shards,
} from '../../src/coordination/index.js'
import { bucketOf } from '../../src/coordination/sharding/buckets.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { openShard, postgres, sqlite, type ShardEngine } from './engines.js'

const missing = postgresMissing()
const server = PostgresServer.ofSuite()

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

const ITEMS =
  'CREATE TABLE items (id text NOT NULL PRIMARY KEY, owner text NOT NULL, amount integer NOT NULL)'

interface World {
  readonly coordinator: Coordinator
  readonly shards: Shards<unknown>
  readonly urls: readonly string[]
  run(key: string, sql: string, ...values: (string | number | null)[]): Promise<readonly object[]>
}

/** Two databases, the first of which has everything. */
async function open(engine: ShardEngine, schema: string, tables = ['items']): Promise<World> {
  const { urls, clean } = await engine.places(2, schema)
  closing.push(clean)
  const coordinator = await openCoordinator('memory:')
  closing.push(() => coordinator.close())
  const shards = await openShards<unknown>(coordinator, 'items', {
    databases: { a: urls[0]!, b: urls[1]! },
    tables: Object.fromEntries(tables.map((name) => [name, { key: 'owner' }])),
    buckets: 4,
    weights: { a: 1, b: 0 },
    wait: 200,
  })
  closing.push(() => shards.close())
  return {
    coordinator,
    shards,
    urls,
    run: (key, sql, ...values) => shards.write(key, (db) => engine.run(db, sql, values)),
  }
}

/** Keys of different buckets. */
function keysOf({ shards }: World): [one: string, other: string] {
  const other = Array.from({ length: 100 }, (_, index) => `k${index}`).find(
    (key) => shards.bucketOf(key) !== shards.bucketOf('k0'),
  )!
  return ['k0', other]
}

/** Makes moves until nothing is left to do. */
async function work({ coordinator, shards }: World): Promise<void> {
  await runMoves(coordinator, shards, { once: true, every: 20 }).done
}

/** Makes moves until one of them says what is in its way. */
async function problemOf({ coordinator, shards }: World): Promise<string> {
  const runner = runMoves(coordinator, shards, { every: 20 })
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

const ids = async ({ shards }: World): Promise<unknown[]> =>
  (await shards.query('SELECT id FROM items', [], { orderBy: ['id'] })).rows.map(({ id }) => id)
const has = (code: string) => expect.objectContaining({ code }) as unknown
const ALL = { buckets: [0, 1, 2, 3], from: 'a', to: 'b' }
const INSERT = 'INSERT INTO items (id, owner, amount) VALUES (?, ?, ?)'

describe.each(missing ? [sqlite] : [sqlite, postgres(server)])('moves in $name', (engine) => {
  /** A trigger that lets rows of the amount 13 be neither inserted nor deleted, or does something else for each. */
  const unlucky = (event: 'INSERT' | 'DELETE', row: 'NEW' | 'OLD'): string =>
    engine.name === 'sqlite'
      ? `CREATE TRIGGER unlucky BEFORE ${event} ON items WHEN ${row}.amount = 13 BEGIN SELECT RAISE(IGNORE); END`
      : `CREATE FUNCTION unlucky() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER unlucky BEFORE ${event} ON items FOR EACH ROW WHEN (${row}.amount = 13) EXECUTE FUNCTION unlucky()`

  test('a row that goes from one key to another one of the same move is where it is in the end', async () => {
    const world = await open(engine, ITEMS)
    const [one, other] = keysOf(world)
    await world.run(one, INSERT, 'i1', one, 1)
    const [id] = await startMoves(world.coordinator, 'items', [ALL])
    await work(world)
    await world.run(one, 'DELETE FROM items WHERE id = ?', 'i1')
    await world.run(other, INSERT, 'i1', other, 2)
    await reverseMove(world.coordinator, 'items', id!)
    await work(world)
    expect((await readMoves(world.coordinator, 'items'))[0]).toMatchObject({ step: 'switched', to: 'a' })
    expect(await world.run(other, 'SELECT amount FROM items')).toEqual([{ amount: 2 }])
  })

  test('a row of another bucket that would be deleted with those that go keeps them where they are', async () => {
    const world = await open(
      engine,
      `${ITEMS}; CREATE TABLE parts (id text NOT NULL PRIMARY KEY, owner text NOT NULL, item text NOT NULL REFERENCES items ON DELETE CASCADE)`,
      ['items', 'parts'],
    )
    const [one, other] = keysOf(world)
    await world.run(one, INSERT, 'i1', one, 1)
    await world.run(other, 'INSERT INTO parts (id, owner, item) VALUES (?, ?, ?)', 'p1', other, 'i1')
    await startMoves(world.coordinator, 'items', [{ ...ALL, buckets: [world.shards.bucketOf(one)] }])
    await work(world)
    expect(await world.run(other, 'SELECT id FROM parts')).toEqual([{ id: 'p1' }])
    const [move] = await readMoves(world.coordinator, 'items')
    expect(move?.step).toBe('diverged')
    expect(move?.problem).toMatch(/p1.*"parts"/)
  })

  test('a map that is older than what the databases have done follows them, and leaves nothing blocked', async () => {
    const world = await open(engine, ITEMS)
    const { coordinator, shards } = world
    await world.run('k0', INSERT, 'i1', 'k0', 1)
    const key = 'banyan/data-shards/items'
    const backup = async (): Promise<() => Promise<unknown>> => {
      const { value } = (await coordinator.get(key))!
      return () => coordinator.put(key, value)
    }
    const before = await backup()
    await startMoves(coordinator, 'items', [ALL])
    const begun = await backup()
    await work(world)
    await begun()
    await work(world)
    expect((await readMoves(coordinator, 'items'))[0]).toMatchObject({ step: 'switched', to: 'b' })
    await before()
    await work(world)
    expect((await readDataShards(coordinator, 'items'))?.owners).toEqual([[0, 4, 'b']])
    const { token } = (await readDataShards(coordinator, 'items'))!
    await shards.stores.get('b')!.moves.block({ id: 'unknown', buckets: [0, 1], token }, 1000)
    await work(world)
    await world.run('k0', 'UPDATE items SET amount = 2 WHERE id = ?', 'i1')
    expect(await ids(world)).toEqual(['i1'])
    await startMoves(coordinator, 'items', [{ ...ALL, from: 'b', to: 'a' }])
    await work(world)
    expect((await readMoves(coordinator, 'items'))[0]).toMatchObject({ step: 'switched', to: 'a' })
    expect(await world.run('k0', 'SELECT amount FROM items')).toEqual([{ amount: 2 }])
  })

  test('a table that is not sharded must not refer to one that is', async () => {
    await expect(
      open(
        engine,
        `${ITEMS}; CREATE TABLE notes (id text NOT NULL PRIMARY KEY, item text REFERENCES items ON DELETE CASCADE)`,
      ),
    ).rejects.toThrow(/notes/)
  })

  test('a reference that is looked at last ends a move, and nobody waits for it', async () => {
    const world = await open(
      engine,
      `CREATE TABLE kinds (kind text NOT NULL PRIMARY KEY);
       CREATE TABLE items (id text NOT NULL PRIMARY KEY, owner text NOT NULL, amount integer NOT NULL,
         kind text REFERENCES kinds DEFERRABLE INITIALLY DEFERRED)`,
    )
    await engine.outside(world.urls[0]!, "INSERT INTO kinds VALUES ('x')")
    await world.run('k0', "INSERT INTO items (id, owner, amount, kind) VALUES ('i1', 'k0', 1, 'x')")
    await startMoves(world.coordinator, 'items', [ALL])
    expect(await problemOf(world)).toMatch(/foreign key/i)
    expect((await readMoves(world.coordinator, 'items'))[0]?.step).toBe('diverged')
    await world.run('k0', INSERT, 'i2', 'k0', 2)
  })

  test('rows that the target does not take as they are end a move', async () => {
    const world = await open(engine, ITEMS)
    await world.run('k0', INSERT, 'i1', 'k0', 13)
    await world.run('k0', INSERT, 'i2', 'k0', 2)
    await engine.outside(world.urls[1]!, unlucky('INSERT', 'NEW'))
    await startMoves(world.coordinator, 'items', [ALL])
    await work(world)
    expect(await ids(world)).toEqual(['i1', 'i2'])
    expect((await readMoves(world.coordinator, 'items'))[0]?.step).toBe('diverged')
  })

  test('rows that cannot be taken away are not seen twice', async () => {
    const world = await open(engine, ITEMS)
    await world.run('k0', INSERT, 'i1', 'k0', 13)
    await engine.outside(world.urls[0]!, unlucky('DELETE', 'OLD'))
    await startMoves(world.coordinator, 'items', [ALL])
    expect(await problemOf(world)).toMatch(/"items"/)
    await expect(ids(world)).rejects.toEqual(has('BANYAN_SHARDS_UNSETTLED'))
    await engine.outside(
      world.urls[0]!,
      engine.name === 'sqlite' ? 'DROP TRIGGER unlucky' : 'DROP TRIGGER unlucky ON items',
    )
    await work(world)
    expect(await ids(world)).toEqual(['i1'])
  })
})

test.skipIf(missing)('rows that a policy hides are not left behind in silence', async () => {
  const base = postgres(server)
  const engine: ShardEngine = {
    ...base,
    places: async (count, schema) => {
      const { urls, clean } = await base.places(count, 'GRANT ALL ON SCHEMA public TO PUBLIC')
      await base.outside(urls[0]!, 'CREATE ROLE tenant LOGIN')
      const own = urls.map((url) => {
        const tenant = new URL(url)
        tenant.username = 'tenant'
        return tenant.href
      })
      for (const url of own) await base.outside(url, schema!)
      return { urls: own, clean }
    },
  }
  const world = await open(engine, ITEMS)
  await world.run('k0', INSERT, 'i1', 'k0', 1)
  await engine.outside(
    world.urls[0]!,
    `ALTER TABLE items ENABLE ROW LEVEL SECURITY; ALTER TABLE items FORCE ROW LEVEL SECURITY;
     CREATE POLICY few ON items USING (amount > 100)`,
  )
  await startMoves(world.coordinator, 'items', [ALL])
  expect(await problemOf(world)).toMatch(/row-level security/)
})

describe.skipIf(missing)('PostgreSQL', () => {
  const engine = postgres(server)

  test('a change is noted by a primary key that means the same in every session', async () => {
    const { urls } = await engine.places(
      1,
      `CREATE TABLE items (day date, at timestamptz, factor double precision, amount integer, owner text,
         PRIMARY KEY (day, at, factor))`,
    )
    const store = await openShard(urls[0]!, { id: 'a', tables: { items: { key: 'owner' } } })
    closing.push(() => store.close())
    await store.prepare()
    await store.found('one', [[0, 8]])
    const bucket = bucketOf('ann', 8)
    const write = (...statements: string[]): Promise<void> =>
      store.within(
        bucket,
        'write',
        async (db) => {
          for (const sql of statements) await engine.run(db, sql, [])
        },
        { key: 'ann' },
      )
    await write(`INSERT INTO items (day, at, factor, amount, owner) VALUES ('2026-04-03', '2026-04-03 10:00Z', 0.1::float8 + 0.2, 1, 'ann')`) // prettier-ignore
    const step = { id: 'm', buckets: [bucket], token: 1 }
    await store.moves.capture(step)
    await write(
      "SET LOCAL DateStyle = 'SQL, DMY'",
      "SET LOCAL TimeZone = 'Asia/Kolkata'",
      'SET LOCAL extra_float_digits = -3',
      'UPDATE items SET amount = 2',
    )
    const { changes } = await store.moves.readChanges(step, 10)
    expect(changes).toEqual([expect.objectContaining({ row: expect.anything() as unknown })])
  })

  test('a lock of somebody else at the target keeps nobody at the source waiting', async () => {
    const world = await open(engine, ITEMS)
    await world.run('k0', INSERT, 'i1', 'k0', 1)
    const other = await server.connect(world.urls[1])
    closing.push(() => other.end())
    await other.query('BEGIN; LOCK TABLE items IN SHARE MODE')
    await startMoves(world.coordinator, 'items', [ALL])
    expect(await problemOf(world)).toMatch(/a lock that somebody else has/)
    await world.run('k0', INSERT, 'i2', 'k0', 2)
    await other.query('COMMIT')
    await work(world)
    expect((await readMoves(world.coordinator, 'items'))[0]?.step).toBe('switched')
    expect(await ids(world)).toEqual(['i1', 'i2'])
  })

  test('a connection that the server ends, or does not take, is a database that is away', async () => {
    const { urls } = await engine.places(1, ITEMS)
    const store = await openShard(urls[0]!, { id: 'a', tables: { items: { key: 'owner' } } })
    closing.push(() => store.close())
    await store.prepare()
    await store.found('one', [[0, 8]])
    const away = has('BANYAN_SHARD_UNAVAILABLE')
    const ended = store.within(0, 'write', async (db) => {
      const [row] = await engine.run(db, 'SELECT pg_backend_pid() AS pid', [])
      await server.query('SELECT pg_terminate_backend($1)', [(row as { pid: number }).pid])
      await engine.run(db, 'SELECT 1', [])
    })
    await expect(ended).rejects.toEqual(away)
    const name = new URL(urls[0]!).pathname.slice(1)
    await server.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`)
    await server.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [name])
    await expect.poll(() => store.owned().catch((error: unknown) => error)).toEqual(away)
    await expect(store.owned()).rejects.toThrow(/not currently accepting connections/)
    await server.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`)
    await store.owned()
  })

  test('an aborted query is cancelled behind a pooler of transactions, too', async () => {
    const { urls } = await engine.places(1, ITEMS)
    const url = new URL(urls[0]!)
    url.port = String(await server.pooler())
    const store = await openShard(url.href, { id: 'a', tables: { items: { key: 'owner' } } })
    closing.push(() => store.close())
    const stop = new AbortController()
    const query = store.query('SELECT pg_sleep(60)', [], { signal: stop.signal })
    query.catch(() => undefined)
    const running = (): Promise<object[]> =>
      server.query(
        "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60)%' AND state = 'active'",
      )
    await expect.poll(running).toHaveLength(1)
    stop.abort()
    await expect(query).rejects.toBe(stop.signal.reason)
    expect(await running()).toEqual([])
  })

  test('a table that others inherit from is refused, and one whose primary key is computed', async () => {
    await expect(open(engine, `${ITEMS}; CREATE TABLE old_items () INHERITS (items)`)).rejects.toThrow(
      /old_items/,
    )
    await expect(
      open(
        engine,
        'CREATE TABLE items (n integer, id integer GENERATED ALWAYS AS (n + 1) STORED PRIMARY KEY, owner text)',
      ),
    ).rejects.toEqual(has('BANYAN_SHARD_UNFIT'))
  })
})

test('in SQLite texts move as they are, or not at all', async () => {
  const world = await open(sqlite, ITEMS.replace('amount integer NOT NULL', 'amount'))
  await world.run('k0', INSERT, 'i\0x', 'k0', '\0\ufffd')
  const [id] = await startMoves(world.coordinator, 'items', [ALL])
  await work(world)
  await world.run('k0', 'UPDATE items SET amount = ? WHERE id = ?', 'new', 'i\0x')
  await reverseMove(world.coordinator, 'items', id!)
  await work(world)
  expect((await readMoves(world.coordinator, 'items'))[0]).toMatchObject({ step: 'switched', to: 'a' })
  expect(await world.run('k0', 'SELECT id, amount FROM items')).toEqual([{ id: 'i\0x', amount: 'new' }])
  await finishMove(world.coordinator, 'items', id!)
  await work(world)
  await world.run('k0', "UPDATE items SET amount = CAST(x'61ff' AS TEXT)")
  await startMoves(world.coordinator, 'items', [ALL])
  expect(await problemOf(world)).toMatch(/UTF-8/)
  await world.run('k0', "UPDATE items SET amount = 'a'")
  await work(world)
  expect((await readMoves(world.coordinator, 'items'))[0]).toMatchObject({ step: 'switched', to: 'b' })
})

test.each(['NOCASE', 'RTRIM'])(
  'a shard key under the collation %s of SQLite is refused',
  async (collation) => {
    await expect(
      open(sqlite, `CREATE TABLE items (id text NOT NULL PRIMARY KEY, owner text COLLATE ${collation})`),
    ).rejects.toEqual(has('BANYAN_SHARD_UNFIT'))
  },
)
