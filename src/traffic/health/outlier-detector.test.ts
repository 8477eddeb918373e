import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { LogLevel, Telemetry } from '../../core/telemetry.js'
import { noTelemetry } from '../../core/telemetry.js'
import { virtualRuntime } from '../../testing/virtual-clock.js'
import { rejected, TimeoutError } from '../errors.js'
import { timeout } from '../policies/timeout.js'
import { OutlierDetector } from './outlier-detector.js'
import type { OutlierOptions } from './outlier-options.js'
import type { OutlierTrack } from './outlier-track.js'

const DOWN = new Error('down')

function setUp(count: number, options: OutlierOptions = {}) {
  const lines: [LogLevel, string][] = []
  const counts: Record<string, number> = {}
  const telemetry: Telemetry = {
    ...noTelemetry,
    log: (level, message) => lines.push([level, message]),
    counter: () => ({
      add(amount, attributes) {
        const key = `${String(attributes!['banyan.reason'])} ${String(attributes!['banyan.outcome'])}`
        counts[key] = (counts[key] ?? 0) + amount
      },
    }),
  }
  const runtime = virtualRuntime({ telemetry })
  const { clock } = runtime
  const changes: string[] = []
  const slow: string[] = []
  const detector = new OutlierDetector(
    { jitter: 0, ...options },
    {
      service: 's',
      runtime,
      judge: (error, value) => (error ? 'gateway-error' : value === 500 ? 'error' : 'good'),
      healthyAfter: 2,
      onChange: () => changes.push(tracks.map(({ out }) => (out ? 'x' : '.')).join('')),
    },
  )
  const subjects = Array.from({ length: count }, (_, index) => ({
    id: String(index),
    metricsName: String(index),
    weight: 1,
    admitting: 1,
    startSlowly: () => slow.push(String(index)),
  }))
  const tracks = subjects.map((subject) => detector.track(subject))
  /** A request that takes `ms` and comes to a status, or to no answer. */
  const request = async (track: OutlierTrack, outcome: number | 'none' = 200, ms = 0): Promise<void> => {
    const work = async (): Promise<number> => {
      if (ms > 0) await new Promise<void>((resolve) => clock.schedule(clock.now() + ms, resolve))
      if (outcome === 'none') throw DOWN
      return outcome
    }
    await clock.settle(track.watch.execute(work).catch(() => undefined))
  }
  const requests = async (track: OutlierTrack, times: number, outcome?: number | 'none'): Promise<void> => {
    for (let each = 0; each < times; each++) await request(track, outcome)
  }
  return { detector, subjects, tracks, request, requests, clock, lines, counts, changes, slow, runtime }
}

