import pg from 'pg'
import { describe, expect, it } from 'vitest'
import {
  openLog,
  openReadModels,
  projection,
  repository,
  upcasters,
  type EventLog,
  type InlineOptions,
  type PostgresTables,
  type ProjectionDefinition,
  type ReadModels,
} from '../../src/events/index.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { errorOf } from './engines.js'

interface Moved {
  type: 'Moved'
  data: { by: number }
}

const missing = postgresMissing()
const server = PostgresServer.ofSuite()

/** The amounts of each account, in the order in which they were handled. */
function accounts(more: Partial<ProjectionDefinition<Moved, PostgresTables>> = {}) {
  return projection<Moved, PostgresTables>({
    name: 'account',
    version: 1,
    select: { category: 'account' },
    setup: ({ db, table }) =>
      db.query(`CREATE TABLE ${table('moves')} (account text PRIMARY KEY, moves integer[] NOT NULL)`),
    on: {
      Moved: ({ stream, data }, { db, table }) =>
        db.query(
          `INSERT INTO ${table('moves')} AS known VALUES ($1, ARRAY[$2::integer])
           ON CONFLICT (account) DO UPDATE SET moves = known.moves || $2::integer`,
          [stream, data.by],
        ),
    },
    ...more,
  })
}

/** A log and read models in one database. */
class Bench implements AsyncDisposable {
  readonly url: `postgres:${string}`
  readonly log: EventLog
  readonly models: ReadModels<PostgresTables>
  readonly #more: AsyncDisposable[] = []

  private constructor(url: `postgres:${string}`, log: EventLog, models: ReadModels<PostgresTables>) {
    this.url = url
    this.log = log
    this.models = models
  }

  static async open(log?: (url: string) => Promise<EventLog>): Promise<Bench> {
    const url = (await server.database()) as `postgres:${string}`
    const opened = await (log ?? openLog)(url)
    return new Bench(url, opened, await openReadModels(url, opened))
  }

  /** The same, as far as they can tell in another process. */
  async another(options?: InlineOptions, definition = accounts()): Promise<EventLog> {
    const log = await openLog(this.url)
    const models = await openReadModels(this.url, log)
    const inline = models.inline(definition, options)
    this.#more.push(inline, models, log)
    return inline
  }

  async client(): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: this.url })
    await client.connect()
    this.#more.push({ [Symbol.asyncDispose]: () => client.end() })
    return client
  }

  /** What a query reads now. */
  async moves(): Promise<Record<string, number[]>> {
    const { rows } = await this.models.query('account', ({ db, table }) =>
      db.query<{ account: string; moves: number[] }>(`SELECT * FROM ${table('moves')} ORDER BY account`),
    )
    return Object.fromEntries(rows.map(({ account, moves }) => [account, moves]))
  }

  async inLog(): Promise<Record<string, number[]>> {
    const moves: Record<string, number[]> = {}
    for await (const { stream, data } of this.log.read<Moved>({ category: 'account' }))
      (moves[stream] ??= []).push(data.by)
    return moves
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of this.#more) await one[Symbol.asyncDispose]()
    await this.models.close()
    await this.log.close()
  }
}

function move(log: Pick<EventLog, 'append'>, account: number, ...amounts: number[]) {
  const events = amounts.map((by) => ({ type: 'Moved', data: { by } }))
  return log.append({ streams: [{ stream: `account-${account}`, events }] })
}

async function appended(promise: ReturnType<typeof move>) {
  const result = await promise
  if (!result.ok) throw new Error('not appended')
  return result
}

