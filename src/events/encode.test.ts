import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { virtualClock } from '../testing/index.js'
import { decodeEvent } from './decode.js'
import type { EncodedCommit, StoredEvent } from './driver.js'
import { encodeCommit, type Limits } from './encode.js'
import type { Commit, NewEvent } from './log.js'

const LIMITS: Limits = { eventBytes: 1000, commitBytes: 5000, commitEvents: 10 }
const encode = (commit: Commit): EncodedCommit => encodeCommit(commit, LIMITS, virtualClock())
const one = (event: NewEvent, stream = 'order-1'): Commit => ({
  id: 'c',
  streams: [{ stream, events: [event] }],
})

class Rate {
  readonly per: number
  constructor(per: number) {
    this.per = per
  }
  toJSON(): this {
    return this
  }
}

/** What a driver that changes nothing gives back. */
function stored(commit: EncodedCommit): StoredEvent[] {
  return commit.streams.flatMap(({ stream, events }) =>
    events.map((event, revision) => ({
      ...event,
      stream,
      commit: commit.id,
      revision,
      position: '0000000000000001',
      recorded: commit.recorded,
    })),
  )
}

describe('an event that cannot be kept as it is is refused, with the place', () => {
  it.each<[string, unknown, RegExp]>([
    ['NaN', { total: NaN }, /data of Placed\.total is NaN/],
    [
      'Infinity deep inside',
      { lines: [{ price: 1 }, { price: Infinity }] },
      /\.lines\[1\]\.price is Infinity/,
    ],
    ['a bigint', { id: 1n }, /\.id is a bigint/],
    ['a function', { f: () => 1 }, /\.f is a function/],
    ['a symbol', Symbol('s'), /is a symbol/],
    ['undefined in a list', [1, undefined], /\[1\] is undefined/],
    ['a Map', { prices: new Map() }, /\.prices is a Map/],
    ['bytes inside of data', { raw: new Uint8Array(2) }, /\.raw is a Uint8Array/],
    ['a Buffer inside of data', { raw: Buffer.from('x') }, /\.raw is a Buffer/],
    ['an invalid date', { at: new Date(NaN) }, /\.at is an invalid date/],
    ['a toJSON that gives what JSON cannot hold', { at: new Rate(NaN) }, /data of Placed\.at\.per is NaN/],
    ['a toJSON that returns nothing', { toJSON: () => undefined }, /serialises to nothing|is a function/],
  ])('%s', (_name, data, message) => {
    expect(() => encode(one({ type: 'Placed', data }))).toThrow(message)
    expect(() => encode(one({ type: 'Placed', data }))).toThrow(
      expect.objectContaining({ code: 'BANYAN_INVALID_EVENT' }),
    )
  })

  it('a value that contains itself', () => {
    const data: { self?: unknown } = {}
    data.self = data
    expect(() => encode(one({ type: 'Placed', data }))).toThrow(/nested deeper than 200, or in itself/)
    expect(() => encode(one({ type: 'Placed', data }))).toThrow(/^.{0,200}$/)
  })

  it('a getter that throws', () => {
    const data = {
      get total(): number {
        throw new Error('no total')
      },
    }
    expect(() => encode(one({ type: 'Placed', data }))).toThrow(
      expect.objectContaining({ code: 'BANYAN_INVALID_EVENT' }),
    )
  })

  it('a toJSON is asked once, as JSON.stringify does', () => {
    expect(encode(one({ type: 'Placed', data: { at: new Rate(2) } })).streams[0]?.events[0]?.data).toBe(
      '{"at":{"per":2}}',
    )
  })

  it('bytes and tags are those that were given, whatever happens to them later', () => {
    const data = new Uint8Array([1, 2])
    const tags = ['a', 'b']
    const [event] = stored(encode(one({ type: 'Placed', data, tags })))
    data[0] = 9
    tags.pop()
    const read = decodeEvent(event!)
    expect(read.data).toEqual(new Uint8Array([1, 2]))
    expect(read.tags).toEqual(['a', 'b'])
    ;(read.tags as string[]).pop()
    ;(read.data as Uint8Array)[0] = 9
    expect(decodeEvent(event!).data).toEqual(new Uint8Array([1, 2]))
  })

  it.each<[string, unknown, RegExp]>([
    ['no commit', null, /a commit must be an object with id, streams, checks, got null/],
    ['a stream instead of a commit', { stream: 'a', events: [{ type: 'A' }] }, /not stream$/],
    ['streams that are no list', { streams: { stream: 'a' } }, /streams of a commit must be a list/],
    [
      'a condition under another name',
      { streams: [{ stream: 'a', expectedRevision: 3, events: [{ type: 'A' }] }] },
      /an entry of streams has stream, expected, events, not expectedRevision/,
    ],
    ['a check that is none', { checks: [null] }, /an entry of checks must be an object/],
    [
      'an expected bigint',
      { streams: [{ stream: 'a', expected: 1n, events: [{ type: 'A' }] }] },
      /expected revision of a must be .*, got 1n/,
    ],
    ['no event', { streams: [{ stream: 'a', events: [null] }] }, /event 0 for stream a must be an object/],
    ['tags that are no list', one({ type: 'A', tags: 'x' as never }), /tags of A must be a list, got "x"/],
  ])('what programs without types may give: %s', (_name, commit, message) => {
    expect(() => encode(commit as Commit)).toThrow(message)
  })

  it.each<[string, Commit, string]>([
    ['an empty type', one({ type: '' }), 'BANYAN_INVALID_EVENT'],
    ['NUL in a type', one({ type: 'a\0b' }), 'BANYAN_INVALID_EVENT'],
    ['a type of 256 bytes', one({ type: 'é'.repeat(128) }), 'BANYAN_INVALID_EVENT'],
    ['half a surrogate pair in a stream', one({ type: 'A' }, 'a\ud800'), 'BANYAN_INVALID_COMMIT'],
    ['a stream of 513 bytes', one({ type: 'A' }, 'x'.repeat(513)), 'BANYAN_INVALID_COMMIT'],
    ['a schema version of 0', one({ type: 'A', schemaVersion: 0 }), 'BANYAN_INVALID_EVENT'],
    ['a time that is none', one({ type: 'A', time: NaN }), 'BANYAN_INVALID_EVENT'],
    ['a tag twice', one({ type: 'A', tags: ['x', 'x'] }), 'BANYAN_INVALID_EVENT'],
    ['33 tags', one({ type: 'A', tags: Array.from({ length: 33 }, String) }), 'BANYAN_INVALID_EVENT'],
    ['metadata that is a list', one({ type: 'A', metadata: [] as never }), 'BANYAN_INVALID_EVENT'],
    ['an event of 1001 bytes', one({ type: 'A', data: 'x'.repeat(999) }), 'BANYAN_EVENT_TOO_LARGE'],
    ['a stream without events', { streams: [{ stream: 'a', events: [] }] }, 'BANYAN_INVALID_COMMIT'],
    [
      'a stream twice',
      { ...one({ type: 'A' }), checks: [{ stream: 'order-1', expected: 'any' }] },
      'BANYAN_INVALID_COMMIT',
    ],
    ['a revision below 0', { checks: [{ stream: 'a', expected: -1 }] }, 'BANYAN_INVALID_COMMIT'],
    [
      'one id for two events',
      {
        streams: [
          {
            stream: 'a',
            events: [
              { id: 'e', type: 'A' },
              { id: 'e', type: 'B' },
            ],
          },
        ],
      },
      'BANYAN_INVALID_COMMIT',
    ],
    [
      '11 events',
      { streams: [{ stream: 'a', events: Array.from({ length: 11 }, () => ({ type: 'A' })) }] },
      'BANYAN_EVENT_TOO_LARGE',
    ],
  ])('%s', (_name, commit, code) => {
    expect(() => encode(commit)).toThrow(expect.objectContaining({ code }))
  })
})

