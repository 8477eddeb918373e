import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import {
  openLog,
  openSnapshots,
  repository,
  type Decider,
  type EventLog,
  type Snapshot,
  type Snapshots,
} from '../../src/events/index.js'
import { noTelemetry } from '../../src/core/telemetry.js'
import { virtualRuntime } from '../../src/testing/index.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'

const directory = mkdtempSync(join(tmpdir(), 'banyan-snapshots-'))
const noPostgres = postgresMissing()
const opened: { close: () => Promise<void> }[] = []
const server = PostgresServer.ofSuite()
let places = 0

afterEach(async () => {
  await Promise.all(opened.splice(0).map((each) => each.close()))
})
afterAll(() => rmSync(directory, { recursive: true }))

async function open(where: string): Promise<Snapshots> {
  const store = await openSnapshots(where)
  opened.push(store)
  return store
}

const newFile = (): string => join(directory, `${places++}.db`)

const engines: Record<string, () => Promise<string>> = {
  memory: () => Promise.resolve('memory:'),
  sqlite: () => Promise.resolve(`sqlite:${newFile()}`),
  postgres: () => server.database(),
}

const snapshot = (revision: number, more: Partial<Snapshot> = {}): Snapshot => ({
  revision,
  event: `e-${revision}`,
  version: 1,
  state: `{"at":${revision}}`,
  ...more,
})

describe.each(Object.keys(engines))('snapshots in %s', (name) => {
  const here = name === 'postgres' && noPostgres ? test.skip : test
  const fresh = async (): Promise<Snapshots> => open(await engines[name]!())

  here('are found as they were written, each under its stream', async () => {
    const store = await fresh()
    const odd = snapshot(2 ** 40, { event: 'ü/0', state: JSON.stringify({ text: '\0"\ud800 ü 🌳' }) })
    await store.write('a-1', snapshot(3))
    await store.write('a-ü 🌳', odd)
    expect(await store.read('a-1')).toEqual(snapshot(3))
    expect(await store.read('a-ü 🌳')).toEqual(odd)
    expect(await store.read('a-2')).toBeUndefined()
  })

  here('give way to newer ones, not to older ones of the same version', async () => {
    const store = await fresh()
    for (const revision of [3, 7, 5]) await store.write('a-1', snapshot(revision))
    expect(await store.read('a-1')).toEqual(snapshot(7))
    await store.write('a-1', snapshot(7, { state: '{}' }))
    expect(await store.read('a-1')).toEqual(snapshot(7, { state: '{}' }))
    await store.write('a-1', snapshot(2, { version: 2 }))
    expect(await store.read('a-1')).toEqual(snapshot(2, { version: 2 }))
  })

  here('end up as the newest, whoever writes at once', async () => {
    const where = await engines[name]!()
    const stores =
      name === 'memory' ? [await open(where)] : await Promise.all([1, 2, 3].map(() => open(where)))
    await Promise.all(
      Array.from({ length: 60 }, (_, index) =>
        stores[index % stores.length]!.write('a-1', snapshot((index * 37) % 60)),
      ),
    )
    for (const store of stores) expect(await store.read('a-1')).toEqual(snapshot(59))
  })

  here('can be deleted at any time, also where there is none', async () => {
    const store = await fresh()
    await store.write('a-1', snapshot(3))
    await store.write('a-2', snapshot(4))
    await store.delete('a-1')
    await store.delete('a-1')
    expect(await store.read('a-1')).toBeUndefined()
    await store.write('a-1', snapshot(1))
    expect(await store.read('a-1')).toEqual(snapshot(1))
    expect(await store.read('a-2')).toEqual(snapshot(4))
  })

  here('hold large states', async () => {
    const store = await fresh()
    const large = snapshot(1, { state: JSON.stringify('ü'.repeat(2_000_000)) })
    await store.write('a-1', large)
    expect(await store.read('a-1')).toEqual(large)
  })
})

const counter: Decider<number, number, { type: 'Added'; data: number }> = {
  initialState: () => 0,
  decide: (data) => ({ type: 'Added', data }),
  evolve: (sum, { data }) => sum + data,
}

