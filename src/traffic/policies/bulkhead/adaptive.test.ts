import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../../core/random.js'
import { adaptiveLimit, type AdaptiveOptions } from './adaptive.js'
import type { Limit } from './limit.js'

interface Load {
  limit: Limit
  /** Calls that the server works on at a time; the others wait inside it, first in, first out. */
  capacity: (now: number) => number
  /** ms of work of a call, on average. */
  work?: (now: number) => number
  /** How the work of a call differs from the average. Default: by a tenth at most. */
  spread?: (random: () => number) => number
  /** Calls that arrive per ms; those above the limit are refused. */
  rate: (now: number) => number
  /** Share of the calls that fail whatever the load. Default 0. */
  faults?: number
  /** Whether the server refuses after 1 ms what is above its capacity, instead of letting it wait. Default false. */
  refuses?: boolean
  /** How long callers wait before they give up, ms. Default: for ever. */
  patience?: number
  ms: number
}

interface Second {
  /** The limit, averaged over the second. */
  limit: number
  done: number
}

/** A server under an open load, event by event; every arrival and every service time comes from the seed. */
function simulate(load: Load): Second[] {
  const { limit, capacity, work = () => 10, spread = even, rate, faults = 0, refuses = false, ms } = load
  const { patience = Infinity } = load
  const source = seededRandom(11)
  const random = (): number => source.next()
  const events = new Events()
  const waiting: (() => void)[] = []
  const seconds: Second[] = []
  let now = 0
  let inFlight = 0
  let busy = 0
  let second: Second = { limit: 0, done: 0 }

  const end = (startedAt: number, outcome: 'done' | 'dropped'): void => {
    const gaveUp = now - startedAt > patience
    limit.observe(gaveUp ? startedAt + patience : now, startedAt, inFlight, gaveUp ? 'abandoned' : outcome)
    inFlight--
    if (outcome === 'done') second.done++
  }
  const serve = (startedAt: number): void => {
    busy++
    events.add(now + work(now) * spread(random), () => {
      busy--
      end(startedAt, random() < faults ? 'dropped' : 'done')
      while (busy < capacity(now) && waiting.length > 0) waiting.shift()!()
    })
  }
  const arrive = (): void => {
    events.add(now - Math.log(1 - random()) / rate(now), arrive)
    if (inFlight >= limit.current) return
    const startedAt = now
    inFlight++
    if (busy < capacity(now)) serve(startedAt)
    else if (refuses) events.add(now + 1, () => end(startedAt, 'dropped'))
    else waiting.push(() => serve(startedAt))
  }
  const look = (): void => {
    second.limit += limit.current / 100
    if (now % 1_000 === 0) {
      seconds.push(second)
      second = { limit: 0, done: 0 }
    }
    events.add(now + 10, look)
  }
  events.add(0, arrive)
  events.add(10, look)
  while (now < ms) {
    const { at, run } = events.next()
    now = at
    run()
  }
  return seconds
}

interface Event {
  at: number
  run: () => void
}

/** A binary heap. */
class Events {
  readonly #heap: Event[] = []

  add(at: number, run: () => void): void {
    const heap = this.#heap
    let index = heap.length
    for (let parent = (index - 1) >> 1; index > 0 && heap[parent]!.at > at; parent = (index - 1) >> 1) {
      heap[index] = heap[parent]!
      index = parent
    }
    heap[index] = { at, run }
  }

  next(): Event {
    const heap = this.#heap
    const first = heap[0]!
    const last = heap.pop()!
    if (heap.length === 0) return first
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child + 1 < heap.length && heap[child + 1]!.at < heap[child]!.at) child++
      if (child >= heap.length || heap[child]!.at >= last.at) break
      heap[index] = heap[child]!
      index = child
    }
    heap[index] = last
    return first
  }
}

const even = (random: () => number): number => 0.9 + random() * 0.2
const exponential = (random: () => number): number => -Math.log(1 - random())
const cached = (random: () => number): number => (random() < 0.9 ? 0.2 : 8.2)

const gradient = (options: Partial<AdaptiveOptions> = {}): Limit =>
  adaptiveLimit({ adaptive: 'gradient', ...options })
const aimd = (options: Partial<AdaptiveOptions> = {}): Limit =>
  adaptiveLimit({ adaptive: 'aimd', ...options })

const mean = (seconds: readonly Second[], of: keyof Second): number =>
  seconds.reduce((sum, second) => sum + second[of], 0) / seconds.length

/** The last five seconds. */
const atLast = (seconds: readonly Second[], of: keyof Second = 'limit'): number => mean(seconds.slice(-5), of)

/** Three times what the server can do in 10 ms a call. */
const pressing = (capacity: number) => ({ capacity: () => capacity, rate: () => (capacity / 10) * 3 })

