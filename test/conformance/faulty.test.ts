import { describe } from 'vitest'
import { seededRandom, systemClock } from '../../src/core/index.js'
import { faultyLog, memoryLog } from '../../src/testing/index.js'
import { runConformance } from './run.js'

describe('a log with short pages and wake-ups for nothing', () => {
  // The faults that a caller sees as an error are left out; the others may break no promise.
  const faults = { delay: 0, refuse: 0, loseAnswer: 0, failRead: 0, cutPage: 0.3, wakeForNothing: 0.3 }
  runConformance({
    capabilities: memoryLog().capabilities,
    open: () => {
      const driver = faultyLog(memoryLog(), { random: seededRandom(1), clock: systemClock, faults })
      return Promise.resolve({ driver })
    },
  })
})
