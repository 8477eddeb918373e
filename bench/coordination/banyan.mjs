// @ts-check
import { lock, openCoordinator } from '../../dist/coordination/index.js'

/** @type {Promise<import('../../dist/coordination/index.js').Coordinator> | undefined} */
let memory

/** @type {import('./contestant.mjs').Contestant} */
export async function open(where) {
  // What is in memory is one for all clients of the process.
  const coordinator = await (where === 'memory:'
    ? (memory ??= openCoordinator(where))
    : openCoordinator(where))
  return {
    locked: async (name) => {
      const held = await lock(coordinator, name).acquire()
      await held.release()
    },
    lease: async (ttl, lost) => {
      const { signal } = await coordinator.lease(ttl * 1000)
      signal.addEventListener('abort', () => lost(signal.reason))
    },
  }
}
