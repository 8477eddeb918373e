import SQLite from 'better-sqlite3'
import { afterEach, describe, expect, it } from 'vitest'
import type { OrderBy, ShardQueryOptions } from '../../src/coordination/index.js'
import { checkStatement } from '../../src/coordination/sharding/data/scatter/check-statement.js'
import type { Row } from '../../src/coordination/sharding/data/store.js'
import { seededRandom } from '../../src/core/random.js'
import { choices, replayHint, type Choices } from '../../src/testing/seed.js'
import { SEED, times } from '../support/effort.js'
import { closeLogs } from '../support/logs.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { numbered, postgresTables, sqliteTables, type ShardedTables } from '../support/sharded-tables.js'

/** A kind of column, and values to draw. */
interface Drawn {
  readonly name: string
  readonly type: { sqlite: string; postgres: string }
  readonly draw: (random: Choices, engine: Engine) => unknown
  /** Whether values that are the same to the engine look the same here, so that rows can be told apart. */
  readonly isSummed?: boolean
}

type Engine = 'sqlite' | 'postgres'

const TEXTS = [
  '',
  'a',
  'A',
  'ab',
  'Ab',
  'z',
  'Z',
  'é',
  'ß',
  '日本',
  '\u{1F600}',
  '\uFFFD',
  '\uE000x',
  'a b',
  "it's",
  '10',
  '9',
]
const NUMBERS = [0, 1, -1, 2, 10, 9, -10, 2 ** 31, 7, 100]
const orNull = (random: Choices, value: unknown): unknown => (random.chance(0.2) ? null : value)

const COLUMNS: readonly Drawn[] = [
  {
    name: 'status',
    type: { sqlite: 'TEXT', postgres: 'text' },
    draw: (random) => orNull(random, random.pick(['open', 'paid', 'Sent', 'lost'])),
  },
  {
    name: 'note',
    type: { sqlite: 'TEXT', postgres: 'text COLLATE "en-x-icu"' },
    draw: (random) => orNull(random, random.pick(TEXTS)),
  },
  {
    name: 'amount',
    type: { sqlite: 'INTEGER', postgres: 'bigint' },
    draw: (random) => orNull(random, random.pick(NUMBERS)),
    isSummed: true,
  },
  {
    name: 'price',
    type: { sqlite: 'REAL', postgres: 'numeric' },
    draw: (random) => orNull(random, random.pick(NUMBERS) / 4),
    isSummed: true,
  },
  {
    name: 'weight',
    type: { sqlite: 'REAL', postgres: 'double precision' },
    draw: (random) => orNull(random, random.pick(NUMBERS) / 8),
    isSummed: true,
  },
  {
    name: 'anything',
    type: { sqlite: '', postgres: 'boolean' },
    draw: (random, engine) =>
      orNull(
        random,
        engine === 'postgres'
          ? random.chance(0.5)
          : random.pick<unknown>([1, 1.5, 'text', 'Text', Buffer.from([1, 2]), Buffer.from([1]), -3, '3']),
      ),
  },
  {
    name: 'at',
    type: { sqlite: 'TEXT', postgres: 'timestamptz' },
    draw: (random) =>
      orNull(
        random,
        `20${10 + random.below(20)}-0${1 + random.below(9)}-03T04:05:06.${100 + random.below(900)}Z`,
      ),
  },
]

const schemaOf = (engine: Engine): string[] => [
  `CREATE TABLE orders (id integer PRIMARY KEY, customer text NOT NULL, ${COLUMNS.map(({ name, type }) => `${name} ${type[engine]}`).join(', ')})`,
  'CREATE TABLE lines (id integer PRIMARY KEY, customer text NOT NULL, order_id integer, sku text)',
  'CREATE TABLE names (status text PRIMARY KEY, label text)',
]

