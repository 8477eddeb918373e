import { describe, it } from 'vitest'
import { readModelConformance } from '../../src/testing/index.js'
import { engines } from '../projections/engines.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'

const missing = postgresMissing()
const server = PostgresServer.ofSuite()

describe.each(engines(missing ? undefined : server))('a store of read models in $name', (engine) => {
  const cases = readModelConformance<unknown>({
    open: async () => {
      const { where, clean } = await engine.place()
      return { store: await engine.store(where), connect: () => engine.store(where), dispose: clean }
    },
    create: (db, table) => engine.sums(db).create(table),
    set: async (db, table, key, value) => {
      const known = (await engine.sums(db).all(table)).find(([name]) => name === key)
      await engine.sums(db).add(table, key, value - (known?.[1] ?? 0))
    },
    get: async (db, table, key) => (await engine.sums(db).all(table)).find(([name]) => name === key)?.[1],
  })
  for (const { name, run } of cases) it(name, { timeout: 300_000 }, run)
})
