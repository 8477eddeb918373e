import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { altered, closeLogs, collect, newDirectory, newLog } from '../../../test/support/logs.js'
import { virtualRuntime, type VirtualRuntime } from '../../testing/index.js'
import type { EventLog } from '../index.js'
import { fileLines, readEvents } from '../transfer/index.js'
import { retain, retention, type RetentionReport, type RetentionRule } from './index.js'

afterEach(closeLogs)

const DAY = 86_400_000

/** A log to which three streams were written, on each of the last days. */
async function filled(driver: string, days = 10): Promise<{ log: EventLog; runtime: VirtualRuntime }> {
  const runtime = virtualRuntime()
  const log = await newLog(driver, { runtime })
  for (let day = 0; day < days; day++) {
    for (const stream of ['order-1', 'order-2', 'session-1'])
      await log.append({ streams: [{ stream, events: [{ type: 'Happened', data: { day } }] }] })
    await runtime.clock.advance(DAY)
  }
  return { log, runtime }
}

/** First and last revision of each stream. */
async function extents(log: EventLog): Promise<Record<string, [number, number]>> {
  const found: Record<string, [number, number]> = {}
  for await (const { stream, revision } of log.read())
    found[stream] = [found[stream]?.[0] ?? revision, revision]
  return found
}

describe.each(['memory', 'sqlite'])('%s', (driver) => {
  it.each<[string, RetentionRule[], number[], Record<string, [number, number]>]>([
    [
      'by age, everything',
      [{ maxAge: '3d' }],
      [21],
      { 'order-1': [7, 9], 'order-2': [7, 9], 'session-1': [7, 9] },
    ],
    [
      'by age, a category',
      [{ category: 'session', maxAge: '2d' }],
      [8],
      { 'order-1': [0, 9], 'order-2': [0, 9], 'session-1': [8, 9] },
    ],
    [
      'by age, a stream',
      [{ stream: 'order-2', maxAge: '1d' }],
      [9],
      { 'order-1': [0, 9], 'order-2': [9, 9], 'session-1': [0, 9] },
    ],
    [
      'by count, each stream',
      [{ maxEvents: 4 }],
      [18],
      { 'order-1': [6, 9], 'order-2': [6, 9], 'session-1': [6, 9] },
    ],
    ['by count, nothing stays', [{ category: 'order', maxEvents: 0 }], [20], { 'session-1': [0, 9] }],
    [
      'by both, whichever removes more',
      [
        { category: 'order', maxAge: '3d', maxEvents: 5 },
        { category: 'session', maxAge: '9d', maxEvents: 5 },
      ],
      [14, 5],
      { 'order-1': [7, 9], 'order-2': [7, 9], 'session-1': [5, 9] },
    ],
    [
      'the most specific rule decides',
      [{ maxAge: '1d' }, { category: 'order', maxAge: '4d' }, { stream: 'order-2' }],
      [9, 6, 0],
      { 'order-1': [6, 9], 'order-2': [0, 9], 'session-1': [9, 9] },
    ],
    [
      'an exception from the rule for everything, by count',
      [{ maxEvents: 1 }, { category: 'order' }],
      [9, 0],
      { 'order-1': [0, 9], 'order-2': [0, 9], 'session-1': [9, 9] },
    ],
    [
      'nothing is as old',
      [{ maxAge: '11d' }],
      [0],
      { 'order-1': [0, 9], 'order-2': [0, 9], 'session-1': [0, 9] },
    ],
    [
      'streams that are not there',
      [
        { stream: 'absent-1', maxAge: 1, maxEvents: 1 },
        { category: 'absent', maxAge: 1 },
      ],
      [0, 0],
      { 'order-1': [0, 9], 'order-2': [0, 9], 'session-1': [0, 9] },
    ],
  ])('removes what rules do not keep: %s', async (_name, rules, removed, left) => {
    const { log, runtime } = await filled(driver)
    const report = await retain(log, rules, { clock: runtime.clock })
    expect(report.rules.map((rule) => rule.removed)).toEqual(removed)
    expect(report.removed).toBe(removed.reduce((sum, count) => sum + count, 0))
    expect(await extents(log)).toEqual(left)
    // What is kept stays kept.
    expect(await retain(log, rules, { clock: runtime.clock })).toMatchObject({ removed: 0 })
  })

  it('respects holds, and says which one kept events', async () => {
    const { log, runtime } = await filled(driver)
    const events = await collect(log.read())
    await log.hold('report', events[5]!.position)
    const rules = [
      { category: 'order', maxAge: '3d' as const },
      { stream: 'session-1', maxEvents: 9 },
    ]
    const report = await retain(log, rules, { clock: runtime.clock })
    expect(report.rules).toEqual([
      { rule: rules[0], removed: 4, heldBy: 'report', archives: [] },
      { rule: rules[1], removed: 1, archives: [] },
    ])
    await log.release('report')
    expect(await retain(log, rules, { clock: runtime.clock })).toMatchObject({ removed: 10 })
  })

  it('a follower goes on, and is told', async () => {
    const { log, runtime } = await filled(driver)
    const stop = new AbortController()
    const batches = log
      .follow({ category: 'order' }, { batch: 4, signal: stop.signal })
      [Symbol.asyncIterator]()
    expect((await batches.next()).value).toMatchObject({ truncated: false })
    await retain(log, [{ maxAge: '3d' }], { clock: runtime.clock })
    const next = await batches.next()
    expect(next.value).toMatchObject({ truncated: true })
    expect(next.done !== true && next.value.events[0]?.data).toEqual({ day: 7 })
    stop.abort()
    await batches.return?.()
  })

  it('archives what it removes', async () => {
    const { log, runtime } = await filled(driver)
    const before = await collect(log.read())
    const directory = join(newDirectory(), 'archive')
    const rules = [
      { category: 'order', maxAge: '3d' as const },
      { stream: 'session-1', maxEvents: 2 },
    ]
    const report = await retain(log, rules, { clock: runtime.clock, archive: directory, source: '/shop' })
    expect(report.rules.map(({ removed, archives }) => [removed, archives])).toEqual([
      [14, [join(directory, 'category-order-0000000000000001.ndjson.gz')]],
      [8, [join(directory, 'stream-session-1-0000000000000003.ndjson.gz')]],
    ])
    const archived: string[] = []
    for (const { archives } of report.rules)
      for (const file of archives) for await (const { id } of readEvents(fileLines(file))) archived.push(id)
    const rest = (await collect(log.read())).map(({ id }) => id)
    expect([...archived, ...rest].sort()).toEqual(before.map(({ id }) => id).sort())
  })

  it('runs at once and then at its interval, and goes on after a failure', async () => {
    const { log, runtime } = await filled(driver, 3)
    const reports: RetentionReport[] = []
    let broken = false
    const sometimes = altered(log, {
      positionAt: (time) => (broken ? Promise.reject(new Error('no connection')) : log.positionAt(time)),
    })
    let told = (): void => undefined
    const run = retention(sometimes, {
      rules: [{ maxAge: '2d' }],
      every: '1d',
      runtime,
      onReport: (report) => {
        reports.push(report)
        told()
      },
    })
    const next = (): Promise<void> => new Promise((resolve) => (told = resolve))
    await next()
    expect(reports.map(({ removed }) => removed)).toEqual([3])
    const second = next()
    await runtime.clock.advance('1d')
    await second
    expect(reports.map(({ removed }) => removed)).toEqual([3, 3])
    broken = true
    await runtime.clock.advance('1d')
    broken = false
    const third = next()
    await runtime.clock.advance('1d')
    await third
    expect(reports.map(({ removed }) => removed)).toEqual([3, 3, 3])
    await run.close()
    expect(runtime.clock.pending).toBe(0)
  })
})

