// @ts-check
import { Etcd3 } from 'etcd3'

/** @type {import('./contestant.mjs').Contestant} */
export async function open(port) {
  const client = new Etcd3({ hosts: `127.0.0.1:${port}` })
  return {
    locked: async (name) => {
      const lock = client.lock(name)
      await lock.acquire()
      await lock.release()
    },
    put: (key, value) => client.put(key).value(value),
    get: (key) => client.get(key).string(),
    close: async () => client.close(),
  }
}
