import Database from 'better-sqlite3'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import {
  openLog,
  openReadModels,
  projection,
  type CheckpointStore,
  type EventLog,
  type PostgresTables,
  type SqliteTables,
} from '../../src/events/index.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { errorOf, type Moved } from './engines.js'

const missing = postgresMissing()
const server = PostgresServer.ofSuite()

function checkpoints(): CheckpointStore & { texts: Map<string, string> } {
  const texts = new Map<string, string>()
  return {
    texts,
    get: (key) => Promise.resolve(texts.get(key)),
    replace(key, previous, next) {
      if (texts.get(key) !== previous) return Promise.resolve(false)
      if (next === undefined) texts.delete(key)
      else texts.set(key, next)
      return Promise.resolve(true)
    },
    keys: () => Promise.resolve([...texts.keys()]),
  }
}

async function move(log: EventLog, ...amounts: number[]): Promise<string> {
  const events = amounts.map((by) => ({ type: 'Moved', data: { by } }))
  const result = await log.append({ streams: [{ stream: 'account-1', events }] })
  if (!result.ok) throw new Error('not appended')
  return result.position
}

describe('a store of checkpoints only', () => {
  it('lets handlers come first: they see an event again if the checkpoint could not be kept, and miss none', async () => {
    await using log = await openLog('memory:')
    const store = checkpoints()
    let lost = 1
    const failing: CheckpointStore = {
      ...store,
      replace: (key, previous, next) => {
        const isMove = next?.includes('"position":"0000000000000002"') === true
        if (isMove && lost-- > 0) throw new Error('the cache is not there')
        return store.replace(key, previous, next)
      },
    }
    await using models = await openReadModels(failing, log)
    const seen: number[] = []
    const index = projection<Moved, undefined>({
      name: 'index',
      version: 1,
      on: { Moved: (event) => seen.push(event.data.by) },
    })
    await move(log, 1, 2)
    const projector = models.run(index)
    await projector.caughtUp()
    expect(seen).toEqual([1, 2, 1, 2])
    const token = await move(log, 3)
    expect(await models.wait(index, { after: token })).toBe(token)
    expect(seen.at(-1)).toBe(3)
    expect(await models.list()).toMatchObject([{ name: 'index', active: true, lag: 0, state: 'running' }])
    await projector.close()
    await models.drop('index', 1, { force: true })
    expect(store.texts.size).toBe(0)
  })

  it('keeps versions, parked events and side effects as the others do', async () => {
    await using log = await openLog('memory:')
    await using models = await openReadModels(checkpoints(), log)
    let isBroken = true
    const sent: number[] = []
    const index = (version: number) =>
      projection<Moved, undefined>({
        name: 'index',
        version,
        on: {
          Moved: ({ data }) => {
            if (isBroken && data.by === 2) throw new Error('two')
          },
        },
        effectsFrom: 'start',
        effects: { Moved: ({ data }) => sent.push(data.by) },
      })
    const projector = models.run(index(1), { onError: 'park', attempts: 1 })
    await projector.caughtUp()
    await move(log, 1, 2, 3)
    await projector.caughtUp()
    expect(await models.list()).toMatchObject([{ parked: 2 }])
    isBroken = false
    expect(await models.retryParked(index(1))).toMatchObject({ handled: 2, left: 0 })
    await models.rebuild(index(2), { switch: true })
    await move(log, 4)
    while (sent.length < 4) await new Promise((resolve) => setTimeout(resolve, 5))
    expect(sent).toEqual([1, 2, 3, 4])
    expect(await models.undo('index')).toMatchObject({ version: 1, before: 2 })
  })
})

