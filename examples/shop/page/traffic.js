import { $, element, everySecond } from './dom.js'

const ms = (value) =>
  value === undefined ? '–' : value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`

const classOf = (outcome) =>
  outcome < 400 ? 'ok' : outcome === '503' || outcome === '429' ? 'refused' : 'failed'

function showTraffic(on) {
  $('traffic').textContent = on ? 'on: 100 requests a second' : 'off'
  $('traffic').setAttribute('aria-pressed', String(on))
}

/** What clients got in the last second: a bar for each service, a part for each status. */
function showClients(books, on) {
  const rows = Object.entries(books)
    .sort()
    .map(([service, outcomes]) => {
      const parts = Object.entries(outcomes)
        .sort()
        .map(([outcome, count]) => {
          const part = element('span', `${count} × ${outcome}`, classOf(outcome))
          part.style.flex = count
          return part
        })
      return element('div', [element('span', service), element('div', parts, 'bar')], 'books')
    })
  // In a second in which nothing has ended, what was before stays.
  if (rows.length > 0 || !on) $('clients').replaceChildren(...rows)
}

function showServices(services) {
  const rows = Object.entries(services).flatMap(([name, service]) =>
    service.endpoints.map((endpoint, index) => {
      const breaker = (endpoint.breaker ?? service.breaker)?.state ?? ''
      return element('tr', [
        element('td', index === 0 ? name : ''),
        element('td', endpoint.url.replace('http://', '')),
        element('td', endpoint.rate.toFixed(1), 'number'),
        element('td', `${(endpoint.failureRate * 100).toFixed(0)} %`, 'number'),
        element('td', ms(endpoint.p50), 'number'),
        element('td', ms(endpoint.p99), 'number'),
        element('td', breaker || '–', breaker),
      ])
    }),
  )
  $('services').replaceChildren(...rows)
}

$('traffic').addEventListener('click', async () => {
  const { traffic } = await (await fetch('/shop/traffic', { method: 'POST' })).json()
  showTraffic(traffic)
})
everySecond(async () => {
  const { services, clients, traffic } = await (await fetch('/shop/live')).json()
  showTraffic(traffic)
  showClients(clients, traffic)
  showServices(services)
})
