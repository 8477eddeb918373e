import { describe } from 'vitest'
import { systemClock } from '../../src/core/clock.js'
import { MemoryCoordination, memoryCoordinator } from '../../src/drivers/memory/coordinator.js'
import { runCoordinatorConformance } from './run.js'

describe('a coordinator in memory', () => {
  runCoordinatorConformance({
    capabilities: memoryCoordinator({ clock: systemClock }).capabilities,
    faults: ['compact'],
    open: () => {
      const store = new MemoryCoordination(systemClock)
      return Promise.resolve({
        driver: store.connect(),
        connect: () => Promise.resolve(store.connect()),
        faults: {
          compact: () => {
            store.compact()
            return Promise.resolve()
          },
        },
      })
    },
  })
})
