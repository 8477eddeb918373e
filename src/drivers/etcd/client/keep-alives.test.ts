import { expect, test } from 'vitest'
import { virtualRuntime } from '../../../testing/index.js'
import type { Caller } from './caller.js'
import type { StreamEvents } from './connection.js'
import { EtcdError } from './fault.js'
import { KeepAlives } from './keep-alives.js'
import type { LeaseKeepAliveResponse } from './messages.js'
import type { Read } from './wire.js'

type Events = StreamEvents<Read<typeof LeaseKeepAliveResponse>>

/** Opens streams, of which the first end before whoever has asked for them knows that they were opened. */
function callerWith(broken: number): { caller: Caller; opened: () => number } {
  let opened = 0
  const open = (_method: unknown, events: Events): Promise<unknown> => {
    if (++opened <= broken) queueMicrotask(() => events.end(new EtcdError('unavailable', 'it was closed')))
    return Promise.resolve({
      connection: { endpoint: 'here', heardAt: 0 },
      sendAll: (beats: { id: bigint }[]) => {
        for (const { id } of beats) queueMicrotask(() => events.answer({ id, ttl: 7 }))
      },
      cancel: () => undefined,
      abandon: () => undefined,
    })
  }
  const caller = { closing: new AbortController().signal, place: 'here', open } as unknown as Caller
  return { caller, opened: () => opened }
}

test('a renewal does not wait on a stream that has ended before it could be used', async () => {
  const runtime = virtualRuntime()
  const { caller, opened } = callerWith(2)
  const renewed = new KeepAlives(caller, runtime).renew([1n, 2n], 10_000)
  expect(await runtime.clock.settle(renewed)).toEqual([7, 7])
  expect(opened()).toBe(3)
  expect(runtime.clock.now()).toBeLessThan(1000)
})

test('what was answered before a stream ended is not asked again', async () => {
  const runtime = virtualRuntime()
  const asked: bigint[][] = []
  const open = (_method: unknown, events: Events): Promise<unknown> =>
    Promise.resolve({
      connection: { endpoint: 'here', heardAt: 0 },
      sendAll: (beats: { id: bigint }[]) => {
        asked.push(beats.map(({ id }) => id))
        queueMicrotask(() => {
          for (const { id } of beats.slice(0, 2)) events.answer({ id, ttl: Number(id) })
          events.end(new EtcdError('unavailable', 'it was closed'))
        })
      },
      cancel: () => undefined,
      abandon: () => undefined,
    })
  const caller = { closing: new AbortController().signal, place: 'here', open } as unknown as Caller
  const renewed = new KeepAlives(caller, runtime).renew([1n, 2n, 3n, 4n, 5n], 10_000)
  expect(await runtime.clock.settle(renewed)).toEqual([1, 2, 3, 4, 5])
  expect(asked).toEqual([[1n, 2n, 3n, 4n, 5n], [3n, 4n, 5n], [5n]])
})
