import { mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemRuntime } from '../../src/core/runtime.js'
import { noTelemetry } from '../../src/core/telemetry.js'
import { openCoordinator, openShards, type Coordinator, type Shards } from '../../src/coordination/index.js'
import type { NodeState } from '../../src/node/node.js'
import type { SqliteTables } from '../../src/drivers/sqlite/read-models/tables.js'
import { render } from '../../src/cli/status/render.js'
import { configFile, run } from '../support/cli.js'
import { coordinationConfig, startCoordination } from '../support/coordination-node.js'
import { closeAll } from '../support/gateway.js'

/** An application in three files, a node that makes its moves, and what operators do, in the order of a day. */

const CUSTOMERS = 100

let directory: string
let application: Coordinator
let shards: Shards<SqliteTables> | undefined
let admin: string
let ask: Awaited<ReturnType<typeof startCoordination>>['ask']
let config: string

const spec = () => ({
  shop: {
    databases: Object.fromEntries(['a', 'b', 'c'].map((id) => [id, `sqlite:${directory}/${id}.db`])),
    tables: { orders: { key: 'customer' } },
    buckets: 16,
    weights: { c: 0 },
    moves: { every: '20ms' },
  },
})

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'banyan-cli-data-shards-'))
  for (const id of ['a', 'b', 'c'])
    new Database(join(directory, `${id}.db`))
      .exec('CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT NOT NULL)')
      .close()
  const coordination = { driver: 'sqlite', path: join(directory, 'coordinator') }
  config = configFile(coordinationConfig(coordination, { shards: spec() }))
  ;({ admin, ask } = await startCoordination(coordination, { shards: spec() }))
  application = await openCoordinator(`sqlite:${coordination.path}`, {
    runtime: { ...systemRuntime, telemetry: noTelemetry },
  })
})

afterAll(async () => {
  await closeAll()
  await shards?.close()
  await application.close()
  rmSync(directory, { recursive: true })
})

const through = () => ['--admin', admin]
const directly = () => ['--config', config]

async function hosted(): Promise<NonNullable<NodeState['shards']>[string]> {
  return ((await ask('/api/state')) as NodeState).shards!['shop']!
}

/** What moves are at, as the admin API tells. */
async function steps(): Promise<string[]> {
  const { moves } = (await ask('/api/data-shards/shop')) as { moves: { step: string }[] }
  return moves.map(({ step }) => step)
}

/** How many rows each file has. */
function rows(): number[] {
  return ['a', 'b', 'c'].map((id) => {
    const database = new Database(join(directory, `${id}.db`))
    const count = database.prepare('SELECT count(*) FROM orders').pluck().get() as number
    database.close()
    return count
  })
}

test('a node prepares nothing by itself, and says what is missing', async () => {
  await expect.poll(hosted).toMatchObject({
    databases: { a: `sqlite:${directory}/a.db` },
    ready: false,
    problem: expect.stringContaining(
      'it was not prepared yet: `banyan shards prepare shop` does that',
    ) as string,
  })
  const unknown = await run('shards', 'prepare', 'shopp', ...directly())
  expect(unknown.stderr).toContain('has no `shards.shopp`, did you mean "shop"?')
  const sql = await run('shards', 'prepare', 'shop', '--sql', ...directly())
  expect(sql.stdout).toContain('ALTER TABLE "orders" ADD COLUMN banyan_bucket INTEGER;\n')
  expect(await hosted()).toMatchObject({ ready: false })
  const prepared = await run('shards', 'prepare', 'shop', ...directly())
  expect([prepared.stdout, prepared.stderr]).toEqual(['shop is prepared: 16 buckets in a, b, c\n', ''])
  await expect.poll(hosted).toMatchObject({ ready: true, moves: 0, stuck: 0 })
  expect(render((await ask('/api/state')) as NodeState, Date.now(), 200)).toMatch(
    /^shards shop {2}3 databases {2}nothing moves$/m,
  )

  const { databases, tables } = spec().shop
  shards = await openShards(application, 'shop', {
    databases: databases as Record<string, `sqlite:${string}`>,
    tables,
  })
  for (let id = 0; id < CUSTOMERS; id++)
    await shards.write(`c${id}`, (db) =>
      db.run('INSERT INTO orders (id, customer) VALUES (?, ?)', id, `c${id}`),
    )
  expect(rows()[2]).toBe(0)
}, 60_000)

