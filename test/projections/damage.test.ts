import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { openLog } from '../../src/events/index.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { Bench, engines, errorOf } from './engines.js'

const missing = postgresMissing()
const server = PostgresServer.ofSuite()

/** What somebody does to the database by hand. */
async function tamper(where: string, sql: string): Promise<void> {
  if (where.startsWith('postgres')) {
    await server.query(sql, [], where)
    return
  }
  // Who waits here keeps a transaction of this thread from going on.
  const database = new Database(`${where.replace('sqlite:', '')}/read-models.db`, { timeout: 0 })
  for (;;) {
    try {
      database.exec(sql)
      break
    } catch (error) {
      if ((error as { code?: string }).code !== 'SQLITE_BUSY') throw error
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
  database.close()
}

const databases = engines(missing ? undefined : server).filter(({ name }) => name !== 'memory')

describe.each(databases)('a read model in $name that was changed by hand', (engine) => {
  /** A read model with two events, which nobody runs. */
  async function prepared(): Promise<Bench> {
    const bench = await Bench.open(engine)
    await bench.move(1, 1, 2)
    const models = await bench.models()
    await models.run(bench.sums()).caughtUp()
    await models.close()
    return bench
  }

  it.each([
    ["UPDATE banyan_projection SET position = '0000000000000001'", 'its checksum does not fit'],
    ["UPDATE banyan_projection SET details = '{}'", 'its checksum does not fit'],
    [
      'DROP VIEW balance_sum; DROP TABLE balance_v1_sum',
      'the table balance_v1_sum of balance version 1 is not there',
    ],
    ['ALTER TABLE balance_v1_sum ADD COLUMN other integer', 'has other columns than when it was set up'],
  ])('is refused: %s', async (sql, message) => {
    await using bench = await prepared()
    await tamper(bench.where, sql)
    const models = await bench.models()
    const error = await errorOf(models.run(bench.sums()).ended)
    expect(error).toMatchObject({ code: 'BANYAN_READ_MODEL_CORRUPT' })
    expect(error.message).toContain(message)
    // The way out that it names works.
    await models.drop('balance', 1, { force: true })
    await models.run(bench.sums()).caughtUp()
    expect(await bench.read(models)).toEqual({ 'account-1': 3 })
  })

  it('is refused by queries too if its checkpoint cannot be trusted', async () => {
    await using bench = await prepared()
    await tamper(bench.where, "UPDATE banyan_projection SET position = '0000000000000009'")
    const models = await bench.models()
    expect(await errorOf(bench.read(models))).toMatchObject({ code: 'BANYAN_READ_MODEL_CORRUPT' })
    expect(await errorOf(models.switch('balance', 1))).toMatchObject({ code: 'BANYAN_READ_MODEL_CORRUPT' })
  })

  it('is listed with what is wrong, and the other versions as they are', async () => {
    await using bench = await prepared()
    const models = await bench.models()
    await models.rebuild(bench.sums({ version: 2 }), { switch: true })
    await tamper(bench.where, "UPDATE banyan_projection SET position = '9' WHERE version = 1")
    expect(await models.list()).toMatchObject([
      {
        ...{ version: 1, active: false, state: 'failed', lag: undefined, parked: 0 },
        error: expect.stringContaining('its checksum does not fit') as string,
      },
      { version: 2, active: true, state: 'running', lag: 0, error: undefined },
    ])
    await models.drop('balance', 1)
    expect(await models.list()).toMatchObject([{ version: 2 }])
  })

  it('says what is missing when that is what is known of all of them', async () => {
    await using bench = await prepared()
    const models = await bench.models()
    const projector = models.run(bench.sums())
    await projector.caughtUp()
    await tamper(bench.where, 'DROP TABLE banyan_projection')
    const corrupt = {
      code: 'BANYAN_READ_MODEL_CORRUPT',
      message: expect.stringContaining('somebody has removed what Banyan keeps') as string,
    }
    expect(await errorOf(bench.read(models))).toMatchObject(corrupt)
    await bench.move(1, 4)
    expect(await errorOf(projector.ended)).toMatchObject(corrupt)
  })

  it('is seen while it runs: the projector does not move a checkpoint that is not its own', async () => {
    await using bench = await prepared()
    const models = await bench.models()
    const projector = models.run(bench.sums())
    await projector.caughtUp()
    await tamper(bench.where, "UPDATE banyan_projection SET position = '0', revision = revision + 1")
    await bench.move(1, 4)
    expect(await errorOf(projector.ended)).toMatchObject({ code: 'BANYAN_READ_MODEL_CORRUPT' })
  })

  it('goes on when a transaction of the handler was refused, and when it would end its transaction', async () => {
    await using bench = await prepared()
    const models = await bench.models()
    await bench.move(1, 4)
    const run = (db: unknown, sql: string): unknown =>
      engine.name === 'sqlite'
        ? (db as { run(sql: string): unknown }).run(sql)
        : (db as { query(sql: string): unknown }).query(sql)
    const stopped = await errorOf(
      models.run(bench.sums({ on: { Moved: (_, { db }) => run(db, 'COMMIT') } }), { attempts: 1 }).ended,
    )
    expect(stopped.message).toContain('must not say COMMIT')
    const wrong = await errorOf(
      models.run(bench.sums({ on: { Moved: (_, { db }) => run(db, 'SELECT nothing') } }), { attempts: 1 })
        .ended,
    )
    expect(wrong).toMatchObject({ code: 'BANYAN_PROJECTION_FAILED' })
    await models.run(bench.sums()).caughtUp()
    expect(await bench.read(models)).toEqual({ 'account-1': 7 })
  })
})

describe.each(engines(missing ? undefined : server))('a read model in $name', (engine) => {
  it('of another log is refused', async () => {
    await using bench = await Bench.open(engine)
    await bench.move(1, 1, 2, 3)
    const models = await bench.models()
    await models.run(bench.sums()).caughtUp()
    await models.close()

    await using shorter = await openLog('memory:')
    const one = await bench.models({}, shorter)
    expect(await errorOf(one.run(bench.sums()).ended)).toMatchObject({ code: 'BANYAN_POSITION_AHEAD' })
    const [{ lag, error: listed } = { lag: 0, error: '' }] = await one.list()
    expect(lag).toBeUndefined()
    expect(listed).toContain('behind the end')

    await using other = await openLog('memory:')
    const events = [1, 2, 3, 4].map((by) => ({ type: 'Moved', data: { by } }))
    await other.append({ id: 'other', streams: [{ stream: 'account-1', events }] })
    const two = await bench.models({}, other)
    const error = await errorOf(two.run(bench.sums()).ended)
    expect(error).toMatchObject({ code: 'BANYAN_READ_MODEL_CORRUPT' })
    expect(error.message).toContain('it was made of another log')
  })

  it('asks for a new version when other events are selected', async () => {
    await using bench = await Bench.open(engine)
    const models = await bench.models()
    await models.run(bench.sums()).caughtUp()
    await models.close()
    const again = await bench.models()
    const error = await errorOf(again.run(bench.sums({ select: { category: 'other' } })).ended)
    expect(error.message).toContain('Give it a new version')
  })

  it('misses nothing in what a subscription has forgotten of its state, if it is of everything', async () => {
    await using bench = await Bench.open(engine)
    const stream = '$subscription-mail/0'
    await bench.move(1, 5)
    for (let step = 0; step < 3; step++)
      await bench.log.append({ streams: [{ stream, events: [{ type: 'Progressed' }] }] })
    await bench.move(1, 6)
    await bench.log.truncate({ stream, beforeRevision: 2, forget: true })
    const models = await bench.models()
    await models.run(bench.sums({ select: {} })).caughtUp()
    expect(await bench.read(models)).toEqual({ 'account-1': 11 })
  })

  it('says so when events were truncated before it had them, and can be made of what is left', async () => {
    await using bench = await Bench.open(engine)
    await bench.move(1, 1)
    await bench.move(1, 2)
    await bench.log.truncate({ stream: 'account-1', beforeRevision: 1 })
    const models = await bench.models()
    expect(await errorOf(models.run(bench.sums()).ended)).toMatchObject({ code: 'BANYAN_HISTORY_TRUNCATED' })
    await models.run(bench.sums(), { allowTruncated: true }).caughtUp()
    expect(await bench.read(models)).toEqual({ 'account-1': 2 })
  })

  it('refuses tokens that are none, of another log, or of what is not there yet', async () => {
    await using bench = await Bench.open(engine)
    await bench.move(1, 1)
    const models = await bench.models()
    await models.run(bench.sums()).caughtUp()
    expect(await errorOf(bench.read(models, { after: 'zzz' }))).toMatchObject({
      code: 'BANYAN_INVALID_POSITION',
    })
    expect(await errorOf(bench.read(models, { after: '0000000000000007' }))).toMatchObject({
      code: 'BANYAN_POSITION_AHEAD',
    })
    expect(await errorOf(models.wait('nothing', {}))).toMatchObject({ code: 'BANYAN_PROJECTION_UNKNOWN' })
    expect(await errorOf(bench.read(models, { consistency: 'eventual', after: '0' }))).toMatchObject({
      code: 'BANYAN_INVALID_OPTIONS',
    })
  })

  it('that nobody runs says how far it is behind when more is asked for', async () => {
    await using bench = await Bench.open(engine)
    await bench.move(1, 1)
    const models = await bench.models()
    const projector = models.run(bench.sums())
    await projector.caughtUp()
    await projector.close()
    const token = await bench.move(1, 2)
    const error = await errorOf(bench.read(models, { after: token, timeout: 20 }))
    expect(error).toMatchObject({ code: 'BANYAN_READ_TOO_OLD' })
    expect(error.message).toContain(
      'is at position 0000000000000001 and has not come to 0000000000000002 within 20ms',
    )
    expect(error.message).toContain('Nobody runs it')
    expect(await bench.read(models)).toEqual({ 'account-1': 1 })
  })
})
