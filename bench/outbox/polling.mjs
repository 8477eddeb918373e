// @ts-check
/** The outbox as it is usually written by hand: rows that are marked when they were published, looked for now and then. */
import pg from 'pg'
import { topic } from '../../dist/events/index.js'
import { application } from './application.mjs'
import { now } from '../events/load.mjs'
import { message, TOPIC } from './contestant.mjs'

const BATCH = 100
const TABLE = `CREATE TABLE IF NOT EXISTS outbox (
  id bigserial PRIMARY KEY, topic text NOT NULL, key text NOT NULL, type text NOT NULL, payload jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(), published_at timestamptz
);
CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (id) WHERE published_at IS NULL`

/** @returns {Promise<import('./contestant.mjs').Contestant>} */
export async function open(/** @type {string} */ where, /** @type {{ pause: number }} */ { pause }) {
  const own = new pg.Pool({ connectionString: where, max: 2 })
  await own.query(TABLE).catch(() => undefined)
  const { enter, close } = await application(where, async (transaction, messages) => {
    const client = /** @type {pg.PoolClient} */ (transaction)
    const places = messages.map(
      (_, index) => `($${index * 4 + 1}, $${index * 4 + 2}, $${index * 4 + 3}, $${index * 4 + 4})`,
    )
    await client.query(
      `INSERT INTO outbox (topic, key, type, payload) VALUES ${places.join(', ')}`,
      messages.flatMap(({ key, type, data }) => [TOPIC, key, type, JSON.stringify(data)]),
    )
  })
  let over = false
  return {
    enter: (number) => enter(number, () => [message(number, now())]),
    enterMany: (messages) => enter(0, () => messages),
    relay(log) {
      const published = topic(log, TOPIC)
      const look = async () => {
        while (!over) {
          const count = await publishSome(own, published)
          if (count < BATCH) await new Promise((resolve) => setTimeout(resolve, pause))
        }
      }
      void look()
    },
    async waiting() {
      const { rows } = await own.query(
        'SELECT EXISTS (SELECT FROM outbox WHERE published_at IS NULL) AS some',
      )
      return rows[0].some ? 1 : 0
    },
    async close() {
      over = true
      await close()
    },
  }
}

/**
 * @param {pg.Pool} pool
 * @param {import('../../dist/events/index.js').Topic<any>} published
 */
async function publishSome(pool, published) {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    const { rows } = await client.query(
      `SELECT id, key, type, payload FROM outbox WHERE published_at IS NULL ORDER BY id LIMIT ${BATCH} FOR UPDATE SKIP LOCKED`,
    )
    await Promise.all(
      rows.map(({ id, key, type, payload }) =>
        published.publish({ id: `outbox-${id}`, key, type, data: payload }),
      ),
    )
    await client.query('UPDATE outbox SET published_at = now() WHERE id = ANY($1)', [
      rows.map(({ id }) => id),
    ])
    await client.query('COMMIT')
    return rows.length
  } finally {
    client.release()
  }
}
