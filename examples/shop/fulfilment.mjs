// @ts-check
import { answered, saga, terminal } from 'banyan/events'

const { GATEWAY: gateway = '', FULFILMENT_KEY: key = '' } = process.env
/** How long packing takes, in ms; until then the customer can think better of it. */
const PACKING = Number(process.env['PACKING'] ?? 10_000)

/**
 * What becomes of an order: stock is reserved, the card charged, the parcel sent. If one of that cannot be done, what was done
 * before is undone, the last first. Every call goes through the gateway and its policies, and has a key that is the same for
 * each of its tries: so no card is charged twice, whoever is killed meanwhile.
 *
 * The node runs it: `sagas` in banyan.yaml. The orders service starts one for each order.
 */
export const fulfilment = saga({
  name: 'fulfilment',
  timeout: '5s',
  attempts: 20,
  backoff: { base: '500ms', max: '5s' },
  /** @param {{ order: string }} input */
  async run({ order }, { step, sleep }) {
    const { sku, customer } = await step('order', {
      run: (call) => placed(order, call),
      compensate: (call) => post(`/orders/${order}/close`, {}, call),
    })
    const { price } = await step('price', (call) => get(`/catalog/${sku}`, call))
    await step('reserve', {
      run: (call) => post('/inventory/reserve', { order, sku }, call),
      compensate: (call) => post('/inventory/release', { order }, call),
    })
    await step('charge', {
      run: (call) => post('/payments/charge', { order, customer, amount: price }, call),
      compensate: (call) => post('/payments/refund', { order }, call),
    })
    await step('pay', (call) => post(`/orders/${order}/pay`, {}, call))
    await sleep(PACKING)
    return step('ship', {
      // Refused if the order is not paid any more.
      run: (call) => post('/shipping/parcels', { order, customer }, call),
      // Needed only if nobody knows whether it was sent. It comes before the money is given back.
      compensate() {
        throw terminal('the parcel may be on its way: call it back, then skip this')
      },
    })
  },
})

/**
 * @param {string} order
 * @param {import('banyan/events').StepContext} call
 */
async function placed(order, call) {
  const found = await get(`/orders/${order}`, call)
  if (found.status !== 'placed') throw terminal(`the order is ${found.status}`)
  return found
}

/**
 * @param {string} path
 * @param {import('banyan/events').StepContext} call
 */
function get(path, { signal }) {
  return answer(fetch(`${gateway}${path}`, { signal }))
}

/**
 * @param {string} path
 * @param {object} body
 * @param {import('banyan/events').StepContext} call
 */
function post(path, body, { idempotencyKey, signal }) {
  const headers = { 'Content-Type': 'application/json', 'X-Api-Key': key, 'Idempotency-Key': idempotencyKey }
  return answer(fetch(`${gateway}${path}`, { method: 'POST', headers, body: JSON.stringify(body), signal }))
}

/**
 * What a service says, without what tells which process it was; a status that is none of success is a failure, of the class
 * that it stands for.
 *
 * @param {Promise<Response>} response
 */
async function answer(response) {
  const { servedBy, ...said } = /** @type {any} */ (await (await answered(await response)).json())
  return said
}