describe('failures in a row', () => {
  test('eject at once', async () => {
    const { tracks, requests, changes, lines, counts } = setUp(5)
    await requests(tracks[0]!, 4, 500)
    expect(tracks[0]!.out).toBe(false)
    await requests(tracks[0]!, 1, 500)
    expect(tracks[0]!.out).toBe(true)
    expect(tracks[0]!.ejection).toMatchObject({
      until: 30_000,
      times: 1,
      reason: { code: 'consecutive-errors', message: '5 requests in a row have failed' },
    })
    expect(changes).toEqual(['x....'])
    expect(lines).toEqual([['warn', 'endpoint ejected for 30s']])
    expect(counts).toEqual({ 'consecutive-errors ejected': 1 })
  })

  test('are no more in a row after one that is good', async () => {
    const { tracks, requests } = setUp(5)
    for (let round = 0; round < 5; round++) {
      await requests(tracks[0]!, 4, 500)
      await requests(tracks[0]!, 1)
    }
    expect(tracks[0]!.out).toBe(false)
  })

  test('that say nobody is there count apart', async () => {
    const options = { consecutiveErrors: false, consecutiveGatewayErrors: 3 } as const
    const { tracks, requests } = setUp(5, options)
    await requests(tracks[0]!, 2, 'none')
    await requests(tracks[0]!, 20, 500)
    expect(tracks[0]!.out).toBe(false)
    await requests(tracks[0]!, 3, 'none')
    expect(tracks[0]!.ejection?.reason.code).toBe('consecutive-gateway-errors')
  })

  test('do not count what was refused or given up, and count what a timeout ended', async () => {
    const { tracks, clock, runtime } = setUp(5)
    const { watch } = tracks[0]!
    const never = (): Promise<never> => new Promise(() => undefined)
    for (let each = 0; each < 10; each++) {
      await watch
        .execute(() => Promise.reject(rejected('BANYAN_BULKHEAD_FULL', 'full', 'b')))
        .catch(() => undefined)
      const gone = new AbortController()
      const call = watch.execute(
        ({ signal }) =>
          new Promise((_, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason as Error))
          }),
        { signal: gone.signal },
      )
      gone.abort()
      await call.catch(() => undefined)
    }
    expect(tracks[0]!.out).toBe(false)
    const limited = timeout({ after: 100, runtime: { ...runtime, telemetry: noTelemetry } })
    for (let each = 0; each < 5; each++) {
      const call = limited.execute((context) =>
        watch.execute(({ signal }) => Promise.race([never(), aborted(signal)]), context as never),
      )
      await expect(clock.settle(call)).rejects.toBeInstanceOf(TimeoutError)
    }
    await clock.advance(0)
    expect(tracks[0]!.out).toBe(true)
  })

  test('count a body that breaks off', async () => {
    const { tracks, clock } = setUp(5)
    for (let each = 0; each < 5; each++)
      await tracks[0]!.watch.execute((context) => {
        context.waitUntil(Promise.reject(DOWN))
        return 200
      })
    await clock.advance(0)
    expect(tracks[0]!.ejection?.reason.code).toBe('consecutive-errors')
  })
})

describe('an ejection', () => {
  test('ends by time, and what is counted begins anew', async () => {
    const { tracks, requests, clock, changes, slow, lines } = setUp(5)
    await requests(tracks[0]!, 5, 500)
    await clock.advance('29s')
    expect(tracks[0]!.out).toBe(true)
    await clock.advance('1s')
    expect(tracks[0]!.out).toBe(false)
    expect(changes).toEqual(['x....', '.....'])
    expect(slow).toEqual(['0'])
    expect(lines.at(-1)).toEqual(['info', 'endpoint no longer ejected'])
    await requests(tracks[0]!, 4, 500)
    expect(tracks[0]!.out).toBe(false)
  })

  test('is longer every time in a row, up to the longest, and shorter again after good times', async () => {
    const { tracks, requests, request, clock } = setUp(5, { maxEjection: '70s' })
    const eject = async (): Promise<number> => {
      await requests(tracks[0]!, 5, 500)
      const { since, until } = tracks[0]!.ejection!
      await clock.advance(until - since)
      return until - since
    }
    expect([await eject(), await eject(), await eject(), await eject()]).toEqual([
      30_000, 60_000, 70_000, 70_000,
    ])
    for (let interval = 0; interval < 8; interval++) {
      await request(tracks[0]!)
      await clock.advance('10s')
    }
    expect(await eject()).toBe(30_000)
  })

  test('lasts a little longer by chance', async () => {
    const { tracks, requests } = setUp(20, { jitter: 0.5, maxEjected: 1 })
    const lengths = new Set<number>()
    for (const track of tracks.slice(0, 10)) {
      await requests(track, 5, 500)
      const { since, until } = track.ejection!
      expect(until - since).toBeGreaterThanOrEqual(30_000)
      expect(until - since).toBeLessThanOrEqual(45_000)
      lengths.add(until - since)
    }
    expect(lengths.size).toBe(10)
  })

  test('is not touched by what began before it, and neither is the time after it', async () => {
    const { tracks, requests, clock } = setUp(5)
    const late: ((error: Error) => void)[] = []
    const calls = Array.from({ length: 10 }, () =>
      tracks[0]!.watch.execute(() => new Promise((_, reject) => late.push(reject))).catch(() => undefined),
    )
    await requests(tracks[0]!, 5, 500)
    for (const fail of late.slice(0, 5)) fail(DOWN)
    await clock.advance('30s')
    for (const fail of late.slice(5)) fail(DOWN)
    await Promise.all(calls)
    expect(tracks[0]!.ejection).toBeUndefined()
    expect(tracks[0]!.errorsInARow).toBe(0)
  })

  test('ends when active checks pass, if it was for failures in a row', async () => {
    const { detector, tracks, requests } = setUp(5)
    await requests(tracks[0]!, 5, 500)
    detector.onCheckPassed(tracks[0]!)
    expect(tracks[0]!.out).toBe(true)
    detector.onCheckPassed(tracks[0]!)
    expect(tracks[0]!.out).toBe(false)
  })

  test('goes on while active checks pass, if they were wrong before', async () => {
    const { detector, tracks, requests } = setUp(5)
    for (const times of [1, 2]) {
      await requests(tracks[0]!, 5, 500)
      expect(tracks[0]!.ejection?.times).toBe(times)
      for (let each = 0; each < 5; each++) detector.onCheckPassed(tracks[0]!)
    }
    expect(tracks[0]!.out).toBe(true)
  })

  test('for latency goes on while active checks pass', async () => {
    const { detector, tracks, request, clock } = setUp(3, {
      latency: { minimumRequests: 5 },
      interval: '10m',
    })
    for (let each = 0; each < 5; each++)
      for (const track of tracks) await request(track, 200, track === tracks[0] ? 500 : 20)
    await clock.advance('10m')
    for (let each = 0; each < 5; each++) detector.onCheckPassed(tracks[0]!)
    expect(tracks[0]!.ejection?.reason.code).toBe('latency')
  })
})

