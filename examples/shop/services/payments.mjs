// @ts-check
import { setTimeout as wait } from 'node:timers/promises'
import { problem, startService } from './service.mjs'

/** What share of the calls fails, and of the rest, what share takes much longer than usual. */
let failing = Number(process.env['FAILING'] ?? 0.2)
const slow = 0.05

startService('payments', async (request, url) => {
  // PUT /payments/failing/0.9 makes it worse from outside the gateway, which passes only GET and POST on.
  const share = /^\/payments\/failing\/(0|1|0?\.\d+)$/.exec(url.pathname)?.[1]
  if (request.method === 'PUT' && share) {
    failing = Number(share)
    return { failing }
  }
  await wait(Math.random() < slow ? 400 : 5 + Math.random() * 10)
  if (Math.random() < failing) throw problem(503, 'the payment provider is not available')
  return { paid: true, reference: Math.random().toString(36).slice(2, 10) }
})