/** A query, how it is asked of many databases, and how of one. */
interface Query {
  readonly sql: string
  readonly options: ShardQueryOptions
  readonly whole: string
  /** Of the answer of one database, what the other answer has. */
  readonly isOrdered: boolean
}

function orderOf(
  random: Choices,
  columns: readonly string[],
  engine: Engine,
): { by: (string | OrderBy)[]; sql: string } {
  const by: (string | OrderBy)[] = []
  const sql: string[] = []
  for (const column of columns) {
    const direction = random.pick(['asc', 'desc', undefined] as const)
    const nulls = random.pick(['first', 'last', undefined] as const)
    const isText =
      column === 'note' ||
      column === 'status' ||
      column === 'customer' ||
      (engine === 'sqlite' && column === 'anything')
    const collate = engine === 'sqlite' && isText && random.chance(0.3) ? 'nocase' : undefined
    by.push(
      direction || nulls || collate
        ? { column, ...(direction && { direction }), ...(nulls && { nulls }), ...(collate && { collate }) }
        : column,
    )
    const collation = collate ?? (isText ? (engine === 'sqlite' ? 'binary' : '"C"') : undefined)
    sql.push(
      `${column}${collation === undefined ? '' : ` COLLATE ${collation}`} ${direction ?? ''}${nulls === undefined ? '' : ` NULLS ${nulls}`}`,
    )
  }
  return { by, sql: sql.join(', ') }
}

function some(random: Choices, names: readonly string[], least = 1): string[] {
  const chosen = names.filter(() => random.chance(0.4))
  while (chosen.length < least) {
    const name = random.pick(names)
    if (!chosen.includes(name)) chosen.push(name)
  }
  return chosen
}

function draw(random: Choices, engine: Engine): Query {
  const names = COLUMNS.map(({ name }) => name)
  const where = random.pick([
    '',
    ' WHERE amount > 0',
    " WHERE status = 'open' OR note IS NULL",
    ' WHERE id > 1000000',
  ])
  const limit = random.chance(0.5) ? random.below(30) : undefined
  const offset = limit !== undefined && random.chance(0.5) ? random.below(15) : undefined
  const section = limit === undefined ? '' : ` LIMIT ${limit} OFFSET ${offset ?? 0}`
  const cut = { ...(limit !== undefined && { limit }), ...(offset !== undefined && { offset }) }
  switch (random.below(5)) {
    case 0: {
      const order = orderOf(random, [...some(random, names), 'id'], engine)
      const sql = `SELECT id, customer, ${names.join(', ')} FROM orders${where}`
      return {
        sql,
        options: { orderBy: order.by, ...cut },
        whole: `${sql} ORDER BY ${order.sql}${section}`,
        isOrdered: true,
      }
    }
    case 1: {
      const columns = some(random, ['status', 'amount', 'anything', 'customer'])
      const order = orderOf(random, columns, engine)
      // A collation that takes two texts for one would leave their order open.
      const by = order.by.map((part) =>
        typeof part === 'string' ? part : { ...part, collate: undefined as never },
      )
      for (const part of by) if (typeof part !== 'string') delete (part as { collate?: string }).collate
      const plain = order.sql.replaceAll('COLLATE nocase', 'COLLATE binary')
      const sql = `SELECT DISTINCT ${columns.join(', ')} FROM orders${where}`
      return {
        sql,
        options: { distinct: true, orderBy: by, ...cut },
        whole: `SELECT * FROM (${sql}) AS r ORDER BY ${plain}${section}`,
        isOrdered: true,
      }
    }
    case 2: {
      const groups = random.chance(0.2) ? [] : some(random, ['status', 'amount', 'note'])
      const summed = random.pick(COLUMNS.filter(({ isSummed }) => isSummed)).name
      const least = random.pick(['price', 'amount', 'at', 'weight'])
      const sql =
        `SELECT ${groups.map((name) => `${name}, `).join('')}count(*) AS n, sum(${summed}) AS total, count(${summed}) AS counted, ` +
        `min(${least}) AS least, max(${least}) AS most FROM orders${where}${groups.length === 0 ? '' : ` GROUP BY ${groups.join(', ')}`}`
      const hasHaving = random.chance(0.4)
      return {
        sql,
        options: {
          merge: {
            groupBy: groups,
            sum: random.chance(0.5) ? ['n'] : [],
            count: [],
            min: ['least'],
            max: ['most'],
            avg: { average: { sum: 'total', count: 'counted' }, ratio: { sum: 'total', count: 'n' } },
          },
          ...(hasHaving && { having: (row) => Number(row['n']) > 2 }),
          ...(groups.length > 0 && { orderBy: groups, ...cut }),
        },
        whole: `${sql}${hasHaving ? ' HAVING count(*) > 2' : ''}${groups.length === 0 ? '' : ` ORDER BY ${groups.map((name) => (engine === 'postgres' && name !== 'amount' ? `${name} COLLATE "C"` : name)).join(', ')}${section}`}`,
        isOrdered: true,
      }
    }
    case 3: {
      const sql = `SELECT customer, avg(amount) AS average, count(DISTINCT status) AS kinds FROM orders${where} GROUP BY customer HAVING count(*) > 1`
      return {
        sql,
        options: { orderBy: ['kinds', { column: 'customer', direction: 'desc' }], ...cut },
        whole: `SELECT * FROM (${sql}) AS r ORDER BY kinds, customer${engine === 'postgres' ? ' COLLATE "C"' : ''} DESC${section}`,
        isOrdered: true,
      }
    }
    default: {
      const sql = `SELECT o.id, l.id AS line, l.sku, n.label FROM orders o LEFT JOIN lines l ON l.customer = o.customer AND l.order_id = o.id LEFT JOIN names n ON n.status = o.status${where.replaceAll('status', 'o.status').replace('WHERE id', 'WHERE o.id')}`
      return { sql, options: {}, whole: sql, isOrdered: false }
    }
  }
}

