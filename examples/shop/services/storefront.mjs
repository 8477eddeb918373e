// @ts-check
import { openLog, subscriptions } from 'banyan/events'
import { startTraffic } from '../traffic.mjs'
import { problem, startService } from './service.mjs'

const { GATEWAY: gateway = '', ADMIN: admin = '', NOTIFICATIONS: notifications = '' } = process.env

// How far a subscription is stands in the log: whoever has that open can see it, and let it go on.
const log = await openLog(`sqlite:${process.env['SHOP_DATA'] ?? 'data'}`)
const operator = subscriptions(log)

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
      case 'POST /shop/mend':
        await fetch(`${notifications}/notifications/addresses/nobody`, { method: 'PUT' })
        return { redriven: await operator.redrive('notifications', 'all') }
      default:
        throw problem(404, 'there is nothing here')
    }
  },
  () => log.close(),
)
