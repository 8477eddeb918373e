// @ts-check
/**
 * Makes the moves of data shards until there is nothing left to do, and ends. Prints `ready` when it has begun.
 *
 * Its argument is JSON: `where` of the coordinator, `databases`, `buckets`, `ttl` in ms, `rate` in rows a second.
 */
import { openCoordinator, openShards, runMoves } from 'banyan/coordination'

const { where, databases, buckets, ttl, rate } = JSON.parse(process.argv[2] ?? '{}')
const coordinator = await openCoordinator(where)
const shards = await openShards(coordinator, 'orders', {
  databases,
  buckets,
  tables: { items: { key: 'owner' } },
})
const runner = runMoves(coordinator, shards, { ttl, rate, page: 20, every: 50, once: true })
process.stdout.write('ready\n')
await runner.done
await shards.close()
await coordinator.close()