async function fill(tables: ShardedTables, random: Choices, engine: Engine): Promise<void> {
  const names = COLUMNS.map(({ name }) => name)
  for (let id = 0; id < 60; id++) {
    const customer = `customer-${random.below(15)}`
    const values = COLUMNS.map((column) => column.draw(random, engine))
    await tables.insert(
      customer,
      `INSERT INTO orders (id, customer, ${names.join(', ')}) VALUES (?, ?${', ?'.repeat(names.length)})`,
      id,
      customer,
      ...values,
    )
    if (random.chance(0.5))
      await tables.insert(
        customer,
        'INSERT INTO lines (id, customer, order_id, sku) VALUES (?, ?, ?, ?)',
        id,
        customer,
        id - random.below(2),
        random.pick(TEXTS),
      )
  }
}

const asSet = (rows: readonly Row[]): string[] => rows.map((row) => JSON.stringify(row)).sort()

/** What the sums of one database say of an average. */
function withAverages(rows: readonly Row[], { options: { merge } }: Query): Row[] {
  const averages = typeof merge === 'object' ? Object.entries(merge.avg ?? {}) : []
  return rows.map((row) => ({
    ...row,
    ...Object.fromEntries(
      averages.map(([name, { sum, count }]) => [
        name,
        row[sum] === null || Number(row[count]) === 0 ? null : Number(row[sum]) / Number(row[count]),
      ]),
    ),
  }))
}

const missing = postgresMissing()
const server = PostgresServer.ofSuite()
afterEach(closeLogs)

const ENGINES: readonly Engine[] = ['sqlite', 'postgres']

