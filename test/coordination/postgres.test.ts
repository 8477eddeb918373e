import { beforeAll, describe, it } from 'vitest'
import { systemClock } from '../../src/core/clock.js'
import type { CoordinatorDriver } from '../../src/coordination/driver.js'
import { openCoordinatorDriver } from '../../src/drivers/open-coordinator.js'
import {
  coordinatorConformance,
  type ConformanceCase,
  type CoordinatorUnderTest,
  type EngineFaults,
} from '../../src/testing/index.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'

describe.skipIf(postgresMissing())('a coordinator in PostgreSQL', () => {
  const server = PostgresServer.ofSuite()

  // Crashes of the server are for all, lost connections for all of a database, an event loop that is blocked for all of the
  // process; and who must renew in time is not kept from it by others.
  const alone = /blocked event loop|is renewed is kept|cannot renew/
  const sharing = conformance(['compact'], () => openSchema()).filter(
    ({ name, skip }) => skip === undefined && !alone.test(name),
  )
  describe('side by side', () => {
    for (const { name, run } of sharing) it.concurrent(name, run)
  })
  describe('one by one', () => {
    const names = new Set(sharing.map(({ name }) => name))
    for (const { name, run } of conformance(['compact', 'restart', 'cut', 'away'], openDatabase))
      if (!names.has(name)) it(name, run)
  })

  let url: string
  let schemas = 0
  beforeAll(async () => {
    url = await server.database()
  })

  async function openSchema(where = url): Promise<CoordinatorUnderTest & { faults: EngineFaults }> {
    const schema = `keys_${schemas++}`
    const spec = { driver: 'postgres', url: where, schema } as const
    const connect = (): Promise<CoordinatorDriver> => openCoordinatorDriver(spec, { clock: systemClock })
    const compact = async (): Promise<void> => {
      const head = `(SELECT revision FROM ${schema}.reached)`
      await server.query(`UPDATE ${schema}.coordination SET compactable = ${head}`, [], where)
      await server.query(`SELECT ${schema}.compact(5000)`, [], where)
    }
    return { driver: await connect(), connect, faults: { compact } }
  }

  async function openDatabase(): Promise<CoordinatorUnderTest> {
    const where = await server.database()
    const database = new URL(where).pathname.slice(1)
    const cut = async (): Promise<void> => {
      const others = 'datname = $1 AND pid <> pg_backend_pid()'
      await server.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${others}`, [database])
    }
    const allow = async (allowed: boolean): Promise<void> => {
      await server.query('UPDATE pg_database SET datallowconn = $1 WHERE datname = $2', [allowed, database])
    }
    const opened = await openSchema(where)
    return {
      ...opened,
      faults: {
        ...opened.faults,
        restart: async () => {
          await server.crash()
          await server.restart()
        },
        cut,
        away: async () => {
          await allow(false)
          await cut()
          return () => allow(true)
        },
      },
    }
  }
})

function conformance(
  faults: readonly (keyof EngineFaults)[],
  open: () => Promise<CoordinatorUnderTest>,
): ConformanceCase[] {
  return coordinatorConformance({
    capabilities: {
      driver: 'postgres',
      shared: 'network',
      durable: 'power loss',
      minTtl: 2000,
      maxTtl: 24 * 3600 * 1000,
    },
    faults,
    open,
  })
}
