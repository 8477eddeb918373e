import { afterEach, describe, expect, test } from 'vitest'
import { freePort } from '../../scripts/engines.mjs'
import { Cli, configFile } from '../support/cli.js'
import { eventsConfig, KEY } from '../support/events-node.js'
import { closeAll, open } from '../support/gateway.js'
import { closeLogs, newDirectory } from '../support/logs.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { Receiver } from '../support/receiver.js'

const running: Cli[] = []

afterEach(async () => {
  for (const node of running.splice(0)) {
    node.process.kill('SIGTERM')
    await node.ended
  }
  await closeAll()
  await closeLogs()
})

/** A node as a process of its own that pushes to a receiver. */
async function start(receiver: Receiver, events: object, more: object = {}) {
  const [port, admin] = [await freePort(), await freePort()]
  const file = configFile(
    eventsConfig(
      {},
      {
        ...{ listen: port, admin, events, drain: { grace: '5s' } },
        services: { mailer: { endpoints: [receiver.url] } },
        subscriptions: {
          mailer: {
            ...{ topic: 'orders', backoff: { base: '20ms' }, takeover: '1s', deadline: '10s' },
            push: { service: 'mailer', concurrency: 8 },
          },
        },
        ...more,
      },
    ),
  )
  const node = new Cli('up', '-c', file, '--no-watch')
  running.push(node)
  const workers = (more as { workers?: number }).workers ?? 1
  await node.printed(new RegExp(`(gateway on[^]*){${workers}}`))
  /** Publishes one message of a key; false if it is not known to be there. */
  const publish = async (number: number): Promise<boolean> => {
    const event = {
      ...{ specversion: '1.0', id: String(number), source: '/test', type: 'A', data: number },
      partitionkey: String(number % KEYS),
    }
    const answer = await fetch(`http://127.0.0.1:${port}/events/topics/orders`, {
      method: 'POST',
      headers: {
        'x-api-key': KEY,
        'content-type': 'application/cloudevents+json',
        connection: 'close',
      },
      body: JSON.stringify(event),
    }).catch(() => undefined)
    return answer?.status === 201 || answer?.status === 200
  }
  return { node, publish }
}

const KEYS = 5
const TOTAL = 150

/** The first delivery of each message, by key: later ones are repetitions. */
function firstOf(receiver: Receiver): Record<string, unknown[]> {
  return Object.fromEntries(Object.entries(receiver.byKey()).map(([key, data]) => [key, [...new Set(data)]]))
}

const expected = Object.fromEntries(
  Array.from({ length: KEYS }, (_, key) => [
    String(key),
    Array.from({ length: TOTAL / KEYS }, (_, index) => index * KEYS + key),
  ]),
)

function isComplete(receiver: Receiver): boolean {
  return new Set(receiver.received.map(({ event }) => event.data)).size === TOTAL
}

/** Kills a node in the middle of pushing, starts it again, and looks at what has come. */
async function killInTheMiddle(events: object): Promise<void> {
  const receiver = await Receiver.open()
  open.push(receiver)
  const first = await start(receiver, events)
  for (let number = 0; number < TOTAL / 2; number++) expect(await first.publish(number)).toBe(true)
  await receiver.until(({ length }) => length >= 20)
  // What is on its way now is answered by nobody.
  receiver.answer = () => undefined
  for (let number = TOTAL / 2; number < TOTAL; number++) await first.publish(number)
  first.node.process.kill('SIGKILL')
  await first.node.ended
  receiver.answer = (_received, response) => response.writeHead(204).end()
  const second = await start(receiver, events)
  for (let number = TOTAL / 2; number < TOTAL; number++) expect(await second.publish(number)).toBe(true)
  await receiver.until(() => isComplete(receiver))
  expect(firstOf(receiver)).toEqual(expected)
}

test('a node that is killed in the middle and started again loses nothing, and keeps the order of each key', async () => {
  await killInTheMiddle({ driver: 'sqlite', path: newDirectory() })
})

test('two workers share the work, in order for each key, and shut down in good order', async () => {
  const receiver = await Receiver.open()
  open.push(receiver)
  const { node, publish } = await start(receiver, { driver: 'sqlite', path: newDirectory() }, { workers: 2 })
  for (let number = 0; number < TOTAL; number++) expect(await publish(number)).toBe(true)
  await receiver.until(() => isComplete(receiver))
  expect(receiver.byKey()).toEqual(expected)
  node.process.kill('SIGTERM')
  expect(await node.ended).toBe(0)
})

test('a node that is told to stop finishes what is on its way, and counts no try for the rest', async () => {
  const receiver = await Receiver.open()
  open.push(receiver)
  const path = newDirectory()
  const first = await start(receiver, { driver: 'sqlite', path })
  let release!: () => void
  const released = new Promise<void>((resolve) => (release = resolve))
  receiver.answer = async (_received, response) => {
    await released
    response.writeHead(204).end()
  }
  for (let number = 0; number < 3; number++) await first.publish(number)
  while (receiver.received.length < 3) await new Promise((resolve) => setImmediate(resolve))
  for (let number = 3; number < KEYS * 2; number++) await first.publish(number)
  first.node.process.kill('SIGTERM')
  await first.node.printed(/finishing requests/)
  release()
  expect(await first.node.ended).toBe(0)
  await start(receiver, { driver: 'sqlite', path })
  await receiver.until(() => new Set(receiver.received.map(({ event }) => event.data)).size === KEYS * 2)
  const again = receiver.received.filter(({ headers }) => headers['banyan-attempt'] !== '1')
  expect(again).toEqual([])
})

describe.skipIf(postgresMissing())('with a log in PostgreSQL', () => {
  const server = PostgresServer.ofSuite()

  test('a node that is killed in the middle and started again loses nothing, and keeps the order of each key', async () => {
    await killInTheMiddle({ driver: 'postgres', url: await server.database() })
  })

  test('of two nodes one is killed, and the other takes its part over', async () => {
    const receiver = await Receiver.open()
    open.push(receiver)
    const events = { driver: 'postgres', url: await server.database() }
    const one = await start(receiver, events)
    const two = await start(receiver, events)
    for (let number = 0; number < TOTAL / 2; number++) await one.publish(number)
    await receiver.until(({ length }) => length >= 20)
    one.node.process.kill('SIGKILL')
    for (let number = TOTAL / 2; number < TOTAL; number++) expect(await two.publish(number)).toBe(true)
    await receiver.until(() => isComplete(receiver))
    expect(firstOf(receiver)).toEqual(expected)
  })
})