describe('how many may be out', () => {
  test.each([
    [1, 0.1, 0],
    [2, 0.1, 1],
    [5, 0.1, 1],
    [20, 0.1, 2],
    [10, 0.3, 3],
    [5, 1, 4],
  ])('of %i endpoints with a share of %d: %i', async (count, maxEjected, expected) => {
    const { tracks, requests, counts } = setUp(count, { maxEjected })
    for (const track of tracks) await requests(track, 5, 500)
    expect(tracks.filter(({ out }) => out)).toHaveLength(expected)
    expect(counts['consecutive-errors too-many-out'] ?? 0).toBe(count - expected)
  })

  test('an open breaker counts as out', async () => {
    const { tracks, subjects, requests } = setUp(5)
    subjects[1]!.admitting = 0
    await requests(tracks[0]!, 5, 500)
    expect(tracks[0]!.out).toBe(false)
  })

  test('holds for any sequence of outcomes, and whoever is out comes back', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 6 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.array(fc.tuple(fc.nat(5), fc.boolean(), fc.nat(2_000)), { maxLength: 150, size: 'max' }),
        async (count, maxEjected, steps) => {
          const { tracks, request, clock } = setUp(count, { maxEjected, consecutiveErrors: 2 })
          const most = Math.min(count - 1, Math.max(1, Math.floor(maxEjected * count + 1e-9)))
          for (const [index, good, ms] of steps) {
            await request(tracks[index % count]!, good ? 200 : 500)
            expect(tracks.filter(({ out }) => out).length).toBeLessThanOrEqual(most)
            await clock.advance(ms)
          }
          await clock.advance('10m')
          expect(tracks.some(({ out }) => out)).toBe(false)
          await clock.advance('1h')
          expect(clock.pending).toBe(0)
        },
      ),
      { numRuns: 15 },
    )
  })
})

describe('a breaker', () => {
  test('that tries out has its failures for itself', async () => {
    const { tracks, subjects, requests } = setUp(5)
    await requests(tracks[0]!, 4, 500)
    subjects[0]!.admitting = 0.5
    await requests(tracks[0]!, 20, 500)
    subjects[0]!.admitting = 1
    await requests(tracks[0]!, 4, 500)
    expect(tracks[0]!.out).toBe(false)
  })
})

