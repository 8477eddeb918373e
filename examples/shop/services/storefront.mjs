// @ts-check
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { startTraffic } from '../traffic.mjs'

const { PORT: port, GATEWAY: gateway = '', ADMIN: admin = '' } = process.env
const page = readFileSync(new URL('../page.html', import.meta.url))

/** @type {ReturnType<typeof startTraffic> | undefined} */
let traffic

/** The page of the shop: shows what the gateway sees and what clients get, and switches the traffic on and off. */
const server = createServer((request, response) => {
  void (async () => {
    request.resume()
    const path = (request.url ?? '/').split('?')[0]
    if (path === '/') {
      response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' }).end(page)
    } else if (path === '/live') {
      const state = await fetch(`${admin}/api/state`).then(
        (answer) => answer.json(),
        () => undefined,
      )
      json(200, { state, clients: traffic?.take() ?? {}, traffic: traffic !== undefined })
    } else if (path === '/traffic' && request.method === 'POST') {
      if (traffic) traffic.stop()
      traffic = traffic ? undefined : startTraffic({ url: gateway, perSecond: 100 })
      json(200, { traffic: traffic !== undefined })
    } else {
      json(404, { error: 'there is nothing here' })
    }
    /** @param {number} status @param {unknown} value */
    function json(status, value) {
      response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(value))
    }
  })()
})

server.listen(Number(port), '127.0.0.1', () => process.send?.('ready'))
process.on('SIGTERM', () => process.exit(0))
process.on('SIGINT', () => undefined)
process.on('disconnect', () => process.exit(0))
