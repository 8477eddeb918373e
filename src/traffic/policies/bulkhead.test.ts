import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../core/random.js'
import { virtualRuntime, type VirtualRuntime } from '../../testing/virtual-clock.js'
import { RejectedError } from '../errors.js'
import { bulkhead, type Bulkhead, type BulkheadOptions } from './bulkhead.js'

function setUp(options: BulkheadOptions = {}) {
  const runtime = virtualRuntime()
  return { slots: bulkhead({ ...options, runtime }), runtime, clock: runtime.clock }
}

/** A call that ends when the test says so. */
function hold(slots: Bulkhead, options?: Parameters<Bulkhead['execute']>[1]) {
  let end!: () => void
  const state = { started: false }
  const result = slots.execute(() => {
    state.started = true
    return new Promise<string>((resolve) => {
      end = () => resolve('done')
    })
  }, options)
  result.catch(() => undefined)
  return { result, state, end: () => end() }
}

const codeOf = (result: Promise<unknown>) =>
  result.then(
    () => 'ok',
    (error: unknown) => (error as RejectedError).code,
  )

describe('slots', () => {
  test('a call beyond the limit is refused at once, without being made', async () => {
    const { slots } = setUp({ concurrency: 2 })
    const held = [hold(slots), hold(slots)]
    const third = hold(slots)
    expect(await codeOf(third.result)).toBe('BANYAN_BULKHEAD_FULL')
    expect(third.state.started).toBe(false)
    expect(slots.snapshot()).toEqual({ limit: 2, inFlight: 2, queued: 0, queue: 0, refused: 1 })
    for (const { end } of held) end()
    await Promise.all(held.map(({ result }) => result))
    expect(slots.inFlight).toBe(0)
  })

  test('a call that throws gives its slot back', async () => {
    const { slots } = setUp({ concurrency: 1 })
    for (let round = 0; round < 3; round++) {
      await expect(
        slots.execute(() => {
          throw new Error('at once')
        }),
      ).rejects.toThrow('at once')
    }
    expect(slots.inFlight).toBe(0)
  })

  test('work that goes on after its result keeps the slot', async () => {
    const { slots, clock } = setUp({ concurrency: 1, queue: 1 })
    let endBody!: () => void
    const result = await slots.execute((context) => {
      context.waitUntil(new Promise<void>((resolve) => (endBody = resolve)))
      return 'head'
    })
    expect([result, slots.inFlight]).toEqual(['head', 1])
    const next = hold(slots)
    await clock.advance(1)
    expect(next.state.started).toBe(false)
    endBody()
    await clock.advance(1)
    expect(next.state.started).toBe(true)
  })
})

