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

  reached(): boolean {
    return false
  }

  passes(error: unknown): boolean {
    return (error as Error).message === 'refused'
  }
}

/** One that is kept here. */
class Kept implements History {
  readonly groups: Changes[] = []
  /** From where changes of a prefix were read. */
  readonly reads: number[] = []
  #wake: (() => void) | undefined

  put(key: string, value: string): void {
    const revision = this.groups.length + 1
    const entry = { key, value, revision, created: revision }
    this.groups.push({ revision, changes: [{ kind: 'put', entry }] })
    this.#wake?.()
  }

  page(prefix: string, after: number): HistoryPage {
    if (prefix !== '') this.reads.push(after)
    const groups = this.groups.slice(after, after + 10)
    return { groups, upTo: after + groups.length }
  }

  async changed(after: number, signal: AbortSignal): Promise<void> {
    if (this.groups.length > after) return
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
  }

  reached(revision: number): boolean {
    return revision <= this.groups.length
  }

  passes(): boolean {
    return false
  }
}

test('whoever begins where the others are, or ahead of them at what is known to be, need not read for that', async () => {
  const history = new Kept()
  const feed = new Feed(history, virtualClock())
  const { signal } = new AbortController()
  const first = feed.watch('a', 0, signal)
  const firsts = first.next()
  await turns()
  const reads = history.reads.length
  history.put('b', '1')
  const second = feed.watch('b', 1, signal)
  const seconds = second.next()
  history.put('b', '2')
  expect((await seconds).value).toMatchObject({ revision: 2 })
  expect(history.reads).toHaveLength(reads)
  // What may be of another engine is looked at.
  const third = feed.watch('b', 10, signal)
  const thirds = third.next()
  await turns()
  expect(history.reads.slice(reads)).toEqual([10])
  history.put('a', '3')
  expect((await firsts).value).toMatchObject({ revision: 3 })
  await Promise.all([first.return(), second.return()])
  void thirds
})

test('large values do not wait for a slow watcher without end: it reads them again', async () => {
  const history = new Kept()
  const watch = new Feed(history, virtualClock()).watch('k', 0, new AbortController().signal)
  const first = watch.next()
  history.put('k', '')
  expect((await first).value).toMatchObject({ revision: 1 })
  const second = watch.next()
  await turns()
  const read = history.reads.length
  const value = 'x'.repeat(256 * 1024)
  for (let count = 0; count < 40; count++) history.put('k', value)
  expect((await second).value).toMatchObject({ revision: 2 })
  await turns()
  for (let revision = 3; revision <= 41; revision++)
    expect((await watch.next()).value).toMatchObject({ revision })
  expect(history.reads.length).toBeGreaterThan(read)
  expect(history.reads[read]).toBeGreaterThan(10)
  await watch.return()
})

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

/** What the loop does meanwhile. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}

async function read(watch: AsyncIterable<Changes>): Promise<Changes[]> {
  const seen: Changes[] = []
  for await (const changes of watch) seen.push(changes)
  return seen
}
