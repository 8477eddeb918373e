import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { virtualRuntime, type VirtualRuntime } from '../../testing/virtual-clock.js'
import { rejected, RejectedError, TimeoutError } from '../errors.js'
import { pipeline } from '../pipeline.js'
import {
  circuitBreaker,
  type CircuitBreaker,
  type CircuitBreakerOptions,
  type StateChange,
} from './circuit-breaker.js'
import { timeout } from './timeout.js'

const boom = new Error('boom')

/** A breaker on virtual time, with a window that is easy to fill. */
function setUp(options: CircuitBreakerOptions = {}, runtime: VirtualRuntime = virtualRuntime()) {
  const breaker = circuitBreaker({
    minimumCalls: 4,
    openFor: 1_000,
    rampUp: 0,
    window: { time: '10s' },
    ...options,
    runtime,
  })
  const changes: StateChange[] = []
  breaker.on('stateChange', (change) => changes.push(change))
  return { breaker, changes, runtime, clock: runtime.clock }
}

const succeed = (breaker: CircuitBreaker) => breaker.execute(() => Promise.resolve('fine'))
const fail = (breaker: CircuitBreaker) =>
  breaker.execute(() => Promise.reject(boom)).catch((error: unknown) => error)

async function times(count: number, call: () => Promise<unknown>): Promise<void> {
  for (let index = 0; index < count; index++) await call()
}

/** A call that ends when the test says so. */
function pending(breaker: CircuitBreaker) {
  let settle!: { resolve: (value: string) => void; reject: (error: unknown) => void }
  const work = new Promise<string>((resolve, reject) => {
    settle = { resolve, reject }
  })
  const result = breaker.execute(() => work)
  result.catch(() => undefined)
  return { result, ...settle }
}

describe('opening', () => {
  test('opens when the share of failures reaches the threshold, not before there are enough calls', async () => {
    const { breaker, changes } = setUp()
    await times(3, () => fail(breaker))
    expect(breaker.state).toBe('closed')
    await fail(breaker)
    expect(breaker.state).toBe('open')
    expect(changes).toMatchObject([
      {
        from: 'closed',
        to: 'open',
        reason: { code: 'failure-rate', message: '4 of 4 calls have failed' },
        window: { calls: 4, failures: 4 },
      },
    ])
  })

  test('stays closed below the threshold', async () => {
    const { breaker } = setUp({ failureRate: 0.5 })
    for (let round = 0; round < 50; round++) {
      await times(2, () => succeed(breaker))
      await fail(breaker)
    }
    expect(breaker.state).toBe('closed')
  })

  test('opens after failures in a row, whatever the rate', async () => {
    const { breaker, changes } = setUp({ consecutiveFailures: 3, minimumCalls: 1_000 })
    await times(100, () => succeed(breaker))
    await times(2, () => fail(breaker))
    await succeed(breaker)
    await times(2, () => fail(breaker))
    expect(breaker.state).toBe('closed')
    await fail(breaker)
    expect(changes[0]).toMatchObject({
      reason: { code: 'consecutive-failures', message: '3 calls in a row have failed' },
    })
  })

  test('opens when calls are slow, though none fails', async () => {
    const { breaker, changes, clock } = setUp({ slowCall: 100, slowCallRate: 0.5 })
    for (const took of [100, 10, 500, 99]) {
      const call = pending(breaker)
      await clock.advance(took)
      call.resolve('late')
      await call.result
    }
    expect(changes[0]).toMatchObject({
      to: 'open',
      reason: { code: 'slow-call-rate', message: '2 of 4 calls took 100ms or more' },
    })
  })

  test('silence forgets: failures of long ago do not count', async () => {
    const { breaker, clock } = setUp()
    await times(3, () => fail(breaker))
    await clock.advance('11s')
    await fail(breaker)
    expect(breaker.snapshot().window).toMatchObject({ calls: 1, failures: 1 })
    expect(breaker.state).toBe('closed')
  })

  test('a window of calls holds the last ones, however old', async () => {
    const { breaker, clock } = setUp({ window: { calls: 4 } })
    await times(2, () => fail(breaker))
    await clock.advance('1h')
    await succeed(breaker)
    expect(breaker.state).toBe('closed')
    await fail(breaker)
    expect(breaker.state).toBe('open')
  })
})