describe.each(['sqlite', 'postgres'])('snapshots in %s', (name) => {
  const here = name === 'postgres' && noPostgres ? test.skip : test
  const warnings: string[] = []
  const runtime = {
    ...virtualRuntime(),
    telemetry: { ...noTelemetry, log: (_: string, message: string) => void warnings.push(message) },
  }
  const counters = (log: EventLog, store: Snapshots) =>
    repository(log, counter, { category: 'counter', snapshots: { store, version: 1, every: 5 }, runtime })

  /** Changes one column of one snapshot behind the back of the store. */
  async function damage(where: string, column: string, value: unknown): Promise<void> {
    if (name === 'postgres') {
      await server.query(`UPDATE banyan_snapshots.snapshot SET ${column} = $1`, [value], where)
      return
    }
    const database = new Database(where.replace('sqlite:', ''))
    database.prepare(`UPDATE snapshot SET ${column} = ?`).run(value)
    database.close()
  }

  here('are there for the next process, which reads only what is behind them', async () => {
    const where = await engines[name]!()
    const log = await openLog('memory:')
    opened.push(log)
    const first = counters(log, await open(where))
    for (let index = 0; index < 12; index++) await first.handle('1', 1)
    await log.truncate({ stream: 'counter-1', beforeRevision: 5 })
    expect(await counters(log, await open(where)).load('1')).toEqual({ state: 12, revision: 11 })
  })

  here.each([
    ['state', '1000'],
    ['revision', 10_000_000],
    ['event', 'another'],
    ['version', 1000],
    ['checksum', 7],
  ])(
    'of which the %s was damaged are never believed; the next good one takes their place',
    async (column, value) => {
      const where = await engines[name]!()
      const store = await open(where)
      const log = await openLog('memory:')
      opened.push(log)
      const repo = counters(log, store)
      for (let index = 0; index < 12; index++) await repo.handle('1', 1)
      await damage(where, column, value)
      warnings.length = 0
      expect(await repo.load('1')).toEqual({ state: 12, revision: 11 })
      expect(warnings).toEqual([
        expect.stringMatching(
          /snapshot of counter-1 cannot be used: .*is not what was written; it was deleted/,
        ),
      ])
      expect(await store.read('counter-1')).toMatchObject({ revision: 11, state: '12' })
      warnings.length = 0
      expect(await repo.load('1')).toEqual({ state: 12, revision: 11 })
      expect(warnings).toEqual([])
    },
  )

  here('of a log that was restored to an older state give way to those of its new history', async () => {
    const store = await open(await engines[name]!())
    const log = await openLog('memory:')
    const other = await openLog('memory:')
    opened.push(log, other)
    for (let index = 0; index < 12; index++) await counters(log, store).handle('1', 1)
    for (let index = 0; index < 6; index++) await counters(other, store).handle('1', 2)
    expect(await counters(other, store).load('1')).toEqual({ state: 12, revision: 5 })
    expect(await store.read('counter-1')).toMatchObject({ revision: 4, state: '10' })
  })
})

describe('the file of SQLite', () => {
  test('is snapshots.db in a directory, for its owner only', async () => {
    const path = join(directory, 'private')
    const store = await open(`sqlite:${path}`)
    await store.write('a-1', snapshot(1))
    expect(readdirSync(path)).toContain('snapshots.db')
    for (const file of readdirSync(path)) expect(statSync(join(path, file)).mode & 0o077).toBe(0)
  })

  test.each<[string, (file: string) => void, string, string]>([
    ['no database', (file) => writeFileSync(file, 'x'.repeat(4096)), 'BANYAN_LOG_CORRUPT', 'Delete it'],
    [
      'another database',
      (file) => new Database(file).exec('CREATE TABLE t (x)').close(),
      'BANYAN_LOG_FORMAT',
      'not of snapshots of streams',
    ],
  ])('that is %s is refused, with what to do', async (_, make, code, message) => {
    const file = newFile()
    make(file)
    const failure: unknown = await openSnapshots(`sqlite:${file}`).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code, message: expect.stringContaining(file) as string })
    expect((failure as Error).message).toContain(message)
  })
})

test('a server that cannot be reached when it is opened is an error that says so', async () => {
  await expect(openSnapshots('postgres://nobody@127.0.0.1:1/none')).rejects.toMatchObject({
    code: 'BANYAN_LOG_UNAVAILABLE',
    message: expect.stringContaining('snapshots of streams in PostgreSQL') as string,
  })
})

test.skipIf(noPostgres)('where PostgreSQL is lost, states are still those of the events', async () => {
  const where = await server.database()
  const store = await open(where)
  const log = await openLog('memory:')
  opened.push(log)
  const repo = repository(log, counter, { category: 'counter', snapshots: { store, version: 1, every: 2 } })
  for (let index = 0; index < 5; index++) await repo.handle('1', 1)
  await server.crash()
  expect(await repo.handle('1', 1)).toMatchObject({ state: 6, revision: 5 })
  await server.restart()
  await repo.load('1')
  expect(await store.read('counter-1')).toMatchObject({ revision: 5, state: '6' })
})
