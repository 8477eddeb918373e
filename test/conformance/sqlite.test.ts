import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe } from 'vitest'
import { openDriver } from '../../src/drivers/open-log.js'
import { runConformance } from './run.js'

describe('an event log in a SQLite file', () => {
  runConformance({
    capabilities: {
      driver: 'sqlite',
      order: 'log',
      atomic: 'log',
      dedupe: 'for ever',
      durable: 'fsync',
      shared: 'machine',
      transactions: false,
      backup: true,
    },
    open: async () => {
      const path = await mkdtemp(join(tmpdir(), 'banyan-conformance-'))
      const connect = (): ReturnType<typeof openDriver> => openDriver({ driver: 'sqlite', path })
      return {
        driver: await connect(),
        connect,
        openBackup: (copy) => openDriver({ driver: 'sqlite', path: copy }),
        dispose: () => rm(path, { recursive: true, force: true }),
      }
    },
  })
})
