import { expect, it } from 'vitest'
import { policy, runSagas, saga, sagas, terminal, topic, type EventLog } from '../../src/events/index.js'
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
      'invoicing/order-1-invoice completed',
      'invoicing/order-2-invoice compensated',
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
})
