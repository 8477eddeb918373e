import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { openCoordinator, register } from '../../src/coordination/index.js'
import { blockOf, startExample } from '../support/example.js'
import { FleetMember, until } from '../support/fleet.js'
import { closeAll, open } from '../support/gateway.js'
import { runSnippet } from '../support/snippet.js'

afterEach(closeAll)

const PAGE = 'coordination/service-registry.md'

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'banyan-registry-docs-'))
  open.push({ close: () => rmSync(path, { recursive: true, force: true }) })
  return path
}

test('the example of the page of the registry prints what it says', async () => {
  expect(await runSnippet(PAGE)).toBe(blockOf(PAGE, 'text'))
})

test('the node of the page of the registry routes to what it registers', async () => {
  const orders = await FleetMember.open()
  const path = directory()
  const { node, ports } = await startExample(PAGE, {
    env: { ORDERS: orders.url },
    edit: (yaml) => yaml.replace('127.0.0.1:8080', '127.0.0.1:0').replace('./data', path),
  })
  await until(() => node.state().services['orders']!.endpoints.length === 1)
  expect((await fetch(`http://127.0.0.1:${ports[0]}/orders/1`)).status).toBe(200)
  expect(orders.requests).toBe(1)
})

test('the example of endpoints from the registry finds those with the tag', async () => {
  const [old, recent] = [await FleetMember.open(), await FleetMember.open()]
  const path = directory()
  const coordinator = await openCoordinator(`sqlite:${path}`)
  open.push(coordinator)
  const about = { service: 'shop-orders', drain: 0 }
  await register(coordinator, { ...about, address: old.url, tags: ['v1'] }).ready
  await register(coordinator, { ...about, address: recent.url, tags: ['v2', 'eu'] }).ready
  const { node, ports } = await startExample('traffic/upstreams.md', {
    index: 1,
    env: { DATA: path },
    edit: (yaml) => yaml.replace('127.0.0.1:8080', '127.0.0.1:0'),
  })
  await until(() => node.state().services['orders']!.endpoints.length > 0)
  for (let each = 0; each < 4; each++) expect((await fetch(`http://127.0.0.1:${ports[0]}/`)).status).toBe(200)
  expect([old.requests, recent.requests]).toEqual([0, 4])
})
