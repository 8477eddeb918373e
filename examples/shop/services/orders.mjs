// @ts-check
import { randomUUID } from 'node:crypto'
import { append, read } from './events.mjs'
import { startService } from './service.mjs'

/** Takes orders, and tells how they are. It keeps nothing itself: an order is what has happened to it. */
startService('orders', async (request, url) => {
  const [, , what = ''] = url.pathname.split('/')
  if (request.method === 'POST') {
    if (!what) throw { status: 404, detail: 'say what to order: POST /orders/fig' }
    const order = randomUUID()
    const placed = { id: `${order}/placed`, type: 'OrderPlaced', data: { sku: what } }
    await append(`order-${order}`, placed, 'none')
    return { order, status: 'placed' }
  }
  const events = await read(`order-${what}`)
  if (events.length === 0) throw { status: 404, detail: `there is no order ${what}` }
  return events.reduce((order, { type, time, data }) => {
    if (type === 'OrderPlaced') return { ...order, ...data, status: 'placed', placed: time }
    if (type === 'OrderShipped') return { ...order, ...data, status: 'shipped', shipped: time }
    return order
  }, /** @type {object} */ ({ order: what }))
})
