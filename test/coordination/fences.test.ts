import { join } from 'node:path'
import SQLite from 'better-sqlite3'
import { CompiledQuery, Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import { afterEach, describe, expect, it } from 'vitest'
import {
  fenced,
  fencesSchema,
  openFences,
  StaleTokenError,
  type Claim,
  type Fences,
} from '../../src/coordination/index.js'
import { coordinationError } from '../../src/coordination/errors.js'
import { openLog } from '../../src/events/index.js'
import { seededRandom } from '../../src/core/random.js'
import { SEED, times } from '../support/effort.js'
import { blockOf } from '../support/example.js'
import { closeLogs, collect, newDirectory } from '../support/logs.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { runSnippet } from '../support/snippet.js'

const missing = postgresMissing()
const server = PostgresServer.ofSuite()
/** What a test has open. */
const opened: (() => unknown)[] = []
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close()
  await closeLogs()
})

const stale = (token: number, seen: number): object => ({
  code: 'BANYAN_STALE_TOKEN',
  fence: 'orders',
  token,
  seen,
})
const orders = (token: Claim['token']): Claim => ({ name: 'orders', token })

/** What one transaction on a table `entry (token)` does. */
interface Session {
  begin(): Promise<void>
  guard(claim: Claim): Promise<void>
  write(token: number): Promise<void>
  /** How many rows have a lower token. */
  lower(token: number): Promise<number>
  end(how: 'COMMIT' | 'ROLLBACK'): Promise<void>
}

interface Bench {
  readonly url: string
  session(): Promise<Session>
  entries(): Promise<number[]>
  exec(sql: string): Promise<unknown>
}

function sqliteBench(): Promise<Bench> {
  const file = join(newDirectory(), 'app.db')
  const tool = new SQLite(file)
  opened.push(() => tool.close())
  tool.pragma('journal_mode = WAL')
  tool.exec('CREATE TABLE entry (token INTEGER)')
  return Promise.resolve({
    url: `sqlite:${file}`,
    async session() {
      const fences = await openFences(`sqlite:${file}`)
      const db = new SQLite(file, { timeout: 0 })
      opened.push(
        () => db.close(),
        () => fences.close(),
      )
      const at = (sql: string, ...values: unknown[]): Promise<unknown> =>
        Promise.resolve().then(() => db.prepare(sql).run(...values))
      return {
        begin: async () => {
          await at('BEGIN')
        },
        guard: (claim) => Promise.resolve().then(() => fences.guard(db, claim)),
        write: async (token) => {
          await at('INSERT INTO entry VALUES (?)', token)
        },
        lower: (token) =>
          Promise.resolve(
            db.prepare<[number], number>('SELECT count(*) FROM entry WHERE token < ?').pluck().get(token)!,
          ),
        end: async (how) => {
          await at(how)
        },
      }
    },
    entries: () =>
      Promise.resolve(tool.prepare<[], number>('SELECT token FROM entry ORDER BY rowid').pluck().all()),
    exec: (sql) => Promise.resolve(tool.exec(sql)),
  })
}

async function postgresBench(): Promise<Bench> {
  const url = await server.database()
  await server.query('CREATE TABLE entry (place serial, token integer)', [], url)
  return {
    url,
    async session() {
      const fences = await openFences(url as `postgres:${string}`)
      const client = await server.connect(url)
      opened.push(
        () => client.end(),
        () => fences.close(),
      )
      return {
        begin: async () => {
          await client.query('BEGIN')
        },
        guard: (claim) => fences.guard(client, claim),
        write: async (token) => {
          await client.query('INSERT INTO entry (token) VALUES ($1)', [token])
        },
        lower: async (token) => {
          const { rows } = await client.query<{ count: string }>(
            'SELECT count(*) FROM entry WHERE token < $1',
            [token],
          )
          return Number(rows[0]!.count)
        },
        end: async (how) => {
          await client.query(how)
        },
      }
    },
    entries: async () =>
      (await server.query<{ token: number }>('SELECT token FROM entry ORDER BY place', [], url)).map(
        ({ token }) => token,
      ),
    exec: (sql) => server.query(sql, [], url),
  }
}

