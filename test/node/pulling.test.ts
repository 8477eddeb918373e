import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { closeAll } from '../support/gateway.js'
import { cloudEvent, startEvents, structured } from '../support/events-node.js'

afterEach(closeAll)

interface Pulled {
  messages: { delivery: string; event: { id: string } }[]
}

const json = (body: object) => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
})

describe('two nodes on one log', () => {
  test('a client that keeps to one of them gets everything', async () => {
    const path = join(mkdtempSync(join(tmpdir(), 'banyan-pulling-')), 'log')
    const config = {
      events: { driver: 'sqlite', path },
      topics: { order: {} },
      subscriptions: { audit: { topic: 'order' } },
    }
    const first = await startEvents({}, config)
    const second = await startEvents({}, config)
    const ids = Array.from({ length: 40 }, (_, index) => `m-${index}`)
    const batch = ids.map((id) => JSON.parse(cloudEvent(id, { partitionkey: id })) as object)
    const published = await second.ask('/topics/order', {
      method: 'POST',
      headers: { 'content-type': 'application/cloudevents-batch+json' },
      body: JSON.stringify(batch),
    })
    expect(published.status).toBe(201)
    const seen: string[] = []
    while (seen.length < 40) {
      const pull = await first.ask('/subscriptions/audit/pull', json({ max: 100, wait: '20s' }))
      const { messages } = (await pull.json()) as Pulled
      expect(messages).not.toEqual([])
      seen.push(...messages.map(({ event }) => event.id))
      const deliveries = messages.map(({ delivery }) => delivery)
      expect((await first.ask('/subscriptions/audit/ack', json({ deliveries }))).status).toBe(200)
    }
    expect(seen.sort()).toEqual(ids.sort())
  })
})

describe('clients of a log', () => {
  const config = { topics: { order: { types: ['Happened'] } }, subscriptions: { audit: { topic: 'order' } } }

  test('do not see what Banyan keeps for itself, operators do', async () => {
    const { ask, admin } = await startEvents({}, config)
    await ask('/streams/order-1', structured('a'))
    await ask('/subscriptions/audit/pull', json({ max: 1 }))
    const sources = async (response: Response): Promise<string> => response.text()
    for (const accept of ['application/json', 'application/x-ndjson']) {
      const all = await sources(await ask('?limit=100', { headers: { accept } }))
      expect(all).toContain('order-1')
      expect(all).not.toContain('$subscription')
    }
    const one = (await (await ask('?limit=1&backwards=true')).json()) as { id: string }[]
    expect(one.map(({ id }) => id)).toEqual(['a'])
    for (const path of ['/streams/%24subscription-audit', '?category=%24subscription'])
      expect((await ask(path)).status).toBe(403)
    expect(await sources(await fetch(`${admin}/api/events?limit=100`))).toContain('$subscription-audit')
  })

  test('append no other types to a topic than it has, whichever way', async () => {
    const { ask, admin } = await startEvents({}, config)
    const nope = structured('x', {}, { type: 'Nope', subject: 'order-99' })
    for (const path of ['/topics/order', '/streams/order-99', ''])
      expect((await ask(path, nope)).status).toBe(422)
    const commit = json({ streams: [{ stream: 'order', events: [{ type: 'Nope' }] }] })
    expect((await ask('', commit)).status).toBe(422)
    const asOperator = await fetch(`${admin}/api/events`, commit)
    expect(await asOperator.json()).toMatchObject({
      type: 'urn:banyan:problem:unknown-event-type',
      detail: 'The type "Nope" cannot go to "order": to the topic order go Happened.',
    })
    expect((await ask('/streams/other-1', structured('y', {}, { type: 'Nope' }))).status).toBe(201)
  })
})
