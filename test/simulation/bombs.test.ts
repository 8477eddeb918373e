import { describe, expect, it } from 'vitest'
import { BanyanError } from '../../src/core/errors.js'
import { subscribe, topic, type RecordedEvent } from '../../src/events/index.js'
import { ledgerStream } from '../../src/events/pubsub/group/names.js'
import { readLedger } from '../../src/events/pubsub/ledger/ledger.js'
import { simulate, type NodeHandle, type World } from '../../src/testing/index.js'
import { times } from '../support/effort.js'

const KEYS = 20
const ATTEMPTS = 3
const SUBSCRIPTIONS = ['mailer', 'audit']

/** Whether a subscription's handler ends its process with it. */
const kills = ({ data }: RecordedEvent, subscription: string): boolean => data === `bomb of ${subscription}`

/** Messages some of which end whatever process handles them, for two subscriptions in each of a few processes. */
async function bombs(world: World): Promise<void> {
  const log = world.log()
  const { below, pick, chance } = world.random
  const partitions = pick([1, 4])
  const window = pick([4, 4096])
  const done = new Map(SUBSCRIPTIONS.map((name) => [name, new Set<string>()]))
  const machines: NodeHandle[] = []
  let explosions = 0
  const count = 1 + below(2)
  const places = Array.from({ length: count }, () => below(2 * KEYS))
  await topic(log.truth, 'order').publish(
    Array.from({ length: 2 * KEYS }, (_, index) => ({
      type: 'Placed',
      data: places.includes(index) ? `bomb of ${pick(SUBSCRIPTIONS)}` : 'good',
      ...(chance(0.9) && { key: `k${index % KEYS}` }),
    })),
  )
  const events: RecordedEvent[] = []
  for await (const event of log.truth.read({ category: 'order' })) events.push(event)

  for (let index = 1 + below(3); index > 0; index--) {
    const machine = world.node(`machine-${index}`, async (node) => {
      const own = node.open(log)
      for (const name of SUBSCRIPTIONS) {
        const subscription = await subscribe(own, {
          name,
          topic: 'order',
          from: 'start',
          partitions,
          window,
          attempts: ATTEMPTS,
          deadline: '5s',
          backoff: { base: '20ms', max: '100ms' },
          takeover: '3s',
          runtime: node.runtime,
        })
        subscription.handle(
          async (event) => {
            node.note(`${name} handles ${event.stream}@${event.revision}`)
            await node.sleep(below(100))
            if (kills(event, name)) {
              explosions++
              machine.crash()
              await new Promise(() => undefined)
            }
            done.get(name)!.add(event.id)
          },
          { concurrency: pick([2, 16]) },
        )
      }
      await new Promise(() => undefined)
    })
    machines.push(machine)
  }

  const parkedOf = async (name: string): Promise<Set<string>> => {
    const parked = new Set<string>()
    for (let partition = 0; partition < partitions; partition++)
      for (const { state, head, reason } of (
        await readLedger(log.truth, ledgerStream(name, partition), '0')
      ).lanes.values()) {
        if (state !== 'parked') continue
        const event = events.find(({ id }) => id === head!.id)!
        if (!kills(event, name))
          throw new Error(`${name} has given up ${event.stream}, which is innocent: ${reason}`)
        parked.add(event.id)
      }
    return parked
  }
  const isDone = async (): Promise<boolean> => {
    for (const [name, handled] of done) {
      const parked = await parkedOf(name)
      const isHeld = ({ stream, revision }: RecordedEvent): boolean =>
        events.some((other) => parked.has(other.id) && other.stream === stream && revision > other.revision)
      if (!events.every((event) => handled.has(event.id) || parked.has(event.id) || isHeld(event)))
        return false
    }
    return true
  }
  await world.storm(`${1 + below(20)}s`)
  await world.calm(isDone, '5m')
  await isDone()
  // One that nobody had noted, some that were noted along with others, and those that count.
  const most = count * (ATTEMPTS + 6)
  if (explosions > most)
    throw new BanyanError('BANYAN_TEST', `${explosions} processes were lost, not ${most}`)
  world.note(`${explosions} explosions`)
}

describe('messages that end whatever process handles them', () => {
  it('are given up, and no other message is', { timeout: 300_000 }, async () => {
    const seeds = times(50)
    const done = await simulate({
      seeds,
      run: bombs,
      faults: { crash: 0, stall: 0 },
      stepLimit: 2_000_000,
    })
    if (process.env['BANYAN_SEED'] === undefined) expect(done.seeds).toBe(seeds)
  })
})