describe('side effects', () => {
  it('begin with what is appended after the projection was set up, and are tried until they succeed', async () => {
    await using log = await openLog('memory:')
    await using models = await openReadModels(checkpoints(), log)
    const sent: number[] = []
    let failures = 2
    const index = projection<Moved, undefined>({
      name: 'index',
      version: 1,
      on: { Moved: () => undefined },
      effects: {
        Moved({ data }) {
          if (data.by === 2 && failures-- > 0) throw new Error('no mail today')
          sent.push(data.by)
        },
      },
    })
    await move(log, 1)
    const projector = models.run(index)
    await projector.caughtUp()
    await move(log, 2, 3)
    await projector.caughtUp()
    while (projector.status().effectsError === undefined)
      await new Promise((resolve) => setTimeout(resolve, 5))
    expect((await models.list())[0]!.effects?.error).toContain('no mail today')
    while (sent.length < 2) await new Promise((resolve) => setTimeout(resolve, 5))
    expect(sent).toEqual([2, 3])
    while ((await models.list())[0]!.effects?.position !== (await log.head()))
      await new Promise((resolve) => setTimeout(resolve, 5))
    expect((await models.list())[0]!.effects?.error).toBeUndefined()
    expect(projector.status().effectsError).toBeUndefined()
  })

  it('of a process that is lost are run by another, also when nothing else is to be done', async () => {
    await using log = await openLog('memory:')
    const store = checkpoints()
    let isLost = false
    const lost: CheckpointStore = {
      ...store,
      replace: (...change) => (isLost ? new Promise(() => undefined) : store.replace(...change)),
    }
    const ran: string[] = []
    const index = (process: string) =>
      projection<Moved, undefined>({
        name: 'index',
        version: 1,
        on: { Moved: () => undefined },
        effects: {
          Moved() {
            ran.push(process)
            if (process === 'first') isLost = true
          },
        },
      })
    const first = (await openReadModels(lost, log)).run(index('first'))
    await first.caughtUp()
    await move(log, 1)
    while (ran.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    await using models = await openReadModels(store, log)
    models.run(index('second'), { takeover: 100 })
    while (ran.length < 2) await new Promise((resolve) => setTimeout(resolve, 5))
    expect(ran).toEqual(['first', 'second'])
  })
})

describe('what an application has open itself', () => {
  it('may be a database of better-sqlite3: its tables and views are there, and it stays open', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'banyan-own-'))
    await using log = await openLog('memory:')
    const database = new Database(join(directory, 'own.db'))
    database.exec('CREATE TABLE own (x)')
    const models = await openReadModels(database, log)
    const sums = projection<Moved, SqliteTables>({
      name: 'balance',
      version: 1,
      setup: ({ db, table }) => db.exec(`CREATE TABLE ${table('sum')} AS SELECT 0 AS sum`),
      on: { Moved: ({ data }, { db, table }) => db.run(`UPDATE ${table('sum')} SET sum = sum + ?`, data.by) },
    })
    const projector = models.run(sums)
    await move(log, 1, 2)
    await projector.caughtUp()
    await models.close()
    expect(database.prepare('SELECT * FROM balance_sum').all()).toEqual([{ sum: 3 }])
    database.close()
    rmSync(directory, { recursive: true })
    expect(await errorOf(openReadModels(new Database(':memory:'), log))).toMatchObject({
      code: 'BANYAN_READ_MODEL_UNAVAILABLE',
    })
  })

  it.skipIf(missing)(
    'may be a pool of pg: many events go in with one statement, and it stays open',
    async () => {
      await using log = await openLog('memory:')
      const pool = new pg.Pool({ connectionString: await server.database() })
      const models = await openReadModels(pool, log)
      let calls = 0
      const sums = projection<Moved, PostgresTables>({
        name: 'balance',
        version: 1,
        select: { types: ['Moved'] },
        setup: ({ db, table }) => db.query(`CREATE TABLE ${table('move')} (place text, by integer)`),
        apply(events, { db, table }) {
          calls++
          // Not awaited by anyone here: it is done nevertheless, before the checkpoint.
          void db.query(`INSERT INTO ${table('move')} SELECT * FROM unnest($1::text[], $2::integer[])`, [
            events.map(({ position }) => position),
            events.map(({ data }) => data.by),
          ])
        },
      })
      await move(log, ...Array.from({ length: 1000 }, (_, index) => index))
      await models.run(sums).caughtUp()
      await models.close()
      expect(calls).toBe(1)
      expect(
        (await pool.query('SELECT count(*)::integer AS n, sum(by)::integer AS s FROM balance_move')).rows,
      ).toEqual([{ n: 1000, s: 499_500 }])
      await pool.end()
    },
  )

  it.skipIf(missing)(
    'goes on after the server was away',
    async () => {
      await using log = await openLog('memory:')
      const own = await PostgresServer.start()
      const models = await openReadModels(own.url() as `postgres:${string}`, log)
      const sums = projection<Moved, PostgresTables>({
        name: 'balance',
        version: 1,
        setup: ({ db, table }) => db.query(`CREATE TABLE ${table('sum')} AS SELECT 0 AS sum`),
        on: {
          Moved: ({ data }, { db, table }) =>
            db.query(`UPDATE ${table('sum')} SET sum = sum + $1`, [data.by]),
        },
      })
      const projector = models.run(sums, { attempts: 1 })
      await move(log, 1)
      await projector.caughtUp()
      await own.crash()
      await move(log, 2)
      while (projector.status().state !== 'retrying') await new Promise((resolve) => setTimeout(resolve, 5))
      await own.restart()
      await projector.caughtUp()
      expect(
        await models.query(sums, ({ db, table }) => db.query(`SELECT * FROM ${table('sum')}`)),
      ).toMatchObject({
        rows: [{ sum: 3 }],
      })
      await models.close()
      await own.stop()
    },
    60_000,
  )
})

