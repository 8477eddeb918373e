import { afterEach, describe, expect, test } from 'vitest'
import { retain, runSagas, saga, sagas, terminal, type EventLog, type Sagas } from '../../src/events/index.js'
import { virtualRuntime } from '../../src/testing/index.js'
import { altered } from '../support/logs.js'
import { closeAll, eventsOf, setUp } from './shop.js'

afterEach(closeAll)

const invoicing = saga<string, string>({
  name: 'invoicing',
  run: (what, { step }) => step('write', { run: () => `I-${what}`, compensate: () => undefined }),
})

/** Has a child, then waits until it is paid if that is what its input says. */
const order = saga<'pays' | 'waits' | 'fails' | 'is stuck'>({
  name: 'order',
  deadline: '2d',
  async run(what, { child, step, signal }) {
    await child('invoice', invoicing, what)
    if (what === 'waits') await signal('paid')
    await step('ship', () => {
      if (what === 'fails') throw terminal('no carrier')
    })
    if (what === 'is stuck') throw new TypeError('a mistake')
  },
})

/** Without a timer, which the log keeps until it is due. */
const untimed = saga<Parameters<typeof order.run>[0]>({
  name: 'order',
  run: (what, context) => order.run(what, context),
})

async function listed(all: Sagas): Promise<string[]> {
  const ids: string[] = []
  for await (const { id } of all.list({ limit: 1000 })) ids.push(id)
  return ids.sort()
}

async function eventsIn(log: EventLog, id: string): Promise<number> {
  return (await eventsOf(log, id)).length
}

describe('ended sagas', () => {
  test('are removed after their time with their children; those that are parked or wait stay', async () => {
    const { all, run, runtime, log, settle } = await setUp([order, invoicing], { keepEnded: '1h' })
    await run()
    for (const [id, what] of [
      ['1', 'pays'],
      ['2', 'fails'],
      ['3', 'waits'],
      ['4', 'is stuck'],
    ] as const)
      await all.start(order, what, { id })
    await runtime.clock.advance('58m')
    expect(await listed(all)).toHaveLength(8)
    await runtime.clock.advance('5m')
    const left = ['invoicing/order/3/invoice', 'invoicing/order/4/invoice', 'order/3', 'order/4']
    expect(await listed(all)).toEqual(left)
    expect(await eventsIn(log, 'order/1')).toBe(0)
    expect(await eventsIn(log, 'invoicing/order/2/invoice')).toBe(0)
    await all.signal('order/3', 'paid')
    expect(await settle(all.outcome('order/3'))).toMatchObject({ outcome: 'completed' })
    await runtime.clock.advance('63m')
    expect(await listed(all)).toEqual(left.filter((id) => id.includes('4')))
    expect(await all.names()).toEqual(['invoicing', 'order'])
  })

  test('keep their ids, and take nothing any more', async () => {
    const { all, run, runtime, log, lines } = await setUp([order, invoicing], { keepEnded: '1h' })
    await run()
    await all.start(order, 'pays', { id: '1' })
    await runtime.clock.advance('65m')
    expect(await listed(all)).toEqual([])
    expect(await all.start(order, 'pays', { id: '1' })).toEqual({ id: 'order/1', duplicate: true })
    const removed = {
      code: 'BANYAN_SAGA_UNKNOWN',
      message: 'saga order/1 has ended, and what was known of it is removed',
    }
    for (const asked of [all.show('order/1'), all.outcome('order/1'), all.signal('order/1', 'paid')])
      await expect(asked).rejects.toMatchObject(removed)
    await expect(all.show('order/2')).rejects.toMatchObject({
      message: expect.not.stringContaining('order/1') as string,
    })
    // The deadline comes two days after the start, and finds nobody.
    await runtime.clock.advance('2d')
    expect(await log.revision('$saga/order-1')).toBeGreaterThan(0)
    expect(await eventsIn(log, 'order/1')).toBe(0)
    expect(await listed(all)).toEqual([])
    expect(lines).toEqual([])
  })

  test('that are children stay as long as their parent may undo them', async () => {
    const undone: string[] = []
    const paying = saga({
      name: 'payment',
      run: (_, { step }) => step('pay', { run: () => 'paid', compensate: () => void undone.push('pay') }),
    })
    const trip = saga({
      name: 'trip',
      async run(_, { child, sleep, step }) {
        await child('payment', paying)
        await sleep('5d')
        await step('fly', () => {
          throw terminal('no plane')
        })
      },
    })
    const { all, run, runtime, outcome } = await setUp([trip, paying], { keepEnded: '1h' })
    await run()
    await all.start(trip, undefined, { id: '1' })
    await runtime.clock.advance('4d')
    expect(await listed(all)).toEqual(['payment/trip/1/payment', 'trip/1'])
    await runtime.clock.advance('1d')
    expect(await outcome('trip/1')).toMatchObject({ outcome: 'compensated' })
    expect(undone).toEqual(['pay'])
    await runtime.clock.advance('2h')
    expect(await listed(all)).toEqual([])
  })

  test('are kept for ever by default', async () => {
    const { all, run, runtime } = await setUp([order, invoicing])
    await run()
    await all.start(order, 'pays', { id: '1' })
    await runtime.clock.advance('3d')
    expect(await listed(all)).toEqual(['invoicing/order/1/invoice', 'order/1'])
  })

  test('are found again by the next process if one was killed between a child and its parent', async () => {
    const { all, run, runtime, log, lines } = await setUp([order, invoicing], { keepEnded: '1h' })
    const first = await run()
    await all.start(order, 'pays', { id: '1' })
    await runtime.clock.advance('30m')
    await runtime.clock.settle(first.close())
    let cut = 0
    const failing = altered(log, {
      truncate: (what) => {
        if ('stream' in what && what.stream === '$saga/order-1' && cut++ === 0)
          return Promise.reject(new Error('the disk is full'))
        return log.truncate(what)
      },
    })
    const options = { definitions: [order, invoicing], runtime, keepEnded: '1h' } as const
    const second = await runSagas(failing, options)
    await runtime.clock.advance('35m')
    expect(cut).toBe(2)
    expect(lines.join()).toContain('the disk is full; ended ones are removed later')
    expect(await listed(all)).toEqual([])
    await runtime.clock.settle(second.close())
  })
})