describe('gradient', () => {
  test.each([
    [5, 20, 'even', even],
    [30, 2, 'even', even],
    [30, 200, 'even', even],
    [30, 2, 'exponential', exponential],
    [30, 200, 'exponential', exponential],
    [30, 20, 'cached', cached],
    [200, 20, 'exponential', exponential],
  ])('settles near a capacity of %i from %i, with %s latencies, and wastes none of it', (...row) => {
    const [capacity, initial, , spread] = row
    const seconds = simulate({ ...pressing(capacity), limit: gradient({ initial }), spread, ms: 40_000 })
    expect(atLast(seconds)).toBeGreaterThanOrEqual(capacity)
    // The tolerance of 1.5, and the square root that feels for more.
    expect(atLast(seconds)).toBeLessThan(capacity * 1.5 + 2 * Math.sqrt(capacity) + 6)
    expect(atLast(seconds, 'done')).toBeGreaterThan(capacity * 100 * 0.9)
  })

  test('does the same with few, slow and very different calls', () => {
    const seconds = simulate({
      limit: gradient({ initial: 100 }),
      capacity: () => 50,
      work: () => 1_000,
      spread: exponential,
      rate: () => 0.15,
      ms: 900_000,
    })
    const late = seconds.slice(-300)
    expect(mean(late, 'limit')).toBeGreaterThan(50)
    expect(mean(late, 'limit')).toBeLessThan(90)
    expect(mean(late, 'done')).toBeGreaterThan(45)
  })

  test('follows a capacity that falls, and one that comes back', () => {
    const seconds = simulate({
      limit: gradient(),
      capacity: (now) => (now > 15_000 && now < 30_000 ? 8 : 40),
      rate: () => 12,
      ms: 45_000,
    })
    expect(atLast(seconds.slice(0, 15))).toBeGreaterThanOrEqual(40)
    expect(atLast(seconds.slice(0, 20))).toBeLessThan(24)
    expect(atLast(seconds.slice(0, 30))).toBeGreaterThanOrEqual(8)
    expect(atLast(seconds.slice(0, 37))).toBeGreaterThanOrEqual(40)
  })

  test('does not take its own queue for usual: ten minutes of pressure do not raise it', () => {
    const seconds = simulate({ ...pressing(10), limit: gradient(), spread: exponential, ms: 600_000 })
    const early = mean(seconds.slice(20, 40), 'limit')
    expect(mean(seconds.slice(-20), 'limit')).toBeLessThan(early * 1.2)
    expect(mean(seconds.slice(-20), 'limit')).toBeGreaterThan(early * 0.8)
  })

  test('gets used to calls that take longer for good, and keeps the server busy', () => {
    const seconds = simulate({
      limit: gradient(),
      capacity: () => 40,
      work: (now) => (now < 10_000 ? 10 : 30),
      rate: () => 12,
      ms: 60_000,
    })
    expect(atLast(seconds, 'done')).toBeGreaterThan((40 / 30) * 1_000 * 0.9)
    expect(atLast(seconds)).toBeLessThan(80)
  })

  test('does not move while it is not used, and comes down when it is used up', () => {
    const seconds = simulate({
      limit: gradient({ initial: 100 }),
      capacity: () => 30,
      spread: exponential,
      rate: (now) => (now < 60_000 ? 0.3 : 9),
      ms: 75_000,
    })
    for (const { limit } of seconds.slice(0, 59)) expect(limit).toBeCloseTo(100)
    expect(atLast(seconds)).toBeLessThan(60)
  })

  test.each([20, 300])(
    'from %i it settles near the capacity of a server that refuses what is more',
    (initial) => {
      const seconds = simulate({ ...pressing(100), limit: gradient({ initial }), refuses: true, ms: 20_000 })
      expect(atLast(seconds)).toBeGreaterThan(80)
      expect(atLast(seconds)).toBeLessThan(115)
    },
  )

  test('is not throttled by the few failures that come with any load', () => {
    const seconds = simulate({ ...pressing(100), limit: gradient(), faults: 0.02, ms: 20_000 })
    expect(atLast(seconds)).toBeGreaterThanOrEqual(100)
  })

  test('comes down also if callers give up whatever is slow', () => {
    const seconds = simulate({ ...pressing(10), limit: gradient({ initial: 60 }), patience: 35, ms: 30_000 })
    expect(atLast(seconds)).toBeLessThan(30)
  })
})

describe('aimd', () => {
  test.each([2, 300])('from %i it saws closely below and above where calls begin to fail', (initial) => {
    const seconds = simulate({ ...pressing(100), limit: aimd({ initial }), refuses: true, ms: 40_000 })
    for (const { limit } of seconds.slice(-10)) {
      expect(limit).toBeGreaterThan(85)
      expect(limit).toBeLessThan(103)
    }
  })

  test('calls that fail together cost one step', () => {
    const limit = aimd({ initial: 100 })
    for (let call = 0; call < 50; call++) limit.observe(10 + call, 0, 100, 'dropped')
    expect(limit.current).toBe(90)
    limit.observe(100, 99, 100, 'dropped')
    expect(limit.current).toBe(81)
  })

  test('does not grow while it is not used', () => {
    const limit = aimd({ initial: 100 })
    for (let call = 0; call < 10_000; call++) limit.observe(call + 1, call, 49, 'done')
    expect(limit.current).toBe(100)
  })
})

test.each(['gradient', 'aimd'] as const)('%s never leaves its bounds', (adaptive) => {
  const options: AdaptiveOptions = { adaptive, initial: 10, minimum: 4, maximum: 12 }
  const limits = (load: Omit<Load, 'limit' | 'ms'>): Second[] =>
    simulate({ ...load, limit: adaptiveLimit(options), ms: 5_000 })
  for (const { limit } of limits(pressing(100))) expect(limit).toBeLessThanOrEqual(12.001)
  for (const { limit } of limits({ ...pressing(1), refuses: true }))
    expect(limit).toBeGreaterThanOrEqual(3.999)
})

test.each([
  [{ adaptive: 'gradient', minimum: 30, maximum: 20 }, /minimum is 30, above maximum, which is 20/],
  [{ adaptive: 'gradient', initial: 5, minimum: 10 }, /initial is 5, not between minimum and maximum/],
  [{ adaptive: 'aimd', tolerance: 2 }, /tolerance belongs to "gradient"/],
  [{}, /concurrency\.adaptive is needed/],
])('%j is refused', (options, message) => {
  expect(() => adaptiveLimit(options as AdaptiveOptions)).toThrow(message)
})
