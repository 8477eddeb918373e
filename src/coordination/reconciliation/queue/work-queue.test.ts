import { describe, expect, it } from 'vitest'
import { noTelemetry, type Telemetry } from '../../../core/telemetry.js'
import { virtualRuntime, type VirtualRuntime } from '../../../testing/virtual-clock.js'
import { workQueue, type WorkItem, type WorkQueue } from './work-queue.js'
import type { WorkQueueOptions } from './options.js'

function newQueue(options: WorkQueueOptions = {}): { queue: WorkQueue; clock: VirtualRuntime['clock'] } {
  const runtime = virtualRuntime()
  return { queue: workQueue({ runtime, ...options }), clock: runtime.clock }
}

/** Takes what must be there. */
async function take(queue: WorkQueue): Promise<WorkItem> {
  if (queue.depth === 0) throw new Error('there is nothing to take')
  return (await queue.take())!
}

/** Takes and finishes all that is ready. */
async function takeAll(queue: WorkQueue): Promise<string[]> {
  const keys: string[] = []
  while (queue.depth > 0) {
    const item = await take(queue)
    keys.push(item.key)
    item.done()
  }
  return keys
}

const settled = async (promise: PromiseLike<unknown>): Promise<boolean> => {
  let is = false
  const settle = (): void => void (is = true)
  promise.then(settle, settle)
  await new Promise((resolve) => setImmediate(resolve))
  return is
}

describe('a key', () => {
  it('waits once, however often it is added', async () => {
    const { queue } = newQueue()
    for (const key of ['a', 'b', 'a', 'c', 'b', 'a']) queue.add(key)
    expect(queue.depth).toBe(3)
    expect(await takeAll(queue)).toEqual(['a', 'b', 'c'])
  })

  it('that is added while it is worked on is taken once more, and not before that has ended', async () => {
    const { queue } = newQueue()
    queue.add('a')
    const item = await take(queue)
    for (let time = 0; time < 3; time++) queue.add('a')
    expect([queue.depth, queue.working]).toEqual([1, 1])
    const next = queue.take()
    expect(await settled(next)).toBe(false)
    item.done()
    expect((await next)?.key).toBe('a')
    expect(queue.depth).toBe(0)
  })

  it('that is done twice does not end the work of somebody else', async () => {
    const { queue } = newQueue()
    queue.add('a')
    const first = await take(queue)
    queue.add('a')
    first.done()
    await take(queue)
    queue.add('a')
    first.done()
    expect(queue.working).toBe(1)
    expect(await settled(queue.take())).toBe(false)
  })

  it('that was added while it was worked on keeps its place among those that came since', async () => {
    const { queue } = newQueue()
    queue.add('a')
    const item = await take(queue)
    for (const key of ['b', 'a', 'c']) queue.add(key)
    item.done()
    expect(await takeAll(queue)).toEqual(['b', 'a', 'c'])
  })
})

