import { afterEach, expect, test } from 'vitest'
import { checkSource } from '../../src/node/config/load.js'
import { readYaml } from '../../src/node/config/yaml-source.js'
import { blockOf, startExample } from '../support/example.js'
import { closeAll, get, ok, open } from '../support/gateway.js'
import { RawClient, RawUpstream } from '../support/raw.js'

afterEach(closeAll)

test('the example: another endpoint and another route, while a client stays connected', async () => {
  const [orders, more] = [await RawUpstream.open(), await RawUpstream.open()]
  open.push(orders, more)
  const env = { ORDERS: orders.url, MORE_ORDERS: more.url }
  const edit = (yaml: string): string => yaml.replace('127.0.0.1:8080', '127.0.0.1:0')
  const { node, ports } = await startExample('traffic/live-change.md', { env, edit })
  const client = await RawClient.open(ports[0]!)
  open.push({ close: () => client.destroy() })
  expect((await client.ask(get('/invoices/1'))).start).toContain('404')

  const second = checkSource('f', readYaml(edit(blockOf('traffic/live-change.md', 'yaml', 1)), env))
  if (!second.ok) throw new Error(second.problems[0]!.message)
  const { generation, changes } = await node.apply({ ...second.spec, admin: false })
  expect(generation).toBe(2)
  expect(changes.map(({ kind, path }) => [kind, ...path])).toEqual([
    ['added', 'services', 'orders', 'endpoints', more.url],
    ['added', 'routes', 'invoices'],
  ])
  const asking = client.ask(get('/invoices/1'))
  const peer = await Promise.race([orders.peer(), more.peer()])
  expect(await peer.request()).toContain('GET /invoices/1 ')
  peer.reply(ok('an invoice'))
  expect((await asking).body).toBe('an invoice')
})
