import { describe } from 'vitest'
import { memoryLog } from '../../src/drivers/memory/log.js'
import { runConformance } from './run.js'

describe('an event log in memory', () => {
  runConformance({
    capabilities: memoryLog().capabilities,
    open: () => Promise.resolve({ driver: memoryLog() }),
  })
})
