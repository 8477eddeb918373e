import { expect, it } from 'vitest'
import {
  policy,
  retain,
  runSagas,
  saga,
  sagas,
  terminal,
  topic,
  type EventLog,
} from '../../src/events/index.js'
import { onEveryLog } from '../support/every-log.js'
import { is } from '../support/sagas-node.js'
import { reaction } from './reaction.js'

onEveryLog('sagas', (open) => {
  it('complete, go back, wait, and are taken over by who comes next', { timeout: 60_000 }, async () => {
    const calls: string[] = []
    const child = saga<string, string>({
      name: 'invoicing',
      run: (what, { step }) =>
        step('write', { run: () => `I-${what}`, compensate: () => void calls.push(`withdraw I-${what}`) }),
    })
    const order = saga<{ number: number }>({
      name: 'order',
      deadline: '1h',
      async run({ number }, { step, sleep, signal, child: runChild }) {
        await step('reserve', {
          run: () => void calls.push(`reserve ${number}`),
          compensate: () => void calls.push(`release ${number}`),
        })
        await sleep(10)
        const [invoice, paid] = await Promise.all([
          runChild('invoice', child, String(number)),
          signal<number>('paid', { timeout: '1m' }),
        ])
        await step('ship', () => {
          if (number === 2) throw terminal('no carrier')
        })
        return { invoice, paid }
      },
    })
    const log: EventLog = await open()
    const all = sagas(log, { definitions: [order, child] })
    const first = await runSagas(log, { definitions: [order, child], drain: '1s' })
    for (const number of [1, 2]) await all.start(order, { number }, { id: String(number) })
    await expect.poll(() => calls.length).toBe(2)
    await first.close()
    for (const number of [1, 2]) await all.signal(`order/${number}`, 'paid', 7 * number)
    const second = await runSagas(log, { definitions: [order, child], drain: '1s' })
    expect(await all.outcome('order/1')).toEqual({
      outcome: 'completed',
      result: { invoice: 'I-1', paid: 7 },
    })
    expect(await all.outcome('order/2')).toMatchObject({ outcome: 'compensated', class: 'terminal' })
    expect(calls.slice(2)).toEqual(['withdraw I-2', 'release 2'])
    const listed: string[] = []
    for await (const { id, status } of all.list()) listed.push(`${id} ${status}`)
    expect(listed.sort()).toEqual([
      'invoicing/order/1/invoice completed',
      'invoicing/order/2/invoice compensated',
      'order/1 completed',
      'order/2 compensated',
    ])
    const compensated: string[] = []
    for await (const { id } of all.list({ saga: 'order', status: 'compensated' })) compensated.push(id)
    expect(compensated).toEqual(['order/2'])
    await second.close()
  })

  it('follow from events, as policies say, and are traced from one to the next', async () => {
    const log = await open()
    const all = sagas(log)
    const reserve = policy({
      name: 'reserveStock',
      topic: 'order',
      types: ['OrderPlaced'],
      run: (_, { idempotencyKey, metadata }) =>
        topic(log, 'stock').publish({ id: idempotencyKey, key: 'apple', type: 'StockReserved', metadata }),
    })
    let isDown = true
    const charge = policy({
      name: 'charge',
      topic: 'stock',
      run() {
        if (isDown) throw terminal('the bank is closed')
      },
    })
    const first = await runSagas(log, { definitions: [reserve, charge], drain: '1s' })
    const metadata = { correlationId: 'request' }
    for (const number of [1, 2])
      await log.append({
        id: `place-${number}`,
        streams: [{ stream: `order-${number}`, events: [{ type: 'OrderPlaced', metadata }] }],
      })
    const ids = [1, 2].map((number) => `charge/reserveStock/place-${number}/0/react/run`)
    for (const id of ids) expect((await reaction(all, id)).status).toBe('parked')
    await first.close()
    isDown = false
    await all.retry(ids[0]!)
    await all.skip(ids[1]!)
    const second = await runSagas(log, { definitions: [reserve, charge], drain: '1s' })
    for (const id of ids) await reaction(all, id, is('completed'))
    const { roots, isComplete } = await all.trace('request')
    expect(isComplete).toBe(true)
    expect(roots).toMatchObject(
      [1, 2].map((number) => ({
        event: { stream: `order-${number}`, type: 'OrderPlaced' },
        leadsTo: [
          {
            saga: { id: `reserveStock/place-${number}/0`, status: 'completed' },
            leadsTo: [
              { event: { type: 'StockReserved' }, leadsTo: [{ saga: { status: 'completed' }, leadsTo: [] }] },
            ],
          },
        ],
      })),
    )
    await second.close()
  })

  it(
    'sleep through a short retention of the log, and are removed after their end',
    { timeout: 60_000 },
    async () => {
      const child = saga({ name: 'reserving', run: (_, { step }) => step('reserve', () => 'reserved') })
      const order = saga<{ sleeps: number; waits: boolean }>({
        name: 'order',
        async run({ sleeps, waits }, { child: runChild, signal, sleep }) {
          const reserved = await runChild('reserving', child)
          if (sleeps > 0) await sleep(sleeps)
          if (waits) await signal('paid')
          return reserved
        },
      })
      const log: EventLog = await open()
      const definitions = [order, child]
      const all = sagas(log, { definitions })
      const holdAt = async (): Promise<string> =>
        (await log.stats()).holds.find(({ name }) => name === 'sagas order')!.position
      const first = await runSagas(log, { definitions, drain: '1s' })
      for (let number = 0; number < 20; number++)
        await all.start(order, { sleeps: 0, waits: false }, { id: `early-${number}` })
      for (let number = 0; number < 20; number++) await all.outcome(`order/early-${number}`)
      await expect.poll(holdAt, { timeout: 30_000 }).not.toBe('0')
      await all.start(order, { sleeps: 0, waits: true }, { id: 'waits' })
      await all.start(order, { sleeps: 4000, waits: false }, { id: 'sleeps' })
      await expect.poll(async () => (await all.show('order/waits')).steps.length).toBe(2)
      for (let number = 0; number < 20; number++)
        await all.start(order, { sleeps: 0, waits: false }, { id: `late-${number}` })
      for (let number = 0; number < 20; number++) await all.outcome(`order/late-${number}`)
      await first.close()
      const second = await runSagas(log, { definitions, drain: '1s', keepEnded: '1ms' })
      // As an hour later, when everything else has let go of it.
      for (const { name } of (await log.stats()).holds)
        if (!name.startsWith('sagas ')) await log.release(name)
      const rules = ['$saga/order', '$saga/reserving', '$scheduled'].map((category) => ({
        category,
        maxAge: 1,
      }))
      await expect
        .poll(async () => (await retain(log, rules)).rules.map(({ heldBy }) => heldBy), { timeout: 30_000 })
        .toEqual(['sagas order', 'sagas order', 'sagas order'])
      expect((await all.show('order/waits')).timeline[0]).toMatchObject({ kind: 'started' })
      await all.signal('order/waits', 'paid')
      expect(await all.outcome('order/waits')).toEqual({ outcome: 'completed', result: 'reserved' })
      expect(await all.outcome('order/sleeps')).toEqual({ outcome: 'completed', result: 'reserved' })
      const listed = async (): Promise<string[]> => {
        const ids: string[] = []
        for await (const { id } of all.list({ limit: 1000 })) ids.push(id)
        return ids
      }
      await expect.poll(listed, { timeout: 30_000 }).toEqual([])
      for await (const { ok } of log.verify()) expect(ok).toBe(true)
      expect(await all.start(order, { sleeps: 0, waits: true }, { id: 'waits' })).toMatchObject({
        duplicate: true,
      })
      await second.close()
    },
  )
})
