// @ts-check
import { setTimeout as sleep } from 'node:timers/promises'
import { Etcd3, EtcdLockFailedError } from 'etcd3'

/** It does not wait for a lock; who wants it has to try again. */
const AGAIN_MS = 10

/** @type {import('./contestant.mjs').Contestant} */
export async function open(where) {
  const client = new Etcd3({ hosts: new URL(where).host })
  return {
    locked: async (name) => {
      const lock = client.lock(name)
      for (;;)
        try {
          await lock.acquire()
          break
        } catch (error) {
          if (!(error instanceof EtcdLockFailedError)) throw error
          await sleep(AGAIN_MS)
        }
      await lock.release()
    },
    lease: async (ttl, lost) => {
      const lease = client.lease(ttl)
      lease.on('lost', lost)
      await lease.grant()
    },
  }
}
