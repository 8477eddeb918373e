// @ts-check
/**
 * Writes rows of its own keys to data shards: inserts, updates, deletions, other primary keys. Until SIGTERM; then it prints the
 * rows that must be there, as JSON, and ends.
 *
 * Prints `ready` when it has written for the first time. Its argument is JSON: `where` of the coordinator, `databases`, `buckets`,
 * and its `id`.
 */
import { openCoordinator, openShards } from 'banyan/coordination'
import { setTimeout as sleep } from 'node:timers/promises'

const { where, databases, buckets, id } = JSON.parse(process.argv[2] ?? '{}')
const coordinator = await openCoordinator(where)
/** @type {import('banyan/coordination').Shards<any>} */
const shards = await openShards(coordinator, 'orders', {
  databases,
  buckets,
  weights: Object.fromEntries(Object.keys(databases).map((shard) => [shard, shard === 'a' ? 1 : 0])),
  tables: { items: { key: 'owner' } },
  wait: '60s',
})
const keys = Array.from({ length: 8 }, (_, index) => `${id}-${index}`)
/** @type {Map<string, [string, number]>} */
const rows = new Map()
let isToEnd = false
process.once('SIGTERM', () => (isToEnd = true))

/**
 * @param {any} db
 * @param {string} sql
 * @param {unknown[]} values
 */
const run = (db, sql, ...values) => {
  if (shards.engine === 'sqlite') return db.run(sql, ...values)
  let count = 0
  return db.query(
    sql.replace(/\?/g, () => `$${++count}`),
    values,
  )
}

for (let count = 0; !isToEnd; count++) {
  const owner = /** @type {string} */ (keys[count % keys.length])
  const own = [...rows].find(([, [whose]]) => whose === owner)?.[0]
  const kind = own === undefined ? 0 : Math.floor(count / keys.length) % 5
  const row = `${id}-${count}`
  await shards.write(owner, (db) => {
    if (kind < 2) return run(db, 'INSERT INTO items (id, owner, amount) VALUES (?, ?, ?)', row, owner, count)
    if (kind === 2) return run(db, 'UPDATE items SET amount = ? WHERE id = ?', count, own)
    if (kind === 3) return run(db, 'UPDATE items SET id = ? WHERE id = ?', row, own)
    return run(db, 'DELETE FROM items WHERE id = ?', own)
  })
  if (kind < 2) rows.set(row, [owner, count])
  else if (kind === 2) rows.set(/** @type {string} */ (own), [owner, count])
  else {
    const [, amount] = rows.get(/** @type {string} */ (own)) ?? [owner, 0]
    rows.delete(/** @type {string} */ (own))
    if (kind === 3) rows.set(row, [owner, amount])
  }
  if (count === 0) process.stdout.write('ready\n')
  // SQLite answers at once: without a pause nothing else would run here, signals included.
  await sleep(2)
}
process.stdout.write(`${JSON.stringify([...rows].map(([row, [owner, amount]]) => [row, owner, amount]))}\n`)
await shards.close()
await coordinator.close()
