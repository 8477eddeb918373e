import { describe, expect, test } from 'vitest'
import { BanyanError } from '../../core/errors.js'
import { Channel, type Handlers } from './channel.js'

/** Two ends, joined as processes are: messages are copied, and arrive later. */
function pair(a: Handlers, b: Handlers): [Channel, Channel] {
  const listeners: ((message: unknown) => void)[] = []
  const end = (own: 0 | 1) => ({
    send: (message: unknown) => queueMicrotask(() => listeners[1 - own]!(structuredClone(message))),
    onMessage: (listener: (message: unknown) => void) => (listeners[own] = listener),
  })
  return [new Channel(end(0), a), new Channel(end(1), b)]
}

describe('a channel between two processes', () => {
  test('answers each question with its own answer, whatever the order they come in', async () => {
    const waiting: (() => void)[] = []
    const [asker] = pair(
      {},
      { double: (n: number) => new Promise((resolve) => waiting.push(() => resolve(n * 2))) },
    )
    const answers = [1, 2, 3].map((n) => asker.ask<number>('double', n))
    while (waiting.length < 3) await Promise.resolve()
    for (const go of waiting.reverse()) go()
    expect(await Promise.all(answers)).toEqual([2, 4, 6])
  })

  test('lets both sides ask, with the same numbers', async () => {
    const [a, b] = pair({ name: () => 'a' }, { name: () => 'b' })
    expect(await Promise.all([a.ask('name'), b.ask('name')])).toEqual(['b', 'a'])
  })

  test('passes an error on with its code, and hides what is none of ours', async () => {
    const [asker] = pair(
      {},
      {
        refuse: () => Promise.reject(new BanyanError('BANYAN_LISTEN', 'the port is in use')),
        break: () => {
          throw new TypeError('x is not a function')
        },
      },
    )
    await expect(asker.ask('refuse')).rejects.toMatchObject({
      code: 'BANYAN_LISTEN',
      message: 'the port is in use',
    })
    await expect(asker.ask('break')).rejects.toMatchObject({ code: 'BANYAN_WORKER_FAILED' })
    await expect(asker.ask('unknown')).rejects.toMatchObject({ code: 'BANYAN_WORKER_GONE' })
  })

  test('fails what is open once the other side is gone, and everything after', async () => {
    const [asker] = pair({}, { wait: () => new Promise(() => undefined) })
    const open = asker.ask('wait')
    asker.close()
    await expect(open).rejects.toMatchObject({ code: 'BANYAN_WORKER_GONE' })
    await expect(asker.ask('wait')).rejects.toMatchObject({ code: 'BANYAN_WORKER_GONE' })
  })
})