describe('a key for later', () => {
  it('comes at its time, by the earlier of two', async () => {
    const { queue, clock } = newQueue()
    queue.addAfter('a', '30s')
    queue.addAfter('a', '10s')
    queue.addAfter('a', '20s')
    expect([queue.depth, queue.delayed]).toEqual([0, 1])
    await clock.advance(9999)
    expect(queue.depth).toBe(0)
    await clock.advance(1)
    expect(await takeAll(queue)).toEqual(['a'])
    await clock.advance('1m')
    expect([queue.depth, queue.delayed]).toEqual([0, 0])
  })

  it('waits no longer when it is added', async () => {
    const { queue, clock } = newQueue()
    queue.addAfter('a', '30s')
    queue.add('a')
    expect(await takeAll(queue)).toEqual(['a'])
    await clock.advance('1m')
    expect([queue.depth, queue.delayed, clock.pending]).toEqual([0, 0, 0])
  })

  it('that comes while it is worked on is taken behind that', async () => {
    const { queue, clock } = newQueue()
    queue.add('a')
    const item = await take(queue)
    queue.addAfter('a', '1s')
    await clock.advance('5s')
    expect([queue.depth, queue.delayed]).toEqual([1, 0])
    item.done()
    expect(await takeAll(queue)).toEqual(['a'])
  })

  it('is taken at its time also if the timer is late', async () => {
    const runtime = virtualRuntime()
    let ahead = 0
    const clock = { ...runtime.clock, now: () => runtime.clock.now() + ahead }
    const queue = workQueue({ runtime: { ...runtime, clock } })
    const first = queue.take()
    queue.addAfter('a', '1s')
    queue.addAfter('b', '2s')
    ahead = 5000
    expect((await queue.take())?.key).toBe('b')
    expect((await first)?.key).toBe('a')
  })

  it('costs no timer: there is one, for the next of 100,000', async () => {
    const { queue, clock } = newQueue()
    const waits = Array.from({ length: 100_000 }, (_, index) => 1 + ((index * 7919) % 100))
    for (const [index, wait] of waits.entries()) queue.addAfter(`${index}`, wait)
    expect([queue.delayed, clock.pending]).toEqual([100_000, 1])
    await clock.advance('1s')
    expect([queue.depth, queue.delayed, clock.pending]).toEqual([100_000, 0, 0])
    const taken: number[] = []
    for (let count = 0; count < 2000; count++) taken.push(waits[Number((await take(queue)).key)]!)
    expect(taken).toEqual([...waits].sort((one, other) => one - other).slice(0, 2000))
  })

  it('keeps no timer of a queue that is shut down', () => {
    const { queue, clock } = newQueue()
    queue.addAfter('a', '1h')
    queue.shutDown()
    expect([queue.delayed, clock.pending]).toEqual([0, 0])
  })
})

describe('priority', () => {
  it('comes first, and is the highest of those it was added with', async () => {
    const { queue } = newQueue()
    for (const [key, priority] of [
      ['low', -100],
      ['usual', 0],
      ['raised', -100],
      ['high', 10],
      ['raised', 20],
      ['raised', 0],
    ] as const)
      queue.add(key, { priority })
    const first = await take(queue)
    expect([first.key, first.priority]).toEqual(['raised', 20])
    expect(await takeAll(queue)).toEqual(['high', 'usual', 'low'])
  })

  it('of a key for later is kept, and counts at its time', async () => {
    const { queue, clock } = newQueue()
    queue.addAfter('a', '1s', { priority: 5 })
    queue.addAfter('a', '9s', { priority: 7 })
    await clock.advance('1s')
    queue.add('b', { priority: 6 })
    expect(await takeAll(queue)).toEqual(['a', 'b'])
  })

  it('is kept by a retry, unless it says otherwise', async () => {
    const { queue, clock } = newQueue()
    queue.add('a', { priority: -100 })
    for (const [options, expected] of [
      [undefined, -100],
      [{}, -100],
      [{ priority: 3 }, 3],
    ] as const) {
      const item = await take(queue)
      queue.retry('a', options)
      item.done()
      await clock.advance('1m')
      const again = await take(queue)
      expect(again.priority).toBe(expected)
      again.done()
      queue.add('a', { priority: -100 })
    }
  })

  it('lets nothing starve: a key waits for those of a higher one that came before its age had made up for it', async () => {
    const { queue, clock } = newQueue({ ageing: '10ms' })
    queue.add('patient', { priority: -100 })
    let overtaken = 0
    // As many come as are taken, for ever.
    for (;;) {
      queue.add(`urgent ${overtaken}`)
      const item = await take(queue)
      item.done()
      if (item.key === 'patient') break
      overtaken++
      await clock.advance(1)
    }
    expect(clock.now()).toBe(1000)
    expect(overtaken).toBe(1000)
  })

  it('is nothing with an ageing of 0', async () => {
    const { queue } = newQueue({ ageing: 0 })
    queue.add('a', { priority: -1 })
    queue.add('b', { priority: 1 })
    expect(await takeAll(queue)).toEqual(['a', 'b'])
  })
})

