import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import SQLite from 'better-sqlite3'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openOutbox, type Outbox } from '../../src/events/index.js'
import type { OutboxState } from '../../src/node/outboxes/state.js'
import { Cli } from '../support/cli.js'
import { eventsConfig, specOf, startEvents } from '../support/events-node.js'
import { closeAll } from '../support/gateway.js'
import { closeLogs, newDirectory } from '../support/logs.js'
import { parseExposition } from '../support/prometheus.js'
import { serverSentEvents } from '../support/sse.js'

let file: string
let database: SQLite.Database
let outbox: Outbox
beforeEach(async () => {
  file = join(newDirectory(), 'app.db')
  outbox = await openOutbox(`sqlite:${file}`)
  database = new SQLite(file)
})
afterEach(async () => {
  await closeAll()
  await outbox.close()
  database.close()
  await closeLogs()
})

function publish(...messages: { type: string; key?: string; id?: string; data?: unknown }[]): void {
  database.transaction(() => outbox.publish(database, 'stock', messages))()
}

async function start(more: object = {}) {
  const started = await startEvents(
    {},
    { outboxes: { shop: { database: `sqlite:${file}`, poll: '50ms' } }, ...more },
  )
  const call = async (path: string, body?: object) => {
    const init = body && { method: 'POST', body: JSON.stringify(body) }
    const answer = await fetch(`${started.admin}/api/outboxes${path}`, init)
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
  }
  const until = async (is: (state: OutboxState) => boolean): Promise<OutboxState> => {
    for (;;) {
      const state = (await call('/shop')).body as unknown as OutboxState
      if (is(state)) return state
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  return { ...started, call, until }
}

test('a node relays the outboxes of its configuration, tells how far they are, and moves what is parked', async () => {
  const { admin, ask, call, until } = await start({
    topics: { stock: { types: ['Taken'] } },
    events: { driver: 'memory', limits: { eventBytes: 1000 } },
  })
  const big = { type: 'Taken', key: '7', id: 'big', data: 'x'.repeat(2000) }
  publish({ type: 'Taken', key: '1' }, big, { type: 'Taken', key: '7', id: 'small' })
  const state = await until(({ relayed, parked }) => relayed === 1 && parked?.length === 1)
  expect(state).toMatchObject({
    name: 'shop',
    database: `sqlite:${file}`,
    relay: { state: 'running', relayed: 1 },
    waiting: { count: 0, isComplete: true },
    age: 0,
    parked: [{ lane: 'stock-7', id: 'big', heldBack: { count: 1 } }],
  })
  const metrics = parseExposition(await (await fetch(`${admin}/metrics`)).text())
  expect(JSON.stringify([...metrics.keys()])).toContain('banyan_outbox_parked')

  expect(await call('/nobody')).toMatchObject({ status: 404 })
  expect(await call('/shop/redrive', { lanes: [] })).toMatchObject({ status: 400 })
  expect(await call('/shop/redrive', { lanes: ['stock'] })).toMatchObject({ status: 400 })
  expect(await call('/shop/redrive', { lanes: ['stock-7', 'stock-8'] })).toMatchObject({
    status: 200,
    body: { lanes: ['stock-7'] },
  })
  await until(({ parked }) => parked?.[0]?.heldBack.count === 1)
  expect(await call('/shop/discard', { id: 'nothing' })).toMatchObject({ status: 404 })
  expect(await call('/shop/discard', { id: 'big' })).toMatchObject({
    status: 200,
    body: { discarded: 'big' },
  })
  await until(({ relayed }) => relayed === 2)
  const answer = await ask('/streams/stock-7', { headers: { accept: 'application/json' } })
  expect(await answer.text()).toContain('"small"')
})

test('a change of the configuration begins and ends relays; a database that is not there is tried again', async () => {
  const { node, call, until } = await start()
  await until(({ relay }) => relay?.state === 'running')
  await node.apply(specOf(eventsConfig({}, { outboxes: {} })))
  expect(await call('')).toEqual({ status: 200, body: { outboxes: [] } })
  publish({ type: 'Taken' })
  const other = join(newDirectory(), 'later', 'app.db')
  mkdirSync(other, { recursive: true })
  const outboxes = { shop: { database: `sqlite:${file}` }, later: { database: `sqlite:${other}` } }
  await node.apply(specOf(eventsConfig({}, { outboxes })))
  await until(({ relayed }) => relayed === 1)
  const { body } = await call('/later')
  expect(body).toMatchObject({ name: 'later', problem: expect.stringContaining('cannot be used') as string })
})

test('the command line shows an outbox of a node or a database, and moves what is parked', async () => {
  const { admin, until } = await start({ events: { driver: 'memory', limits: { eventBytes: 1000 } } })
  publish(
    { type: 'Taken', key: '7', id: 'big', data: 'x'.repeat(2000) },
    { type: 'Taken', key: '7', id: 'small' },
  )
  await until(({ parked }) => parked?.[0]?.heldBack.count === 1)
  const shown = await new Cli('outbox', '-a', admin).finish()
  expect(shown).toMatchObject({ code: 1, stderr: '' })
  expect(shown.stdout).toMatch(/^OUTBOX +RELAY +WAITING +OLDEST +PARKED +RELAYED +DATABASE/)
  expect(shown.stdout).toMatch(/\nshop +running +0 +- +1 +0 +sqlite:/)
  expect(shown.stdout).toMatch(/\nstock-7 +big +Taken +1 +event Taken for stream stock-7 has \d+ bytes/)
  const status = await new Cli('status', '--once', '-a', admin).finish()
  expect(status.stdout).toMatch(/\nOUTBOX .*\nshop +running /)
  const there = await new Cli('outbox', 'status', '--database', `sqlite:${file}`, '--json').finish()
  expect(JSON.parse(there.stdout)).toMatchObject({
    outboxes: [{ name: 'outbox', parked: [{ lane: 'stock-7' }] }],
  })
  const called = await new Cli('outbox', 'status', 'any', '-d', `sqlite:${file}`).finish()
  expect(called.stdout).toMatch(/\nany +-/)
  const nope = await new Cli('outbox', 'status', 'nope', '-a', admin).finish()
  expect(nope.stderr).toContain('there is no outbox nope; the node relays shop')

  const redriven = await new Cli('outbox', 'redrive', 'shop', 'stock-7', 'stock-8', '-a', admin).finish()
  expect(redriven).toMatchObject({ code: 1, stdout: 'stock-7 goes on\nstock-8 is not parked\n' })
  await until(({ parked }) => parked?.[0]?.heldBack.count === 1)
  expect(await new Cli('outbox', 'discard', 'shop', 'big', '-a', admin).finish()).toMatchObject({ code: 2 })
  const discarded = await new Cli(
    'outbox',
    'discard',
    'shop',
    'big',
    '--yes',
    '-d',
    `sqlite:${file}`,
  ).finish()
  expect(discarded).toMatchObject({ code: 0, stdout: 'big is discarded\n' })
  await until(({ relayed }) => relayed === 1)

  const nowhere = await new Cli('outbox', 'status', '-d', `sqlite:${file}.none`).finish()
  expect(nowhere).toMatchObject({ code: 1, stderr: expect.stringContaining('there is no file') as string })
  const schema = await new Cli('outbox', 'schema', 'sqlite').finish()
  const empty = new SQLite(':memory:')
  empty.exec(schema.stdout)
  expect(empty.prepare('SELECT count(*) FROM banyan_outbox').pluck().get()).toBe(0)
  empty.close()
})

test('follows one outbox or all of them: what there is, what changes, what the configuration has no more', async () => {
  const events = { driver: 'memory', limits: { eventBytes: 1000 } }
  const { node, admin } = await start({ events })
  const gone = new AbortController()
  const follow = async (path = '', headers: Record<string, string> = {}) => {
    const answer = await fetch(`${admin}/api/outboxes${path}`, {
      headers: { accept: 'text/event-stream', ...headers },
      signal: gone.signal,
    })
    return { answer, events: serverSentEvents(answer) }
  }
  const all = await follow()
  expect(all.answer.headers.get('content-type')).toBe('text/event-stream')
  const until = async (
    is: (state: OutboxState) => boolean,
    from = all.events,
  ): Promise<{ state: OutboxState; id: string }> => {
    for (;;) {
      const next = await from.next()
      if (next.done) throw new Error('the stream has ended')
      const { event, data, id } = next.value
      if (event !== 'message' || data === '') continue
      const state = JSON.parse(data) as OutboxState
      if (is(state)) return { state, id: id! }
    }
  }
  await until(({ relay, waiting }) => relay?.state === 'running' && waiting?.count === 0)
  publish({ type: 'Taken' })
  expect((await until(({ relayed }) => relayed === 1)).state).toMatchObject({ name: 'shop', parked: [] })
  publish({ type: 'Taken', key: '7', data: 'x'.repeat(2000) })
  const { id } = await until(({ parked }) => parked?.length === 1)

  const again = await follow('', { 'last-event-id': id })
  const kinds: string[] = []
  for await (const { event } of again.events) if (kinds.push(event) === 2) break
  expect(kinds).toEqual(['comment', 'caught-up'])
  const stale = await follow('/shop', { 'last-event-id': 'something else' })
  expect((await until(() => true, stale.events)).state).toMatchObject({ name: 'shop' })
  expect((await follow('/none')).answer.status).toBe(404)
  expect((await follow('?from=0')).answer.status).toBe(400)

  await node.apply(specOf(eventsConfig({}, { events, outboxes: {} })))
  for await (const { event, data } of stale.events)
    if (event === 'removed') expect(JSON.parse(data)).toEqual({ name: 'shop' })
  const stopped = node.stop()
  for await (const { event } of all.events) expect(event).not.toBe('message')
  await stopped
  gone.abort()
})
