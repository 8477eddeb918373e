import { expect, test } from 'vitest'
import { Deliveries } from '../../events/http/deliveries.js'
import { openLog, subscribe, topic } from '../../events/index.js'
import { virtualRuntime } from '../../testing/index.js'
import { PulledShare } from './pulled-share.js'

test('a node that nobody has pulled from for a while leaves its partitions to the others', async () => {
  const runtime = virtualRuntime()
  const { clock } = runtime
  const log = await openLog('memory:', { runtime })
  const share = () => {
    const join = () => subscribe(log, { name: 'audit', topic: 'order', from: 'start', runtime })
    return new PulledShare(join, new Deliveries(runtime.random), clock)
  }
  const [first, second] = [share(), share()]
  const pullAll = async (from: PulledShare): Promise<number> => {
    let count = 0
    for (;;) {
      const messages = await clock.settle(from.pull({ max: 100, wait: 5_000 }))
      if (messages.length === 0) return count
      for (const message of messages) await clock.settle(message.ack())
      count += messages.length
    }
  }
  const publish = async (): Promise<void> => {
    const keys = Array.from({ length: 40 }, (_, index) => String(index))
    await topic(log, 'order', { runtime }).publish(keys.map((key) => ({ type: 'Placed', key })))
  }
  await publish()
  expect(await pullAll(first)).toBe(40)
  // Both have clients: they share.
  expect(await pullAll(second)).toBe(0)
  await publish()
  const ofFirst = await pullAll(first)
  expect(ofFirst).toBeGreaterThan(0)
  expect(ofFirst).toBeLessThan(40)
  expect(await pullAll(second)).toBe(40 - ofFirst)
  // The clients of the first go, and it leaves.
  await clock.settle(second.pull({ wait: 29_000 }))
  await clock.settle(second.pull({ wait: 29_000 }))
  await publish()
  expect(await pullAll(second)).toBe(40)
  await clock.settle(Promise.all([first.close(), second.close()]))
  await log.close()
})