describe.skipIf(missing)('inline projections', () => {
  it('have what was appended as soon as the append has ended, with nobody else running them', async () => {
    await using bench = await Bench.open()
    const log = bench.models.inline(accounts())
    for (const by of [1, 2, 3]) {
      const { position, streams, duplicate } = await appended(move(log, 1, by, -by))
      expect({ streams, duplicate }).toEqual({
        streams: [{ stream: 'account-1', revision: 2 * by - 1 }],
        duplicate: false,
      })
      expect(position).toBe(await bench.log.head())
      expect((await bench.moves())['account-1']!.slice(-2)).toEqual([by, -by])
      // The position of the append is a token here too.
      expect(await bench.models.wait('account', { after: position, timeout: 0 })).toBeTypeOf('string')
      await bench.models.wait('account', { consistency: 'strong', timeout: 0 })
    }
    expect(await bench.models.list()).toMatchObject([
      { state: 'running', lag: 0, running: false, active: true },
    ])
  })

  it('are made once when many processes start at the same moment', async () => {
    const definition = accounts({
      setup: async ({ db, table }) => {
        await db.query(
          `CREATE TABLE IF NOT EXISTS ${table('moves')} (account text PRIMARY KEY, moves integer[] NOT NULL)`,
        )
        // The others come before it is there for them.
        await db.query('SELECT pg_sleep(0.05)')
      },
    })
    for (let round = 0; round < 3; round++) {
      await using bench = await Bench.open()
      const logs: EventLog[] = []
      for (let index = 0; index < 5; index++) logs.push(await bench.another({}, definition))
      await Promise.all(logs.map((log, index) => appended(move(log, index, index))))
      expect(await bench.moves()).toEqual(await bench.inLog())
    }
  })

  it('handle everything that others have appended before, in the order of each stream', async () => {
    await using bench = await Bench.open()
    const log = bench.models.inline(accounts())
    await move(bench.log, 1, 1, 2)
    await move(log, 1, 3)
    await move(bench.log, 1, 4)
    await move(bench.log, 2, 1)
    await move(log, 1, 5)
    expect(await bench.moves()).toEqual({ 'account-1': [1, 2, 3, 4, 5], 'account-2': [1] })
  })

  it('are handled once by many who append, follow and append inside transactions at the same time', async () => {
    await using bench = await Bench.open()
    const inline = bench.models.inline(accounts())
    const others = [await bench.another(), await bench.another()]
    bench.models.run(accounts())
    const clients = [await bench.client(), await bench.client()]
    const work = async (worker: number): Promise<void> => {
      for (let round = 0; round < 30; round++) {
        const by = worker * 1000 + round
        const account = (worker + round) % 4
        if (worker < 2) await move(bench.log, account, by)
        else if (worker < 4) {
          const client = clients[worker - 2]!
          await client.query('BEGIN')
          await move((worker === 2 ? bench.log : others[0]!).within(client) as never, account, by)
          await client.query(round % 5 === 0 ? 'ROLLBACK' : 'COMMIT')
        } else await move([inline, ...others][worker % 3]!, account, by, -by)
      }
    }
    await Promise.all(Array.from({ length: 12 }, (_, worker) => work(worker)))
    await bench.models.wait('account', { consistency: 'strong' })
    expect(await bench.moves()).toEqual(await bench.inLog())
    const [status] = await bench.models.list()
    expect(status).toMatchObject({ lag: 0, parked: 0 })
    // A strong read needs the events in the read model. Who follows passes them a moment later.
    const details = async (): Promise<unknown> => {
      const { rows } = await clients[0]!.query<{ details: string }>('SELECT details FROM banyan_projection')
      return JSON.parse(rows[0]!.details)
    }
    await expect.poll(details, { timeout: 10_000 }).not.toHaveProperty('ahead')
  })

  it('append nothing when a handler fails, and everything else of the same moment', async () => {
    await using bench = await Bench.open()
    const log = bench.models.inline(
      accounts({
        on: {
          Moved: async ({ stream, data }, { db, table }) => {
            await db.query(`INSERT INTO ${table('moves')} VALUES ($1, ARRAY[$2::integer])`, [stream, data.by])
            if (data.by === 13) throw new Error('no thirteens')
          },
        },
      }),
    )
    const results = await Promise.allSettled([11, 12, 13, 14].map((by) => move(log, by, by)))
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled'])
    expect((results[2] as PromiseRejectedResult).reason).toMatchObject({
      code: 'BANYAN_PROJECTION_FAILED',
      message:
        'nothing was appended, as account version 1 failed to handle Moved at account-13@0 (not appended yet): no thirteens',
    })
    expect(await bench.log.revision('account-13')).toBe('none')
    expect(await bench.moves()).toEqual({ 'account-11': [11], 'account-12': [12], 'account-14': [14] })
    // A statement that fails too, also when nobody looks at it.
    expect(await errorOf(move(log, 11, 1))).toMatchObject({ code: 'BANYAN_PROJECTION_FAILED' })
    expect(await bench.log.revision('account-11')).toBe(0)
  })

  it('keep conflicts, duplicates and refusals of the log apart', async () => {
    await using bench = await Bench.open()
    const log = bench.models.inline(accounts())
    const commit = (id: string, expected: number | 'none', by: number) => ({
      id,
      streams: [{ stream: 'account-1', expected, events: [{ type: 'Moved', data: { by } }] }],
    })
    const [first, second, third] = await Promise.all([
      log.append(commit('a', 'none', 1)),
      log.append(commit('b', 'none', 2)),
      log.append(commit('c', 0, 3)),
    ])
    expect(first).toMatchObject({ ok: true, duplicate: false })
    expect(second).toEqual({
      ok: false,
      conflicts: [{ stream: 'account-1', expected: 'none', actual: 0 }],
    })
    expect(third).toMatchObject({ ok: true, streams: [{ stream: 'account-1', revision: 1 }] })
    expect(await log.append(commit('a', 'none', 1))).toEqual({ ...first, duplicate: true })
    expect(
      await errorOf(
        log.append({
          id: 'a',
          streams: [{ stream: 'account-9', events: [{ type: 'Moved', data: { by: 1 } }] }],
        }),
      ),
    ).toMatchObject({ code: 'BANYAN_COMMIT_OVERLAP' })
    expect(
      await errorOf(
        log.append({ streams: [{ stream: 'account-1', events: [{ type: 'Moved', data: NaN }] }] }),
      ),
    ).toMatchObject({ code: 'BANYAN_INVALID_EVENT' })
    expect(await errorOf(log.append({ streams: 'account' as never }))).toMatchObject({
      code: 'BANYAN_INVALID_COMMIT',
    })
    expect(await bench.moves()).toEqual({ 'account-1': [1, 3] })
  })

  it('share a transaction of the application, of which nothing stays when it is given up or a handler fails', async () => {
    await using bench = await Bench.open()
    const log = bench.models.inline(
      accounts({
        on: {
          Moved: async ({ stream, data }, { db, table }) => {
            await db.query(
              `INSERT INTO ${table('moves')} AS known VALUES ($1, ARRAY[$2::integer])
               ON CONFLICT (account) DO UPDATE SET moves = known.moves || $2::integer`,
              [stream, data.by],
            )
            if (data.by === 13) throw new Error('no thirteens')
          },
        },
      }),
    )
    const client = await bench.client()
    await client.query('CREATE TABLE own (by integer)')
    const both = async (by: number, end: string): Promise<void> => {
      await client.query('BEGIN')
      await client.query('INSERT INTO own VALUES ($1)', [by])
      const { events: none, ...result } = (await move(log.within(client) as never, 1, by)) as unknown as {
        events?: unknown
        duplicate: boolean
      }
      expect([none, result.duplicate]).toEqual([undefined, false])
      await client.query(end)
    }
    await both(1, 'COMMIT')
    await both(2, 'ROLLBACK')
    await both(3, 'COMMIT')
    expect(await bench.moves()).toEqual({ 'account-1': [1, 3] })

    // Whoever goes on after the error commits nothing of the append.
    await client.query('BEGIN')
    await client.query('INSERT INTO own VALUES (13)')
    expect(await errorOf(move(log.within(client) as never, 1, 13))).toMatchObject({
      code: 'BANYAN_PROJECTION_FAILED',
    })
    await client.query('COMMIT')
    expect(await bench.moves()).toEqual({ 'account-1': [1, 3] })
    expect(await bench.inLog()).toEqual({ 'account-1': [1, 3] })
    expect((await client.query('SELECT by FROM own ORDER BY by')).rows).toEqual([
      { by: 1 },
      { by: 3 },
      { by: 13 },
    ])
    await both(4, 'COMMIT')
    expect(await bench.moves()).toEqual({ 'account-1': [1, 3, 4] })
  })

  it('are of use to a repository, and see events as the log shows them', async () => {
    const newest = upcasters({ Moved: { 1: (data: unknown) => ({ by: data }) } })
    await using bench = await Bench.open((url) => openLog(url, { transforms: [newest] }))
    const log = bench.models.inline(accounts({ schemaVersions: { Moved: 2 } }))
    // As an older program has left it.
    const old = await openLog(bench.url)
    await old.append({ streams: [{ stream: 'account-1', events: [{ type: 'Moved', data: 5 }] }] })
    await old.close()
    const orders = repository<number, number, Moved>(
      log,
      {
        initialState: () => 0,
        evolve: (sum, { data }) => sum + data.by,
        decide: (by) => [{ type: 'Moved', data: { by } }],
      },
      { category: 'account' },
    )
    await Promise.all([1, 2, 3].map((by) => orders.handle('1', by)))
    const { 'account-1': moves } = await bench.moves()
    expect(moves![0]).toBe(5)
    expect([...moves!].sort()).toEqual([1, 2, 3, 5])
    expect((await orders.load('1')).state).toBe(11)
  })

  it('set nothing of a parked key on top of what is missing', async () => {
    await using bench = await Bench.open()
    let broken = true
    const definition = accounts({
      on: {
        Moved: async ({ stream, data }, { db, table }) => {
          if (data.by === 13 && broken) throw new Error('no thirteens')
          await db.query(
            `INSERT INTO ${table('moves')} AS known VALUES ($1, ARRAY[$2::integer])
             ON CONFLICT (account) DO UPDATE SET moves = known.moves || $2::integer`,
            [stream, data.by],
          )
        },
      },
    })
    const log = bench.models.inline(definition)
    const projector = bench.models.run(definition, { onError: 'park', attempts: 1 })
    await projector.caughtUp()
    await move(bench.log, 1, 13)
    await projector.caughtUp()
    await move(log, 1, 2)
    await move(log, 2, 3)
    await projector.caughtUp()
    expect(await bench.moves()).toEqual({ 'account-2': [3] })
    expect(await bench.models.list()).toMatchObject([{ parked: 2 }])
    broken = false
    expect(await bench.models.retryParked(definition)).toMatchObject({ handled: 2, left: 0 })
    await move(log, 1, 4)
    await projector.caughtUp()
    expect(await bench.moves()).toEqual({ 'account-1': [13, 2, 4], 'account-2': [3] })
  })

  it('refuse what would be appended to a read model that is far behind or has stopped', async () => {
    await using bench = await Bench.open()
    await move(bench.log, 1, ...Array.from({ length: 12 }, (_, by) => by))
    const log = bench.models.inline(accounts(), { batch: 10, wait: 50 })
    const behind = await errorOf(move(log, 1, 100))
    expect(behind).toMatchObject({ code: 'BANYAN_PROJECTION_BEHIND' })
    expect(behind.message).toBe(
      'nothing was appended: account version 1 is at position 0, and more than 10 events behind, and was so for 50ms. ' +
        'Nobody runs it: run it until it has caught up',
    )
    // What it does not select is not held up.
    expect(
      await log.append({ streams: [{ stream: 'other-1', events: [{ type: 'Moved', data: { by: 1 } }] }] }),
    ).toMatchObject({ ok: true })
    const projector = bench.models.run(accounts())
    await projector.caughtUp()
    await move(log, 1, 100)
    expect((await bench.moves())['account-1']).toHaveLength(13)
    await projector.close()

    const stopping = accounts({
      on: {
        Moved: () => {
          throw new Error('no more')
        },
      },
    })
    await move(bench.log, 1, 101)
    await errorOf(bench.models.run(stopping, { attempts: 1 }).ended)
    expect(await errorOf(move(log, 1, 102))).toMatchObject({
      code: 'BANYAN_PROJECTION_FAILED',
      message: expect.stringContaining('has stopped, so nothing') as string,
    })
  })

  it('tell a handler that asks for what is not known yet', async () => {
    await using bench = await Bench.open()
    for (const part of ['position', 'recorded'] as const) {
      const log = bench.models.inline(accounts({ on: { Moved: (event) => event[part] } }))
      const error = await errorOf(move(log, 1, 1))
      expect(error).toMatchObject({ code: 'BANYAN_PROJECTION_FAILED' })
      expect(error.message).toContain('is not known before the append that it is part of has ended')
    }
  })

  it('go on after the server was away', async () => {
    const own = await PostgresServer.start()
    const url = own.url() as `postgres:${string}`
    const log = await openLog(url)
    const models = await openReadModels(url, log)
    const inline = models.inline(accounts())
    await move(inline, 1, 1)
    await own.crash()
    const waiting = move(inline, 1, 2)
    await own.restart()
    expect(await waiting).toMatchObject({ ok: true })
    const { rows } = await models.query('account', ({ db, table }) =>
      db.query<{ moves: number[] }>(`SELECT moves FROM ${table('moves')}`),
    )
    expect(rows).toEqual([{ moves: [1, 2] }])
    await models.close()
    await log.close()
    await own.stop()
  }, 60_000)

  it('are refused where log and read models are not in one database', async () => {
    await using bench = await Bench.open()
    const elsewhere = await openReadModels((await server.database()) as `postgres:${string}`, bench.log)
    expect(await errorOf(move(elsewhere.inline(accounts()), 1, 1))).toMatchObject({
      code: 'BANYAN_UNSUPPORTED',
      message: expect.stringContaining('in one database, and these are in two') as string,
    })
    // Also where there is a log, but another one.
    const url = (await server.database()) as `postgres:${string}`
    const another = await openLog(url)
    await move(another, 1, 1)
    const beside = await openReadModels(url, bench.log)
    expect(await errorOf(move(beside.inline(accounts()), 1, 1))).toMatchObject({ code: 'BANYAN_UNSUPPORTED' })
    expect(await another.revision('account-1')).toBe(0)
    expect(await bench.log.revision('account-1')).toBe('none')
    for (const one of [elsewhere, beside, another]) await one.close()
  })
})

it('inline projections are refused on other engines, with what to do instead', async () => {
  await using log = await openLog('memory:')
  await using models = await openReadModels('memory:', log)
  expect(() => models.inline({} as never)).toThrow(
    expect.objectContaining({
      code: 'BANYAN_UNSUPPORTED',
      message: expect.stringContaining('query it after the position that the append returns') as string,
    }),
  )
})
