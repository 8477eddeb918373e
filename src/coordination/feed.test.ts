import { expect, test } from 'vitest'
import { virtualClock } from '../testing/virtual-clock.js'
import type { Changes } from './coordinator.js'
import { Feed, type History, type HistoryPage } from './feed.js'

/** A page of it cannot be had, though there is news. */
class Unreadable implements History {
  asked = 0

  page(): HistoryPage {
    if (++this.asked > 100) throw new Error('asked again and again')
    throw new Error('refused')
  }

  changed(): Promise<void> {
    return Promise.resolve()
  }

  passes(error: unknown): boolean {
    return (error as Error).message === 'refused'
  }
}

test('a history that cannot be read is asked again after a pause, however much news there is', async () => {
  const clock = virtualClock()
  const history = new Unreadable()
  const ending = new AbortController()
  const reading = read(new Feed(history, clock).watch('', 0, ending.signal))
  await clock.advance('3s')
  expect(history.asked).toBeGreaterThan(3)
  expect(history.asked).toBeLessThan(10)
  ending.abort()
  expect(await reading).toEqual([])
  expect(clock.pending).toBe(0)
})

async function read(watch: AsyncIterable<Changes>): Promise<Changes[]> {
  const seen: Changes[] = []
  for await (const changes of watch) seen.push(changes)
  return seen
}
