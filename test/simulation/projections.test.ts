import { expect, it } from 'vitest'
import type { MemoryTables } from '../../src/drivers/memory/read-models.js'
import type { ReadModelStore, StoreTransaction } from '../../src/events/projections/index.js'
import { simulate, SimulationError } from '../../src/testing/index.js'
import { times } from '../support/effort.js'
import { projectorsAndReaders } from './projections.js'

const SEEDS = times(200)

it(
  'events are in read models once and in order, and reads as new as they were asked for, whatever crashes; hundreds of seeds',
  { timeout: 600_000 },
  async () => {
    const { seeds, steps } = await simulate({ seeds: SEEDS, run: (world) => projectorsAndReaders(world) })
    if (process.env['BANYAN_SEED'] !== undefined) return
    expect(seeds).toBe(SEEDS)
    expect(steps).toBeGreaterThan(1000 * SEEDS)
  },
)

type Store = ReadModelStore<MemoryTables>
type Transaction = StoreTransaction<MemoryTables>

/** A store whose transactions are not what they should be. */
function changed(store: Store, change: (transaction: Transaction) => Partial<Transaction>): Store {
  return {
    engine: store.engine,
    transactional: true,
    read: (work) => store.read(work),
    write: (work) =>
      store.write((transaction) => {
        const replaced = change(transaction)
        return work(
          new Proxy(transaction, {
            get: (target, name) => {
              const value: unknown = Reflect.get(replaced, name) ?? Reflect.get(target, name, target)
              return typeof value === 'function' ? (value.bind(target) as unknown) : value
            },
          }),
        )
      }),
    close: () => store.close(),
  }
}

const BUGS: Record<string, { store: (store: Store) => Store; found: RegExp }> = {
  'moves a checkpoint that somebody else has moved': {
    store: (store) =>
      changed(store, (transaction) => ({
        lock: async (name, version) => {
          const rows = await transaction.rows(name)
          return rows.find((row) => row.version === version)
        },
        put: async (row) => {
          const rows = await transaction.rows(row.name)
          const now = rows.find(({ version }) => version === row.version)
          await transaction.put(row, now?.revision)
        },
      })),
    found: /and the log makes it/,
  },
  'keeps the checkpoint and loses what a handler wrote': {
    store: (store) => {
      let writes = 0
      return changed(store, ({ db }) => ({
        db: {
          create: (name: string) => db.create(name),
          table: <Row>(name: string) => {
            const table = db.table<Row>(name)
            return {
              get: (key: string) => table.get(key),
              set: (key: string, row: Row) => {
                if (++writes % 20 !== 0) table.set(key, row)
              },
              delete: (key: string) => table.delete(key),
              entries: () => table.entries(),
            }
          },
        },
      }))
    },
    found: /and the log makes it/,
  },
  'keeps what a handler wrote and loses the checkpoint': {
    store: (store) => {
      let writes = 0
      return changed(store, (transaction) => ({
        put: (row, previous) => {
          const isMove = row.version > 0 && previous !== undefined && row.position !== '0'
          if (!isMove || ++writes % 20 !== 0) return transaction.put(row, previous)
        },
      }))
    },
    found: /and the log makes it/,
  },
  'shows readers tables that are older than the checkpoint': {
    store: (store) => {
      const before = new Map<string, [string, unknown][]>()
      return {
        ...changed(store, () => ({})),
        read: (work) =>
          store.read((view) => {
            const table = <Row>(name: string) => {
              const now = view.db.table<Row>(name)
              const shown = (before.get(name) ?? []) as [string, Row][]
              before.set(name, now.entries())
              return { ...now, get: () => undefined, entries: () => shown }
            }
            return work({
              rows: (name) => view.rows(name),
              parked: (name, version, query) => view.parked(name, version, query),
              describe: (tables) => view.describe(tables),
              db: { create: () => undefined, table },
            })
          }),
      }
    },
    found: /were written|and the log makes it/,
  },
}

it.each(Object.entries(BUGS))('finds a store that %s', { timeout: 300_000 }, async (_, { store, found }) => {
  const error: unknown = await simulate({
    seeds: 200,
    run: (world) => projectorsAndReaders(world, { store }),
  }).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(SimulationError)
  expect((error as SimulationError).message).toMatch(found)
})
