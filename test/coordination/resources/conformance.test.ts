import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe } from 'vitest'
import { openCoordinator } from '../../../src/coordination/index.js'
import { systemClock } from '../../../src/core/clock.js'
import { MemoryCoordination } from '../../../src/drivers/memory/coordinator.js'
import { etcdMissing, EtcdServer } from '../../support/etcd.js'
import { postgresMissing, PostgresServer } from '../../support/postgres.js'
import { coordinated, runResourceApiConformance } from './run.js'

describe('resources in memory', () => {
  runResourceApiConformance(
    coordinated(() => {
      const store = new MemoryCoordination(systemClock)
      return Promise.resolve({ connect: () => openCoordinator(store.connect()) })
    }),
  )
})

describe('resources in a SQLite file', () => {
  let directory: string
  let files = 0
  beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), 'banyan-resources-'))))
  afterAll(() => rmSync(directory, { recursive: true }))
  runResourceApiConformance(
    coordinated(() => {
      const where = `sqlite:${join(directory, `${files++}`)}`
      return Promise.resolve({ connect: () => openCoordinator(where) })
    }),
  )
})

describe.skipIf(postgresMissing())('resources in PostgreSQL', () => {
  const server = PostgresServer.ofSuite({ fsync: 'off' })
  let url: string
  let schemas = 0
  beforeAll(async () => void (url = await server.database()))
  runResourceApiConformance(
    coordinated(() => {
      const where = { driver: 'postgres', url, schema: `resources_${schemas++}` } as const
      return Promise.resolve({ connect: () => openCoordinator(where) })
    }),
  )
})

describe.skipIf(etcdMissing())('resources in etcd', () => {
  let server: EtcdServer
  let trees = 0
  beforeAll(async () => void (server = await EtcdServer.start()))
  afterAll(() => server.stop())
  runResourceApiConformance(
    coordinated(() => {
      const where = `etcd://${server.endpoint}/resources${trees++}`
      return Promise.resolve({ connect: () => openCoordinator(where) })
    }),
  )
})