describe('what does not count', () => {
  test('a refusal from below', async () => {
    const { breaker } = setUp()
    const refusal = rejected('BANYAN_BULKHEAD_FULL', 'full', 'bulkhead')
    await times(20, () => breaker.execute(() => Promise.reject(refusal)).catch(() => 0))
    expect(breaker.snapshot().window.calls).toBe(0)
  })

  test('a call that its caller gave up', async () => {
    const { breaker } = setUp()
    for (let round = 0; round < 20; round++) {
      const caller = new AbortController()
      const call = breaker.execute(
        ({ signal }) =>
          new Promise((_resolve, reject) =>
            signal.addEventListener('abort', () => reject(signal.reason as Error)),
          ),
        { signal: caller.signal },
      )
      caller.abort()
      await expect(call).rejects.toThrow()
    }
    expect(breaker.snapshot().window.calls).toBe(0)
  })

  test('but a call that an outer timeout ended does', async () => {
    const { breaker, runtime, clock } = setUp()
    const bounded = pipeline(timeout({ after: 50, runtime }), breaker)
    for (let round = 0; round < 4; round++) {
      const call = bounded.execute(
        ({ signal }) =>
          new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(boom))),
      )
      await expect(clock.settle(call)).rejects.toBeInstanceOf(TimeoutError)
    }
    expect(breaker.state).toBe('open')
  })

  test('what the predicate says no to is a success', async () => {
    const { breaker } = setUp({
      isFailure: (error) => error !== undefined && (error as Error).message !== 'not found',
    })
    await times(20, () => breaker.execute(() => Promise.reject(new Error('not found'))).catch(() => 0))
    expect(breaker.snapshot().window).toMatchObject({ calls: 20, failures: 0 })
  })

  test('a value is a failure if the predicate says so, and is returned all the same', async () => {
    const { breaker } = setUp({ isFailure: (_error, value) => (value as { status: number }).status >= 500 })
    for (let round = 0; round < 4; round++)
      expect(await breaker.execute(() => ({ status: 503 }))).toEqual({ status: 503 })
    expect(breaker.state).toBe('open')
  })

  test('a result of an earlier state', async () => {
    const { breaker, clock } = setUp()
    const old = Array.from({ length: 10 }, () => pending(breaker))
    await times(4, () => fail(breaker))
    await clock.advance(1_000)
    expect(breaker.state).toBe('half-open')
    for (const call of old) call.resolve('late')
    await Promise.all(old.map(({ result }) => result))
    expect(breaker.state).toBe('half-open')
  })

  test('work that goes on after its result decides when it ends', async () => {
    const { breaker } = setUp({ minimumCalls: 1 })
    let cutOff!: (error: unknown) => void
    const body = new Promise((_resolve, reject) => (cutOff = reject))
    await breaker.execute((context) => {
      context.waitUntil(body)
      return 'head'
    })
    expect(breaker.snapshot().window.calls).toBe(0)
    cutOff(boom)
    await body.catch(() => 0)
    await Promise.resolve()
    expect(breaker.state).toBe('open')
  })
})

