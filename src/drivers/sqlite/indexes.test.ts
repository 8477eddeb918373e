import fc from 'fast-check'
import Database from 'better-sqlite3'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import {
  openLog,
  type Commit,
  type EventLog,
  type ReadOptions,
  type RecordedEvent,
  type Selector,
} from '../../events/index.js'

const root = mkdtempSync(join(tmpdir(), 'banyan-indexes-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

let files = 0

const order = fc.integer({ min: 0, max: 5 }).map((number) => `order-${number}`)
const stock = fc.integer({ min: 0, max: 200 }).map((number) => `stock-${number}`)
const streams = fc.uniqueArray(fc.oneof({ weight: 3, arbitrary: order }, { weight: 1, arbitrary: stock }), {
  minLength: 1,
  maxLength: 3,
})
const event = fc.record({
  type: fc.constantFrom('Opened', 'Changed', 'Closed'),
  tags: fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { maxLength: 3 }),
})
const commit: fc.Arbitrary<Commit> = fc
  .tuple(streams, fc.array(event, { minLength: 1, maxLength: 3 }))
  .map(([names, events]) => ({ streams: names.map((stream) => ({ stream, events })) }))
const selector: fc.Arbitrary<Selector> = fc.oneof(
  fc.constant({}),
  fc.record({ stream: fc.oneof(order, stock, fc.constant('none-1')) }),
  fc.record({ category: fc.constantFrom('order', 'stock', 'none') }),
  fc.record({ tags: fc.constantFrom(['a'], ['b', 'c'], ['none']) }),
  fc.record({ types: fc.constantFrom(['Closed'], ['Opened', 'Changed'], ['None']) }),
  fc.record({ stream: order, types: fc.constant(['Closed']) }),
  fc.record({ stream: order, tags: fc.constant(['a', 'b']) }),
  fc.record({ category: fc.constant('order'), tags: fc.constant(['c']) }),
)

function selects({ stream, category, tags, types }: Selector, one: RecordedEvent): boolean {
  return (
    (stream === undefined || one.stream === stream) &&
    (category === undefined || one.stream.startsWith(`${category}-`)) &&
    (tags ?? []).every((tag) => one.tags.includes(tag)) &&
    (types === undefined || types.includes(one.type))
  )
}

async function read(log: EventLog, what: Selector, options: ReadOptions): Promise<string[]> {
  const positions: string[] = []
  for await (const { position } of log.read(what, options)) positions.push(position)
  return positions
}

test('whatever is in the indexes already, a read gives what is selected', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(
      // Each part is appended at once: small ones stay out of the indexes, large ones come in while they are appended.
      fc.array(fc.tuple(commit, fc.constantFrom(1, 40, 900), fc.boolean()), { minLength: 1, maxLength: 8 }),
      fc.array(fc.tuple(selector, fc.boolean(), fc.nat(), fc.nat()), { minLength: 20, maxLength: 20 }),
      async (parts, reads) => {
        const path = join(root, `${++files}.db`)
        const logs = [await openLog(`sqlite:${path}`), await openLog(`sqlite:${path}`)]
        for (const [what, times, other] of parts)
          await Promise.all(Array.from({ length: times }, () => logs[other ? 1 : 0]!.append(what)))
        const all: RecordedEvent[] = []
        for await (const one of logs[0]!.read()) all.push(one)
        for (const [what, backwards, a, b] of reads) {
          const from = all[a % all.length]!.position
          const to = all[b % all.length]!.position
          const wanted = all
            .filter((one) => selects(what, one) && one.position > from && one.position <= to)
            .map(({ position }) => position)
          const found = await read(logs[1]!, what, { from, to, backwards })
          expect(found).toEqual(backwards ? wanted.reverse() : wanted)
        }
        for await (const finding of logs[0]!.verify()) expect(finding).toMatchObject({ ok: true })
        for (const log of logs) await log.close()
        rmSync(path)
      },
    ),
    { numRuns: 6 },
  )
})

test('events come into the indexes as they are appended, many at a time', async () => {
  const path = join(root, 'progress.db')
  const log = await openLog(`sqlite:${path}`)
  const db = new Database(path, { readonly: true })
  const unindexed = db.prepare('SELECT head - indexed FROM log').pluck()
  const append = (number: number): Promise<unknown> =>
    log.append({ streams: [{ stream: `order-${number % 50}`, events: [{ type: 'Placed' }] }] })
  for (let number = 0; number < 255; number++) await append(number)
  expect(unindexed.get()).toBe(255)
  for (let round = 0; round < 10; round++)
    await Promise.all(Array.from({ length: 1000 }, (__, n) => append(n)))
  await append(0)
  // What a group of 1,000 leaves waiting is at most what is gathered before the next.
  expect(unindexed.get()).toBeLessThan(4096 + 1024)
  db.close()
  await log.close()
})
