// @ts-check
import { lock, openCoordinator } from '../../dist/coordination/index.js'

/** @type {import('./contestant.mjs').Contestant} */
export async function open(port) {
  const coordinator = await openCoordinator(`etcd://127.0.0.1:${port}`)
  return {
    locked: async (name) => {
      const held = await lock(coordinator, name).acquire()
      await held.release()
    },
    put: (key, value) => coordinator.put(key, value),
    get: (key) => coordinator.get(key),
    close: () => coordinator.close(),
  }
}