describe('open', () => {
  async function opened(options: CircuitBreakerOptions = {}) {
    const each = setUp(options)
    await times(4, () => fail(each.breaker))
    return each
  }

  test('refuses without calling, and says why and for how long', async () => {
    const { breaker, clock } = await opened()
    await clock.advance(300)
    let called = false
    const error: unknown = await breaker.execute(() => (called = true)).catch((each: unknown) => each)
    expect(called).toBe(false)
    expect(error).toBeInstanceOf(RejectedError)
    expect(error).toMatchObject({ code: 'BANYAN_BREAKER_OPEN', policy: 'breaker', retryAfter: 700 })
    expect((error as Error).message).toBe(
      'breaker: the circuit is open (4 of 4 calls have failed); try again in 700ms',
    )
    expect([breaker.ready(), breaker.retryAfter()]).toEqual([false, 700])
  })

  test('needs no timer to end', async () => {
    const { breaker, clock } = await opened()
    expect(clock.pending).toBe(0)
    await clock.advance(1_000)
    expect(breaker.state).toBe('half-open')
    expect(breaker.ready()).toBe(true)
  })

  test('in half-open lets so many probes through, and refuses the surplus', async () => {
    const { breaker, clock } = await opened({ halfOpenCalls: 2 })
    await clock.advance(1_000)
    const probes = [pending(breaker), pending(breaker)]
    expect(breaker.ready()).toBe(false)
    await expect(succeed(breaker)).rejects.toMatchObject({ code: 'BANYAN_BREAKER_OPEN' })
    for (const probe of probes) probe.resolve('fine')
    await Promise.all(probes.map(({ result }) => result))
    expect(breaker.state).toBe('closed')
  })

  test('opens again when the probes fail, each time for twice as long, up to the maximum', async () => {
    const { breaker, clock } = await opened({ halfOpenCalls: 1, openForMax: 5_000 })
    for (const wait of [1_000, 2_000, 4_000, 5_000, 5_000]) {
      expect(breaker.retryAfter()).toBe(wait)
      await clock.advance(wait)
      await fail(breaker)
      expect(breaker.state).toBe('open')
    }
    await clock.advance(5_000)
    await succeed(breaker)
    expect(breaker.state).toBe('closed')
    await times(4, () => fail(breaker))
    expect(breaker.retryAfter()).toBe(1_000)
  })

  test('a probe that was refused below, or given up, gives its place back', async () => {
    const { breaker, clock } = await opened({ halfOpenCalls: 1 })
    await clock.advance(1_000)
    await breaker.execute(() => Promise.reject(rejected('BANYAN_RATE_LIMITED', 'no', 'limit'))).catch(() => 0)
    expect(breaker.ready()).toBe(true)
    await succeed(breaker)
    expect(breaker.state).toBe('closed')
  })

  test('probes that never end do not hold it in half-open for ever', async () => {
    const { breaker, changes, clock } = await opened({ halfOpenFor: 500 })
    await clock.advance(1_000)
    pending(breaker)
    await clock.advance(500)
    expect(breaker.state).toBe('open')
    expect(changes.at(-1)).toMatchObject({ reason: { code: 'probes-silent' } })
  })

  test('half-open without any call waits for one', async () => {
    const { breaker, clock } = await opened({ halfOpenFor: 500 })
    await clock.advance('1h')
    expect(breaker.state).toBe('half-open')
    await clock.advance('1h')
    await times(2, () => succeed(breaker))
    expect(breaker.state).toBe('closed')
  })
})

describe('the way back', () => {
  test('lets a growing share of the load through, then all of it', async () => {
    const { breaker, clock } = setUp({ rampUp: 10_000, halfOpenCalls: 1 })
    await times(4, () => fail(breaker))
    await clock.advance(1_000)
    await succeed(breaker)
    expect(breaker.snapshot()).toMatchObject({ state: 'half-open', phase: 'ramping', admitting: 0.1 })
    const shares: number[] = []
    for (let second = 1; second <= 9; second += 2) {
      await clock.advance(second === 1 ? 1_000 : 2_000)
      let admitted = 0
      for (let call = 0; call < 1_000; call++)
        await succeed(breaker).then(
          () => admitted++,
          () => 0,
        )
      shares.push(admitted / 1_000)
    }
    for (const [index, share] of shares.entries())
      expect(Math.abs(share - (index * 2 + 1) / 10)).toBeLessThan(0.06)
    await clock.advance(1_000)
    expect(breaker.state).toBe('closed')
  })

  test('opens again if the load that comes back fails', async () => {
    const { breaker, clock } = setUp({ rampUp: 10_000, halfOpenCalls: 1 })
    await times(4, () => fail(breaker))
    await clock.advance(1_000)
    await succeed(breaker)
    await clock.advance(9_000)
    await times(30, () => fail(breaker))
    expect(breaker.state).toBe('open')
    expect(breaker.retryAfter()).toBe(2_000)
  })

  test('a yes of ready() holds for the next call', async () => {
    const { breaker, clock } = setUp({ rampUp: 10_000, halfOpenCalls: 1 })
    await times(4, () => fail(breaker))
    await clock.advance(1_000)
    await succeed(breaker)
    await clock.advance(5_000)
    for (let round = 0; round < 200; round++) if (breaker.ready()) await succeed(breaker)
  })
})

