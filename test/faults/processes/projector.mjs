// @ts-check
/**
 * Runs a projection until it is told to end. It prints "." for each batch that it has handled.
 *
 * Its argument is JSON: `log` and `models`, where they are, and `takeover`, in ms.
 */
import { openLog, openReadModels, projection } from 'banyan/events'

const { log: where, models: place, takeover = 200 } = JSON.parse(process.argv[2] ?? '{}')
process.stdin.on('end', () => process.exit(1)).resume()

const isSqlite = place.startsWith('sqlite:')
const log = await openLog(where)
const models = await openReadModels(place, log)
const projector = models.run(
  projection({
    name: 'ledger',
    version: 1,
    select: { category: 'ledger' },
    setup: ({ db, table }) => run(db, `CREATE TABLE ${table('entry')} (place integer, amount integer)`, []),
    on: {
      // Not repeatable: a second time would be seen.
      async Entered(/** @type {any} */ { data }, { db, table }) {
        const count = `(SELECT count(*) FROM ${table('entry')})`
        await run(db, `INSERT INTO ${table('entry')} SELECT ${count}, ${isSqlite ? '?' : '$1::integer'}`, [
          data.amount,
        ])
        if (data.amount % 16 === 0) process.stdout.write('.\n')
      },
    },
  }),
  { takeover, batch: 64 },
)
process.once('SIGTERM', () => void models.close().then(() => process.exit(0)))
process.stdout.write('ready\n')
projector.ended.catch((error) => {
  process.stderr.write(`${error.stack}\n`)
  process.exit(2)
})

function run(/** @type {any} */ db, /** @type {string} */ sql, /** @type {unknown[]} */ values) {
  return isSqlite ? db.run(sql, ...values) : db.query(sql, values)
}
