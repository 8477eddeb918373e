// @ts-check
/** What a client of the registry pays for 10,000 instances of one service. */
import { discover, openCoordinator } from '../dist/coordination/index.js'
import { spread, table } from './measure.mjs'

const INSTANCES = 10_000
const ROUNDS = 5

export async function registry() {
  const coordinator = await openCoordinator('memory:')
  /** @param {number} index @param {object} more */
  const put = (index, more = {}) =>
    coordinator.put(
      `banyan/services/orders/${index}`,
      JSON.stringify({
        registration: `${index}`,
        address: `http://10.0.${index >> 8}.${index & 255}:4001`,
        tags: ['v2'],
        zone: `zone-${index % 3}`,
        weight: 1 + (index % 4),
        state: 'passing',
        holder: `host-${index}:1`,
        since: 0,
        ...more,
      }),
    )
  for (let index = 0; index < INSTANCES; index++) await put(index)

  const opened = await times(1, async () => {
    const opening = discover(coordinator, 'orders')
    await opening.ready
    opening.instances()
    await opening.close()
  })
  const discovery = discover(coordinator, 'orders', { zone: 'zone-1' })
  await discovery.ready
  discovery.pick()
  const picks = await times(200_000, (count) => {
    for (let each = 0; each < count; each++) discovery.pick()
  })
  const lookups = await times(200_000, (count) => {
    for (let each = 0; each < count; each++) discovery.get(`${each % INSTANCES}`)
  })
  const changes = await times(100, async (count) => {
    for (let each = 0; each < count; each++) {
      const told = new Promise((resolve) => {
        const unsubscribe = discovery.on('change', () => {
          unsubscribe()
          resolve(undefined)
        })
      })
      await put(each, { state: each % 2 ? 'passing' : 'warning', since: each })
      await told
      discovery.pick()
    }
  })
  await discovery.close()
  await coordinator.close()
  const ns = (/** @type {number} */ ms) => `${(ms * 1e6).toFixed(0)} ns`
  const us = (/** @type {number} */ ms) => `${(ms * 1e3).toFixed(0)} µs`
  return [
    '## Registry: 10,000 instances of one service, in one process',
    'Median of 5 rounds (lowest – highest).',
    table(
      ['what', 'time'],
      [
        ['`pick()` by weight in the own zone', spread(picks, ns)],
        ['`get(id)`', spread(lookups, ns)],
        ['a change of one instance, to the next `pick()` that knows of it', spread(changes, us)],
        ['`discover` until it is ready', spread(opened, us)],
      ],
    ),
  ].join('\n\n')
}

/**
 * @param {number} count
 * @param {(count: number) => unknown} work
 * @returns ms for one, in each round
 */
async function times(count, work) {
  const found = []
  for (let round = 0; round <= ROUNDS; round++) {
    const before = performance.now()
    await work(count)
    // The first round only warms up.
    if (round > 0) found.push((performance.now() - before) / count)
  }
  return found
}