describe('the id of a commit', () => {
  it('is the id of its first event if all events have one', () => {
    expect(encode({ streams: [{ stream: 'a', events: [{ id: 'e1', type: 'A' }] }] }).id).toBe('e1')
  })

  it('is a new UUID of version 7 that sorts by time otherwise', () => {
    const clock = virtualClock()
    const first = encodeCommit({}, LIMITS, clock).id
    const second = encodeCommit({}, LIMITS, { ...clock, wall: () => clock.wall() + 1 }).id
    expect(first).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(first < second).toBe(true)
  })

  it('gives the same digest to a repetition, and another one to another commit', () => {
    const commit = one({ type: 'A', data: 1 })
    expect(encode(one({ type: 'A', data: 2 })).digest).toBe(encode(commit).digest)
    expect(encode(one({ type: 'B' })).digest).not.toBe(encode(commit).digest)
    expect(encode(one({ type: 'A' }, 'order-2')).digest).not.toBe(encode(commit).digest)
    expect(encode(one({ type: 'A', id: 'e' })).digest).not.toBe(encode(commit).digest)
  })
})

describe('what was appended is read', () => {
  const event: fc.Arbitrary<NewEvent> = fc.record(
    {
      type: fc.string({ minLength: 1, maxLength: 20 }).filter((text) => !text.includes('\0')),
      data: fc.oneof(fc.jsonValue(), fc.uint8Array()),
      metadata: fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 3 }),
      tags: fc.uniqueArray(fc.constantFrom('a', 'b', 'c')),
      schemaVersion: fc.integer({ min: 1, max: 9 }),
      time: fc.integer({ min: 0, max: 4e12 }),
    },
    { requiredKeys: ['type'] },
  )

  it('as it was', () => {
    fc.assert(
      fc.property(event, (given) => {
        const limits = { ...LIMITS, eventBytes: 1e6, commitBytes: 1e7 }
        const [read] = stored(encodeCommit(one(given), limits, virtualClock())).map(decodeEvent)
        const { data } = given
        // JSON knows no -0.
        const kept =
          data instanceof Uint8Array || data === undefined
            ? data
            : (JSON.parse(JSON.stringify(data)) as unknown)
        expect(read).toMatchObject({ type: given.type, tags: given.tags ?? [], stream: 'order-1', id: 'c/0' })
        expect(read?.data).toEqual(kept)
        expect(read?.metadata).toEqual(JSON.parse(JSON.stringify(given.metadata ?? {})))
      }),
    )
  })

  it('or refused, whatever part of it has changed', () => {
    const [good] = stored(encode(one({ type: 'A', data: { n: 1 }, metadata: { actor: 'me' }, tags: ['x'] })))
    const damaged: Partial<StoredEvent>[] = [
      { type: 'B' },
      { data: '{"n":2}' },
      { data: Buffer.from('{"n":1}') },
      { data: undefined },
      { metadata: '' },
      { tags: [] },
      { tags: ['y'] },
      { time: 5 },
      { schemaVersion: 2 },
      { stream: 'order-2' },
      { commit: 'd' },
      { ordinal: 1 },
      { id: 'e' },
      { checksum: good!.checksum ^ 1 },
    ]
    expect(decodeEvent(good!).type).toBe('A')
    for (const change of damaged)
      expect(() => decodeEvent({ ...good!, ...change }), JSON.stringify(change)).toThrow(
        expect.objectContaining({ code: 'BANYAN_LOG_CORRUPT' }),
      )
  })
})

it('parts of an event that would not be kept are refused', () => {
  const wrong =
    (event: object): (() => unknown) =>
    () =>
      encode(one(event as NewEvent))
  expect(wrong({ type: 'Deposited', amount: 5 })).toThrow(
    'Deposited for stream order-1 has amount, which would not be kept: an event has id, type, data, metadata, tags, schemaVersion, time. What is known of it belongs into its data',
  )
  expect(wrong({ type: 'Deposited', meta_data: {} })).toThrow('did you mean metadata?')
  expect(wrong({ typ: 'Deposited' })).toThrow('did you mean type?')
  expect(wrong({ type: 'Deposited', payload: {} })).toThrow(
    expect.objectContaining({ code: 'BANYAN_INVALID_EVENT' }),
  )
})

it('an event that was read can be appended as it is', () => {
  const [first] = stored(encode(one({ type: 'Deposited', data: 5 })))
  const event = decodeEvent({ ...first!, recorded: 0 })
  expect(encode(one(event as NewEvent)).streams[0]!.events[0]!.data).toBe('5')
})