it.each(['its own pool', 'a pool of the application'])(
  'a connection of %s that breaks between two statements fails the query, and nothing else',
  async (whose) => {
    await using log = await openLog('memory:')
    const own = await PostgresServer.start()
    const pool = new pg.Pool({ connectionString: own.url() })
    // The application listens to connections that nobody uses, and nobody to those in use.
    pool.on('error', () => undefined)
    const models = await openReadModels(
      whose === 'its own pool' ? (own.url() as `postgres:${string}`) : pool,
      log,
    )
    const sums = projection<Moved, PostgresTables>({
      name: 'balance',
      version: 1,
      setup: ({ db, table }) => db.query(`CREATE TABLE ${table('sum')} AS SELECT 0 AS sum`),
      on: { Moved: () => undefined },
    })
    await models.run(sums).caughtUp()
    const broken = models.query(sums, async ({ db, table }) => {
      await own.crash()
      for (;;) await db.query(`SELECT * FROM ${table('sum')}`)
    })
    expect(await errorOf(broken)).toMatchObject({ code: 'BANYAN_READ_MODEL_UNAVAILABLE' })
    await models.close()
    await pool.end()
    await own.stop()
  },
  60_000,
)

it('a place that holds no read models is refused with what to give', async () => {
  await using log = await openLog('memory:')
  const client = new pg.Client()
  expect(await errorOf(openReadModels(client as never, log))).toMatchObject({
    code: 'BANYAN_DRIVER_MISSING',
    message: expect.stringContaining('not with a client') as string,
  })
  expect(await errorOf(openReadModels('nowhere:', log))).toMatchObject({ code: 'BANYAN_DRIVER_MISSING' })
  for (const wrong of [
    { name: 'Upper', version: 1, on: {} },
    { name: 'a_v2', version: 1, on: { A: () => undefined } },
    { name: 'a', version: 0, on: { A: () => undefined } },
    { name: 'a', version: 1 },
    { name: 'a', version: 1, on: {}, apply: () => undefined },
    { name: 'a', version: 1, on: { A: 5 } },
    { name: 'a', version: 1, handlers: {} },
  ])
    expect(() => projection(wrong as never)).toThrow(
      expect.objectContaining({ code: 'BANYAN_INVALID_OPTIONS' }),
    )
})