describe('a comparison', () => {
  const load = async (
    { tracks, request }: ReturnType<typeof setUp>,
    times: number,
    outcome: (index: number, time: number) => number,
  ): Promise<void> => {
    for (let time = 0; time < times; time++)
      for (const [index, track] of tracks.entries()) await request(track, outcome(index, time))
  }

  test('finds a success rate below the others, at the end of the interval', async () => {
    const set = setUp(5, { consecutiveErrors: false })
    await load(set, 100, (index, time) => (index === 3 && time % 2 === 0 ? 500 : 200))
    expect(set.tracks[3]!.out).toBe(false)
    await set.clock.advance('10s')
    expect(set.tracks.map(({ out }) => out)).toEqual([false, false, false, true, false])
    expect(set.tracks[3]!.ejection?.reason.message).toBe(
      '50.0% of 100 requests were good, of 5 endpoints each should reach 52.0%',
    )
  })

  test.each([
    ['too few requests', 5, 99],
    ['too few endpoints', 4, 100],
  ])('of %s finds nothing', async (_, count, times) => {
    const set = setUp(count, { consecutiveErrors: false })
    await load(set, times, (index) => (index === 0 ? 500 : 200))
    await set.clock.advance('10s')
    expect(set.changes).toEqual([])
  })

  test('looks at the last interval alone', async () => {
    const set = setUp(5, { consecutiveErrors: false })
    await load(set, 60, (index) => (index === 0 ? 500 : 200))
    await set.clock.advance('10s')
    await load(set, 60, (index) => (index === 0 ? 500 : 200))
    await set.clock.advance('10s')
    expect(set.changes).toEqual([])
  })

  test('takes the worst if not all of them may go', async () => {
    const set = setUp(10, { consecutiveErrors: false, successRate: { deviations: 1 } })
    await load(set, 100, (index, time) => (index < 2 && time % (index + 2) !== 0 ? 500 : 200))
    await set.clock.advance('10s')
    expect(set.changes).toEqual(['.x........'])
  })

  test('finds a latency above the others, and counts timeouts as slow', async () => {
    const { tracks, request, clock } = setUp(3, { latency: { minimumRequests: 10 }, interval: '1m' })
    for (let time = 0; time < 10; time++)
      for (const [index, track] of tracks.entries()) await request(track, 200, index === 0 ? 400 : 20)
    await clock.advance('1m')
    expect(tracks.map(({ out }) => out)).toEqual([true, false, false])
    expect(tracks[0]!.ejection?.reason.message).toMatch(/^half of the requests took 4\d\d(\.\d)?ms or more/)
  })

  test('costs no timer while there is nothing to compare', async () => {
    const { tracks, request, clock, detector } = setUp(3)
    expect(clock.pending).toBe(0)
    await request(tracks[0]!)
    expect(clock.pending).toBe(1)
    await clock.advance('20s')
    expect(clock.pending).toBe(0)
    await request(tracks[0]!)
    detector.close()
    expect(clock.pending).toBe(0)
  })
})

test('a dry run tells, and takes nothing out', async () => {
  const { tracks, requests, lines, counts, clock } = setUp(5, { dryRun: true })
  await requests(tracks[0]!, 50, 500)
  expect(tracks[0]!.out).toBe(false)
  expect(tracks[0]!.snapshot()).toMatchObject({ dryRun: true, times: 1 })
  expect(counts).toEqual({ 'consecutive-errors dry-run': 1 })
  await clock.advance('30s')
  expect(lines.map(([, message]) => message)).toEqual([
    'endpoint ejected for 30s (dry run)',
    'endpoint no longer ejected (dry run)',
  ])
})

test('a snapshot tells times as people do', async () => {
  const { tracks, requests, clock } = setUp(5)
  await clock.advance('1m')
  await requests(tracks[0]!, 5, 500)
  expect(tracks[0]!.snapshot()).toMatchObject({ since: clock.wall(), until: clock.wall() + 30_000 })
})

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error))
  })
}
