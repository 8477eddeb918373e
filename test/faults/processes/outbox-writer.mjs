// @ts-check
/**
 * Writes numbers into a table and publishes them, until it is told to end: some transactions are rolled back. Transactions
 * of a key wait for each other. It prints "." for each that has ended.
 *
 * Its argument is JSON: `application`, where the tables are, `seed`, and `writer`, its number.
 */
import { seededRandom } from 'banyan/core'
import { openOutbox } from 'banyan/events'

const { application, seed, writer } = JSON.parse(process.argv[2] ?? '{}')
process.stdin.on('end', () => process.exit(1)).resume()
const random = seededRandom(seed)
const below = (/** @type {number} */ limit) => Math.floor(random.next() * limit)
const outbox = await openOutbox(application)
const transact = application.startsWith('sqlite:') ? await onSqlite() : await onPostgres()
let isOver = false
process.once('SIGTERM', () => (isOver = true))
process.stdout.write('ready\n')
for (let number = 0; !isOver; number++) {
  const key = `k${below(6)}`
  const end = below(5) === 0 ? 'ROLLBACK' : 'COMMIT'
  await transact(
    key,
    end,
    Array.from({ length: 1 + below(3) }, () => `${writer}/${process.pid}/${number}`),
  )
  process.stdout.write('.\n')
  await new Promise((resolve) => setTimeout(resolve, below(4)))
}
await outbox.close()
process.exit(0)

async function onSqlite() {
  const { default: SQLite } = await import('better-sqlite3')
  const database = new SQLite(application.slice('sqlite:'.length), { timeout: 10_000 })
  return async (/** @type {string} */ key, /** @type {string} */ end, /** @type {string[]} */ tags) => {
    database.exec('BEGIN IMMEDIATE')
    const row = /** @type {{ last: number }} */ (
      database.prepare('SELECT last FROM counter WHERE key = ?').get(key)
    )
    const messages = tags.map((tag, index) => message(key, row.last + 1 + index, tag))
    database.prepare('UPDATE counter SET last = ? WHERE key = ?').run(row.last + tags.length, key)
    outbox.publish(database, 'count', messages)
    await new Promise((resolve) => setTimeout(resolve, below(2)))
    database.exec(end)
  }
}

async function onPostgres() {
  const { default: pg } = await import('pg')
  const client = new pg.Client({ connectionString: application })
  await client.connect()
  return async (/** @type {string} */ key, /** @type {string} */ end, /** @type {string[]} */ tags) => {
    await client.query('BEGIN')
    const { rows } = await client.query('SELECT last FROM counter WHERE key = $1 FOR UPDATE', [key])
    const messages = tags.map((tag, index) => message(key, rows[0].last + 1 + index, tag))
    await client.query('UPDATE counter SET last = $1 WHERE key = $2', [rows[0].last + tags.length, key])
    await outbox.publish(client, 'count', messages)
    await client.query(end)
  }
}

function message(/** @type {string} */ key, /** @type {number} */ number, /** @type {string} */ tag) {
  return { type: 'Counted', key, data: { number, tag } }
}