const engines = [
  { name: 'sqlite' as const, bench: sqliteBench },
  ...(missing ? [] : [{ name: 'postgres' as const, bench: postgresBench }]),
]

describe.each(engines)('fences in $name', ({ name, bench: open }) => {
  it('let the transactions of the newest holder pass, and none of those before', async () => {
    const bench = await open()
    const [old, young] = [await bench.session(), await bench.session()]
    const once = async (session: Session, token: number): Promise<void> => {
      await session.begin()
      try {
        await session.guard(orders(token))
        await session.write(token)
        await session.end('COMMIT')
      } catch (error) {
        await session.end('ROLLBACK')
        throw error
      }
    }
    await once(old, 5)
    await once(young, 7)
    await expect(once(old, 5)).rejects.toMatchObject(stale(5, 7))
    await expect(once(old, 6)).rejects.toBeInstanceOf(StaleTokenError)
    await once(young, 7)
    expect(await bench.entries()).toEqual([5, 7, 7])
  })

  it('are raised by a transaction only if it commits', async () => {
    const bench = await open()
    const [old, young] = [await bench.session(), await bench.session()]
    await young.begin()
    await young.guard(orders(7))
    await young.end('ROLLBACK')
    await old.begin()
    await old.guard(orders(5))
    await old.end('COMMIT')
    const fences = await openFences<unknown>(bench.url)
    expect(await fences.list()).toMatchObject([{ name: 'orders', token: 5 }])
    await fences.close()
  })

  it('do a transaction of their own, which writes nothing if it is stale', async () => {
    const bench = await open()
    const fences = await openFences<{ run(sql: string): unknown; query(sql: string): Promise<unknown> }>(
      bench.url,
    )
    const enter =
      (token: number) => (db: { run(sql: string): unknown; query(sql: string): Promise<unknown> }) =>
        name === 'sqlite'
          ? db.run(`INSERT INTO entry (token) VALUES (${token})`)
          : db.query(`INSERT INTO entry (token) VALUES (${token})`)
    await fences.transaction(orders(5), enter(5))
    await fences.raise(orders(7))
    await expect(fences.transaction(orders(5), enter(5))).rejects.toMatchObject(stale(5, 7))
    await expect(
      fences.transaction(orders(7), async (db) => {
        await enter(7)(db)
        throw new Error('changed my mind')
      }),
    ).rejects.toThrow('changed my mind')
    expect(await bench.entries()).toEqual([5])
    expect(await fences.transaction(orders(8), () => 'what the work gives')).toBe('what the work gives')
    expect(await fences.reset('orders')).toBe(true)
    expect(await fences.reset('orders')).toBe(false)
    await fences.raise(orders(1))
    await fences.close()
    await expect(fences.raise(orders(1))).rejects.toMatchObject({ code: 'BANYAN_FENCES_CLOSED' })
  })

  it('say that an earlier holder stands still in its transaction, and let the next pass when it has ended', async () => {
    const bench = await open()
    const [one, two] = [
      await openFences<unknown>(bench.url, { wait: 50 }),
      await openFences<unknown>(bench.url, { wait: 50 }),
    ]
    opened.push(
      () => one.close(),
      () => two.close(),
    )
    let end = (): void => undefined
    let begun = (): void => undefined
    const inside = new Promise<void>((resolve) => (begun = resolve))
    const still = one.transaction(orders(5), () => {
      begun()
      return new Promise<void>((resolve) => (end = resolve))
    })
    await inside
    for (const fences of [one, two])
      await expect(fences.raise(orders(7))).rejects.toMatchObject({
        code: 'BANYAN_FENCE_BUSY',
        message: expect.stringMatching(
          /earlier holder of "orders", has not ended within 50ms; nothing was done\. .* end /,
        ) as string,
      })
    end()
    await still
    await one.raise(orders(7))
    await expect(two.raise(orders(5))).rejects.toMatchObject(stale(5, 7))
  })

  it('ask the holder first, and refuse what is no claim and no transaction', async () => {
    const bench = await open()
    const fences = await openFences<unknown>(bench.url)
    const over = (): never => {
      throw coordinationError('BANYAN_LEASE_LOST', 'over')
    }
    await expect(fences.raise(orders({ token: 5, check: over }))).rejects.toMatchObject({
      code: 'BANYAN_LEASE_LOST',
    })
    expect(await fences.list()).toEqual([])
    await expect(fences.raise(orders(0))).rejects.toMatchObject({ code: 'BANYAN_INVALID_OPTIONS' })
    expect(() => fences.guard({} as never, orders(5))).toThrow(/guard needs/)
    await fences.close()
  })

  it('can have their table made by somebody else', async () => {
    const bench = await open()
    const missing = openFences<unknown>(bench.url, { migrate: false })
    await expect(missing).rejects.toMatchObject({ code: 'BANYAN_FENCES_UNAVAILABLE' })
    await expect(missing).rejects.toThrow(`make them with what fencesSchema('${name}') gives`)
    await bench.exec(fencesSchema(name))
    const fences = await openFences<unknown>(bench.url, { migrate: false })
    await fences.raise(orders(5))
    await fences.close()
    await bench.exec('UPDATE banyan_fences_state SET format = 2')
    await expect(openFences<unknown>(bench.url)).rejects.toThrow(/made by a newer version/)
  })

  it('keep what a transaction reads behind its guard from earlier holders, whoever comes when', async () => {
    const bench = await open()
    const random = seededRandom(SEED)
    const before: { token: number; lower: number }[] = []
    const work = async (session: Session): Promise<void> => {
      for (let round = 0; round < times(12); round++) {
        const token = 1 + round * 2 + Math.floor(random.next() * 8)
        const pause = async (): Promise<void> => {
          for (let turns = Math.floor(random.next() * 4); turns > 0; turns--)
            await new Promise((resolve) => setImmediate(resolve))
        }
        try {
          await session.begin()
          await pause()
          await session.guard(orders(token))
          const lower = await session.lower(token)
          await pause()
          await session.write(token)
          await pause()
          await session.end('COMMIT')
          before.push({ token, lower })
        } catch (error) {
          const { code } = error as { code: string }
          await session.end('ROLLBACK')
          expect(['BANYAN_STALE_TOKEN', 'SQLITE_BUSY', 'SQLITE_BUSY_SNAPSHOT']).toContain(code)
        }
      }
    }
    await Promise.all(Array.from({ length: 4 }, async () => work(await bench.session())))
    const entries = await bench.entries()
    expect(entries).toHaveLength(before.length)
    for (const { token, lower } of before)
      expect(entries.filter((other) => other < token)).toHaveLength(lower)
  })
})