describe('operators', () => {
  test('hold it open until they release it, or their time is over', async () => {
    const { breaker, clock, changes } = setUp()
    breaker.force({ state: 'open', for: '1m', reason: 'migration' })
    expect(breaker.state).toBe('forced-open')
    await expect(succeed(breaker)).rejects.toThrow('an operator holds it open: migration')
    await clock.advance('1m')
    expect(breaker.state).toBe('closed')
    breaker.force({ state: 'open' })
    await clock.advance('30d')
    expect(breaker.state).toBe('forced-open')
    breaker.release()
    expect(breaker.state).toBe('closed')
    expect(changes.map(({ reason }) => reason.code)).toEqual(['forced', 'released', 'forced', 'released'])
  })

  test('hold it closed: nothing opens it, and it still counts', async () => {
    const { breaker } = setUp()
    breaker.force({ state: 'closed' })
    await times(50, () => fail(breaker))
    expect(breaker.snapshot()).toMatchObject({ state: 'disabled', window: { calls: 50, failures: 50 } })
  })

  test('release changes nothing without an override', async () => {
    const { breaker } = setUp()
    await times(4, () => fail(breaker))
    breaker.release()
    expect(breaker.state).toBe('open')
  })

  test('a dry run reports and refuses nothing', async () => {
    const { breaker, changes } = setUp({ dryRun: true })
    await times(4, () => fail(breaker))
    expect(changes).toMatchObject([{ to: 'open', dryRun: true }])
    expect(await succeed(breaker)).toBe('fine')
    expect(breaker.ready()).toBe(true)
  })

  test('a listener that throws breaks nothing', async () => {
    const { breaker, changes } = setUp()
    const thrown = new Promise((resolve) => process.once('uncaughtException', resolve))
    const others = process.listeners('uncaughtException').slice(0, -1)
    for (const each of others) process.off('uncaughtException', each)
    breaker.on('stateChange', () => {
      throw boom
    })
    await times(4, () => fail(breaker))
    expect(await thrown).toBe(boom)
    for (const each of others) process.on('uncaughtException', each)
    expect(changes).toHaveLength(1)
    expect(breaker.state).toBe('open')
  })
})

describe('state over a restart', () => {
  test('an open breaker stays open for the rest of its time', async () => {
    const { breaker, clock } = setUp()
    await times(4, () => fail(breaker))
    await clock.advance(400)
    const saved = JSON.parse(JSON.stringify(breaker.snapshot())) as ReturnType<CircuitBreaker['snapshot']>
    const runtime = virtualRuntime()
    // A new process has another monotonic clock; the wall clock goes on.
    await runtime.clock.advance(400)
    const { breaker: next } = setUp({ restore: saved }, runtime)
    expect([next.state, next.retryAfter()]).toEqual(['open', 600])
    await runtime.clock.advance(600)
    expect(next.state).toBe('half-open')
  })

  test('an override is restored with what is left of its lease', async () => {
    const { breaker } = setUp()
    breaker.force({ state: 'open', for: '1h' })
    const { breaker: next, clock } = setUp({ restore: breaker.snapshot() })
    expect(next.state).toBe('forced-open')
    await clock.advance('1h')
    expect(next.state).toBe('closed')
  })
})

describe('options', () => {
  test.each<[CircuitBreakerOptions, RegExp]>([
    [{ failureRate: 2 }, /failureRate must be a number from 0.001 to 1, got 2/],
    [{ failRate: 0.5 } as CircuitBreakerOptions, /failRate is not an option, did you mean `failureRate`\?/],
    [{ openFor: '5x' as '5s' }, /openFor must be a number of milliseconds or text/],
    [{ window: { time: 1_000, calls: 5 } }, /either `time` or `calls`/],
    [{ slowCallRate: 0.5 }, /slowCallRate needs slowCall/],
    [{ window: { calls: 5 }, minimumCalls: 10 }, /minimumCalls must fit into window.calls/],
  ])('%j is refused', (options, message) => {
    expect(() => circuitBreaker(options)).toThrow(message)
  })
})

