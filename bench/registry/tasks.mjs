// @ts-check
/** Instances and who looks for them, in processes of their own. */
import { setTimeout as sleep } from 'node:timers/promises'
import { discover, openCoordinator, register } from '../../dist/coordination/index.js'
import { runTask, told } from '../apart.mjs'
import { now, percentiles } from '../events/load.mjs'
import { lookups } from './lookups.mjs'

/** Instances registered at once. */
const AT_ONCE = 100
/** From one change to the next, in ms. */
const PAUSE = 5

/**
 * @typedef {object} Options
 * @property {string} where
 * @property {number} instances
 * @property {number} changes
 * @property {boolean} [ends] whether the engine is ended before the client is told to go on
 */

const tasks = {
  /** Registers all instances, then changes one after the other. */
  async instances(/** @type {Options} */ { where, instances, changes }) {
    const coordinator = await openCoordinator(where)
    const begun = now()
    /** @type {import('../../dist/coordination/index.js').Registration[]} */
    const registrations = []
    while (registrations.length < instances) {
      const more = Array.from({ length: AT_ONCE }, (_, each) => {
        const index = registrations.length + each
        return register(coordinator, {
          service: 'orders',
          id: String(index),
          address: `http://10.0.${index >> 8}.${index & 255}:4001`,
          tags: ['v2'],
          zone: `zone-${index % 3}`,
          weight: 1 + (index % 4),
        })
      })
      await Promise.all(more.map(({ ready }) => ready))
      registrations.push(...more)
    }
    const registering = (now() - begun) / 1000
    const discovery = discover(coordinator, 'orders')
    const seen = follow(discovery, changes)
    await discovery.ready
    await told()
    for (let change = 0; change < changes; change++) {
      void registrations[(change * 7919) % instances]?.update({ metadata: { at: now() } })
      await sleep(PAUSE)
    }
    return { registering, ...percentiles(await seen) }
  },

  /** Follows the changes; then looks for instances, when it is told that the engine is away. */
  async client(/** @type {Options} */ { where, instances, changes, ends }) {
    const coordinator = await openCoordinator(where)
    const discovery = discover(coordinator, 'orders', { zone: 'zone-1' })
    const begun = now()
    await discovery.ready
    const opening = now() - begun
    const seen = follow(discovery, changes)
    await told()
    const lags = percentiles(await seen)
    if (!ends) return { opening, ...lags }
    if (!discovery.stale) await new Promise((resolve) => discovery.on('stale', resolve))
    const found = await lookups(discovery, instances)
    return { opening, ...lags, known: discovery.instances().length, ...found }
  },
}

/** @returns {Promise<number[]>} ms from when a change was asked for until it is known here, of so many */
function follow(
  /** @type {import('../../dist/coordination/index.js').Discovery} */ discovery,
  /** @type {number} */ changes,
) {
  /** @type {number[]} */
  const lags = []
  return new Promise((resolve) =>
    discovery.on('change', ({ updated }) => {
      for (const { metadata } of updated)
        if (lags.push(now() - Number(metadata['at'])) === changes) resolve(lags)
    }),
  )
}

await runTask(import.meta.filename, tasks)
