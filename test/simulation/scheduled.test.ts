import { expect, it } from 'vitest'
import { BanyanError } from '../../src/core/errors.js'
import { topic } from '../../src/events/index.js'
import { deliverScheduled } from '../../src/events/pubsub/scheduled/scheduler.js'
import { simulate, type World } from '../../src/testing/index.js'
import { times } from '../support/effort.js'

const SEEDS = times(100)
const MESSAGES = 15
/** How far the wall clocks of nodes are off, at most, in ms. */
const SKEW = 1000
const HOUR = 3_600_000

/** Messages are scheduled for the next hours on a log that fails, by and for processes that crash. */
async function schedule(world: World): Promise<void> {
  const log = world.log()
  const due = new Map<string, number>()
  const scheduled = new Set<string>()
  world.node('publisher', async (node) => {
    const reminders = topic(node.open(log), 'reminder', { runtime: node.runtime })
    for (let number = 0; number < MESSAGES; number++) {
      const id = `r${number}`
      // What was tried before a crash is tried again as it was.
      if (!due.has(id))
        due.set(id, world.clock.wall() + world.random.below(world.random.pick([500, 60_000, 3 * HOUR])))
      while (!scheduled.has(id))
        try {
          await reminders.publish({ id, type: 'Due', data: { number }, key: 'k', deliverAt: due.get(id)! })
          scheduled.add(id)
        } catch (error) {
          if (!(error instanceof BanyanError)) throw error
          await node.sleep('50ms')
        }
      await node.sleep(world.random.below(2000))
    }
  })
  for (const name of ['one', 'two'])
    world.node(name, async (node) => {
      deliverScheduled(node.open(log), node.runtime)
      await new Promise(() => undefined)
    })
  const published = async (): Promise<{ id: string; at: number }[]> => {
    const found: { id: string; at: number }[] = []
    for await (const { id, recorded } of log.truth.read({ category: 'reminder' }))
      found.push({ id, at: recorded })
    return found
  }
  await world.storm(`${5 + world.random.below(60)}s`)
  await world.calm(async () => (await published()).length === MESSAGES, '5h')
  const found = await published()
  expect(new Set(found.map(({ id }) => id)).size).toBe(MESSAGES)
  for (const { id, at } of found)
    if (at < due.get(id)! - SKEW) throw new Error(`${id} came ${due.get(id)! - at} ms early`)
}

it(
  'publishes what was scheduled once, and not before its time, whatever crashes',
  { timeout: 300_000 },
  async () => {
    const { seeds } = await simulate({ seeds: SEEDS, run: schedule, timeLimit: '8h', stepLimit: 10_000_000 })
    if (process.env['BANYAN_SEED'] === undefined) expect(seeds).toBe(SEEDS)
  },
)
