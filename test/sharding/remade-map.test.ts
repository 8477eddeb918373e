import { expect, test } from 'vitest'
import { openCoordinator, openShards } from '../../src/coordination/index.js'
import { dataShardsKey } from '../../src/coordination/sharding/data/map.js'
import { sqlite, TABLES } from './engines.js'

test('a map that was removed and made anew for others moves no key of a router that is open', async () => {
  const { urls, clean } = await sqlite.places(1)
  const coordinator = await openCoordinator('memory:')
  const options = { databases: { a: urls[0]! }, tables: TABLES }
  const shards = await openShards(coordinator, 'items', { ...options, buckets: 64 })
  try {
    const bucket = shards.bucketOf('ann')
    await coordinator.delete(dataShardsKey('items'))
    await expect(openShards(coordinator, 'items', { ...options, buckets: 8 })).rejects.toMatchObject({
      code: 'BANYAN_SHARD_FOREIGN',
    })
    await expect(shards.write('ann', () => Promise.reject(new Error('wait for the view')))).rejects.toThrow()
    expect(shards.bucketOf('ann')).toBe(bucket)
    expect(shards.map.buckets).toBe(64)
  } finally {
    await shards.close()
    await coordinator.close()
    await clean()
  }
})
