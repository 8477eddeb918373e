import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { noTelemetry, type Attributes, type Telemetry } from '../../core/telemetry.js'
import { virtualRuntime, type VirtualRuntime } from '../../testing/virtual-clock.js'
import { rejected, RejectedError, TimeoutError } from '../errors.js'
import { pipeline } from '../pipeline.js'
import {
  circuitBreaker,
  type CircuitBreaker,
  type CircuitBreakerOptions,
  type StateChange,
} from './circuit-breaker.js'
import type { CallOptions } from '../policy.js'
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
function pending(breaker: Pick<CircuitBreaker, 'execute'>, options?: CallOptions) {
  let settle!: { resolve: (value: string) => void; reject: (error: unknown) => void }
  const work = new Promise<string>((resolve, reject) => {
    settle = { resolve, reject }
  })
  const result = breaker.execute(() => work, options)
  result.catch(() => undefined)
  return { result, ...settle }
}

/** A call that has returned its head and whose body ends when the test says so. */
async function streaming(breaker: CircuitBreaker, options?: CallOptions) {
  let settle!: { end: () => void; cutOff: (error: unknown) => void }
  const body = new Promise<void>((resolve, reject) => {
    settle = { end: resolve, cutOff: reject }
  })
  await breaker.execute((context) => context.waitUntil(body), options)
  return settle
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

  test.each([
    ['with a value', (call: ReturnType<typeof pending>) => call.resolve('late')],
    ['with an error the predicate excuses', (call: ReturnType<typeof pending>) => call.reject(boom)],
  ])('nor does it matter how the work that the timeout ended ends later: %s', async (_how, end) => {
    const { breaker, runtime, clock } = setUp({ isFailure: () => false })
    const bounded = pipeline(timeout({ after: 50, runtime }), breaker)
    for (let round = 0; round < 4; round++) {
      const call = pending(bounded)
      await clock.advance(60)
      end(call)
      await clock.advance(1)
    }
    expect(breaker.state).toBe('open')
  })

  test('a value that comes after its caller has given up', async () => {
    const { breaker, clock } = setUp()
    const caller = new AbortController()
    const call = pending(breaker, { signal: caller.signal })
    caller.abort()
    call.resolve('too late')
    await clock.advance(1)
    expect(breaker.snapshot().window.calls).toBe(0)
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

  test('a refusal of an earlier state: it gives no place back in this one', async () => {
    const { breaker, clock } = setUp({ halfOpenCalls: 1 })
    const old = pending(breaker)
    await times(4, () => fail(breaker))
    await clock.advance(1_000)
    pending(breaker)
    expect(breaker.ready()).toBe(false)
    old.reject(rejected('BANYAN_BULKHEAD_FULL', 'full', 'bulkhead'))
    await clock.advance(1)
    expect(breaker.ready()).toBe(false)
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

  test('a body that ends well is a success, and one whose caller left is nothing', async () => {
    const { breaker, clock } = setUp()
    const caller = new AbortController()
    const [read, left] = [await streaming(breaker), await streaming(breaker, { signal: caller.signal })]
    read.end()
    caller.abort()
    left.cutOff(boom)
    await clock.advance(1)
    expect(breaker.snapshot().window).toMatchObject({ calls: 1, failures: 0 })
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

  test('tells the surplus when the verdict falls at the latest, and others that they may come', async () => {
    const { breaker, clock } = await opened({ halfOpenCalls: 1, halfOpenFor: 500 })
    await clock.advance(1_000)
    expect([breaker.ready(), breaker.retryAfter()]).toEqual([true, 0])
    pending(breaker)
    await clock.advance(200)
    expect([breaker.ready(), breaker.retryAfter()]).toEqual([false, 300])
    await expect(succeed(breaker)).rejects.toMatchObject({ code: 'BANYAN_BREAKER_OPEN', retryAfter: 300 })
  })

  test('waits for the body of a probe before it decides', async () => {
    const { breaker, clock } = await opened({ halfOpenCalls: 1 })
    await clock.advance(1_000)
    const probe = await streaming(breaker)
    expect(breaker.state).toBe('half-open')
    probe.cutOff(boom)
    await clock.advance(1)
    expect(breaker.state).toBe('open')
  })

  test('a slow probe is a bad one', async () => {
    const { breaker, clock } = await opened({ halfOpenCalls: 1, slowCall: 100 })
    await clock.advance(1_000)
    const probe = pending(breaker)
    await clock.advance(100)
    probe.resolve('at last')
    await probe.result
    expect(breaker.state).toBe('open')
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
    const caller = new AbortController()
    const givenUp = pending(breaker, { signal: caller.signal })
    expect(breaker.ready()).toBe(false)
    caller.abort()
    givenUp.reject(caller.signal.reason)
    await clock.advance(1)
    expect(breaker.ready()).toBe(true)
    await succeed(breaker)
    expect(breaker.state).toBe('closed')
  })

  test('if only some of the probes end in time, these decide', async () => {
    for (const good of [true, false]) {
      const { breaker, clock } = await opened({ halfOpenCalls: 3, halfOpenFor: 500 })
      await clock.advance(1_000)
      pending(breaker)
      await (good ? succeed(breaker) : fail(breaker))
      expect(breaker.state).toBe('half-open')
      await clock.advance(500)
      expect(breaker.state).toBe(good ? 'closed' : 'open')
    }
  })

  test('probes that never end do not hold it in half-open for ever', async () => {
    const { breaker, changes, clock } = await opened({ halfOpenFor: 500 })
    await clock.advance(1_000)
    pending(breaker)
    await clock.advance(500)
    expect(breaker.state).toBe('open')
    expect(changes.at(-1)).toMatchObject({ reason: { code: 'probes-silent' } })
  })

  test('the time of the probes begins with the first, not when somebody looks', async () => {
    const { breaker, clock } = await opened({ halfOpenCalls: 1, halfOpenFor: 500 })
    await clock.advance(1_000)
    expect(breaker.state).toBe('half-open')
    await clock.advance(499)
    const probe = pending(breaker)
    await clock.advance(499)
    expect([breaker.state, breaker.retryAfter()]).toEqual(['half-open', 1])
    probe.resolve('just in time')
    await probe.result
    expect(breaker.state).toBe('closed')
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

describe('the share that is admitted', () => {
  test('is all, nothing while open and probing, and grows with the ramp', async () => {
    const { breaker, clock } = setUp({ rampUp: '10s', halfOpenCalls: 1 })
    expect(breaker.admitting).toBe(1)
    await times(4, () => fail(breaker))
    expect(breaker.admitting).toBe(0)
    await clock.advance(1_000)
    expect(breaker.admitting).toBe(0)
    await succeed(breaker)
    expect(breaker.admitting).toBe(0.1)
    await clock.advance('5s')
    expect(breaker.admitting).toBe(0.5)
    await clock.advance('5s')
    expect(breaker.admitting).toBe(1)
  })

  test('is all in a dry run', async () => {
    const { breaker } = setUp({ dryRun: true })
    await times(4, () => fail(breaker))
    expect(breaker.state).toBe('open')
    expect(breaker.admitting).toBe(1)
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
    expect([breaker.ready(), breaker.retryAfter(), breaker.snapshot().admitting]).toEqual([true, 0, 1])
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

  test('a half-open one probes again, and remembers how often it has opened', async () => {
    const { breaker, clock } = setUp({ halfOpenCalls: 1 })
    await times(4, () => fail(breaker))
    await clock.advance(1_000)
    expect(breaker.state).toBe('half-open')
    const { breaker: next } = setUp({ restore: breaker.snapshot(), halfOpenCalls: 1 })
    expect([next.state, next.ready()]).toEqual(['half-open', true])
    await fail(next)
    expect(next.retryAfter()).toBe(2_000)
  })

  test('a wall clock that was set back keeps nothing open for longer than openForMax', async () => {
    const { breaker } = setUp()
    await times(4, () => fail(breaker))
    const saved = breaker.snapshot()
    const { breaker: next } = setUp({ restore: { ...saved, until: saved.until! + 1e9 }, openForMax: 3_000 })
    expect([next.state, next.retryAfter()]).toEqual(['open', 3_000])
  })

  test('a closed one begins closed, with an empty window', async () => {
    const { breaker } = setUp()
    await times(3, () => fail(breaker))
    const { breaker: next } = setUp({ restore: breaker.snapshot() })
    expect(next.snapshot()).toMatchObject({ state: 'closed', window: { calls: 0 } })
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

describe('what a verdict rests on', () => {
  /** A breaker that has opened and whose time is over: the next calls are probes. */
  async function atProbes(options: CircuitBreakerOptions = {}) {
    const each = setUp(options)
    await times(4, () => fail(each.breaker))
    await each.clock.advance(1_000)
    return each
  }

  test('a threshold is reached by exactly that share, also where binary fractions round up', async () => {
    const { breaker } = setUp({ failureRate: 0.07, minimumCalls: 100 })
    await times(93, () => succeed(breaker))
    await times(7, () => fail(breaker))
    expect(breaker.state).toBe('open')
  })

  test('in a dry run calls that would have been refused have no say in half-open', async () => {
    const { breaker, clock } = await atProbes({ dryRun: true, halfOpenCalls: 1 })
    const probe = pending(breaker)
    await times(3, () => fail(breaker))
    expect(breaker.snapshot()).toMatchObject({ state: 'half-open', phase: 'probing' })
    probe.resolve('fine')
    await probe.result
    expect(breaker.state).toBe('closed')
    expect(clock.pending).toBe(0)
  })

  test('in a dry run a refusal below gives back no place that was not taken', async () => {
    const { breaker } = await atProbes({ dryRun: true, halfOpenCalls: 1 })
    const probe = pending(breaker)
    await breaker.execute(() => Promise.reject(rejected('BANYAN_RATE_LIMITED', 'no', 'below'))).catch(() => 0)
    await fail(breaker)
    expect(breaker.snapshot()).toMatchObject({ state: 'half-open', phase: 'probing' })
    probe.resolve('fine')
    await probe.result
  })

  test('a probe that has answered and still streams when the time is over was good', async () => {
    const { breaker, changes, clock } = await atProbes({ halfOpenCalls: 1, halfOpenFor: 500 })
    const stream = new Promise<void>(() => undefined)
    await breaker.execute((context) => {
      context.waitUntil(stream)
      return 'head'
    })
    await clock.advance(500)
    expect(breaker.state).toBe('closed')
    expect(changes.at(-1)).toMatchObject({ reason: { code: 'probes-passed' } })
  })

  test('a predicate that throws fails its call, and takes no place from the probes', async () => {
    const bug = new TypeError('no status')
    const { breaker } = await atProbes({
      halfOpenCalls: 1,
      isFailure: (error, value) => {
        if (value === 'odd') throw bug
        return error !== undefined
      },
    })
    await expect(breaker.execute(() => 'odd')).rejects.toBe(bug)
    expect(breaker.ready()).toBe(true)
  })

  test('asking whether it is ready changes no odds for those who call whatever the answer', async () => {
    const { breaker, clock } = await atProbes({ rampUp: 10_000, halfOpenCalls: 1 })
    await succeed(breaker)
    await clock.advance(5_000)
    let admitted = 0
    for (let call = 0; call < 2_000; call++) {
      breaker.ready()
      await succeed(breaker).then(
        () => admitted++,
        () => 0,
      )
    }
    expect(Math.abs(admitted / 2_000 - 0.5)).toBeLessThan(0.06)
  })

  test('a refusal in half-open names the numbers that opened the circuit', async () => {
    const { breaker } = await atProbes({ halfOpenCalls: 1 })
    pending(breaker)
    await expect(succeed(breaker)).rejects.toThrow('the circuit is half-open (4 of 4 calls have failed)')
  })

  test.each([
    [{ slowCall: 100 }, 2],
    [{}, 1],
  ] as const)('with %j it looks at the clock at most that many times a call: %i', async (options, most) => {
    const runtime = virtualRuntime()
    let looks = 0
    const clock = { ...runtime.clock, now: () => (looks++, runtime.clock.now()) }
    const breaker = circuitBreaker({ ...options, runtime: { ...runtime, clock } })
    looks = 0
    await succeed(breaker)
    expect(looks).toBeLessThanOrEqual(most)
  })
})

describe('an override', () => {
  test.each([
    [{ state: 'ajar' }, /state must be one of/],
    [{ state: 'open', for: 'soon' }, /for must be a number of milliseconds/],
    [{ state: 'open', until: 1 }, /until is not an option/],
    [{}, /state must be one of/],
  ])('that is not right is refused and changes nothing: %j', (override, message) => {
    const { breaker } = setUp()
    expect(() => breaker.force(override as Parameters<CircuitBreaker['force']>[0])).toThrow(message)
    expect(breaker.state).toBe('closed')
  })

  test('stands in the snapshot as long as it holds, with its reason', () => {
    const { breaker } = setUp()
    breaker.force({ state: 'disabled', reason: 'load test' })
    expect(breaker.snapshot()).toMatchObject({
      state: 'disabled',
      override: { state: 'closed', reason: 'load test' },
      reason: { message: 'an operator holds it closed: load test' },
    })
    breaker.release()
    expect(breaker.snapshot()).not.toHaveProperty('override')
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

test('counts every call by its outcome, and every change of state', async () => {
  const counts: Record<string, number> = {}
  const gauges = new Map<string, () => number>()
  const telemetry: Telemetry = {
    ...noTelemetry,
    counter: (name, { attributes }) => ({
      add: (amount: number, more?: Attributes) => {
        const key = [name, ...Object.values({ ...attributes, ...more })].join(' ')
        counts[key] = (counts[key] ?? 0) + amount
      },
    }),
    gauge: (name, _options, read) => {
      gauges.set(name, read)
      return () => undefined
    },
  }
  const { breaker, clock } = setUp({ slowCall: 10, name: 'db' }, virtualRuntime({ telemetry }))
  const slow = pending(breaker)
  await clock.advance(10)
  slow.resolve('at last')
  await slow.result
  await breaker.execute(() => Promise.reject(rejected('BANYAN_BULKHEAD_FULL', 'full', 'b'))).catch(() => 0)
  await times(3, () => fail(breaker))
  await expect(succeed(breaker)).rejects.toThrow('circuit is open')
  expect(counts).toEqual({
    'banyan.breaker.calls db success': 1,
    'banyan.breaker.calls db slow': 1,
    'banyan.breaker.calls db ignored': 1,
    'banyan.breaker.calls db failure': 3,
    'banyan.breaker.calls db refused': 1,
    'banyan.breaker.transitions db closed open failure-rate': 1,
  })
  expect(Object.fromEntries(Array.from(gauges, ([name, read]) => [name, read()]))).toEqual({
    'banyan.breaker.state': 2,
    'banyan.breaker.window.calls': 0,
    'banyan.breaker.window.failures': 0,
    'banyan.breaker.window.slow': 0,
  })
})

interface Rules {
  window: { time?: number; calls?: number }
  minimumCalls: number
  consecutiveFailures: number
  slowCall: number
  openFor: number
  halfOpenCalls: number
  halfOpenFor: number
}

/** How a call ends: as nothing if it was refused below or its caller gave up. */
type End = 'good' | 'bad' | 'nothing'

/** A state of the model that began at some time. A call votes only in the one it was admitted in. */
interface Era {
  state: 'closed' | 'open' | 'half-open'
  until: number
  /** What has ended in this state. */
  outcomes: { at: number; bad: boolean; slow: boolean }[]
  /** Probes that have not given their place back. */
  admitted: number
}

/** The rules of the breaker without rings, buckets or totals: lists of everything, searched anew each time. */
class Model {
  readonly #rules: Rules
  #era: Era = { state: 'closed', until: Infinity, outcomes: [], admitted: 0 }
  #openings = 0

  constructor(rules: Rules) {
    this.#rules = rules
  }

  state(now: number): Era['state'] {
    return this.#at(now).state
  }

  /** How long a refused call is told to wait. */
  wait(now: number): number {
    return this.#at(now).until - now
  }

  /** Lets a call through, or not. */
  admit(now: number): Era | undefined {
    const era = this.#at(now)
    if (era.state === 'open') return undefined
    if (era.state === 'half-open') {
      if (era.admitted >= this.#rules.halfOpenCalls) return undefined
      if (era.admitted++ === 0) era.until = now + this.#rules.halfOpenFor
    }
    return era
  }

  end(era: Era, now: number, took: number, end: End): void {
    if (end === 'nothing') {
      era.admitted--
      return
    }
    if (era !== this.#era || era.state === 'open') return
    era.outcomes.push({ at: now, bad: end === 'bad', slow: took >= this.#rules.slowCall })
    if (era.state === 'half-open') this.#judge(era, now, this.#rules.halfOpenCalls)
    else if (this.#isTrouble(now)) this.#open(now)
  }

  recent(now: number): Era['outcomes'] {
    const { outcomes } = this.#era
    const { time, calls } = this.#rules.window
    if (calls !== undefined) return outcomes.slice(-calls)
    // Time is forgotten a tenth of the window at a time, on the clock's own marks.
    const tenth = (at: number): number => Math.floor(at / (time! / 10))
    return outcomes.filter(({ at }) => tenth(at) > tenth(now) - 10)
  }

  #isTrouble(now: number): boolean {
    const { consecutiveFailures, minimumCalls } = this.#rules
    const row = this.#era.outcomes.slice(-consecutiveFailures)
    if (row.length === consecutiveFailures && row.every(({ bad }) => bad)) return true
    const recent = this.recent(now)
    const bad = recent.filter((each) => each.bad).length
    const slow = recent.filter((each) => each.slow).length
    return recent.length >= minimumCalls && (bad / recent.length >= 0.5 || slow / recent.length >= 0.5)
  }

  /** The state as time alone has made it. */
  #at(now: number): Era {
    const era = this.#era
    if (now < era.until) return era
    const { halfOpenFor } = this.#rules
    if (era.state === 'open') {
      this.#era = { state: 'half-open', until: now + halfOpenFor, outcomes: [], admitted: 0 }
    } else if (era.admitted === 0) {
      era.until = now + halfOpenFor
    } else if (era.outcomes.length > 0) {
      this.#judge(era, now, era.outcomes.length)
    } else {
      this.#open(now)
    }
    return this.#era
  }

  /** Half of the probes bad open it, more than half good close it. */
  #judge({ outcomes }: Era, now: number, probes: number): void {
    const bad = outcomes.filter((each) => each.bad || each.slow).length
    if (bad * 2 >= probes) this.#open(now)
    else if ((outcomes.length - bad) * 2 > probes) {
      this.#openings = 0
      this.#era = { state: 'closed', until: Infinity, outcomes: [], admitted: 0 }
    }
  }

  #open(now: number): void {
    const { openFor } = this.#rules
    const time = Math.min(openFor * 10, openFor * 2 ** this.#openings++)
    this.#era = { state: 'open', until: now + time, outcomes: [], admitted: 0 }
  }
}

describe('against a simple model', () => {
  const end = fc.constantFrom<End>('good', 'good', 'bad', 'bad', 'nothing')
  const step = fc.oneof(
    { weight: 2, arbitrary: fc.record({ wait: fc.oneof(fc.nat(50), fc.nat(3_000)) }) },
    // A call that ends at once, one that begins, and one that ends of those under way.
    { weight: 3, arbitrary: fc.record({ call: end }) },
    { weight: 2, arbitrary: fc.constant({ begin: true as const }) },
    { weight: 2, arbitrary: fc.record({ which: fc.nat(), ends: end }) },
  )
  // Without `size` sequences would be short, whatever their maximum, and hardly get anywhere.
  const steps = fc.array(step, { maxLength: 200, size: 'max' })
  const rules = fc.record({
    window: fc.constantFrom<Rules['window']>({ time: 1_000 }, { time: 777 }, { calls: 10 }),
    minimumCalls: fc.integer({ min: 1, max: 6 }),
    consecutiveFailures: fc.integer({ min: 2, max: 8 }),
    slowCall: fc.integer({ min: 20, max: 400 }),
    openFor: fc.constant(400),
    halfOpenCalls: fc.integer({ min: 1, max: 4 }),
    halfOpenFor: fc.constantFrom(300, 2_000),
  })

  test('any mix of calls, overlapping or not, and of pauses leads to the same decisions and numbers', async () => {
    await fc.assert(
      fc.asyncProperty(rules, steps, async (options, steps) => {
        const runtime = virtualRuntime()
        const { clock } = runtime
        const breaker = circuitBreaker({ ...options, slowCallRate: 0.5, rampUp: 0, runtime })
        const model = new Model(options)
        const underWay: { call: ReturnType<typeof pending>; era: Era; since: number }[] = []
        const refusal = rejected('BANYAN_BULKHEAD_FULL', 'full', 'below')

        const begin = async (): Promise<void> => {
          const since = clock.now()
          const era = model.admit(since)
          const call = pending(breaker)
          if (era) underWay.push({ call, era, since })
          else {
            await expect(call.result).rejects.toMatchObject({
              code: 'BANYAN_BREAKER_OPEN',
              retryAfter: model.wait(since),
            })
          }
        }
        const finish = async (which: number, ends: End): Promise<void> => {
          const [ending] = underWay.splice(which, 1)
          const { call, era, since } = ending!
          if (ends === 'good') call.resolve('fine')
          else call.reject(ends === 'bad' ? boom : refusal)
          await call.result.catch(() => undefined)
          model.end(era, clock.now(), clock.now() - since, ends)
        }
        for (const each of steps) {
          if ('wait' in each) await clock.advance(each.wait)
          else if ('begin' in each) await begin()
          else if ('call' in each) {
            const before = underWay.length
            await begin()
            if (underWay.length > before) await finish(before, each.call)
          } else if (underWay.length > 0) await finish(each.which % underWay.length, each.ends)

          const now = clock.now()
          expect(breaker.state).toBe(model.state(now))
          if (breaker.state !== 'closed') continue
          const recent = model.recent(now)
          expect(breaker.snapshot().window).toMatchObject({
            calls: recent.length,
            failures: recent.filter(({ bad }) => bad).length,
            slow: recent.filter(({ slow }) => slow).length,
          })
        }
      }),
      { numRuns: 300 },
    )
  })
})
