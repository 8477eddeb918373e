import Database from 'better-sqlite3'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe } from 'vitest'
import { systemClock } from '../../src/core/clock.js'
import type { CoordinatorDriver } from '../../src/coordination/driver.js'
import { openSqliteCoordinator } from '../../src/drivers/sqlite/coordinator/driver.js'
import { runCoordinatorConformance } from './run.js'

describe('a coordinator in a SQLite file', () => {
  runCoordinatorConformance({
    capabilities: {
      driver: 'sqlite',
      shared: 'machine',
      durable: 'power loss',
      minTtl: 100,
      maxTtl: 86_400_000,
    },
    faults: ['compact', 'away'],
    open: async () => {
      const path = mkdtempSync(join(tmpdir(), 'banyan-coordination-'))
      const connect = (): Promise<CoordinatorDriver> =>
        openSqliteCoordinator({ driver: 'sqlite', path }, { clock: systemClock })
      const driver = await connect()
      const tool = new Database(join(path, 'coordination.db'))
      return {
        driver,
        connect,
        faults: {
          compact: async () => {
            const head = await driver.head()
            tool.prepare('UPDATE store SET compacted = @head, revision = @head').run({ head })
            tool.prepare('DELETE FROM changes WHERE revision <= ?').run(head)
          },
          // Somebody begins a change, and is stopped in the middle of it.
          away: () => {
            tool.exec('BEGIN IMMEDIATE')
            return Promise.resolve(() => Promise.resolve(void tool.exec('ROLLBACK')))
          },
        },
        dispose: () => {
          tool.close()
          rmSync(path, { recursive: true })
          return Promise.resolve()
        },
      }
    },
  })
})
