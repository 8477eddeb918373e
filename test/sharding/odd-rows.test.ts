import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  openCoordinator,
  openShards,
  readMoves,
  reverseMove,
  runMoves,
  startMoves,
  type Coordinator,
  type Shards,
} from '../../src/coordination/index.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { postgres, sqlite, type ShardEngine } from './engines.js'

const missing = postgresMissing()
let server: PostgresServer
beforeAll(async () => {
  if (!missing) server = await PostgresServer.start()
})
afterAll(async () => {
  if (!missing) await server.stop()
})

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

describe.each(missing ? [sqlite] : [sqlite, postgres(() => server)])('moves in $name', (engine) => {
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
  const base = postgres(() => server)
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