describe('fences in sqlite', () => {
  it('tell at once who begins a transaction in the work of another one, and what can be done there', async () => {
    const { url } = await sqliteBench()
    const fences = await openFences(url as `sqlite:${string}`)
    opened.push(() => fences.close())
    await expect(
      fences.transaction(orders(5), () => fences.raise({ name: 'stock', token: 5 })),
    ).rejects.toMatchObject({
      code: 'BANYAN_INVALID_OPTIONS',
      message: expect.stringContaining('begin it before or behind that') as string,
    })
    await fences.transaction(orders(7), (db) => {
      fences.guard((sql, parameters) => db.all(sql, ...(parameters as number[])), { name: 'stock', token: 7 })
    })
    expect(await fences.list()).toMatchObject([
      { name: 'orders', token: 7 },
      { name: 'stock', token: 7 },
    ])
  })
})

describe.skipIf(missing)('fences in postgres', () => {
  it('leave the time that a transaction waits for locks as it was', async () => {
    const bench = await postgresBench()
    const fences = await openFences<unknown>(bench.url, { wait: '1m' })
    const client = await server.connect(bench.url)
    opened.push(
      () => client.end(),
      () => fences.close(),
    )
    await client.query('BEGIN')
    await client.query("SET LOCAL lock_timeout = '7s'")
    await fences.guard(client, orders(5))
    const { rows } = await client.query('SHOW lock_timeout')
    expect(rows).toEqual([{ lock_timeout: '7s' }])
    await client.query('COMMIT')
  })

  it('make the next holder wait for the transactions of the one before, which go on side by side', async () => {
    const bench = await postgresBench()
    const [one, two, young] = [await bench.session(), await bench.session(), await bench.session()]
    const fences = await openFences<unknown>(bench.url)
    await fences.raise(orders(5))
    for (const session of [one, two]) {
      await session.begin()
      await session.guard(orders(5))
      await session.write(5)
    }
    await young.begin()
    const order: string[] = []
    const passed = young.guard(orders(7)).then(() => order.push('the next'))
    const isWaiting = async (): Promise<boolean> => {
      const [row] = await server.query<{ count: string }>(
        `SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`,
        [],
        bench.url,
      )
      return Number(row!.count) === 1
    }
    while (!(await isWaiting())) await new Promise((resolve) => setImmediate(resolve))
    order.push('those before')
    await one.end('COMMIT')
    await two.end('COMMIT')
    await passed
    expect(order).toEqual(['those before', 'the next'])
    expect(await young.lower(7)).toBe(2)
    await young.end('COMMIT')
    await fences.close()
  })

  it('go through the transaction of a query builder', async () => {
    const pool = new pg.Pool({ connectionString: await server.database() })
    pool.on('error', () => undefined)
    const db = new Kysely<Record<string, never>>({ dialect: new PostgresDialect({ pool }) })
    const fences: Fences<unknown> = await openFences(pool)
    const guarded = (token: number): Promise<unknown> =>
      db.transaction().execute(async (trx) => {
        await fences.guard(
          (sql, parameters) => trx.executeQuery(CompiledQuery.raw(sql, [...parameters])),
          orders(token),
        )
      })
    await guarded(5)
    await guarded(7)
    await guarded(7)
    await expect(guarded(5)).rejects.toMatchObject(stale(5, 7))
    await fences.close()
    await db.destroy()
  })

  it('do what the page says', async () => {
    const url = await server.database()
    const edit = (code: string): string => code.replace('postgres://app:secret@localhost/shop', url)
    const page = 'coordination/fencing.md'
    expect(await runSnippet(page, { index: 2, edit })).toBe(blockOf(page, 'text', 3))
  })

  it('in an event log hold a transaction that appends', async () => {
    const url = await server.database()
    const log = await openLog(url)
    await server.query('CREATE TABLE entry (token integer)', [], url)
    const old = fenced(log, orders(5))
    const young = fenced(log, orders(7))
    const said = (data: number) => ({ streams: [{ stream: 'counter-1', events: [{ type: 'Said', data }] }] })
    await old.raise()
    const client = await server.connect(url)
    opened.push(() => client.end())
    await client.query('BEGIN')
    await old.within(client).append(said(5))
    const appended = young.append(said(7))
    await client.query('COMMIT')
    await appended
    await client.query('BEGIN')
    await expect(old.within(client).append(said(5))).rejects.toMatchObject(stale(5, 7))
    await client.query('ROLLBACK')
    const found: unknown[] = []
    for await (const { events } of log.follow({ category: 'counter' })) {
      found.push(...events.map(({ data }) => data))
      if (found.length === 2) break
    }
    expect(found).toEqual([5, 7])
    expect(await collect(log.read({ stream: '$fence-orders' }))).toHaveLength(2)
    await log.close()
  })
})
