// @ts-check
/**
 * Runs the buckets of a projection that a shard map gives it until it is told to end. It prints "." for each batch that it has
 * handled.
 *
 * Its argument is JSON: `log`, `models` and `coordination`, where they are, and `worker`, its name.
 */
import { joinShards, openCoordinator } from 'banyan/coordination'
import { openLog, openReadModels, projection } from 'banyan/events'

const { log: where, models: place, coordination, worker } = JSON.parse(process.argv[2] ?? '{}')
process.stdin.on('end', () => process.exit(1)).resume()

const log = await openLog(where)
const models = await openReadModels(place, log)
const coordinator = await openCoordinator(coordination)
const ledger = projection({
  name: 'ledger',
  version: 1,
  buckets: 8,
  select: { category: 'ledger' },
  setup: ({ db, table }) =>
    db.exec(
      `CREATE TABLE ${table('entry')} (account TEXT, place INTEGER, amount INTEGER, PRIMARY KEY (account, place))`,
    ),
  on: {
    // Not repeatable: a second time would be seen.
    Entered(/** @type {any} */ { stream, data }, /** @type {any} */ { db, table }) {
      const count = `(SELECT count(*) FROM ${table('entry')} WHERE account = ?)`
      db.run(`INSERT INTO ${table('entry')} SELECT ?, ${count}, ?`, stream, stream, data.amount)
      if (data.amount % 16 === 0) process.stdout.write('.\n')
    },
  },
})
const shards = joinShards(coordinator, 'ledger', {
  buckets: 8,
  worker: `${worker}:${process.pid}`,
  ttl: '1s',
  settle: '50ms',
  movesAtOnce: 8,
  own: (owned) =>
    models.run(ledger, { part: owned }).ended.catch((error) => {
      // It has stood still, and another one has the bucket by now.
      if (error.code !== 'BANYAN_STALE_TOKEN') throw error
    }),
})
await shards.ready
process.once('SIGTERM', async () => {
  await shards.close()
  await models.close()
  await coordinator.close()
  process.exit(0)
})
process.stdout.write('ready\n')
