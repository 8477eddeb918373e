// @ts-check
import { Agent, request } from 'node:http'

/** How many customers order, in turn. */
const VISITORS = 200

/**
 * Clients of the shop: read the catalog, pay, order now and then, and keep the books on what they get.
 *
 * @param {{ url: string, perSecond: number }} options
 */
export function startTraffic({ url, perSecond }) {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 })
  /** @type {Record<string, Record<string, number>>} */
  let outcomes = {}
  /** @param {string} method @param {string} path */
  const send = (method, path) => {
    const name = path.split('/')[1] ?? ''
    /** @param {string} outcome */
    const count = (outcome) => {
      const books = (outcomes[name] ??= {})
      books[outcome] = (books[outcome] ?? 0) + 1
    }
    const outgoing = request(new URL(path, url), { method, agent, timeout: 5_000 }, (response) => {
      response.resume()
      response.on('end', () => count(String(response.statusCode)))
      response.on('error', () => count('broken'))
    })
    outgoing.on('timeout', () => outgoing.destroy(new Error('timeout')))
    outgoing.on('error', (error) => count(error.message === 'timeout' ? 'timeout' : 'unreachable'))
    outgoing.end()
  }
  let sent = 0
  const startedAt = performance.now()
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - startedAt) / 1000) * perSecond)
    for (; sent < due; sent++) {
      if (sent % 20 === 7) send('POST', `/orders/fig?customer=visitor-${Math.floor(sent / 20) % VISITORS}`)
      else if (sent % 3 === 2) send('POST', '/payments/charge')
      else send('GET', ['/catalog/', '/catalog/fig', '/catalog/banyan'][sent % 3] ?? '/catalog/')
    }
  }, 20)
  return {
    /** What clients got since the last look: counts by service and status. */
    take() {
      const taken = outcomes
      outcomes = {}
      return taken
    },
    stop() {
      clearInterval(timer)
      agent.destroy()
    },
  }
}

if (process.argv[1] === import.meta.filename) {
  const [url = 'http://127.0.0.1:8080', rate = '100'] = process.argv.slice(2)
  const traffic = startTraffic({ url, perSecond: Number(rate) })
  console.log(`${rate} requests a second to ${url}; what clients got, second by second (Ctrl-C stops)`)
  setInterval(() => {
    const line = Object.entries(traffic.take())
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(
        ([name, books]) =>
          `${name}: ${Object.entries(books)
            .map(([status, count]) => `${count} x ${status}`)
            .join(', ')}`,
      )
      .join('   ')
    console.log(line || 'nothing')
  }, 1_000)
}
