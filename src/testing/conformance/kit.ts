import assert from 'node:assert/strict'
import { sleep, systemClock } from '../../core/clock.js'
import { BanyanError } from '../../core/errors.js'
import type {
  Appended,
  AppendResult,
  Batch,
  Conflicted,
  EventLog,
  Expected,
  NewEvent,
  RecordedEvent,
  TransactionResult,
} from '../../events/log.js'

/** How long something may take that needs no time: far more than any engine does. */
const SOON_MS = 15_000

/** Events `first`, `first + 1`, ... that can be told apart. */
export function numbered(count: number, first = 0, type = 'Happened'): NewEvent[] {
  return Array.from({ length: count }, (_, index) => ({ type, data: { number: first + index } }))
}

/** Appends numbered events to one stream. */
export async function put(
  log: EventLog,
  stream: string,
  count = 1,
  options: { expected?: Expected; first?: number; id?: string; type?: string; tags?: readonly string[] } = {},
): Promise<Appended> {
  const { expected = 'any', first = 0, id, type, tags } = options
  const events = numbered(count, first, type).map((event) => ({ ...event, ...(tags && { tags }) }))
  return appended(
    await log.append({ ...(id !== undefined && { id }), streams: [{ stream, expected, events }] }),
  )
}

/** The result of an append that had to succeed. */
export function appended<Result extends AppendResult | TransactionResult>(
  result: Result,
): Extract<Result, { ok: true }> {
  assert.ok(result.ok, `expected it to be appended, got ${JSON.stringify(result)}`)
  return result as Extract<Result, { ok: true }>
}

/** The conflicts of an append that had to be refused, by stream. */
export function conflicts(result: AppendResult | TransactionResult): Conflicted['conflicts'] {
  assert.ok(!result.ok, `expected a conflict, got ${JSON.stringify(result)}`)
  return [...result.conflicts].sort((a, b) => (a.stream < b.stream ? -1 : 1))
}

/** Everything of an iteration. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

/** Fails unless it settles soon. */
export async function soon<T>(result: Promise<T>, what: string): Promise<T> {
  const settled = new AbortController()
  const late = sleep(systemClock, SOON_MS, settled.signal).then(
    () => assert.fail(`${what}: still waiting after ${SOON_MS / 1000} s`),
    () => result,
  )
  try {
    return await Promise.race([result, late])
  } finally {
    settled.abort()
  }
}

/** Fails unless it rejects with this code. */
export async function refuses(result: Promise<unknown>, code: string, what: string): Promise<void> {
  const error = await soon(
    result.then(
      (value) => assert.fail(`${what}: expected ${code}, got ${JSON.stringify(value)}`),
      (reason: unknown) => reason,
    ),
    what,
  )
  if (error instanceof assert.AssertionError) throw error
  assert.ok(
    error instanceof BanyanError && error.code === code,
    `${what}: expected ${code}, got ${String(error)}`,
  )
}

/** Follows until it has this many events, then stops. */
export async function takeEvents(
  follower: AsyncIterable<Batch>,
  count: number,
  what: string,
): Promise<RecordedEvent[]> {
  return (await takeBatches(follower, (events) => events.length >= count, what)).flatMap(
    ({ events }) => events,
  )
}

/** Follows until it has what it wants, then stops. */
export async function takeBatches(
  follower: AsyncIterable<Batch>,
  enough: (events: readonly RecordedEvent[], last: Batch) => boolean,
  what: string,
): Promise<Batch[]> {
  const batches: Batch[] = []
  const events: RecordedEvent[] = []
  const take = async (): Promise<Batch[]> => {
    for await (const batch of follower) {
      batches.push(batch)
      events.push(...batch.events)
      if (enough(events, batch)) break
    }
    return batches
  }
  return soon(take(), `${what} (has ${JSON.stringify(events.map(place))})`)
}

/** A follower, batch by batch. */
export interface Steps {
  /** The next batch; fails if there is none soon. */
  readonly next: (what: string) => Promise<Batch>
  readonly stop: () => Promise<void>
}

/** Follows step by step. */
export function stepwise(follower: AsyncIterable<Batch>): Steps {
  const iterator: AsyncIterator<Batch, unknown> = follower[Symbol.asyncIterator]()
  return {
    next: async (what) => {
      const result = await soon(iterator.next(), what)
      if (result.done) assert.fail(`${what}: the follower has ended`)
      return result.value
    },
    stop: async () => {
      await iterator.return?.()
    },
  }
}

/** Where an event is, to compare and to print. */
export function place({ stream, revision }: { stream: string; revision: number }): string {
  return `${stream}@${revision}`
}

/** Fails unless positions rise. */
export function assertRising(events: readonly RecordedEvent[], what: string): void {
  for (const [index, event] of events.entries()) {
    const before = events[index - 1]
    if (before && before.position >= event.position)
      assert.fail(
        `${what}: ${place(event)} at ${event.position} comes behind ${place(before)} at ${before.position}`,
      )
  }
}

/** Lets everything run that needs no time and no engine. */
export function turns(count = 5): Promise<void> {
  return new Promise((resolve) => {
    const next = (left: number): unknown => (left === 0 ? resolve() : setImmediate(next, left - 1))
    next(count)
  })
}