test('what there is, and what would move', async () => {
  const [all, one, plan] = await Promise.all([
    run('shards', ...through()),
    run('shards', 'shop', '--json', ...directly()),
    run('shards', 'plan', 'shop', '--without', 'b', '--with', 'd', ...through()),
  ])
  expect(all.stdout).toBe(
    'APPLICATION  BUCKETS  DATABASES         MOVES\nshop              16  a: 8, b: 8, c: 0  -\n',
  )
  expect(JSON.parse(one.stdout)).toMatchObject({
    name: 'shop',
    databases: [{ shard: 'a', buckets: 8 }, { shard: 'b' }, { shard: 'c', weight: 0 }],
  })
  expect(plan.stdout).toMatch(/^shop {2}8 buckets in 1 move\n\nBUCKETS +FROM +TO\n8-15 +b +d\n\nDATABASE/)
  expect(plan.stdout).toMatch(/\nb +1 +8 +0\nc +0 +0 +0\nd +1 +- +8\n$/)
})

test('what is wrong is an error that helps', async () => {
  const answers = await Promise.all([
    run('shards', 'move', 'shop', '3', '--to', 'z', ...through()),
    run('shards', 'move', 'shop', '16', '--to', 'c', ...through()),
    run('shards', 'move', 'shop', '3-1', '--to', 'c', ...through()),
    run('shards', 'abort', 'shop', 'nothing', ...through()),
    run('shards', 'drop', 'shop', '--all', ...through()),
    run('shards', 'heat', 'shop', ...through()),
    run('shards', 'drain', 'shop', 'a', ...through()),
    run('shards', 'shop', '--workers', ...directly()),
    run('shards', 'planz', 'shop'),
  ])
  expect(answers.map(({ code }) => code)).toEqual([1, 1, 2, 1, 2, 1, 2, 2, 2])
  const errors = answers.map(({ stderr }) => stderr)
  expect(errors[0]).toContain('there is no shard "z" to move to; there are a, b, c')
  expect(errors[1]).toContain('there is no bucket 16: they are 0 to 15')
  expect(errors[2]).toContain('buckets are such as 17, 3-9 or 3-9,12; not 3-1')
  expect(errors[3]).toContain('there is no move "nothing" of "shop": nothing moves')
  expect(errors[4]).toContain('has left at its source is removed. From then on it cannot be reversed.')
  expect(errors[5]).toContain('say who has measured it, with --from')
  expect(errors[6]).toContain('say banyan shards move shop --even --without a')
  expect(errors[7]).toContain('shop is an application that is spread over databases')
  expect(errors[8]).toContain('there is no command banyan shards planz, did you mean banyan shards plan?')
  const post = (body: object) => ({ method: 'POST', body: JSON.stringify(body) })
  for (const [path, body, problem] of [
    [
      'move',
      { buckets: [1] },
      { status: 400, detail: expect.stringContaining('Say which `buckets`') as string },
    ],
    ['move', { buckets: [1], to: 'z' }, { status: 404, code: 'BANYAN_SHARD_UNKNOWN' }],
    ['drop', {}, { status: 400, detail: 'Say which `moves`, or `all`: true.' }],
    ['drop', { moves: ['x'] }, { status: 404, code: 'BANYAN_MOVE_UNKNOWN' }],
    ['plan', { add: { a: 1 } }, { status: 400 }],
    ['move', { buckets: '1' }, { status: 400, code: 'BANYAN_INVALID_OPTIONS' }],
  ] as const)
    expect(await ask(`/api/data-shards/shop/${path}`, post(body)), path).toMatchObject(problem)
})