describe('the queue', () => {
  test('serves in the order of arrival', async () => {
    const { slots, clock } = setUp({ concurrency: 1, queue: 10 })
    const order: number[] = []
    const calls = Array.from({ length: 5 }, (_, index) => slots.execute(() => void order.push(index)))
    await clock.settle(Promise.all(calls))
    expect(order).toEqual([0, 1, 2, 3, 4])
  })

  test('a caller that gives up leaves it at once', async () => {
    const { slots, clock } = setUp({ concurrency: 1, queue: 1 })
    const first = hold(slots)
    const caller = new AbortController()
    const waiting = hold(slots, { signal: caller.signal })
    expect(slots.queued).toBe(1)
    caller.abort(new Error('gone'))
    await expect(waiting.result).rejects.toThrow('gone')
    expect(slots.queued).toBe(0)
    first.end()
    await clock.advance(1)
    expect([waiting.state.started, slots.inFlight]).toEqual([false, 0])
  })

  test('a call whose deadline passes while it waits is never made', async () => {
    const { slots, clock } = setUp({ concurrency: 1, queue: 1 })
    const first = hold(slots)
    const waiting = hold(slots, { deadline: 50 })
    await clock.advance(50)
    expect(await codeOf(waiting.result)).toBe('BANYAN_DEADLINE_EXCEEDED')
    first.end()
    await clock.advance(1)
    expect(waiting.state.started).toBe(false)
  })

  test('a call whose turn would come after its deadline does not even wait', async () => {
    const { slots, clock } = setUp({ concurrency: 1, queue: 10 })
    const learn = hold(slots)
    await clock.advance(100)
    learn.end()
    await learn.result
    hold(slots)
    expect(await codeOf(hold(slots, { deadline: clock.now() + 20 }).result)).toBe('BANYAN_DEADLINE_EXCEEDED')
    expect(slots.queued).toBe(0)
  })

  test('maxWait ends the wait', async () => {
    const { slots, clock } = setUp({ concurrency: 1, queue: 1, maxWait: 30 })
    hold(slots)
    const waiting = hold(slots)
    await clock.advance(30)
    await expect(waiting.result).rejects.toMatchObject({
      code: 'BANYAN_BULKHEAD_FULL',
      message: 'bulkhead: no slot was free within 30ms',
    })
  })

  test('adaptive-lifo serves the newest while the queue does not empty', async () => {
    const { slots, clock } = setUp({ concurrency: 1, queue: 10, order: 'adaptive-lifo' })
    const first = hold(slots)
    const old = hold(slots)
    await clock.advance(200)
    const fresh = hold(slots)
    first.end()
    await clock.advance(1)
    expect([old.state.started, fresh.state.started]).toEqual([false, true])
    fresh.end()
    await clock.advance(1)
    expect(old.state.started).toBe(true)
  })

  test('with any arrivals, ends, cancellations and deadlines the bounds hold and every call settles', async () => {
    const arrival = fc.record({
      wait: fc.nat(30),
      takes: fc.nat(60),
      deadline: fc.option(fc.integer({ min: 1, max: 80 }), { nil: undefined }),
      gaveUpAfter: fc.option(fc.nat(60), { nil: undefined }),
    })
    const shape = fc.record({
      concurrency: fc.integer({ min: 1, max: 4 }),
      queue: fc.nat(4),
      order: fc.constantFrom('fifo' as const, 'adaptive-lifo' as const),
    })
    await fc.assert(
      fc.asyncProperty(shape, fc.array(arrival, { maxLength: 40 }), async (options, arrivals) => {
        const { slots, clock } = setUp(options)
        let inFlight = 0
        let settled = 0
        for (const { wait, takes, deadline, gaveUpAfter } of arrivals) {
          if (wait > 0) await clock.advance(wait)
          const caller = new AbortController()
          const until = deadline === undefined ? undefined : clock.now() + deadline
          const done = (): void => {
            settled++
          }
          slots
            .execute(
              () => {
                inFlight++
                expect(inFlight).toBeLessThanOrEqual(options.concurrency)
                if (until !== undefined) expect(clock.now()).toBeLessThanOrEqual(until)
                return new Promise<void>((resolve) => {
                  clock.schedule(clock.now() + takes, () => {
                    inFlight--
                    resolve()
                  })
                })
              },
              { signal: caller.signal, deadline: until },
            )
            .then(done, done)
          if (gaveUpAfter !== undefined) clock.schedule(clock.now() + gaveUpAfter, () => caller.abort())
          expect(slots.queued).toBeLessThanOrEqual(options.queue)
        }
        await clock.advance('1m')
        expect(settled).toBe(arrivals.length)
        expect(slots.snapshot()).toMatchObject({ inFlight: 0, queued: 0 })
      }),
      { numRuns: 150 },
    )
  })
})

/**
 * A server that takes `capacity` calls at a time in `base` ms each; beyond that they queue inside it, and beyond
 * twenty times that it fails.
 */
class Server {
  capacity: number
  base = 10
  #active = 0
  readonly #runtime: VirtualRuntime

  constructor(runtime: VirtualRuntime, capacity: number) {
    this.#runtime = runtime
    this.capacity = capacity
  }

