import { expect, test } from 'vitest'
import { openLog, subscribe, topic } from '../../src/events/index.js'
import { virtualRuntime } from '../../src/testing/index.js'

test('what is scheduled is kept from a short retention from the moment on in which it is scheduled', async () => {
  const runtime = virtualRuntime()
  const log = await openLog('memory:', { runtime })
  const handled: unknown[] = []
  const subscription = await subscribe(log, {
    name: 'mail',
    topic: 'order',
    hold: false,
    runtime,
    drain: '1s',
  })
  subscription.handle(({ data }) => void handled.push(data))
  // Whoever delivers it has found nothing scheduled.
  await runtime.clock.advance('10s')
  const orders = topic<{ type: 'Placed'; data: number }>(log, 'order', { runtime })
  await orders.publish({ type: 'Placed', data: 1, deliverAt: runtime.clock.wall() + 600_000 })
  await runtime.clock.advance('10s')
  await log.append({ streams: [{ stream: 'other', events: [{ type: 'A' }] }] })
  const { heldBy } = await log.truncate({ all: true, upTo: await log.head() })
  expect(heldBy).toBe('scheduled messages')
  await runtime.clock.advance('15m')
  expect(handled).toEqual([1])
  await runtime.clock.settle(subscription.close())
  await log.close()
})