test('buckets are moved, taken back, moved again, and finished: no row is lost or doubled', async () => {
  const moved = await run('shards', 'move', 'shop', '0-3,8', '--to', 'c', ...through())
  expect(moved.stdout).toMatch(/^\w{8} {2}0-3 from a to c\n\w{8} {2}8 from b to c\n$/)
  const again = await run('shards', 'move', 'shop', '3', '--to', 'b', ...directly())
  expect(again.stderr).toContain('bucket 3 is on its way already, by the move')
  await expect.poll(steps, { timeout: 10_000 }).toEqual(['switched', 'switched'])
  expect(rows()[2]).toBeGreaterThan(0)
  const shown = await run('shards', 'moves', 'shop', ...through())
  expect(shown.stdout).toMatch(
    /^MOVE +BUCKETS +FROM +TO +STEP +COPIED +FOR +PROBLEM\n\w{8} +0-3 +a +c +switched +\d/,
  )

  expect((await run('shards', 'reverse', 'shop', '--all', ...directly())).stdout).toMatch(
    /^\w{8} goes back\n\w{8} goes back\n$/,
  )
  await expect.poll(() => rows()[2], { timeout: 10_000 }).toBe(0)
  await expect.poll(steps).toEqual(['switched', 'switched'])
  expect((await run('shards', 'drop', 'shop', '--all', '--yes', ...through())).code).toBe(0)
  await expect.poll(steps, { timeout: 10_000 }).toEqual([])

  const past = await run('shards', 'history', 'shop', ...directly())
  expect(past.stdout).toMatch(
    /^PAST MOVE +BUCKETS .*\n\w{8} +(8|0-3) +[ab] +c +\d+ +reversed .*\n\w{8} .*\n$/,
  )
  const told = (await ask('/api/data-shards/shop')) as { history: unknown[]; mover: { holder: string } }
  expect(told.history).toHaveLength(2)
  expect(told.mover.holder).toMatch(/:\d+$/)

  const even = await run('shards', 'move', 'shop', '--even', '--without', 'b', '--group', '4', ...through())
  expect(even.stdout).toMatch(/^\w{8} {2}8-11 from b to a\n\w{8} {2}12-15 from b to a\n$/)
  await expect.poll(steps, { timeout: 10_000 }).toEqual(['switched', 'switched'])
  expect(rows()).toEqual([CUSTOMERS, 0, 0])
  const metrics = await (await fetch(`${admin}/metrics`)).text()
  expect(metrics).toContain('banyan_shards_mover_moves{banyan_shards="shop",banyan_step="switched"} 2')
  expect(metrics).toContain('banyan_shards_mover_moves{banyan_shards="shop",banyan_step="copy"} 0')
  expect(metrics).toContain('banyan_shards_mover_oldest_seconds{banyan_shards="shop"} 0')
  expect(metrics).toContain('banyan_shards_mover_ready{banyan_shards="shop"} 1')
}, 60_000)

test('a database goes, and so does sharding: what is there stays', async () => {
  const moving = await run('shards', 'remove', 'shop', 'b', ...through())
  expect([moving.code, moving.stderr]).toEqual([
    1,
    expect.stringContaining('the database b takes part in moves'),
  ])
  await run('shards', 'drop', 'shop', '--all', '--yes', ...directly())
  await expect.poll(steps, { timeout: 10_000 }).toEqual([])
  const removed = await run('shards', 'remove', 'shop', 'b', ...through())
  expect(removed.stdout).toBe('shop has no database b any more\n')

  const file = join(directory, 'c.db')
  renameSync(file, `${file}.away`)
  const partly = await run('shards', 'prepare', 'shop', ...directly())
  expect([partly.code, partly.stderr]).toEqual([
    1,
    `c is away, and was not prepared: the database c: there is no file ${file} that could hold a shard\n`,
  ])
  renameSync(`${file}.away`, file)

  await shards!.close()
  const unsaid = await run('shards', 'unprepare', 'shop', ...directly())
  expect([unsaid.code, unsaid.stderr]).toEqual([
    2,
    expect.stringContaining('Sharding is taken off a, b, c: triggers'),
  ])
  const done = await run('shards', 'unprepare', 'shop', '--yes', ...directly())
  expect([done.stdout, done.stderr]).toEqual(['sharding of shop is taken off a, b, c\n', ''])
  expect(rows()).toEqual([CUSTOMERS, 0, 0])
  const database = new Database(join(directory, 'a.db'))
  database.prepare('INSERT INTO orders (id, customer) VALUES (?, ?)').run(CUSTOMERS, 'new')
  database.close()
  await expect.poll(hosted).toMatchObject({ ready: false, problem: expect.stringContaining('not prepared yet') as string }) // prettier-ignore
}, 60_000)
