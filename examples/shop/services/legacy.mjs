// @ts-check
import pg from 'pg'
import { captureChanges, openLog } from 'banyan/events'
import { problem, startService } from './service.mjs'

const { SHOP_POSTGRES: from = '', SHOP_DATA: directory = 'data' } = process.env

// An old system, of which nobody dares to change anything: a table, and people who type prices into it.
const old = new pg.Pool({ connectionString: from, max: 2 })
old.on('error', (error) => console.error(`legacy: ${error.message}`))

const log = await openLog(`sqlite:${directory}`)
const capture = await open().catch((/** @type {Error} */ error) => {
  console.error(`legacy: cannot use the database of SHOP_POSTGRES: ${error.message}`)
  process.exit(1)
})

startService(
  'legacy',
  async (request, url) => {
    const [, , sku = '', price = ''] = url.pathname.split('/')
    // PUT /legacy/fig/30: what somebody does there.
    if (request.method === 'PUT' && /^\d{1,6}$/.test(price)) {
      const { rowCount } = await old.query('UPDATE shop_price SET price = $1 WHERE sku = $2', [price, sku])
      if (rowCount === 0) throw problem(404, `there is no ${sku}`)
    }
    const { rows } = await old.query('SELECT * FROM shop_price ORDER BY sku')
    const { state, error } = capture.status()
    return { prices: rows, capture: { state, error } }
  },
  async () => {
    await capture.close()
    await Promise.all([old.end(), log.close()])
  },
)

/** What is done to the table becomes events of the topic `price`: the catalogue follows them. */
async function open() {
  await old.query(
    'CREATE TABLE IF NOT EXISTS shop_price (sku text PRIMARY KEY, price integer NOT NULL, supplier text NOT NULL)',
  )
  await old.query(
    `INSERT INTO shop_price VALUES ('fig', 24, 'Ficus & Sons'), ('banyan', 39, 'Kolkata Garden'), ('root', 7, 'Ficus & Sons')
     ON CONFLICT DO NOTHING`,
  )
  return captureChanges({
    ...{ from, name: 'shop', log },
    tables: { 'public.shop_price': { topic: 'price' } },
    // Another database than last time, as with --postgres: the log is brought to what that holds.
    resnapshotOn: ['slot-lost'],
  })
}
