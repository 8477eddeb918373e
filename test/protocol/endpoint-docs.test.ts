import { afterEach, expect, test } from 'vitest'
import { FleetMember, until } from '../support/fleet.js'
import { startExample } from '../support/example.js'
import { closeAll } from '../support/gateway.js'

afterEach(closeAll)

const freePort = (yaml: string): string => yaml.replace('listen: 127.0.0.1:8080', 'listen: 127.0.0.1:0')

test('the example of health checks takes an endpoint out that fails them', async () => {
  const fleet = await Promise.all([FleetMember.open(), FleetMember.open()])
  fleet[0].health = 503
  const { node, ports } = await startExample('traffic/health-checks.md', {
    env: { ORDERS_1: fleet[0].url, ORDERS_2: fleet[1].url },
    edit: (yaml) =>
      freePort(yaml).replace('interval: 2s', 'interval: 200ms').replace('timeout: 500ms', 'timeout: 200ms'),
  })
  await until(() => node.state().services['orders']!.health.unhealthy === 1)
  for (let each = 0; each < 4; each++)
    expect((await fetch(`http://127.0.0.1:${ports[0]}/orders/1`)).status).toBe(200)
  expect(fleet.map(({ requests }) => requests)).toEqual([0, 4])
})

test('the example of outlier ejection ejects one of three', async () => {
  const fleet = await Promise.all([FleetMember.open(), FleetMember.open(), FleetMember.open()])
  fleet[1].fail()
  const { node, ports } = await startExample('traffic/outlier-ejection.md', {
    env: { ORDERS_1: fleet[0].url, ORDERS_2: fleet[1].url, ORDERS_3: fleet[2].url },
    edit: freePort,
  })
  while (node.state().services['orders']!.health.ejected === 0)
    await fetch(`http://127.0.0.1:${ports[0]}/orders/1`)
  expect(node.state().services['orders']!.endpoints[1]!.ejection?.reason.code).toBe('consecutive-errors')
})

test('the example of load balancing keeps to its zone, and a key to its endpoint', async () => {
  const fleet = await Promise.all(Array.from({ length: 4 }, () => FleetMember.open()))
  const [orders1, orders2, carts1, carts2] = fleet.map(({ url }) => url)
  const { node, ports } = await startExample('traffic/load-balancing.md', {
    env: { ORDERS_1: orders1!, ORDERS_2: orders2!, CARTS_1: carts1!, CARTS_2: carts2! },
    edit: freePort,
  })
  const base = `http://127.0.0.1:${ports[0]}`
  for (let each = 0; each < 10; each++) {
    await (await fetch(`${base}/orders/1`)).text()
    await (await fetch(`${base}/carts/1`, { headers: { 'X-User': 'ada' } })).text()
  }
  expect(fleet.slice(0, 2).map(({ requests }) => requests)).toEqual([10, 0])
  expect(
    fleet
      .slice(2)
      .map(({ requests }) => requests)
      .sort(),
  ).toEqual([0, 10])
  expect(node.state().services['orders']!.ownZoneShare).toBe(1)
})