describe('a retry', () => {
  it('waits for 5 ms, then twice as long each time, up to 1,000 s', async () => {
    const { queue, clock } = newQueue()
    const waits: number[] = []
    queue.add('a')
    for (let failure = 0; failure < 20; failure++) {
      const item = await take(queue)
      const from = clock.now()
      const next = queue.take()
      const said = queue.retry('a')
      item.done()
      const again = (await clock.settle(next))!
      waits.push(clock.now() - from)
      expect(waits.at(-1)).toBe(said)
      again.done()
      queue.add('a')
    }
    expect(waits.slice(0, 10)).toEqual([5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560])
    expect(waits.slice(-4)).toEqual([327_680, 655_360, 1_000_000, 1_000_000])
    expect(queue.failures('a')).toBe(20)
  })

  it('begins anew when the failures are forgotten, each key for itself', () => {
    const { queue } = newQueue()
    expect([queue.retry('a'), queue.retry('a'), queue.retry('b')]).toEqual([5, 10, 5])
    queue.forget('a')
    expect([queue.failures('a'), queue.failures('b')]).toEqual([0, 1])
    expect([queue.retry('a'), queue.retry('b')]).toEqual([5, 10])
  })

  it('of any key takes a token: 100 are there at once, and 10 come each second', async () => {
    const { queue, clock } = newQueue()
    const retries = (count: number): number[] =>
      Array.from({ length: count }, () => queue.retry(`k${queue.delayed}`))
    expect(new Set(retries(100))).toEqual(new Set([5]))
    expect(retries(3)).toEqual([100, 200, 300])
    await clock.advance('10s')
    const all = await takeAll(queue)
    expect(all).toHaveLength(103)
    for (const key of all) queue.forget(key)
    // In 10 s 100 have come, of which 3 were used ahead.
    expect(retries(98).map((wait) => wait > 5)).toEqual([...Array<boolean>(97).fill(false), true])
  })

  it('waits as its options say', () => {
    const options: WorkQueueOptions = { backoff: { base: '1s', factor: 3, max: '10s' }, bucket: false }
    const { queue } = newQueue(options)
    expect(Array.from({ length: 4 }, () => queue.retry('a'))).toEqual([1000, 3000, 9000, 10_000])
    const runtime = { ...virtualRuntime(), random: { next: () => 0.5 } }
    const spread = workQueue({ ...options, backoff: { base: '1s', jitter: 'full' }, runtime })
    expect([spread.retry('a'), spread.retry('a')]).toEqual([500, 1000])
  })
})

describe('who takes', () => {
  it('is served in the order of coming, and can give up', async () => {
    const { queue } = newQueue()
    const impatient = new AbortController()
    const first = queue.take()
    const second = queue.take(impatient.signal)
    const third = queue.take(impatient.signal)
    const fourth = queue.take()
    impatient.abort(new Error('no time'))
    await expect(second).rejects.toThrow('no time')
    await expect(third).rejects.toThrow('no time')
    queue.add('a')
    queue.add('b')
    expect([(await first)?.key, (await fourth)?.key]).toEqual(['a', 'b'])
    queue.add('c')
    await expect(queue.take(impatient.signal)).rejects.toThrow('no time')
    expect(queue.depth).toBe(1)
  })
})

describe('the end of a queue', () => {
  it('lets be taken what is there, and nothing else', async () => {
    const { queue, clock } = newQueue()
    queue.add('a')
    const item = await take(queue)
    queue.add('a')
    queue.add('b')
    queue.addAfter('c', 1)
    queue.shutDown()
    queue.add('d')
    queue.addAfter('e', 1)
    queue.retry('f')
    await clock.advance('1s')
    expect((await take(queue)).key).toBe('b')
    const next = queue.take()
    const later = queue.take()
    expect(await settled(next)).toBe(false)
    item.done()
    const again = await next
    expect(again?.key).toBe('a')
    expect(await later).toBeUndefined()
    expect(await queue.take()).toBeUndefined()
  })

  it('that is drained waits for what is there, and for those who work', async () => {
    const { queue } = newQueue()
    queue.add('a')
    queue.add('b')
    const item = await take(queue)
    const drained = queue.drain()
    item.done()
    expect(await settled(drained)).toBe(false)
    const last = await take(queue)
    expect(await settled(drained)).toBe(false)
    last.done()
    await drained
    await queue.close()
  })

  it('that nobody can wait for can be given up', async () => {
    const { queue } = newQueue()
    queue.add('a')
    const impatient = new AbortController()
    const drained = queue.drain(impatient.signal)
    impatient.abort(new Error('no time'))
    await expect(drained).rejects.toThrow('no time')
    await take(queue).then((item) => item.done())
    await queue.drain(new AbortController().signal)
  })

  it('that is closed drops what waits, and waits for those who work', async () => {
    const { queue, clock } = newQueue()
    queue.add('a')
    const item = await take(queue)
    for (const key of ['a', 'b']) queue.add(key)
    queue.addAfter('c', '1s')
    const closed = queue[Symbol.asyncDispose]()
    expect([queue.depth, queue.delayed, queue.working, clock.pending]).toEqual([0, 0, 1, 0])
    expect(await queue.take()).toBeUndefined()
    expect(await settled(closed)).toBe(false)
    item.done()
    await closed
    expect(queue.depth).toBe(0)
  })

  it('tells those who wait', async () => {
    const { queue } = newQueue()
    const waiting = [queue.take(), queue.take(new AbortController().signal)]
    await queue.close()
    expect(await Promise.all(waiting)).toEqual([undefined, undefined])
  })
})

