// @ts-check
import { openLog, sagas, subscriptions } from 'banyan/events'
import { startTraffic } from '../traffic.mjs'
import { problem, startService } from './service.mjs'

const { GATEWAY: gateway = '', ADMIN: admin = '' } = process.env
const { NOTIFICATIONS: notifications = '', PAYMENTS: payments = '', HISTORY: history = '' } = process.env

// How far subscriptions and sagas are stands in the log: whoever has that open can see it, and let them go on.
const log = await openLog(`sqlite:${process.env['SHOP_DATA'] ?? 'data'}`)
const operator = subscriptions(log)
const all = sagas(log)

/** @type {ReturnType<typeof startTraffic> | undefined} */
let traffic

/** What the page shows of the inside: what the gateway sees, what is parked. And what it lets people do there. */
startService(
  'storefront',
  async (request, url) => {
    switch (`${request.method} ${url.pathname}`) {
      case 'GET /shop/live': {
        const { services } = /** @type {any} */ (await (await fetch(`${admin}/api/state`)).json())
        return { services, clients: traffic?.take() ?? {}, traffic: traffic !== undefined }
      }
      case 'POST /shop/traffic':
        if (traffic) traffic.stop()
        traffic = traffic ? undefined : startTraffic({ url: gateway, perSecond: 100 })
        return { traffic: traffic !== undefined }
      case 'GET /shop/notifications':
        return operator.status('notifications', { lanes: 5 })
      case 'GET /shop/sagas':
        return { parked: await parkedSagas() }
      case 'POST /shop/mend':
        await fetch(`${notifications}/notifications/addresses/nobody`, { method: 'PUT' })
        await fetch(`${payments}/payments/accounts/ghost`, { method: 'PUT' })
        for (const { id } of await parkedSagas()) await all.retry(id, { actor: 'the page' })
        return { redriven: await operator.redrive('notifications', 'all') }
      case 'POST /shop/files/2':
      case 'POST /shop/files/3':
        return resized(await fetch(`${history}/history/files/${url.pathname.at(-1)}`, { method: 'PUT' }))
      default: {
        const [, , what, order] = url.pathname.split('/')
        if (request.method === 'GET' && what === 'fulfilment' && order) return fulfilmentOf(order)
        throw problem(404, 'there is nothing here')
      }
    }
  },
  () => log.close(),
)

/** @param {Response} answer */
async function resized(answer) {
  const { detail, servedBy, ...said } = /** @type {any} */ (await answer.json())
  if (!answer.ok) throw problem(answer.status, detail)
  return said
}

async function parkedSagas() {
  const found = []
  for await (const one of all.list({ status: 'parked', limit: 20 })) found.push(one)
  return found
}

/** @param {import('banyan/events').SagaStepView} step */
function stepOf({ kind, name, status, compensable, compensated, tries }) {
  const tried = tries.run + tries.compensate
  return {
    name: kind === 'timer' ? 'packing' : name,
    status: compensable && compensated ? 'undone' : status,
    tried,
  }
}

/** @param {string} order */
async function fulfilmentOf(order) {
  try {
    const { status, failure, parked, steps } = await all.show(`fulfilment/${order}`)
    return { saga: status, why: parked?.reason ?? failure?.error.message, steps: steps.map(stepOf) }
  } catch (error) {
    // It was placed a moment ago.
    const { code, message } = /** @type {{ code?: string, message: string }} */ (error)
    throw code === 'BANYAN_SAGA_UNKNOWN' ? problem(404, message) : error
  }
}