it('ends between two slices when its signal does', async () => {
  const { log, runtime } = await filled('memory')
  const stop = new AbortController()
  const stopping = altered(log, {
    truncate: (what) => {
      stop.abort(new Error('enough'))
      return log.truncate(what)
    },
  })
  const options = { clock: runtime.clock, signal: stop.signal }
  await expect(retain(stopping, [{ maxEvents: 5 }], options)).rejects.toThrow('enough')
  expect((await log.stats()).events).toBe(25)
})

it('removes large streams and logs in slices', async () => {
  const runtime = virtualRuntime()
  const log = await newLog('memory', { runtime })
  for (let commit = 0; commit < 11; commit++)
    await log.append({
      streams: [{ stream: 'a-1', events: Array.from({ length: 10_000 }, () => ({ type: 'T' })) }],
    })
  await runtime.clock.advance('2d')
  let calls = 0
  const counted = altered(log, {
    truncate: (what) => {
      calls++
      return log.truncate(what)
    },
  })
  const { clock } = runtime
  expect(await retain(counted, [{ stream: 'a-1', maxEvents: 50_000 }], { clock })).toMatchObject({
    removed: 60_000,
  })
  expect(calls).toBe(2)
  expect(await retain(counted, [{ maxAge: '1d' }], { clock })).toMatchObject({ removed: 50_000 })
  expect((await log.stats()).events).toBe(0)
})

describe('rules that contradict each other are refused, before anything is removed', () => {
  it.each<[string, object[], RegExp]>([
    [
      'two for the same',
      [{ category: 'a', maxAge: 1 }, { category: 'a' }],
      /rules\.1 is about the same streams/,
    ],
    ['two for everything', [{ maxAge: 1 }, { maxEvents: 1 }], /rules\.1 is about the same streams/],
    ['a stream and a category', [{ category: 'a', stream: 'a-1' }], /rules\.0 has a stream and a category/],
    ['an age that is none', [{ maxAge: '3 days' }], /rules\.0\.maxAge must be a number of milliseconds/],
    ['a count that is none', [{ maxEvents: -1 }], /rules\.0\.maxEvents must be a whole number/],
    [
      'a word that is none',
      [{ maxEvent: 1 }],
      /rules\.0\.maxEvent is not an option, did you mean `maxEvents`/,
    ],
  ])('%s', async (_name, rules, message) => {
    const log = await newLog('memory')
    await expect(retain(log, rules)).rejects.toThrow(message)
    expect(() => retention(log, { rules })).toThrow(message)
  })
})
