import { expect, test } from 'vitest'
import { checkSource } from './load.js'
import { formatProblem } from './problem.js'
import { redact } from './redact.js'
import { readYaml } from './yaml-source.js'

const COORDINATION = 'coordination: { driver: sqlite, path: ./data }'

function loadedFrom(shards: string, coordination = COORDINATION) {
  const text = `listen: 8080
services: {}
routes: { hi: { match: { path: / }, respond: { body: hi } } }
shards:
  orders: ${shards}
${coordination}
`
  return checkSource('f', readYaml(text, {}))
}

function problemsOf(shards: string, coordination?: string): string[] {
  const loaded = loadedFrom(shards, coordination)
  return (loaded.ok ? loaded.warnings : loaded.problems).map((each) => formatProblem(each).slice(2))
}

const TABLES = 'tables: { orders: { key: customer_id } }'

test('what is right has no problems', () => {
  expect(problemsOf(`{ databases: { a: "sqlite:./a.db", b: "sqlite:./b.db" }, ${TABLES} }`)).toEqual([])
  expect(
    problemsOf(
      `{ databases: { a: "postgres://db/a" }, ${TABLES}, reference: [countries], buckets: 64, weights: { a: 2 } }`,
    ),
  ).toEqual([])
})

test.each<[string, string[]]>([
  [`{ databases: {}, ${TABLES} }`, ['5:24: shards.orders.databases: there must be one database at least']],
  [
    '{ databases: { a: "sqlite:./a.db" }, tables: {} }',
    ['5:56: shards.orders.tables: there must be one table at least'],
  ],
  [
    `{ databases: { a: "mysql://db/a" }, ${TABLES} }`,
    [
      '5:29: shards.orders.databases.a: must be sqlite:./a.db or postgres://user:password@host/database, got "mysql://db/a"',
    ],
  ],
  [
    `{ databases: { a: "sqlite:./a.db", b: "postgres://db/b" }, ${TABLES} }`,
    ['5:49: shards.orders.databases.b: is of another engine than `a`: all must be of the same one'],
  ],
  [
    `{ databases: { a: "sqlite:./a.db", b: "sqlite:./a.db" }, ${TABLES} }`,
    ['5:49: shards.orders.databases.b: is the database of `a`, too: each has its own'],
  ],
  [
    `{ databases: { a: "sqlite:./a.db" }, ${TABLES}, reference: [countries, orders] }`,
    ['5:113: shards.orders.reference[1]: `orders` is in `tables`, too: it is one or the other'],
  ],
  [
    `{ databases: { a: "sqlite:./a.db" }, ${TABLES}, weights: { b: 1 } }`,
    ['5:101: shards.orders.weights.b: there is no database `b`'],
  ],
  [
    `{ databases: { a: "sqlite:./a.db" }, ${TABLES}, weights: { a: 0 } }`,
    ['5:99: shards.orders.weights: the weights of all databases are 0: none would have rows'],
  ],
])('%s', (shards, problems) => {
  expect(problemsOf(shards)).toEqual(problems)
})

test('two applications have databases of their own, and a coordinator for their maps', () => {
  const orders = `{ databases: { a: "sqlite:./a.db" }, ${TABLES} }`
  expect(problemsOf(`${orders}\n  carts: ${orders}`)).toEqual([
    '6:28: shards.carts.databases.a: is the database of `a` of `orders`, too: each has its own',
  ])
  expect(problemsOf(orders, 'coordination: { driver: memory }')).toContainEqual(
    expect.stringContaining('shards.orders: its map would be in the memory of this process'),
  )
  expect(problemsOf(orders, '')).toEqual([
    '5:3: shards.orders: there is no coordinator for its map; say at the top which one: `coordination: { driver: sqlite, path: ./data }`',
  ])
})

test('nobody is shown the password of a database', () => {
  const loaded = loadedFrom(`{ databases: { a: "postgres://me:secret@db/a" }, ${TABLES} }`)
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'))
  expect(redact(loaded.spec.shards)).toMatchObject({
    orders: { databases: { a: 'postgres://(hidden)@db/a' } },
  })
})
