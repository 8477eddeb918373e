// @ts-check
import { Redis } from 'ioredis'
import Redlock from 'redlock'

const TTL_MS = 10_000

/** @type {import('./contestant.mjs').Contestant} */
export async function open(where) {
  const redis = new Redis(where)
  // For ever, and not ten times; all else as it is.
  const redlock = new Redlock([redis], { retryCount: -1 })
  return {
    locked: async (name) => {
      const lock = await redlock.acquire([name], TTL_MS)
      await lock.release()
    },
  }
}
