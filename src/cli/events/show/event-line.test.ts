import { describe, expect, test } from 'vitest'
import type { RecordedEvent } from '../../../events/index.js'
import { visible } from '../../paint.js'
import { eventBlock } from './event-block.js'
import { EventLines } from './event-line.js'

const NOON = new Date(2026, 8, 22, 12, 0, 0, 7).getTime()

function event(change: Partial<RecordedEvent> = {}): RecordedEvent {
  return {
    id: 'c/0',
    type: 'OrderPlaced',
    data: { total: 30 },
    metadata: {},
    tags: [],
    schemaVersion: 1,
    time: NOON,
    recorded: NOON,
    stream: 'order-1',
    revision: 0,
    position: '0000000000000007',
    commit: 'c',
    ...change,
  }
}

const onTerminal = (...events: RecordedEvent[]): string[] => new EventLines(80, NOON).render(events)
const inPipe = (...events: RecordedEvent[]): string[] => new EventLines(Infinity, NOON).render(events)

describe('on a terminal', () => {
  test('columns stand below each other, positions without the zeros in front', () => {
    const later = { position: '0000000000000123', stream: 'order-10', revision: 4, type: 'OrderPaid' }
    expect(onTerminal(event(), event({ ...later, tags: ['customer:7', 'eu'] }))).toEqual([
      '12:00:00.007    7  order-1@0   OrderPlaced  {"total":30}',
      '12:00:00.007  123  order-10@4  OrderPaid    {"total":30}  #customer:7 #eu',
    ])
  })

  test('columns that were wide stay so in later batches', () => {
    const lines = new EventLines(80, NOON)
    lines.render([event({ stream: 'order-1000' })])
    expect(lines.render([event()])).toEqual(['12:00:00.007  7  order-1@0     OrderPlaced  {"total":30}'])
  })

  test('a day that is not today is told once', () => {
    const before = event({ time: NOON - 86_400_000 })
    const lines = onTerminal(before, before, event())
    expect(lines.map((line) => line.slice(0, 13).trim())).toEqual([
      '-- 2026-09-21',
      '12:00:00.007',
      '12:00:00.007',
      '-- 2026-09-22',
      '12:00:00.007',
    ])
  })

  test('a line is never wider than the terminal, and tags are not the first to go', () => {
    const long = event({ data: 'x'.repeat(1000), tags: ['t:1'] })
    const [line] = onTerminal(long)
    expect(visible(line!)).toBe(80)
    expect(line).toMatch(/x… {2}#t:1$/)
    const wide = onTerminal(event({ stream: '日本'.repeat(30), data: '語'.repeat(99) }))
    expect(visible(wide[0]!)).toBeLessThanOrEqual(80)
  })

  test('names and data of others do nothing to it', () => {
    const evil = event({
      stream: 'a\u001b[2J',
      type: 'b\u0007\u202e',
      data: 'c\u009b1m',
      tags: ['d\n'],
      metadata: { e: '\u001b]0;title\u0007' },
    })
    for (const text of [...onTerminal(evil), ...inPipe(evil), ...eventBlock(evil).split('\n')])
      expect(text).not.toMatch(/[\p{Cc}\p{Cf}]/u)
    expect(onTerminal(evil)[0]).toContain('a\\u{1b}[2J@0')
  })
})

describe('elsewhere', () => {
  test('lines are whole, and times can be sorted', () => {
    const [line] = inPipe(event({ data: 'x'.repeat(1000), tags: ['t:1'] }))
    expect(line).toBe(
      `${new Date(NOON).toISOString()}  7  order-1@0  OrderPlaced  "${'x'.repeat(1000)}"  #t:1`,
    )
  })

  test('an event without data, and one with bytes', () => {
    expect(inPipe(event({ data: undefined }))[0]).toMatch(/OrderPlaced$/)
    expect(inPipe(event({ data: Uint8Array.of(1, 255) }))[0]).toMatch(/<2 bytes 01ff>$/)
    expect(inPipe(event({ data: new Uint8Array(20) }))[0]).toMatch(/<20 bytes 0{32}\.\.\.>$/)
  })
})

test('--long tells everything of an event', () => {
  const full = event({
    schemaVersion: 2,
    tags: ['a', 'b'],
    metadata: { actor: 'ada', attempt: 3 },
    recorded: NOON + 2500,
  })
  expect(eventBlock(full)).toBe(
    `order-1@0  OrderPlaced  position 7
  time      ${new Date(NOON).toISOString()}, recorded 2.5s later
  id        c/0
  commit    c
  schema    2
  tags      a, b
  metadata  actor: ada
            attempt: 3
  data      {
              "total": 30
            }
`,
  )
})