/** The same rules, without rings, buckets or totals: a list of everything, searched anew each time. */
class Model {
  state: 'closed' | 'open' | 'half-open' = 'closed'
  openings = 0
  until = 0
  outcomes: { at: number; failed: boolean }[] = []
  probes: boolean[] = []
  readonly #options: {
    window: { time?: number; calls?: number }
    minimumCalls: number
    openFor: number
    halfOpenCalls: number
  }

  constructor(options: {
    window: { time?: number; calls?: number }
    minimumCalls: number
    openFor: number
    halfOpenCalls: number
  }) {
    this.#options = options
  }

  call(now: number, failed: boolean): 'made' | 'refused' {
    const { openFor, halfOpenCalls, minimumCalls } = this.#options
    if (this.state === 'open' && now >= this.until) {
      this.state = 'half-open'
      this.probes = []
    }
    if (this.state === 'open') return 'refused'
    if (this.state === 'half-open') {
      this.probes.push(failed)
      const failures = this.probes.filter(Boolean).length
      const successes = this.probes.length - failures
      if (failures >= 0.5 * halfOpenCalls) this.#open(now, openFor)
      else if (halfOpenCalls - successes < 0.5 * halfOpenCalls) {
        this.state = 'closed'
        this.openings = 0
        this.outcomes = []
      }
      return 'made'
    }
    this.outcomes.push({ at: now, failed })
    const recent = this.recent(now)
    const failures = recent.filter((each) => each.failed).length
    if (failures > 0 && recent.length >= minimumCalls && failures >= 0.5 * recent.length)
      this.#open(now, openFor)
    return 'made'
  }

  recent(now: number): { at: number; failed: boolean }[] {
    const { time, calls } = this.#options.window
    if (calls !== undefined) return this.outcomes.slice(-calls)
    // Time is forgotten a tenth of the window at a time.
    const bucket = (at: number): number => Math.floor(at / (time! / 10))
    return this.outcomes.filter(({ at }) => bucket(at) > bucket(now) - 10)
  }

  #open(now: number, openFor: number): void {
    this.openings++
    this.state = 'open'
    this.until = now + Math.min(openFor * 10, openFor * 2 ** (this.openings - 1))
    this.outcomes = []
  }
}

describe('against a simple model', () => {
  const step = fc.record({ wait: fc.oneof(fc.constant(0), fc.nat(50), fc.nat(3_000)), failed: fc.boolean() })
  const window = fc.oneof(fc.constant({ time: 1_000 }), fc.constant({ calls: 10 }))

  test('any sequence of calls and pauses leads to the same states and numbers', async () => {
    await fc.assert(
      fc.asyncProperty(
        window,
        fc.array(step, { maxLength: 150 }),
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 4 }),
        async (shape, steps, minimumCalls, halfOpenCalls) => {
          const runtime = virtualRuntime()
          const options = { window: shape, minimumCalls, openFor: 400, halfOpenCalls }
          const breaker = circuitBreaker({ ...options, rampUp: 0, halfOpenFor: '1h', runtime })
          const model = new Model(options)
          for (const { wait, failed } of steps) {
            if (wait > 0) await runtime.clock.advance(wait)
            const now = runtime.clock.now()
            const outcome = await (failed ? fail(breaker) : succeed(breaker).catch((error: unknown) => error))
            expect(outcome instanceof RejectedError ? 'refused' : 'made').toBe(model.call(now, failed))
            expect(breaker.state).toBe(model.state)
            if (model.state === 'closed') {
              const recent = model.recent(now)
              expect(breaker.snapshot().window).toMatchObject({
                calls: recent.length,
                failures: recent.filter((each) => each.failed).length,
              })
            }
          }
        },
      ),
      { numRuns: 150 },
    )
  })
})
