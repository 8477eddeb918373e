import fc from 'fast-check'
import { expect, it } from 'vitest'
import { memoryLog } from '../drivers/memory/log.js'
import { virtualRuntime, type VirtualRuntime } from '../testing/virtual-clock.js'
import type { LogDriver, Query } from './driver.js'
import { DriverLog } from './event-log.js'
import type { EventLog } from './log.js'

/** A log whose pages are counted, and another handle on the same. */
function logs(): { own: EventLog; other: EventLog; runtime: VirtualRuntime; pages: () => number } {
  const runtime = virtualRuntime()
  const driver = memoryLog()
  let pages = 0
  const counting = Object.assign(Object.create(driver) as LogDriver, {
    read: (query: Query) => {
      pages++
      return driver.read(query)
    },
  })
  for (const name of ['append', 'head', 'changed', 'revision', 'close'] as const)
    Object.assign(counting, { [name]: (driver[name] as (...given: unknown[]) => unknown).bind(driver) })
  const other = new DriverLog(driver, { runtime })
  return { own: new DriverLog(counting, { runtime }), other, runtime, pages: () => pages }
}

const append = (log: EventLog, stream: string): Promise<unknown> =>
  log.append({ streams: [{ stream, events: [{ type: 'A' }, { type: 'B' }] }] })
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Follows `a`, and keeps what it is given. */
function following(log: EventLog): { found: string[]; stop: () => Promise<void> } {
  const stop = new AbortController()
  const found: string[] = []
  const done = (async () => {
    for await (const { events } of log.follow({ category: 'a', types: ['B'] }, { signal: stop.signal }))
      found.push(...events.map(({ position }) => position))
  })()
  return {
    found,
    stop: () => {
      stop.abort()
      return done
    },
  }
}

it('a follower passes what this process appends for others without reading a page', async () => {
  const { own, pages } = logs()
  const { found, stop } = following(own)
  await append(own, 'a-1')
  await turn()
  const before = pages()
  for (let number = 0; number < 100; number++) await append(own, `b-${number}`)
  await turn()
  expect(pages() - before).toBeLessThan(3)
  await append(own, 'a-2')
  await turn()
  expect(found).toHaveLength(2)
  await stop()
})

it('what was appended long ago is not passed in memory', async () => {
  const { own, runtime, pages } = logs()
  const { stop } = following(own)
  await turn()
  await append(own, 'b-1')
  await turn()
  await runtime.clock.advance(2000)
  const before = pages()
  await append(own, 'b-2')
  await turn()
  expect(pages()).toBeGreaterThan(before)
  await stop()
})

it('nothing is passed that somebody else has appended in between', async () => {
  const steps = fc.array(
    fc.record({
      isOwn: fc.boolean(),
      stream: fc.constantFrom('a-1', 'b-1', 'b-2', 'c-1'),
      waits: fc.boolean(),
    }),
    { maxLength: 60 },
  )
  await fc.assert(
    fc.asyncProperty(steps, async (given) => {
      const { own, other } = logs()
      const { found, stop } = following(own)
      const appended: Promise<unknown>[] = []
      for (const { isOwn, stream, waits } of given) {
        appended.push(append(isOwn ? own : other, stream))
        if (waits) await turn()
      }
      await Promise.all(appended)
      for (let number = 0; number < 5; number++) await turn()
      const all: string[] = []
      for await (const { position } of other.read({ category: 'a', types: ['B'] })) all.push(position)
      expect(found).toEqual(all)
      await stop()
    }),
    { numRuns: 200 },
  )
})
