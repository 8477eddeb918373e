import { once } from 'node:events'
import { spawn } from 'node:child_process'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { deadLetter, openLog, subscribe, topic, type EventLog } from '../../src/events/index.js'
import { MAIN } from '../support/banyan-events.js'
import { configFile } from '../support/cli.js'
import { eventsConfig, startEvents } from '../support/events-node.js'
import { closeAll } from '../support/gateway.js'
import { closeLogs, newDirectory } from '../support/logs.js'

/** `banyan subscriptions` and `banyan topics`, on a log by itself and through a node that has it. */

let url: string
let log: EventLog
let place: string[]

interface Result {
  code: number | null
  stdout: string
  stderr: string
}

async function banyan(...args: string[]): Promise<Result> {
  const child = spawn(process.execPath, [MAIN, ...args, ...place], {
    env: { ...process.env, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout, stderr }
}

async function json(...args: string[]): Promise<unknown> {
  const { code, stdout, stderr } = await banyan(...args, '--json')
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${stderr}`)
  return JSON.parse(stdout)
}

/** Handles so many messages of the topic `order`; what is bad becomes a dead letter. */
async function handle(messages: number): Promise<void> {
  const billing = await subscribe(log, { name: 'billing', topic: 'order', from: 'start', partitions: 1 })
  let count = 0
  const all = new Promise<void>((resolve) => {
    billing.handle(({ data }) => {
      if (++count === messages) resolve()
      if (data === 'bad') throw deadLetter('the card was refused')
    })
  })
  await all
  await billing.close()
}

describe.each(['a file', 'a node'])('through %s', (kind) => {
  beforeEach(async () => {
    const path = newDirectory()
    url = `sqlite:${path}`
    log = await openLog(url)
    await topic(log, 'order').publish([
      { type: 'OrderPlaced', data: 'bad', key: '1' },
      { type: 'OrderPaid', key: '1' },
      { type: 'OrderPlaced', key: '2' },
    ])
    await handle(2)
    if (kind === 'a file') place = ['--log', url]
    else place = ['--admin', (await startEvents({}, { events: { driver: 'sqlite', path } })).admin]
  })
  afterEach(async () => {
    await closeAll()
    await log.close()
    await closeLogs()
  })

  it('lists and shows', async () => {
    expect((await banyan('subscriptions')).stdout).toMatch(
      /^SUBSCRIPTION {2}TOPIC .*PROCESSES\nbilling {7}order +0 +- +1 +0 +0\n$/,
    )
    expect((await banyan('topics')).stdout).toMatch(/^TOPIC .*\norder +2 +3 +[\d.]+m?s ago {2}billing\n$/)
    const { stdout } = await banyan('subscriptions', 'billing')
    expect(stdout).toContain('follows     the topic order\n')
    expect(stdout).toContain('waiting     nothing\nparked      1 key\npartitions  0 by nobody\n')
    expect(stdout).toMatch(
      /\norder-1 {2}parked +1 +[\d.]+m?s ago +1 {2}OrderPlaced order-1@0 {2}the card was refused\n$/,
    )
    // How long ago it was makes a column wider.
    const plain = (text: string): string => text.replace(/[\d.]+m?s ago/, '').replace(/ +/g, ' ')
    expect(plain((await banyan('subscriptions', 'show', 'billing')).stdout)).toBe(plain(stdout))
    const letters = await banyan('subscriptions', 'dead-letters', 'billing')
    expect(letters.stdout).toMatch(
      /^order-1 {2}1 try, given up [\d.]+m?s ago {2}the card was refused\n {2}OrderPlaced {2}order-1@0 {2}position 1 {2}"bad"\n$/,
    )
    expect((await banyan('subscriptions', 'dead-letters', 'billing', '--long')).stdout).toContain(
      '\n  order-1@0  OrderPlaced  position 1\n',
    )
    expect(await json('subscriptions', 'dead-letters', 'billing')).toMatchObject({
      lane: 'order-1',
      event: { type: 'OrderPlaced', data: 'bad' },
    })
    expect(await json('subscriptions', 'list')).toMatchObject([{ name: 'billing', stalled: { parked: 1 } }])
    expect(await json('topics')).toMatchObject([{ topic: 'order', subscriptions: ['billing'] }])
  })

  it('redrives, skips and seeks', async () => {
    const missed = await banyan('subscriptions', 'redrive', 'billing', 'order-1', 'order-9')
    expect(missed).toEqual({
      code: 1,
      stdout: '1 key of billing goes on, with the message that failed\n',
      stderr: 'order-9 is not parked\n',
    })
    expect((await banyan('subscriptions', 'redrive', 'billing', '--all')).stdout).toBe(
      'billing has no parked keys\n',
    )
    await handle(1)
    const unasked = await banyan('subscriptions', 'skip', 'billing', 'order-1')
    expect(unasked.code).toBe(2)
    expect(unasked.stderr).toContain(
      'OrderPlaced order-1@0, at position 1, has failed: the card was refused.',
    )
    expect(
      await banyan('subscriptions', 'skip', 'billing', 'order-1', '--position', '2', '--yes'),
    ).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('BANYAN_CONFLICT') as string,
    })
    expect((await banyan('subscriptions', 'skip', 'billing', 'order-1', '--yes')).stdout).toBe(
      'order-1 goes on behind OrderPlaced order-1@0, which was not handled\n',
    )
    expect((await banyan('subscriptions', 'skip', 'billing', 'order-1', '--yes')).stderr).toContain(
      'order-1 of billing is not parked',
    )
    expect(await json('subscriptions', 'seek', 'billing', '1', '--yes')).toEqual({
      position: '0000000000000001',
    })
    expect((await banyan('subscriptions', 'seek', 'billing', '1h', '--yes')).stdout).toBe(
      'billing goes on behind position 0\n',
    )
    expect(await json('subscriptions', 'show', 'billing')).toMatchObject({ waiting: { count: 3 } })
    expect((await banyan('subscriptions', 'seek', 'billing', 'end')).stderr).toContain(
      'billing will not handle what waits: 3 messages.',
    )
  })

  it('pauses, resumes and deletes', async () => {
    expect((await banyan('subscriptions', 'pause', 'billing')).stdout).toBe(
      'billing is paused, in every process\n',
    )
    expect((await banyan('subscriptions')).stdout).toMatch(/ paused\n$/)
    expect(await json('subscriptions', 'resume', 'billing')).toEqual({ isPaused: false })
    expect((await banyan('subscriptions', 'delete', 'billing')).code).toBe(2)
    expect((await banyan('subscriptions', 'delete', 'billing', '--yes')).stdout).toBe('billing is deleted\n')
    expect(await banyan('subscriptions', 'show', 'billing')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('there is no subscription billing; there is none') as string,
    })
  })

  it('publishes', async () => {
    expect(
      (await banyan('topics', 'publish', 'order', 'OrderPaid', '{"by":"card"}', '--key', '2')).stdout,
    ).toMatch(/^order-2@1 {2}position \d+\n$/)
    expect((await banyan('topics', 'publish', 'order', 'OrderPaid')).stdout).toMatch(/^order@0 /)
    expect(await banyan('topics', 'publish', 'order-2', 'OrderPaid')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('a topic is a name without a dash') as string,
    })
  })

  it.each([
    ['redrive billing', 'say which keys, or --all; not both'],
    ['redrive billing order-1 --all', 'say which keys, or --all; not both'],
    ['seek billing yesterday', 'PLACE is a position as it is printed'],
    ['dead-letters billing -n x', '--limit is a whole number'],
  ])('does not know what %s means', async (command, message) => {
    const { code, stderr } = await banyan('subscriptions', ...command.split(' '))
    expect(code).toBe(2)
    expect(stderr).toContain(message)
  })
})

describe('`banyan topics publish` where topics are declared', () => {
  afterEach(async () => {
    await closeAll()
    await closeLogs()
  })

  it.each(['a configuration', 'a node'])('takes what clients may publish, with %s', async (kind) => {
    const events = { driver: 'sqlite', path: newDirectory() }
    const topics = { order: { types: ['OrderPlaced'] } }
    if (kind === 'a node') place = ['--admin', (await startEvents({}, { events, topics })).admin]
    else place = ['--config', configFile(eventsConfig({}, { events, topics }))]
    expect(await json('topics', 'publish', 'order', 'OrderPlaced', '-k', '1')).toMatchObject({ ok: true })
    const unknown = await banyan('topics', 'publish', 'ordr', 'OrderPlaced')
    expect([unknown.code, unknown.stderr]).toEqual([
      2,
      expect.stringContaining('has no topic ordr, did you mean order?'),
    ])
    const nope = await banyan('topics', 'publish', 'order', 'Nope')
    expect([nope.code, nope.stderr]).toEqual([
      2,
      expect.stringContaining('the type Nope does not go to the topic order, but OrderPlaced'),
    ])
    const [order] = (await json('topics')) as { last: { recorded: string } }[]
    expect(order!.last.recorded).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
  })
})

it('finds the log of a configuration that is wrong elsewhere, to look at it', async () => {
  const events = { driver: 'sqlite', path: newDirectory() }
  const orders = await openLog(`sqlite:${events.path}`)
  await topic(orders, 'order').publish({ type: 'OrderPlaced' })
  await orders.close()
  place = ['--config', configFile(eventsConfig({}, { events, topcs: {} }))]
  expect(await json('topics')).toMatchObject([{ topic: 'order' }])
  const published = await banyan('topics', 'publish', 'order', 'OrderPlaced')
  expect([published.code, published.stderr]).toEqual([1, expect.stringContaining('say it with --log')])
  await closeLogs()
})

it('`banyan check` tells what hangs on the event log', async () => {
  const more = {
    events: { driver: 'memory' },
    topics: { order: { types: ['OrderPlaced', 'OrderPaid'] }, mail: {} },
    services: { mailer: { endpoints: ['http://127.0.0.1:1'] } },
    subscriptions: {
      audit: { topic: 'order' },
      mailer: { topic: 'mail', push: { service: 'mailer', path: '/hook' } },
    },
  }
  place = ['--config', configFile(eventsConfig({}, more))]
  const { stdout } = await banyan('check')
  expect(stdout.split('\n').slice(2, 9)).toEqual([
    'listens on     127.0.0.1:0',
    'admin on       127.0.0.1:0',
    'event log      in memory',
    'topics         order of OrderPlaced, OrderPaid',
    '               mail',
    'subscriptions  audit of order, pulled by clients',
    '               mailer of mail, pushed to mailer/hook',
  ])
})
