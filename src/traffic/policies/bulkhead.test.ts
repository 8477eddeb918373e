import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Clock } from '../../core/clock.js'
import { virtualRuntime } from '../../testing/virtual-clock.js'
import { pipeline } from '../pipeline.js'
import { RejectedError } from '../errors.js'
import { definePolicy, type CallOptions } from '../policy.js'
import { bulkhead, type Bulkhead, type BulkheadOptions } from './bulkhead.js'
import { circuitBreaker } from './circuit-breaker.js'
import { timeout } from './timeout.js'

function setUp(options: BulkheadOptions = {}) {
  const runtime = virtualRuntime()
  return { slots: bulkhead({ ...options, runtime }), runtime, clock: runtime.clock }
}

/** A call that ends when the test says so. */
function hold(slots: Bulkhead, options?: CallOptions) {
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

/** A call that takes so many ms. */
function take(slots: Bulkhead, clock: Clock, ms: number, options?: CallOptions): Promise<string> {
  const result = slots.execute(
    () => new Promise<string>((resolve) => clock.schedule(clock.now() + ms, () => resolve('done'))),
    options,
  )
  result.catch(() => undefined)
  return result
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
    await expect(third.result).rejects.toMatchObject({
      code: 'BANYAN_BULKHEAD_FULL',
      message: 'bulkhead: 2 of 2 calls under way',
      policy: 'bulkhead',
      retryAfter: undefined,
    })
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

  test('a policy below that throws instead of rejecting gives its slot back', async () => {
    const { slots } = setUp({ concurrency: 1 })
    const broken = definePolicy('broken', () => () => {
      throw new Error('no promise')
    })
    await expect(pipeline(slots, broken).execute(() => 1)).rejects.toThrow('no promise')
    expect(slots.inFlight).toBe(0)
  })

  test('an isFailure that throws ends the call with its error, and gives the slot back', async () => {
    const isFailure = (): boolean => {
      throw new Error('bad predicate')
    }
    const { slots } = setUp({ concurrency: { adaptive: 'aimd' }, isFailure })
    await expect(slots.execute(() => 1)).rejects.toThrow('bad predicate')
    expect(slots.inFlight).toBe(0)
  })

  test.each(['resolves', 'rejects'])(
    'work that goes on after its result keeps the slot until it %s',
    async (how) => {
      const { slots, clock } = setUp({ concurrency: 1, queue: 1 })
      let endBody!: () => void
      const result = await slots.execute((context) => {
        context.waitUntil(
          new Promise<void>((resolve, reject) => {
            endBody = () => (how === 'resolves' ? resolve() : reject(new Error('broken body')))
          }),
        )
        return 'head'
      })
      expect([result, slots.inFlight]).toEqual(['head', 1])
      const next = hold(slots)
      await clock.advance(1)
      expect(next.state.started).toBe(false)
      endBody()
      await clock.advance(1)
      expect(next.state.started).toBe(true)
    },
  )

  test('work that goes on after its error keeps the slot', async () => {
    const { slots, clock } = setUp({ concurrency: 1 })
    let endBody!: () => void
    const result = slots.execute((context) => {
      context.waitUntil(new Promise<void>((resolve) => (endBody = resolve)))
      throw new Error('no head')
    })
    await expect(result).rejects.toThrow('no head')
    expect(slots.inFlight).toBe(1)
    endBody()
    await clock.advance(1)
    expect(slots.inFlight).toBe(0)
  })

  test('work that ignores the timeout around the bulkhead keeps its slot until it has ended', async () => {
    const { slots, runtime, clock } = setUp({ concurrency: 1 })
    const result = pipeline(timeout({ after: 10, runtime }), slots).execute(
      () => new Promise<void>((resolve) => clock.schedule(100, resolve)),
    )
    result.catch(() => undefined)
    await clock.advance(50)
    expect([await codeOf(result), slots.inFlight]).toEqual(['BANYAN_TIMEOUT', 1])
    await clock.advance(50)
    expect(slots.inFlight).toBe(0)
  })

  test('a free slot of a fixed limit costs no look at the clock', async () => {
    const runtime = virtualRuntime()
    let looks = 0
    const clock = { ...runtime.clock, now: () => (looks++, 0) }
    const slots = bulkhead({ concurrency: 1, queue: 10, runtime: { ...runtime, clock } })
    for (let call = 0; call < 3; call++) await slots.execute(() => call)
    expect(looks).toBe(0)
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

  test('calls that starting calls make do not overtake those who wait, however the limit jumps', async () => {
    const { slots, clock } = setUp({ concurrency: { adaptive: 'gradient', initial: 8 }, queue: 1_000 })
    const order: number[] = []
    const calls: Promise<void>[] = []
    const call = (makesAnother: boolean): void => {
      const number = calls.length
      calls.push(Promise.resolve())
      calls[number] = slots.execute(() => {
        order.push(number)
        if (makesAnother) call(false)
        return new Promise<void>((resolve) => clock.schedule(clock.now() + 100, () => resolve()))
      })
    }
    for (let root = 0; root < 400; root++) call(true)
    await clock.advance('1m')
    await Promise.all(calls)
    expect(order).toEqual(calls.map((_, number) => number))
  })

  test('a full one refuses, and estimates when a slot will be free once it knows the pace', async () => {
    const { slots, clock } = setUp({ concurrency: 2, queue: 2 })
    const retryAfter = async (): Promise<number | undefined> => {
      while (slots.queued < 2) void take(slots, clock, 100)
      return slots
        .execute(() => 0)
        .then(
          () => NaN,
          (error: unknown) => (error as RejectedError).retryAfter,
        )
    }
    expect(await retryAfter()).toBeUndefined()
    for (let round = 0; round < 20; round++) {
      await clock.advance(100)
      await retryAfter()
    }
    // Two slots in 100 ms, and the third place.
    const estimate = await retryAfter()
    expect(estimate).toBeGreaterThan(100)
    expect(estimate).toBeLessThan(200)
  })

  test('a caller that gives up leaves it at once', async () => {
    const { slots, clock } = setUp({ concurrency: 1, queue: 1 })
    const first = hold(slots)
    const caller = new AbortController()
    const waiting = hold(slots, { signal: caller.signal })
    expect(slots.queued).toBe(1)
    caller.abort(new Error('gone'))
    expect(slots.queued).toBe(0)
    await expect(waiting.result).rejects.toThrow('gone')
    first.end()
    await clock.advance(1)
    expect([waiting.state.started, slots.inFlight]).toEqual([false, 0])
  })

  test('a call that a timeout around it ends while it waits is a refusal, which no breaker counts', async () => {
    const { slots, runtime, clock } = setUp({ concurrency: 1, queue: 5 })
    const breaker = circuitBreaker({ minimumCalls: 1, runtime })
    const bounded = pipeline(timeout({ after: 50, runtime }), breaker, slots)
    hold(slots)
    const waiting = Array.from({ length: 5 }, () => codeOf(bounded.execute(() => 'never')))
    await clock.advance(50)
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['BANYAN_TIMEOUT']))
    expect(breaker.snapshot()).toMatchObject({ state: 'closed', window: { calls: 0 } })
    expect(slots.snapshot()).toMatchObject({ inFlight: 1, queued: 0, refused: 5 })
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

  test.each([
    ['the deadline', {}, 50, 'BANYAN_DEADLINE_EXCEEDED'],
    ['the end of maxWait', { maxWait: 50 }, undefined, 'BANYAN_BULKHEAD_FULL'],
  ])('a slot that becomes free at %s, before its timer, does not start the call', async (...row) => {
    const [, options, deadline, code] = row
    const { slots, clock } = setUp({ concurrency: 1, queue: 1, ...options })
    void take(slots, clock, 50)
    const waiting = hold(slots, { deadline })
    await clock.advance(50)
    expect([await codeOf(waiting.result), waiting.state.started]).toEqual([code, false])
  })

  test('leaves no timer behind', async () => {
    const { slots, clock } = setUp({ concurrency: 1, queue: 5, maxWait: '1h' })
    const first = hold(slots)
    const caller = new AbortController()
    hold(slots, { signal: caller.signal })
    hold(slots, { deadline: 1e9 })
    expect(clock.pending).toBe(2)
    caller.abort()
    first.end()
    await clock.advance(1)
    expect(clock.pending).toBe(0)
  })

  describe('once the pace of a full bulkhead is known', () => {
    /** One slot, calls of 100 ms, and always one that waits. */
    async function jam(queue = 10) {
      const { slots, clock } = setUp({ concurrency: 1, queue })
      for (let call = 0; call < 10; call++) {
        while (slots.queued < 1) void take(slots, clock, 100)
        await clock.advance(100)
      }
      while (slots.queued < 1) void take(slots, clock, 100)
      return { slots, clock }
    }

    test('a call whose turn would come too late does not even wait', async () => {
      const { slots, clock } = await jam()
      const late = hold(slots, { deadline: clock.now() + 150 })
      await expect(late.result).rejects.toMatchObject({
        code: 'BANYAN_DEADLINE_EXCEEDED',
        message:
          'bulkhead: its turn would come in about 200ms and it would take about 100ms, but it has 150ms',
      })
      expect(slots.queued).toBe(1)
    })

    test('one that has time enough waits and is made', async () => {
      const { slots, clock } = await jam()
      const result = take(slots, clock, 100, { deadline: clock.now() + 350 })
      expect(await clock.settle(codeOf(result))).toBe('ok')
    })

    test('one that turned hopeless while it waited is not made when its turn comes', async () => {
      const { slots, clock } = await jam()
      void take(slots, clock, 1_000)
      const waiting = hold(slots, { deadline: clock.now() + 1_250 })
      expect(slots.queued).toBe(3)
      await clock.advance(1_200)
      expect([await codeOf(waiting.result), waiting.state.started]).toEqual([
        'BANYAN_DEADLINE_EXCEEDED',
        false,
      ])
    })

    test('it is forgotten when a slot is free and nobody waits', async () => {
      const { slots, clock } = await jam()
      await clock.advance('1s')
      expect(slots.inFlight).toBe(0)
      hold(slots)
      hold(slots, { deadline: clock.now() + 20 })
      expect(slots.queued).toBe(1)
    })
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

  test('adaptive-lifo gives up the oldest for a new call when a standing queue is full', async () => {
    const { slots, clock } = setUp({ concurrency: 1, queue: 2, order: 'adaptive-lifo' })
    hold(slots)
    const waiting = [hold(slots), hold(slots)]
    expect(await codeOf(hold(slots).result)).toBe('BANYAN_BULKHEAD_FULL')
    await clock.advance(200)
    hold(slots)
    await expect(waiting[0]!.result).rejects.toMatchObject({
      code: 'BANYAN_BULKHEAD_FULL',
      message: 'bulkhead: made way for a newer call after 200ms',
    })
    expect(slots.queued).toBe(2)
  })
})

interface Arrival {
  at: number
  takes: number
  givesUpAt: number
}

interface Fate {
  startedAt?: number
  code: string
  at: number
}

/** What a bulkhead must do with these arrivals, by looking at the whole queue at every event. */
function model(
  options: { concurrency: number; queue: number; maxWait: number; lifo: boolean },
  arrivals: Arrival[],
) {
  const fates: Fate[] = arrivals.map(() => ({ code: '?', at: NaN }))
  const running = new Set<number>()
  let waiting: number[] = []
  let busySince = 0
  let now = 0
  let arrived = 0
  const leave = (index: number, code: string): void => {
    waiting = waiting.filter((other) => other !== index)
    Object.assign(fates[index]!, { code, at: now })
  }
  const start = (index: number): void => {
    waiting = waiting.filter((other) => other !== index)
    running.add(index)
    fates[index]!.startedAt = now
  }
  const standing = (): boolean => options.lifo && waiting.length > 0 && now - busySince > 100
  for (;;) {
    const events: { at: number; run: () => void }[] = []
    if (arrived < arrivals.length) {
      const index = arrived
      events.push({ at: arrivals[index]!.at, run: () => arrive(index) })
    }
    for (const index of running) {
      events.push({ at: fates[index]!.startedAt! + arrivals[index]!.takes, run: () => end(index) })
    }
    for (const index of waiting) {
      const { at, givesUpAt } = arrivals[index]!
      events.push({ at: givesUpAt, run: () => leave(index, 'gave up') })
      events.push({ at: at + options.maxWait, run: () => leave(index, 'BANYAN_BULKHEAD_FULL') })
    }
    const next = events.sort((a, b) => a.at - b.at)[0]
    if (!next) return fates
    now = next.at
    next.run()
  }
  function arrive(index: number): void {
    arrived++
    if (running.size < options.concurrency) {
      start(index)
    } else {
      if (waiting.length >= options.queue) {
        if (!standing()) {
          leave(index, 'BANYAN_BULKHEAD_FULL')
          return
        }
        leave(waiting[0]!, 'BANYAN_BULKHEAD_FULL')
      }
      if (waiting.length === 0) busySince = now
      waiting.push(index)
    }
  }
  function end(index: number): void {
    running.delete(index)
    Object.assign(fates[index]!, { code: 'ok', at: now })
    const next = standing() ? waiting.at(-1) : waiting[0]
    if (next !== undefined) start(next)
  }
}

/** Fractions of a ms that make no two events fall on the same instant. */
const fraction = (index: number): number => (Math.sqrt(index * 4 + 7) % 1) / 10

describe('with any arrivals', () => {
  const arrivals = fc.array(
    fc.record({
      wait: fc.nat(30),
      takes: fc.nat(120),
      givesUpAfter: fc.option(fc.nat(150), { nil: Infinity }),
    }),
    { maxLength: 60, size: 'max' },
  )
  const shape = fc.record({
    concurrency: fc.integer({ min: 1, max: 4 }),
    queue: fc.integer({ min: 1, max: 5 }),
    maxWait: fc.constantFrom(40, 1_000),
    lifo: fc.boolean(),
  })

  test('and callers that give up, every call starts and ends exactly when the model says', async () => {
    await fc.assert(
      fc.asyncProperty(shape, arrivals, async (options, pauses) => {
        let at = 0
        const calls = pauses.map(({ wait, takes, givesUpAfter }, index): Arrival => {
          at += wait + fraction(3 * index)
          return {
            at,
            takes: takes + fraction(3 * index + 1),
            givesUpAt: at + givesUpAfter + fraction(3 * index + 2),
          }
        })
        const { concurrency, queue, maxWait, lifo } = options
        const order = lifo ? 'adaptive-lifo' : 'fifo'
        const { slots, clock } = setUp({ concurrency, queue, maxWait, order })
        const fates: Fate[] = calls.map(() => ({ code: '?', at: NaN }))
        calls.forEach((arrival, index) => {
          const fate = fates[index]!
          const caller = new AbortController()
          const settle = (code: string): void => {
            Object.assign(fate, { code, at: clock.now() })
          }
          clock.schedule(arrival.at, () => {
            slots
              .execute(
                () => {
                  fate.startedAt = clock.now()
                  return new Promise<void>((resolve) =>
                    clock.schedule(clock.now() + arrival.takes, () => resolve()),
                  )
                },
                { signal: caller.signal },
              )
              .then(
                () => settle('ok'),
                (error: unknown) => settle(error instanceof RejectedError ? error.code : 'gave up'),
              )
          })
          if (arrival.givesUpAt !== Infinity) clock.schedule(arrival.givesUpAt, () => caller.abort())
        })
        await clock.advance('1m')
        expect(fates).toEqual(model(options, calls))
        expect(slots.snapshot()).toMatchObject({ inFlight: 0, queued: 0 })
      }),
      { numRuns: 150 },
    )
  })

  test('and deadlines, the bounds hold, nothing starts too late, and every call settles', async () => {
    await fc.assert(
      fc.asyncProperty(shape, arrivals, async ({ concurrency, queue, lifo }, pauses) => {
        const { slots, clock } = setUp({ concurrency, queue, order: lifo ? 'adaptive-lifo' : 'fifo' })
        const broken: string[] = []
        let inFlight = 0
        let settled = 0
        for (const { wait, takes, givesUpAfter: patience } of pauses) {
          if (wait > 0) await clock.advance(wait)
          const deadline = clock.now() + patience
          const done = (): number => settled++
          slots
            .execute(
              () => {
                if (++inFlight > concurrency) broken.push(`${inFlight} under way`)
                if (clock.now() > deadline) broken.push(`started ${clock.now() - deadline} ms late`)
                return new Promise<void>((resolve) => {
                  clock.schedule(clock.now() + takes, () => {
                    inFlight--
                    resolve()
                  })
                })
              },
              { deadline },
            )
            .then(done, done)
          if (slots.queued > queue) broken.push(`${slots.queued} waiting`)
        }
        await clock.advance('1m')
        expect(broken).toEqual([])
        expect(settled).toBe(pauses.length)
        expect(slots.snapshot()).toMatchObject({ inFlight: 0, queued: 0 })
      }),
      { numRuns: 100 },
    )
  })
})

describe('an adaptive limit', () => {
  /** A server that works on all its calls at once, each as much slower as there are more than its capacity. */
  function server(capacity: number) {
    const runtime = virtualRuntime()
    const { clock, random } = runtime
    let active = 0
    const call = (): Promise<void> => {
      const takes = 10 * Math.max(1, ++active / capacity) * (0.9 + random.next() * 0.2)
      return new Promise((resolve) => {
        clock.schedule(clock.now() + takes, () => {
          active--
          resolve()
        })
      })
    }
    return { runtime, clock, call }
  }

  test.each([5, 60])('finds the capacity of what it calls from %i', async (initial) => {
    const { runtime, clock, call } = server(15)
    const slots = bulkhead({ concurrency: { adaptive: 'gradient', initial }, queue: 50, runtime })
    const until = 8_000
    const caller = async (): Promise<void> => {
      while (clock.now() < until) await slots.execute(call)
    }
    await clock.settle(Promise.all(Array.from({ length: 45 }, caller)))
    expect(slots.limit).toBeGreaterThanOrEqual(13)
    expect(slots.limit).toBeLessThan(33)
    expect(slots.snapshot()).toMatchObject({ inFlight: 0, queued: 0, refused: 0 })
  })

  /** One call that ends after 10 ms as told, under a limit of 10 that calls fill. */
  async function limitAfter(end: (clock: Clock) => Promise<unknown>, options: BulkheadOptions = {}) {
    const { slots, runtime, clock } = setUp({ concurrency: { adaptive: 'aimd', initial: 10 }, ...options })
    const limited = pipeline(timeout({ after: 50, runtime }), slots)
    const calls = Array.from({ length: 10 }, () => limited.execute(() => end(clock)).catch(() => undefined))
    await clock.settle(Promise.all(calls))
    await clock.advance(100)
    return slots.limit
  }
  const after = (clock: Clock, ms: number): Promise<void> =>
    new Promise((resolve) => clock.schedule(clock.now() + ms, resolve))

  test('falls when calls fail', async () => {
    expect(await limitAfter(() => Promise.reject(new Error('overloaded')))).toBe(9)
  })

  test('falls when calls run into the timeout around it, even if they end well later', async () => {
    expect(await limitAfter((clock) => after(clock, 80))).toBe(9)
  })

  test('falls when values are judged failures', async () => {
    const isFailure = (_error: unknown, value: unknown): boolean => value === 503
    expect(await limitAfter(() => Promise.resolve(503), { isFailure })).toBe(9)
  })

  test('does not fall when something below refuses', async () => {
    const refusal = new RejectedError('BANYAN_RATE_LIMITED', 'enough', 'inner')
    expect(await limitAfter(() => Promise.reject(refusal))).toBe(10)
  })

  test('does not fall when callers give up', async () => {
    const { slots, clock } = setUp({ concurrency: { adaptive: 'aimd', initial: 2 } })
    const caller = new AbortController()
    const result = slots.execute(
      ({ signal }) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      { signal: caller.signal },
    )
    await clock.advance(10)
    caller.abort(new Error('gone'))
    await expect(result).rejects.toThrow('gone')
    expect(slots.limit).toBe(2)
  })

  test('is measured to the result, not to the end of what goes on after it', async () => {
    const { slots, clock } = setUp({ concurrency: { adaptive: 'gradient', initial: 4 }, queue: 100 })
    const streaming = (): Promise<void> =>
      slots.execute(async (context) => {
        await after(clock, 5)
        context.waitUntil(after(clock, clock.now() < 500 ? 5 : 500))
      })
    // Bodies become a hundred times longer; heads come as fast as before.
    const caller = async (): Promise<void> => {
      while (clock.now() < 5_000) await streaming()
    }
    await clock.settle(Promise.all(Array.from({ length: 30 }, caller)))
    expect(slots.limit).toBeGreaterThan(10)
  })

  test('that grows lets in those who wait, without waiting for the next slot', async () => {
    const { slots, clock } = setUp({ concurrency: { adaptive: 'aimd', initial: 1 }, queue: 10 })
    const bodies: (() => void)[] = []
    const streaming = () =>
      slots.execute((context) => {
        context.waitUntil(new Promise<void>((resolve) => bodies.push(resolve)))
      })
    const calls = [streaming(), streaming()]
    await clock.advance(1)
    // The head of the first has raised the limit from 1 to 2; its body still holds its slot.
    expect([slots.limit, slots.inFlight, slots.queued]).toEqual([2, 2, 0])
    for (const end of bodies) end()
    await Promise.all(calls)
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