describe('functions over many rows', () => {
  const isKnown = (name: string, engine: Engine): boolean => {
    try {
      const known = { tables: { orders: { key: 'customer' } }, reference: [] }
      checkStatement(`SELECT ${name}(id) AS n FROM orders`, known, engine, {})
      return false
    } catch {
      return true
    }
  }

  it('of SQLite are all known', () => {
    const database = new SQLite(':memory:')
    const all = database
      .prepare("SELECT DISTINCT name FROM pragma_function_list WHERE type IN ('a', 'w')")
      .pluck()
    const unknown = (all.all() as string[]).filter((name) => !isKnown(name, 'sqlite'))
    database.close()
    // These need an OVER, which is refused.
    const windows = ['first_value', 'lag', 'last_value', 'lead', 'nth_value', 'ntile', 'row_number']
    expect(unknown.sort()).toEqual(windows)
  })

  it.skipIf(missing)('of PostgreSQL are all known', async () => {
    const all = await server.query<{ proname: string }>(
      "SELECT DISTINCT proname FROM pg_proc WHERE prokind = 'a'",
    )
    expect(all.map(({ proname }) => proname).filter((name) => !isKnown(name, 'postgres'))).toEqual([])
  })
})

describe.each(ENGINES)('queries over three databases of %s', (engine) => {
  it.skipIf(engine === 'postgres' && missing)('answer what one database with all rows answers', async () => {
    const options = {
      schema: schemaOf(engine),
      tables: { orders: { key: 'customer' }, lines: { key: 'customer' } },
      reference: ['names'],
      buckets: 32,
    }
    await using tables = await (engine === 'sqlite' ? sqliteTables(options) : postgresTables(server, options))
    const random = choices(seededRandom(SEED))
    const { shards } = tables
    const names = "INSERT INTO names VALUES ('open', 'Open'), ('Sent', 'On its way')"
    await (engine === 'sqlite'
      ? shards.writeAll((db) => (db as { run(sql: string): unknown }).run(names))
      : shards.writeAll((db) => (db as { query(sql: string): unknown }).query(names)))
    if (engine === 'sqlite') await tables.whole(`${names} RETURNING status`)
    else await tables.whole(names)
    await fill(tables, random, engine)
    for (let number = 0; number < times(150); number++) {
      const query = draw(random, engine)
      const sql = engine === 'postgres' ? numbered(query.sql) : query.sql
      const told = `${query.whole} as ${query.sql} ${JSON.stringify(query.options)}; ${replayHint(SEED)}`
      const whole = withAverages(await tables.whole(query.whole), query)
      const { rows, missing: without } = await shards.query(sql, [], query.options)
      expect(without).toEqual([])
      const stream = await shards.queryStream(sql, [], query.options)
      const streamed: Row[] = []
      for await (const row of stream) streamed.push(row)
      if (query.isOrdered) {
        expect(rows, told).toEqual(whole)
        expect(streamed, told).toEqual(whole)
      } else {
        expect(asSet(rows), told).toEqual(asSet(whole))
        expect(asSet(streamed), told).toEqual(asSet(whole))
      }
    }
  })
})

describe('a stream of PostgreSQL', () => {
  it.skipIf(missing)('that is left while rows are fetched tells the databases to stop', async () => {
    const schema = ['CREATE TABLE orders (id integer PRIMARY KEY, customer text NOT NULL)']
    await using tables = await postgresTables(server, { schema, tables: { orders: { key: 'customer' } } })
    const customers = ['a', 'b', 'c', 'd']
    for (const [id, customer] of customers.entries())
      await tables.insert(customer, 'INSERT INTO orders VALUES (?, ?)', id, customer)
    const fetching = async (): Promise<number> => {
      const found = await server.query(
        "SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'FETCH 500%'",
      )
      return found.length
    }
    const stream = await tables.shards.queryStream('SELECT id, pg_sleep(600)::text AS slept FROM orders')
    const first = stream[Symbol.asyncIterator]().next()
    const refused = expect(first).rejects.toThrow()
    while ((await fetching()) === 0);
    await stream.close()
    await refused
    while ((await fetching()) > 0);
  })
})