  call(): Promise<void> {
    const { clock, random } = this.#runtime
    this.#active++
    const crowded = Math.max(1, this.#active / this.capacity)
    const takes = this.base * crowded * (0.9 + random.next() * 0.2)
    const fails = this.#active > this.capacity * 20 || (this.failing && this.#active > this.capacity)
    return new Promise((resolve, reject) => {
      clock.schedule(clock.now() + takes, () => {
        this.#active--
        if (fails) reject(new Error('overloaded'))
        else resolve()
      })
    })
  }

  failing = false
}

/** Callers that never stop: there are always more than the limit lets through. */
async function press(
  slots: Bulkhead,
  server: Server,
  runtime: VirtualRuntime,
  callers: number,
  ms: number,
): Promise<void> {
  const { clock } = runtime
  const until = clock.now() + ms
  const caller = async (): Promise<void> => {
    while (clock.now() < until) {
      const refused = await slots
        .execute(() => server.call())
        .then(
          () => false,
          (error: unknown) => error instanceof RejectedError,
        )
      if (refused) await new Promise<void>((resolve) => clock.schedule(clock.now() + 2, resolve))
    }
  }
  const all = Array.from({ length: callers }, caller)
  await clock.advance(ms)
  await clock.settle(Promise.all(all))
}

describe('an adaptive limit', () => {
  function adaptive(
    options: Partial<Extract<BulkheadOptions['concurrency'], object>> & { adaptive: 'gradient' | 'aimd' },
    capacity: number,
  ) {
    const runtime = { ...virtualRuntime(), random: seededRandom(7) }
    return {
      runtime,
      server: new Server(runtime, capacity),
      slots: bulkhead({ concurrency: options, runtime }),
    }
  }

  test('gradient finds the capacity from below and from above', async () => {
    for (const initial of [2, 200]) {
      const { runtime, server, slots } = adaptive({ adaptive: 'gradient', initial }, 30)
      await press(slots, server, runtime, 120, 15_000)
      expect(slots.limit).toBeGreaterThan(20)
      expect(slots.limit).toBeLessThan(90)
    }
  })

  test('gradient follows a capacity that falls, and one that comes back', async () => {
    const { runtime, server, slots } = adaptive({ adaptive: 'gradient' }, 40)
    await press(slots, server, runtime, 120, 10_000)
    const before = slots.limit
    server.capacity = 8
    await press(slots, server, runtime, 120, 10_000)
    const fallen = slots.limit
    server.capacity = 40
    await press(slots, server, runtime, 120, 15_000)
    expect(fallen).toBeLessThan(before / 1.5)
    expect(fallen).toBeGreaterThanOrEqual(8)
    expect(slots.limit).toBeGreaterThan(30)
  })

  test('gradient does not take its own queue for normal: it stays where it was under lasting pressure', async () => {
    const { runtime, server, slots } = adaptive({ adaptive: 'gradient' }, 20)
    await press(slots, server, runtime, 100, 10_000)
    const early = slots.limit
    await press(slots, server, runtime, 100, 25_000)
    expect(slots.limit).toBeLessThan(early * 2)
  })

  test('a limit that is not used neither grows nor falls', async () => {
    for (const kind of ['gradient', 'aimd'] as const) {
      const { runtime, server, slots } = adaptive({ adaptive: kind, initial: 50 }, 1_000)
      await press(slots, server, runtime, 3, 20_000)
      expect(slots.limit).toBeGreaterThanOrEqual(45)
      expect(slots.limit).toBeLessThanOrEqual(55)
    }
  })

  test('aimd grows until calls fail, and saws around the capacity', async () => {
    const { runtime, server, slots } = adaptive({ adaptive: 'aimd', initial: 2 }, 30)
    server.failing = true
    await press(slots, server, runtime, 120, 20_000)
    expect(slots.limit).toBeGreaterThan(20)
    expect(slots.limit).toBeLessThan(40)
  })

  test('never leaves its bounds', async () => {
    const { runtime, server, slots } = adaptive(
      { adaptive: 'aimd', initial: 10, minimum: 4, maximum: 12 },
      100,
    )
    await press(slots, server, runtime, 50, 5_000)
    expect(slots.limit).toBe(12)
    server.capacity = 1
    server.failing = true
    await press(slots, server, runtime, 50, 10_000)
    expect(slots.limit).toBe(4)
  })
})

test.each([
  [{ concurrency: 0 }, /concurrency must be a whole number of at least 1/],
  [
    { concurrency: { adaptive: 'magic' } },
    /concurrency\.adaptive must be one of "gradient", "aimd", got "magic"/,
  ],
  [{ queue: -1 }, /queue must be a whole number of at least 0, got -1/],
])('%j is refused', (options, message) => {
  expect(() => bulkhead(options as BulkheadOptions)).toThrow(message)
})
