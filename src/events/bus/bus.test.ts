import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { noTelemetry, systemRuntime } from '../../core/index.js'
import { virtualRuntime } from '../../testing/virtual-clock.js'
import {
  eventBus,
  openLog,
  pubSub,
  type EventChannel,
  type Handler,
  type Interest,
  type RecordedEvent,
  type Topics,
} from '../index.js'

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
      'keyless: Error: the key or where function has failed: Error: no key with a',
      'keyless: Error: the key or where function has failed: Error: no key with b',
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

describe('what a log refuses, a bus refuses with the same error', () => {
  const channels = async (): Promise<EventChannel<Topics, Interest>[]> => [
    eventBus(),
    pubSub(await openLog('memory:')),
  ]
  const codesOf = async (attempt: (channel: EventChannel<Topics, Interest>) => Promise<unknown>) => {
    const codes: unknown[] = []
    for (const channel of await channels()) {
      codes.push(await attempt(channel).then(() => 'accepted', codeOf))
      await channel.close()
    }
    return codes
  }
  const nothing = (): void => undefined

  it.each<[unknown, string]>([
    [{}, 'BANYAN_INVALID_EVENT'],
    [{ type: 'T', tags: [''] }, 'BANYAN_INVALID_EVENT'],
    [{ type: 'T', metadata: 5 }, 'BANYAN_INVALID_EVENT'],
    [{ type: 'x'.repeat(300) }, 'BANYAN_INVALID_EVENT'],
    [{ type: 'T', data: { at: Number.NaN } }, 'BANYAN_INVALID_EVENT'],
    [{ type: 'T', data: 'x'.repeat(17e6) }, 'BANYAN_EVENT_TOO_LARGE'],
    [
      [
        { type: 'T', id: 'a' },
        { type: 'T', id: 'a' },
      ],
      'BANYAN_INVALID_COMMIT',
    ],
    ['T', 'BANYAN_INVALID_EVENT'],
  ])('message %#', async (message, code) => {
    expect(await codesOf((channel) => channel.publish('order', message as never))).toEqual([code, code])
  })

  it.each<[object, unknown, object?]>([
    [{ topic: 'order' }, nothing],
    [{ name: 'n', topic: 'or-der' }, nothing],
    [{ name: 'n', topic: 'order', typs: ['T'] }, nothing],
    [{ name: 'n', topic: 'order', types: 'T' }, nothing],
    [{ name: 'n', topic: 'order' }, undefined],
    [{ name: 'n', topic: 'order' }, nothing, { concurrency: 0 }],
    [{ name: 'n', topic: 'order' }, nothing, { concurency: 2 }],
    [{ name: 'n', topic: 'order', deadline: 'soon' }, nothing],
  ])('subscription %#', async (interest, handler, handling) => {
    const subscribing = (channel: EventChannel<Topics, Interest>): Promise<unknown> =>
      channel.subscribe(interest as Interest, handler as Handler, handling)
    expect(await codesOf(subscribing)).toEqual(['BANYAN_INVALID_OPTIONS', 'BANYAN_INVALID_OPTIONS'])
  })

  it('a name that has subscribed, until that has ended', async () => {
    for (const channel of await channels()) {
      const first = await channel.subscribe({ name: 'same', topic: 'order' }, nothing)
      const again = (): Promise<unknown> => channel.subscribe({ name: 'same', topic: 'order' }, nothing)
      await expect(again()).rejects.toMatchObject({ code: 'BANYAN_INVALID_OPTIONS' })
      await first.close()
      await again()
      await channel.close()
      await expect(again()).rejects.toMatchObject({ code: 'BANYAN_LOG_CLOSED' })
      await expect(channel.publish('order', { type: 'T' })).rejects.toMatchObject({
        code: 'BANYAN_LOG_CLOSED',
      })
    }
  })

  it('an id that was published: the same again is none, another event under it an error', async () => {
    for (const channel of await channels()) {
      const seen: string[] = []
      let tell = nothing
      const both = new Promise<void>((resolve) => (tell = resolve))
      await channel.subscribe({ name: 'all', topic: 'order' }, ({ id }) => {
        if (seen.push(id) === 2) tell()
      })
      const first = await channel.publish('order', { id: 'a', type: 'T', key: '1' })
      expect(await channel.publish('order', { id: 'a', type: 'T', key: '1' })).toEqual({
        position: first.position,
        duplicate: true,
      })
      await expect(channel.publish('order', { id: 'a', type: 'Other' })).rejects.toMatchObject({
        code: 'BANYAN_COMMIT_OVERLAP',
      })
      await expect(channel.publish('order', [{ id: 'a', type: 'T' }, { type: 'T' }])).rejects.toMatchObject({
        code: 'BANYAN_COMMIT_OVERLAP',
      })
      await channel.publish('order', { id: 'b', type: 'T', key: '1' })
      await both
      expect(seen).toEqual(['a', 'b'])
      await channel.close()
    }
  })

  it.each([
    { from: 'start' },
    { delivery: 'effectively-once' },
    { delivery: 'at-least-once' },
    { attempts: 3 },
    { backoff: { base: 5 } },
    { park: 'key' },
  ])('and what only a log can do, it says: %j', async (more) => {
    const bus = eventBus()
    const interest = { name: 'n', topic: 'order', ...more } as Interest
    await expect(bus.subscribe(interest, nothing)).rejects.toMatchObject({ code: 'BANYAN_UNSUPPORTED' })
    await bus.subscribe({ name: 'n', topic: 'order', attempts: 1, window: 5 } as Interest, nothing)
    await bus.close()
  })
})