it('what it does is measured', async () => {
  const measured: string[] = []
  const gauges = new Map<string, () => number>()
  const named = (name: string): string => name.replace('banyan.workqueue.', '')
  const telemetry: Telemetry = {
    ...noTelemetry,
    counter: (name, { attributes }) => ({
      add: (amount) => measured.push(`${attributes?.['banyan.workqueue']} ${named(name)} +${amount}`),
    }),
    histogram: (name) => ({ record: (value) => measured.push(`${named(name)} ${value}`) }),
    gauge: (name, _, read) => {
      gauges.set(named(name), read)
      return () => gauges.delete(named(name))
    },
  }
  const runtime = virtualRuntime({ telemetry })
  const queue = workQueue({ name: 'things', runtime })
  const read = (): unknown => Object.fromEntries([...gauges].map(([name, value]) => [name, value()]))
  queue.add('a')
  queue.add('a')
  queue.addAfter('b', '1s')
  expect(measured.splice(0)).toEqual(['things adds +1'])
  await runtime.clock.advance('2s')
  expect(measured.splice(0)).toEqual(['things adds +1'])
  const items = [await take(queue), await take(queue)]
  expect(measured.splice(0)).toEqual(['wait.duration 2', 'wait.duration 1'])
  await runtime.clock.advance('3s')
  queue.retry('b')
  items[1]!.done()
  expect(measured.splice(0)).toEqual(['things retries +1', 'work.duration 3'])
  queue.add('a')
  await runtime.clock.advance(1)
  expect(measured.splice(0)).toEqual(['things adds +1'])
  queue.add('c')
  const third = await take(queue)
  await runtime.clock.advance(999)
  expect(read()).toEqual({
    depth: 2,
    delayed: 0,
    working: 2,
    'work.unfinished': 4 + 0.999,
    'work.longest': 4,
  })
  const closed = queue.close()
  for (const item of [items[0]!, third]) item.done()
  await closed
  expect(gauges.size).toBe(0)
})

it('misuse is told', async () => {
  const { queue } = newQueue()
  const invalid = (code: string, text: string): unknown =>
    expect.objectContaining({ code, message: expect.stringContaining(text) as string })
  const options = (text: string): unknown => invalid('BANYAN_INVALID_OPTIONS', text)
  for (const key of ['', undefined, 7] as string[])
    for (const call of [() => queue.add(key), () => queue.addAfter(key, 1), () => queue.retry(key)])
      expect(call).toThrow(invalid('BANYAN_INVALID_KEY', 'must be text'))
  expect(() => queue.add('a', { prioriy: 1 } as object)).toThrow(options('did you mean `priority`'))
  for (const priority of [NaN, Infinity, 1e7, '1' as unknown as number])
    expect(() => queue.add('a', { priority })).toThrow(options('priority must be a number'))
  expect(() => queue.addAfter('a', -1)).toThrow(options('addAfter: wait'))
  expect(() => queue.addAfter('a', Infinity)).toThrow(options('addAfter: wait'))
  expect(() => workQueue({ backof: {} } as object)).toThrow(options('did you mean `backoff`'))
  expect(() => workQueue({ bucket: { rate: 0 } })).toThrow(options('bucket.rate'))
  expect(() => workQueue({ backoff: { factor: 0.5 } })).toThrow(options('backoff.factor'))
  expect([queue.depth, queue.delayed, queue.failures('a')]).toEqual([0, 0, 0])
  await queue.close()
})
