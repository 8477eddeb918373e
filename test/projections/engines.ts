import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  openLog,
  openReadModels,
  projection,
  type AnyProjection,
  type EventLog,
  type MemoryTables,
  type PostgresTables,
  type ProjectionDefinition,
  type QueryOptions,
  type ReadModels,
  type ReadModelsOptions,
  type ReadModelStore,
  type SqliteTables,
} from '../../src/events/index.js'
import { openReadModelStore } from '../../src/drivers/open-read-models.js'
import { memoryReadModels } from '../../src/drivers/memory/read-models.js'
import { eventError } from '../../src/events/errors.js'
import type { Maybe } from '../../src/events/projections/store.js'
import type { PostgresServer } from '../support/postgres.js'

/** Sums by key: the same table on every engine. */
export interface Sums {
  create(table: string): Maybe<unknown>
  add(table: string, key: string, amount: number): Maybe<unknown>
  all(table: string): Maybe<readonly (readonly [key: string, sum: number])[]>
}

/** An engine to try everything on. */
export interface Engine {
  readonly name: string
  /** Where a fresh store is, for `store`; `clean` removes it. */
  place(): Promise<{ where: string; clean: () => Promise<void> }>
  /** A store; the same place gives another connection to the same. */
  store(where: string): Promise<ReadModelStore<unknown>>
  sums(db: unknown): Sums
}

const stores = new Map<string, ReturnType<typeof memoryReadModels>>()
let places = 0

const memory: Engine = {
  name: 'memory',
  place: () => {
    const where = `memory-${++places}`
    stores.set(where, memoryReadModels())
    return Promise.resolve({
      where,
      clean: () => {
        stores.delete(where)
        return Promise.resolve()
      },
    })
  },
  store: (where) => Promise.resolve(sharing(stores.get(where)!)),
  sums: (db) => {
    const tables = db as MemoryTables
    return {
      create: (name) => tables.create(name),
      add: (name, key, amount) => {
        const rows = tables.table<number>(name)
        rows.set(key, (rows.get(key) ?? 0) + amount)
      },
      all: (name) => tables.table<number>(name).entries(),
    }
  },
}

/** Several of one place share what is stored, and are closed each for itself. */
function sharing<Db>(store: ReadModelStore<Db>): ReadModelStore<Db> {
  let isClosed = false
  const open = (): ReadModelStore<Db> => {
    if (isClosed) throw eventError('BANYAN_READ_MODEL_CLOSED', 'the read models are closed')
    return store
  }
  return {
    engine: store.engine,
    transactional: store.transactional,
    read: async (work) => open().read(work),
    write: async (work) => open().write(work),
    close: () => {
      isClosed = true
      return Promise.resolve()
    },
  }
}

const sqlite: Engine = {
  name: 'sqlite',
  async place() {
    const where = await mkdtemp(join(tmpdir(), 'banyan-read-models-'))
    return { where: `sqlite:${where}`, clean: () => rm(where, { recursive: true, force: true }) }
  },
  store: (where) => openReadModelStore(where),
  sums: (given) => {
    const db = given as SqliteTables
    return {
      create: (table) => db.exec(`CREATE TABLE ${table} (key TEXT PRIMARY KEY, sum INTEGER NOT NULL)`),
      add: (table, key, amount) =>
        db.run(
          `INSERT INTO ${table} VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET sum = sum + excluded.sum`,
          key,
          amount,
        ),
      all: (table) =>
        db
          .all<{ key: string; sum: number }>(`SELECT * FROM ${table} ORDER BY key`)
          .map(({ key, sum }) => [key, sum]),
    }
  },
}

function postgres(server: PostgresServer): Engine {
  return {
    name: 'postgres',
    async place() {
      const where = await server.database()
      return { where, clean: () => Promise.resolve() }
    },
    store: (where) => openReadModelStore(where),
    sums: (given) => {
      const db = given as PostgresTables
      return {
        create: (table) => db.query(`CREATE TABLE ${table} (key text PRIMARY KEY, sum integer NOT NULL)`),
        add: (table, key, amount) =>
          db.query(
            `INSERT INTO ${table} AS known VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET sum = known.sum + $2`,
            [key, amount],
          ),
        all: async (table) => {
          const { rows } = await db.query<{ key: string; sum: number }>(
            `SELECT * FROM ${table} ORDER BY key COLLATE "C"`,
          )
          return rows.map(({ key, sum }) => [key, sum])
        },
      }
    },
  }
}

/** @param server - of PostgreSQL, asked when it is needed first; without it PostgreSQL is left out */
export function engines(server?: PostgresServer): Engine[] {
  return server ? [memory, sqlite, postgres(server)] : [memory, sqlite]
}

/** What tests append. */
export interface Moved {
  type: 'Moved'
  data: { by: number }
}

/** A log and a store for one test. */
export class Bench implements AsyncDisposable {
  readonly engine: Engine
  readonly log: EventLog
  readonly where: string
  readonly #clean: () => Promise<void>
  readonly #models: ReadModels<unknown>[] = []

  private constructor(engine: Engine, log: EventLog, where: string, clean: () => Promise<void>) {
    this.engine = engine
    this.log = log
    this.where = where
    this.#clean = clean
  }

  static async open(engine: Engine): Promise<Bench> {
    const { where, clean } = await engine.place()
    return new Bench(engine, await openLog('memory:'), where, clean)
  }

  /** Read models in the store; each call is another process, as far as they can tell. */
  async models(options: ReadModelsOptions = {}, log = this.log): Promise<ReadModels<unknown>> {
    const models = await openReadModels(await this.engine.store(this.where), log, options)
    this.#models.push(models)
    return models
  }

  /** Sums what accounts have moved, by stream. */
  sums(
    more: Partial<ProjectionDefinition<Moved, unknown>> = {},
    change: (event: { stream: string; data: { by: number } }) => Maybe<unknown> = () => undefined,
  ): AnyProjection<unknown> {
    const { engine } = this
    const { apply } = more
    return projection<Moved, unknown>({
      name: 'balance',
      version: 1,
      select: { category: 'account' },
      setup: ({ db, table }) => engine.sums(db).create(table('sum')),
      ...(!apply && {
        on: {
          Moved: async (event, { db, table }) => {
            await change(event)
            await engine.sums(db).add(table('sum'), event.stream, event.data.by)
          },
        },
      }),
      ...more,
    })
  }

  /** What the sums are. */
  async read(models: ReadModels<unknown>, options?: QueryOptions): Promise<Record<string, number>> {
    const all = await models.query(
      'balance',
      ({ db, table }) => this.engine.sums(db).all(table('sum')),
      options,
    )
    return Object.fromEntries(all)
  }

  /** Appends one event for each of the amounts, to an account. */
  async move(account: number, ...amounts: number[]): Promise<string> {
    const events = amounts.map((by) => ({ type: 'Moved', data: { by } }))
    const result = await this.log.append({ streams: [{ stream: `account-${account}`, events }] })
    if (!result.ok) throw new Error('not appended')
    return result.position
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#models.map((models) => models.close()))
    await this.log.close()
    await this.#clean()
  }
}

/** What a promise was rejected with. */
export async function errorOf(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  try {
    await promise
  } catch (error) {
    return error as Error
  }
  throw new Error('it was not rejected')
}
