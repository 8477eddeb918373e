// @ts-check
import { bodyOf, problem, startService } from './service.mjs'

const { GATEWAY: gateway = '', SHIPPING_KEY: key = '' } = process.env

let shipped = 0

/** Sends parcels, and says so to the orders service, which refuses if an order is not paid any more. */
startService('shipping', async (request) => {
  if (request.method !== 'POST') return { shipped }
  const { order, customer } = await bodyOf(request)
  if (customer === 'ghost') throw problem(422, `no carrier finds ${customer}`)
  const answer = await fetch(`${gateway}/orders/${order}/ship`, {
    method: 'POST',
    // The key that it was asked with: asked again, nothing is sent twice.
    headers: { 'X-Api-Key': key, 'Idempotency-Key': String(request.headers['idempotency-key']) },
  })
  const said = /** @type {{ detail?: string, parcel?: string }} */ (await answer.json())
  if (!answer.ok) throw problem(answer.status, String(said.detail))
  shipped++
  return { parcel: said.parcel }
})