describe('the hold for journals', () => {
  test('keeps those that are not at their end from a short retention, and moves on with them', async () => {
    const { all, run, runtime, log, outcome } = await setUp([untimed, invoicing])
    const cut = () => retain(log, [{ maxAge: '10m' }], { clock: runtime.clock })
    await all.start(untimed, 'waits', { id: '1' })
    const first = await run()
    await runtime.clock.advance('1d')
    for (let id = 2; id < 50; id++) await all.start(untimed, 'pays', { id: String(id) })
    await runtime.clock.advance('1h')
    // What a subscription holds is what is not handled.
    await runtime.clock.settle(first.close())
    await run()
    await runtime.clock.advance('10m')
    expect((await cut()).rules[0]).toMatchObject({ heldBy: 'sagas order' })
    expect(await listed(all)).toHaveLength(98)
    expect((await all.show('order/1')).timeline[0]).toMatchObject({ kind: 'started' })
    await all.signal('order/1', 'paid')
    expect(await outcome('order/1')).toMatchObject({ outcome: 'completed' })
    await runtime.clock.advance('1h')
    const { holds } = await log.stats()
    expect(holds).toContainEqual({ name: 'sagas order', position: await log.head() })
  })

  test('goes on where it was, in the next process', async () => {
    const { all, run, runtime, log } = await setUp([untimed, invoicing])
    const place = async () => (await log.stats()).holds.find(({ name }) => name === 'sagas order')?.position
    const first = await run()
    expect(await place()).toBe('0')
    for (let id = 1; id < 20; id++) await all.start(untimed, 'pays', { id: String(id) })
    await runtime.clock.advance('10m')
    const moved = await place()
    expect(moved).toBe(await log.head())
    await all.start(untimed, 'waits', { id: '20' })
    await runtime.clock.settle(first.close())
    await run()
    await runtime.clock.advance('1d')
    expect(await place()).toBe(moved)
  })

  test('what says which versions there are is left anew if it was cut off', async () => {
    const { run, runtime, log } = await setUp([untimed, invoicing])
    await run()
    await runtime.clock.advance('10m')
    const stream = '$saga-order'
    const cut = await log.truncate({
      stream,
      beforeRevision: Number(await log.revision(stream)) + 1,
      forget: true,
    })
    expect(cut.removed).toBe(1)
    await runtime.clock.advance('2m')
    const elsewhere = sagas(log, { runtime })
    expect(await elsewhere.start('order', 'pays', { id: '1' })).toMatchObject({ duplicate: false })
  })

  test('costs the same however many sleep', async () => {
    const { all, runtime, log } = await setUp([order, invoicing])
    let reads = 0
    const counted = altered(log, {
      read: (...given) => {
        reads++
        return log.read(...given)
      },
    })
    const runner = await runSagas(counted, { definitions: [order, invoicing], runtime })
    const inTenMinutes = async (): Promise<number> => {
      await runtime.clock.advance('10m')
      reads = 0
      await runtime.clock.advance('10m')
      return reads
    }
    const idle = await inTenMinutes()
    for (let id = 0; id < 300; id++) await all.start(order, 'waits', { id: String(id) })
    expect(await inTenMinutes()).toBeLessThan(idle + 100)
    await runtime.clock.settle(runner.close())
  })
})

test('names are those of sagas that were run, and of those that were only started', async () => {
  const runtime = virtualRuntime()
  const { all, log, run } = await setUp([order, invoicing])
  await all.start(saga({ name: 'order.late', run: () => Promise.resolve() }), undefined, { id: '1' })
  for (const id of ['1', '2'])
    await all.start(saga({ name: 'a', run: () => Promise.resolve() }), undefined, { id })
  expect(await sagas(log, { runtime }).names()).toEqual(['a', 'order.late'])
  await run()
  expect(await all.names()).toEqual(['a', 'invoicing', 'order', 'order.late'])
  expect(await listed(all)).toEqual(['a/1', 'a/2', 'order.late/1'])
})
