import { once } from 'node:events'
import { connect } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { sleep, systemClock } from '../../src/core/clock.js'
import { closeAll, open } from '../support/gateway.js'
import { eventsConfig, KEY, specOf, startEvents } from '../support/events-node.js'
import { parseExposition } from '../support/prometheus.js'
import { serverSentEvents, type ServerSentEvent } from '../support/sse.js'

afterEach(closeAll)

type Ask = Awaited<ReturnType<typeof startEvents>>['ask']

const SSE = { accept: 'text/event-stream' }

async function append(ask: Ask, first: number, count = 1, stream = 'order-1'): Promise<void> {
  const events = Array.from({ length: count }, (_, index) => ({ type: 'A', data: first + index }))
  const body = JSON.stringify({ streams: [{ stream, events }] })
  const answer = await ask('', { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  expect(answer.status).toBe(201)
}

/** Takes events until one fits, with that one. */
async function until(
  events: AsyncIterator<ServerSentEvent>,
  fits: (event: ServerSentEvent) => boolean,
): Promise<ServerSentEvent[]> {
  const taken: ServerSentEvent[] = []
  for (;;) {
    const next = await events.next()
    if (next.done) throw new Error(`the stream has ended after ${JSON.stringify(taken)}`)
    taken.push(next.value)
    if (fits(next.value)) return taken
  }
}

const dataOf = (events: readonly ServerSentEvent[]): unknown[] =>
  events
    .filter(({ event, data }) => event === 'message' && data !== '')
    .map(({ data }) => (JSON.parse(data) as { data: unknown }).data)

const isCaughtUp = ({ event }: ServerSentEvent): boolean => event === 'caught-up'

describe('following', () => {
  test('gives what is there, says when that was all, then gives what comes', async () => {
    const { ask } = await startEvents()
    await append(ask, 0, 3)
    const answer = await ask('', { headers: SSE })
    expect(answer.headers.get('content-type')).toBe('text/event-stream')
    expect(answer.headers.get('cache-control')).toBe('no-store')
    const events = serverSentEvents(answer)
    const there = await until(events, isCaughtUp)
    expect(dataOf(there)).toEqual([0, 1, 2])
    await append(ask, 3)
    expect(dataOf(await until(events, ({ event }) => event === 'message'))).toEqual([3])
    await events.return(undefined)
  })

  test('begins where it is told, and gives only what was selected', async () => {
    const { ask } = await startEvents()
    await append(ask, 0, 2, 'order-1')
    await append(ask, 2, 1, 'stock-1')
    const events = serverSentEvents(await ask('?category=stock&from=0', { headers: SSE }))
    expect(dataOf(await until(events, isCaughtUp))).toEqual([2])
    const fromNow = serverSentEvents(await ask('?from=end', { headers: SSE }))
    const nothing = await until(fromNow, isCaughtUp)
    expect(dataOf(nothing)).toEqual([])
    const position = nothing.at(-1)!.id
    expect(position).toBe((await ask('', { method: 'HEAD' })).headers.get('log-position'))
    await events.return(undefined)
    await fromNow.return(undefined)
  })

  test('goes on after Last-Event-ID, with no gap and nothing twice, however often the connection breaks', async () => {
    const { ask } = await startEvents()
    const total = 2000
    const writing = (async () => {
      for (let first = 0; first < total; first += 50) await append(ask, first, 50, `order-${first % 3}`)
    })()
    const seen: unknown[] = []
    let last: string | undefined
    for (let round = 1; seen.length < total; round++) {
      const headers = { ...SSE, ...(last !== undefined && { 'last-event-id': last }) }
      // A client that comes back asks as it did the first time.
      const events = serverSentEvents(await ask('?from=0', { headers }))
      let taken = 0
      for await (const event of events) {
        last = event.id ?? last
        const data = dataOf([event])
        seen.push(...data)
        if (++taken > round * 37 || seen.length === total) break
      }
    }
    await writing
    expect(seen).toEqual(Array.from({ length: total }, (_, index) => index))
  })

  test('says something now and then, so that nobody takes the connection for dead', async () => {
    const { ask } = await startEvents({ heartbeat: '30ms' })
    const events = serverSentEvents(await ask('', { headers: SSE }))
    await until(events, isCaughtUp)
    await until(events, ({ event }) => event === 'comment')
    await until(events, ({ event }) => event === 'comment')
    await append(ask, 7)
    expect(dataOf(await until(events, ({ event }) => event === 'message'))).toEqual([7])
    await events.return(undefined)
  })

  test('waits for a slow client, and keeps what it has not taken in the log', async () => {
    const { ask, node, port } = await startEvents()
    const count = 600
    const big = 'x'.repeat(100_000)
    for (let index = 0; index < count; index += 30) {
      const events = Array.from({ length: 30 }, (_, each) => ({ type: 'A', data: [index + each, big] }))
      const body = JSON.stringify({ streams: [{ stream: 'big-1', events }] })
      await ask('', { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    }
    const socket = connect({ port, host: '127.0.0.1' })
    open.push({ close: () => socket.destroy() })
    await once(socket, 'connect')
    const head = `GET /events HTTP/1.1\r\nHost: a\r\nX-Api-Key: ${KEY}\r\nAccept: text/event-stream\r\n\r\n`
    socket.write(head)
    const read = async (): Promise<number> =>
      parseExposition(await node.metrics.text()).get('banyan_log_read_total')?.samples[0]?.value ?? 0
    // It takes nothing; what the sockets hold is full soon, and then nothing more is read.
    let before = 0
    for (let now = await read(); now === 0 || now !== before; now = await read()) {
      before = now
      await sleep(systemClock, 100)
    }
    expect(before).toBeLessThan(count)
    let text = ''
    socket.on('data', (data: Buffer) => (text += data.toString('latin1').replace(/x{100}/g, '')))
    while (!text.includes('caught-up')) await once(socket, 'data')
    expect(text.match(/"data":\[\d+,/g)?.map((each) => Number(/\d+/.exec(each)![0]))).toEqual(
      Array.from({ length: count }, (_, index) => index),
    )
    expect(await read()).toBe(count)
  })

  test('ends when the client goes', async () => {
    const { ask, node } = await startEvents()
    const events = serverSentEvents(await ask('', { headers: SSE }))
    await until(events, isCaughtUp)
    expect(node.state().routes['events']!.active).toBe(1)
    await events.return(undefined)
    while (node.state().routes['events']!.active > 0) await new Promise((resolve) => setImmediate(resolve))
  })

  test('ends in good order when the node drains, long before the time for requests is over', async () => {
    const { ask, node } = await startEvents({}, { drain: { grace: '30s' } })
    await append(ask, 0)
    const following = ask('', { headers: SSE })
    const waiting = ask('?wait=25s&from=0000000000000001')
    const events = serverSentEvents(await following)
    await until(events, isCaughtUp)
    while (node.state().routes['events']!.active < 2) await new Promise((resolve) => setImmediate(resolve))
    const stopped = node.stop()
    // The end of the stream is an end, not a break: the client comes back with the last id.
    expect((await events.next()).done).toBe(true)
    const answer = await waiting
    expect([answer.status, await answer.json()]).toEqual([200, []])
    await stopped
  }, 10_000)

  test('ends in good order when its route changes, so that it is asked anew what it may', async () => {
    const { ask, node } = await startEvents()
    await append(ask, 0)
    const events = serverSentEvents(await ask('', { headers: SSE }))
    await until(events, isCaughtUp)
    const { routes, ...rest } = eventsConfig({ categories: ['stock'] }) as { routes: object }
    await node.apply(specOf({ ...rest, routes }))
    expect((await events.next()).done).toBe(true)
    const again = await ask('', { headers: { ...SSE, 'last-event-id': '0' } })
    expect(again.status).toBe(403)
    // What does not concern it leaves it alone.
    const still = serverSentEvents(await ask('?category=stock', { headers: SSE }))
    await until(still, isCaughtUp)
    const other = { other: { match: { path: '/other' }, respond: {} } }
    await node.apply(specOf({ ...rest, routes: { ...routes, ...other } }))
    await append(ask, 1, 1, 'stock-1')
    expect(dataOf(await until(still, ({ event }) => event === 'message'))).toEqual([1])
    await still.return(undefined)
  })

  test('by asking again and again: an answer as soon as there is something, or when the time is over', async () => {
    const { ask } = await startEvents()
    await append(ask, 0)
    const first = await ask('?wait=20s')
    expect(await first.json()).toMatchObject([{ data: 0 }])
    const position = first.headers.get('log-position')!
    const waiting = ask(`?wait=20s&from=${position}`)
    await append(ask, 1)
    expect(await (await waiting).json()).toMatchObject([{ data: 1 }])
    const nothing = await ask(`?wait=30ms&from=${position}&type=Other`)
    expect(await nothing.json()).toEqual([])
    expect(nothing.headers.get('log-position')).toBe(
      (await ask('', { method: 'HEAD' })).headers.get('log-position'),
    )
  })
})
