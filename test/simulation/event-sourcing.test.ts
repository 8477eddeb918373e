import { expect, it } from 'vitest'
import { memorySnapshots, type SnapshotStore } from '../../src/events/index.js'
import { simulate, SimulationError, type World } from '../../src/testing/index.js'
import { BUGS } from '../conformance/bugs.js'
import { sharedMemorySetup } from '../conformance/shared-memory.js'
import { times } from '../support/effort.js'
import { commandsOnAccounts } from './event-sourcing-scenario.js'

async function failure(run: (world: World) => Promise<void>): Promise<string> {
  const error: unknown = await simulate({ seeds: 300, run }).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(SimulationError)
  return (error as SimulationError).message
}

it(
  'commands take effect once, on the true state, over hundreds of seeds; so do undo and redo, with snapshots and without',
  { timeout: 300_000 },
  async () => {
    const { seeds, steps } = await simulate({ seeds: times(200), run: (world) => commandsOnAccounts(world) })
    if (process.env['BANYAN_SEED'] !== undefined) return
    expect(seeds).toBe(times(200))
    expect(steps).toBeGreaterThan(100 * seeds)
  },
)

it('finds a log that forgets ids', async () => {
  const { bug } = BUGS['forgets ids']!
  const message = await failure(async (world) => {
    const { driver } = await sharedMemorySetup(bug, {}).open()
    await commandsOnAccounts(world, { driver })
  })
  expect(message).toMatch(
    /is in the log twice|was answered with|should have led to|must be refused|nobody was told/,
  )
})

it('finds snapshots that lie', async () => {
  const message = await failure(async (world) => {
    const store = memorySnapshots()
    const snapshots: SnapshotStore = {
      ...store,
      async read(stream) {
        const found = await store.read(stream)
        return found && { ...found, state: found.state.replace(/"balance":(\d+)/, '"balance":1$1') }
      },
    }
    await commandsOnAccounts(world, { snapshots })
  })
  expect(message).toMatch(/should have led to|must be refused|with snapshots/)
})
