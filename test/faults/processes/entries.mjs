// @ts-check
import { projection } from 'banyan/events'

/** The amounts of each ledger, in the order in which they were handled. A second time would be seen. */
export const entries = projection({
  name: 'ledger',
  version: 1,
  select: { category: 'ledger' },
  setup: (/** @type {any} */ { db, table }) =>
    db.query(`CREATE TABLE ${table('entry')} (ledger text PRIMARY KEY, amounts integer[] NOT NULL)`),
  on: {
    Entered: (/** @type {any} */ { stream, data }, /** @type {any} */ { db, table }) =>
      db.query(
        `INSERT INTO ${table('entry')} AS known VALUES ($1, ARRAY[$2::integer])
         ON CONFLICT (ledger) DO UPDATE SET amounts = known.amounts || $2::integer`,
        [stream, data.amount],
      ),
  },
})
