import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { eventBus, openLog, pubSub, type EventChannel, type Interest, type RecordedEvent } from '../index.js'

interface Shop {
  order: { type: 'Placed'; data: { number: number } } | { type: 'Cancelled' }
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('an event bus', () => {
  it('brings events to all who subscribed to them, and to nobody else', async () => {
    const bus = eventBus<Shop>()
    const heard: string[] = []
    await bus.subscribe({ name: 'all', topic: 'order' }, (event) => void heard.push(`all ${event.type}`))
    await bus.subscribe({ name: 'some', topic: 'order', types: ['Cancelled'] }, (event) => {
      heard.push(`some ${event.type}`)
    })
    const none = await bus.subscribe(
      { name: 'none', topic: 'order', tags: ['vip'] },
      (event) => void heard.push(`none ${event.type}`),
    )
    await bus.publish('order', [{ type: 'Placed', data: { number: 1 } }, { type: 'Cancelled' }])
    await bus.publish('order', { type: 'Placed', data: { number: 2 }, tags: ['vip', 'new'] })
    await bus.idle()
    expect(heard.sort()).toEqual([
      'all Cancelled',
      'all Placed',
      'all Placed',
      'none Placed',
      'some Cancelled',
    ])
    await none.close()
    await bus.publish('order', { type: 'Placed', data: { number: 3 }, tags: ['vip'] })
    await bus.close()
    expect(heard.filter((text) => text.startsWith('none'))).toHaveLength(1)
    await expect(bus.publish('order', { type: 'Cancelled' })).rejects.toMatchObject({
      code: 'BANYAN_LOG_CLOSED',
    })
  })

  it('handles events of a key in order and one at a time, others meanwhile', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(4), { maxLength: 40 }),
        fc.integer({ min: 1, max: 8 }),
        async (keys, concurrency) => {
          const bus = eventBus<Shop>()
          const busy = new Set<string>()
          const seen = new Map<string, number[]>()
          let most = 0
          await bus.subscribe(
            { name: 'one', topic: 'order' },
            async ({ stream, data }) => {
              expect(busy.has(stream)).toBe(false)
              busy.add(stream)
              most = Math.max(most, busy.size)
              await nextTurn()
              busy.delete(stream)
              seen.set(stream, [...(seen.get(stream) ?? []), (data as { number: number }).number])
            },
            { concurrency },
          )
          for (const [number, key] of keys.entries())
            await bus.publish('order', { type: 'Placed', data: { number }, key: `k${key}` })
          await bus.idle()
          expect([...seen.values()].flat()).toHaveLength(keys.length)
          for (const numbers of seen.values()) expect(numbers).toEqual([...numbers].sort((a, b) => a - b))
          expect(most).toBeLessThanOrEqual(concurrency)
          if (new Set(keys).size > 1 && concurrency > 1) expect(most).toBeGreaterThan(1)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('tells what handlers throw, and goes on with everything else', async () => {
    const errors: string[] = []
    const bus = eventBus<Shop>({
      onError: (error, event, subscription) =>
        errors.push(`${subscription}: ${String(error)} with ${event.id}`),
    })
    const handled: unknown[] = []
    await bus.subscribe({ name: 'fails', topic: 'order' }, ({ id }) => {
      if (id === 'a') throw new Error('no')
      handled.push(id)
    })
    await bus.subscribe(
      {
        name: 'keyless',
        topic: 'order',
        key: () => {
          throw new Error('no key')
        },
      },
      () => undefined,
    )
    await bus.publish('order', { id: 'a', type: 'Cancelled', key: '1' })
    await bus.publish('order', { id: 'b', type: 'Cancelled', key: '1' })
    await bus.idle()
    expect(handled).toEqual(['b'])
    expect(errors.sort()).toEqual([
      'fails: Error: no with a',
      'keyless: Error: no key with a',
      'keyless: Error: no key with b',
    ])
  })

  it('gives each handler its own copy, as a log would, and refuses what a log would refuse', async () => {
    const bus = eventBus()
    const seen: unknown[] = []
    for (const name of ['one', 'two'])
      await bus.subscribe({ name, topic: 'order' }, ({ data }) => {
        seen.push(structuredClone(data))
        ;(data as { list: number[] }).list.push(9)
      })
    await bus.publish('order', { type: 'Placed', data: { list: [1] } })
    await bus.idle()
    expect(seen).toEqual([{ list: [1] }, { list: [1] }])
    await expect(
      bus.publish('order', [{ type: 'Placed' }, { type: 'Placed', data: { at: Number.NaN } }]),
    ).rejects.toMatchObject({ code: 'BANYAN_INVALID_EVENT' })
    await expect(
      bus.publish('order', [{ type: 'Placed' }, { type: 'Placed', delay: '1h' }]),
    ).rejects.toMatchObject({ code: 'BANYAN_UNSUPPORTED' })
    await bus.idle()
    expect(seen).toHaveLength(2)
  })

  it('refuses events when too many wait, and nobody gets any of them', async () => {
    const bus = eventBus({ waiting: 2 })
    let open = (): void => undefined
    const gate = new Promise<void>((resolve) => (open = resolve))
    const seen: unknown[] = []
    await bus.subscribe({ name: 'slow', topic: 'order' }, async ({ id }) => {
      await gate
      seen.push(id)
    })
    await bus.publish('order', { id: '1', type: 'Placed' })
    await expect(
      bus.publish('order', [
        { id: '2', type: 'Placed' },
        { id: '3', type: 'Placed' },
      ]),
    ).rejects.toMatchObject({ code: 'BANYAN_LOG_OVERLOADED' })
    await bus.publish('order', { id: '4', type: 'Placed' })
    open()
    await bus.idle()
    expect(seen).toEqual(['1', '4'])
  })

  it('waits for events that handlers publish', async () => {
    const bus = eventBus()
    const seen: string[] = []
    await bus.subscribe({ name: 'first', topic: 'order' }, async ({ id }) => {
      await nextTurn()
      await bus.publish('mail', { id: `mail for ${id}`, type: 'Sent' })
    })
    await bus.subscribe({ name: 'second', topic: 'mail' }, async ({ id }) => {
      await nextTurn()
      seen.push(id)
    })
    await bus.publish('order', { id: '1', type: 'Placed' })
    await bus.idle()
    expect(seen).toEqual(['mail for 1'])
  })
})

describe('a handler', () => {
  it.each(['bus', 'topics of a log'])('is the same on %s, middleware too', async (kind) => {
    const trace: string[] = []
    const middleware = [
      async (event: RecordedEvent, _: unknown, next: () => Promise<unknown>) => {
        trace.push(`before ${event.type}`)
        const result = await next()
        trace.push(`after ${event.type}`)
        return result as undefined
      },
    ]
    const log = await openLog('memory:')
    const channel: EventChannel<Shop, Interest> =
      kind === 'bus' ? eventBus<Shop>({ middleware }) : pubSub<Shop>(log, { middleware })
    const handled = new Promise<void>((resolve) => {
      void channel
        .subscribe({ name: 'mailer', topic: 'order', types: ['Placed'] }, (event, { attempt, key }) => {
          const data = event.type === 'Placed' ? event.data : undefined
          trace.push(`${event.stream} ${key} ${JSON.stringify(data)} try ${attempt}`)
          setImmediate(resolve)
        })
        .then(() => channel.publish('order', { type: 'Placed', data: { number: 7 }, key: '1' }))
    })
    await handled
    await channel.close()
    await log.close()
    expect(trace).toEqual(['before Placed', 'order-1 order-1 {"number":7} try 1', 'after Placed'])
  })
})