describe('a bus whose handlers do not come back', () => {
  it('counts them as failed at their deadline, and goes on', async () => {
    const runtime = virtualRuntime()
    const told: string[] = []
    const bus = eventBus({ runtime, onError: (error) => told.push((error as Error).message) })
    const seen: string[] = []
    await bus.subscribe({ name: 'hangs', topic: 'order', deadline: '2s' }, ({ id }, { signal }) => {
      seen.push(id)
      signal.addEventListener('abort', () => seen.push(`${id} aborted`))
      return new Promise(() => undefined)
    })
    await bus.publish('order', [
      { id: 'a', type: 'T', key: '1' },
      { id: 'b', type: 'T', key: '1' },
    ])
    const idle = bus.idle()
    await runtime.clock.advance(4_000)
    await idle
    expect(seen).toEqual(['a', 'a aborted', 'b', 'b aborted'])
    expect(told).toEqual(Array(2).fill(expect.stringContaining('was not handled within 2000 ms')))
    await bus.close()
  })

  it('is closed all the same once it has waited for `drain`', async () => {
    const runtime = virtualRuntime()
    const told: string[] = []
    const bus = eventBus({ runtime, onError: (error) => told.push((error as Error).message) })
    await bus.subscribe({ name: 'hangs', topic: 'order', drain: '1s' }, () => new Promise(() => undefined))
    await bus.publish('order', [
      { type: 'T', key: '1' },
      { type: 'T', key: '1' },
    ])
    const closed = bus.close()
    await runtime.clock.advance(1_000)
    await closed
    expect(told).toEqual(['it was not handled within 1000 ms of closing'])
  })

  it('survives an `onError` that throws', async () => {
    const lines: string[] = []
    const telemetry = { ...noTelemetry, log: (_: string, line: string) => void lines.push(line) }
    const bus = eventBus({
      runtime: { ...systemRuntime, telemetry },
      onError: () => {
        throw new Error('no tracker')
      },
    })
    await bus.subscribe({ name: 'fails', topic: 'order' }, () => {
      throw new Error('no')
    })
    await bus.publish('order', { id: 'a', type: 'T' })
    await bus.idle()
    await bus.close()
    expect(lines).toEqual([
      'event bus: onError has failed: Error: no tracker',
      'event bus: fails has failed with a of order: Error: no',
    ])
  })
})

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown }).code
}
