import assert from 'node:assert/strict'
import { virtualRuntime } from '../virtual-clock.js'
import { DriverLog } from '../../events/event-log.js'
import type { NewEvent, RecordedEvent } from '../../events/log.js'
import { categoryOf } from '../../events/names.js'
import { appended, collect, numbered, place, put, refuses } from './kit.js'
import type { CaseDefinition } from './setup.js'

/** Names that some engine, query or encoding once took for something else. */
const NAMES: readonly string[] = [
  ' ',
  'a',
  'A',
  ' a',
  'a ',
  'a  b',
  'a\tb\r\nc',
  '\u0001\u007f',
  '-',
  '---',
  '-a',
  'a-',
  '1',
  '01',
  '1.0',
  '1e3',
  '-1',
  '0x10',
  'NaN',
  'null',
  'undefined',
  'true',
  '%',
  '_',
  'a%b_c*d?e[f]',
  '\\',
  '\\\\',
  '\\0',
  "'",
  '"',
  '`',
  '$1',
  '$all',
  '$$',
  ':a',
  '@a',
  '{a}',
  "'; DROP TABLE events; --",
  '/* */',
  '../../etc/passwd',
  'C:\\NUL',
  '<script>',
  '&amp;',
  'é',
  'e\u0301',
  'ß',
  'SS',
  'İ',
  'i\u0307',
  '😀',
  '👩‍👩‍👧‍👦',
  '\u{10ffff}',
  '\uffff',
  '\ufeff',
  '\u200b',
  '\u2028',
  'שלום',
  '日本語',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'x'.repeat(255),
]
const LONG = ['y'.repeat(512), '😀'.repeat(128), 'é'.repeat(256), `${'z'.repeat(500)}-${'1'.repeat(11)}`]

/** What JSON keeps, though not every store of JSON does. */
const DATA: readonly unknown[] = [
  null,
  true,
  0,
  -0,
  '',
  ' ',
  '\u0000',
  'a\u0000b',
  '\ud800',
  'a\udfffb',
  '\u2028\u2029',
  '"\\/\b\f\n\r\t',
  1e308,
  5e-324,
  Number.MAX_SAFE_INTEGER,
  Number.MIN_SAFE_INTEGER,
  2 ** 60,
  0.1 + 0.2,
  [],
  {},
  [[], [{}]],
  { '': '' },
  { '\u0000': '\u0000' },
  JSON.parse('{"__proto__":{"polluted":true},"constructor":1}'),
  { 2: 'two', 1: 'one', b: 1, a: 2 },
  { b: 1, a: { d: [1, 'x', null], c: -1.5 } },
  nested(150),
  '{"looks":"like JSON"}',
  'x'.repeat(100_000),
  Array.from({ length: 5000 }, (_, index) => index),
]

const BYTES: readonly Uint8Array[] = [
  new Uint8Array(0),
  new Uint8Array([0]),
  new Uint8Array(256).map((_, index) => index),
  new TextEncoder().encode('{"looks":"like JSON"}'),
  new Uint8Array([1, 2, 3, 4, 5]).subarray(1, 3),
  Buffer.from('a slice of a pool'),
]

function nested(depth: number): unknown {
  let value: unknown = 'bottom'
  for (let level = 0; level < depth; level++) value = level % 2 === 0 ? [value] : { value }
  return value
}

/** Everything an event says about itself. */
function said({ id, type, data, metadata, tags, schemaVersion, time }: RecordedEvent): NewEvent {
  return { id, type, data, metadata, tags, schemaVersion, time }
}

/** Names, data, metadata and times are read as they were appended. */
export const contentCases: readonly CaseDefinition[] = [
  {
    name: 'keeps streams with any name apart',
    async run({ log }) {
      const names = [...NAMES, ...LONG]
      for (const [number, stream] of names.entries())
        await put(log, stream, 2, { first: number, expected: 'none' })
      for (const [number, stream] of names.entries()) {
        const events = await collect(log.read({ stream }))
        const what = `the stream ${JSON.stringify(stream)}`
        assert.deepEqual(events.map(place), [`${stream}@0`, `${stream}@1`], what)
        assert.deepEqual(
          events.map(({ data }) => data),
          [{ number }, { number: number + 1 }],
          what,
        )
        assert.equal(await log.revision(stream), 1, what)
      }
      const listed = await collect(log.streams())
      assert.deepEqual(listed.map(({ stream }) => stream).sort(), [...names].sort())
      for (const { stream, category } of listed)
        assert.equal(category, categoryOf(stream), JSON.stringify(stream))
      for (const category of new Set(names.map(categoryOf).filter((name) => name !== ''))) {
        const found = await collect(log.read({ category }))
        const wanted = names.filter((name) => categoryOf(name) === category)
        assert.deepEqual(
          [...new Set(found.map(({ stream }) => stream))],
          wanted,
          `category ${JSON.stringify(category)}`,
        )
      }
    },
  },
  {
    name: 'keeps any ids, types and tags',
    async run({ log }) {
      const names = [...NAMES, '😀'.repeat(63)]
      const commits = names.map((name, number) => `${number} ${Array.from(name).slice(0, 60).join('')}`)
      const events = names.map((name) => ({ id: name, type: name, tags: [name, 'all them'] }))
      for (const [number, event] of events.entries())
        appended(await log.append({ id: commits[number]!, streams: [{ stream: 'names', events: [event] }] }))
      const read = await collect(log.read({ stream: 'names' }))
      assert.deepEqual(
        read.map(({ id, type, tags }) => ({ id, type, tags })),
        events,
      )
      assert.deepEqual(
        read.map(({ commit }) => commit),
        commits,
      )
      for (const name of names) {
        for (const selector of [
          { types: [name] },
          { tags: [name] },
          { tags: ['all them', name], types: [name] },
        ]) {
          const found = await collect(log.read(selector))
          assert.deepEqual(
            found.map(({ type }) => type),
            [name],
            JSON.stringify(selector),
          )
        }
      }
    },
  },
  {
    name: 'keeps data as it was appended: all of JSON, bytes, and nothing',
    async run({ log }) {
      const events = [...DATA, ...BYTES, undefined].map((data) => ({ type: 'Data', data }))
      appended(await log.append({ streams: [{ stream: 'data', events }] }))
      for (const backwards of [false, true]) {
        const read = await collect(log.read({ stream: 'data' }, { backwards }))
        if (backwards) read.reverse()
        for (const [number, { data }] of events.entries()) {
          const found = read[number]?.data
          if (data instanceof Uint8Array) {
            assert.ok(found instanceof Uint8Array, `bytes were read as ${typeof found}`)
            assert.deepEqual([...found], [...data])
          } else if (data === undefined) assert.equal(found, undefined)
          else assert.equal(JSON.stringify(found), JSON.stringify(data), `data ${number}`)
        }
      }
      assert.equal(({} as { polluted?: unknown }).polluted, undefined)
    },
  },
  {
    name: 'keeps metadata, tags, schema version and time as they were appended',
    async run({ log }) {
      const full: NewEvent = {
        id: 'full',
        type: 'Full',
        data: { a: 1 },
        metadata: {
          correlationId: 'c',
          causationId: 'd',
          traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
          actor: 'somebody',
          own: { deep: ['\u0000', 1.5, null] },
          ['__proto__ ']: '\ud800',
        },
        tags: Array.from({ length: 32 }, (_, number) => `tag:${number}`),
        schemaVersion: 2 ** 31 - 1,
        time: 1_234_567_890_123,
      }
      const times = [0, -1, -62_135_596_800_000, 8.64e15, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]
      const events = [
        full,
        { id: 'plain', type: 'Plain', data: undefined, metadata: {}, tags: [], schemaVersion: 1, time: 5 },
        ...times.map((time) => ({ ...full, id: `at ${time}`, time })),
      ]
      appended(await log.append({ id: 'c', streams: [{ stream: 'a', events }] }))
      assert.deepEqual((await collect(log.read())).map(said), events)
    },
  },
  {
    name: 'the time of recording never falls, even if the clock does, and positionAt goes by it',
    async run({ driver, log }) {
      const start = Date.UTC(2030, 0, 1)
      const runtime = virtualRuntime()
      const clock = { ...runtime.clock, wall: () => start + offset }
      let offset = 0
      // Only its clock is another one; the log under test closes the driver.
      const timed = new DriverLog(driver, { runtime: { ...runtime, clock } })
      const positions: string[] = []
      for (offset of [0, 1000, 500, -86_400_000, 2000]) {
        const events = [{ type: 'Timed' }, { type: 'Given', time: 5 }]
        positions.push(appended(await timed.append({ streams: [{ stream: 'a', events }] })).position)
      }
      const read = await collect(log.read())
      assert.deepEqual(
        read.map(({ recorded }) => recorded - start),
        [0, 0, 1000, 1000, 1000, 1000, 1000, 1000, 2000, 2000],
      )
      assert.deepEqual(
        read.map(({ time }) => time - start).filter((_, index) => index % 2 === 0),
        [0, 1000, 500, -86_400_000, 2000],
      )
      const at = (ms: number): Promise<string> => log.positionAt(start + ms)
      assert.deepEqual(
        [
          await at(-1),
          await at(0),
          await at(1),
          await at(1000),
          await at(1001),
          await at(2000),
          await at(2001),
        ],
        ['0', '0', positions[0], positions[0], positions[3], positions[3], positions[4]],
      )
    },
  },
  {
    name: 'refuses what could not be read as it is, before anything is tried',
    async run({ log }) {
      const commits: [string, unknown][] = [
        ['BANYAN_INVALID_COMMIT', { id: '', streams: [{ stream: 'a', events: numbered(1) }] }],
        ['BANYAN_INVALID_COMMIT', { streams: [{ stream: '', events: numbered(1) }] }],
        ['BANYAN_INVALID_COMMIT', { streams: [{ stream: 'a\0', events: numbered(1) }] }],
        ['BANYAN_INVALID_COMMIT', { streams: [{ stream: 'x'.repeat(513), events: numbered(1) }] }],
        ['BANYAN_INVALID_COMMIT', { streams: [{ stream: '\ud800', events: numbered(1) }] }],
        ['BANYAN_INVALID_COMMIT', { streams: [{ stream: 'a', events: [] }] }],
        ['BANYAN_INVALID_COMMIT', { streams: [{ stream: 'a', expected: -1, events: numbered(1) }] }],
        ['BANYAN_INVALID_EVENT', { streams: [{ stream: 'a', events: [{ type: '' }] }] }],
        ['BANYAN_INVALID_EVENT', { streams: [{ stream: 'a', events: [{ type: 'A', data: NaN }] }] }],
        ['BANYAN_INVALID_EVENT', { streams: [{ stream: 'a', events: [{ type: 'A', data: new Map() }] }] }],
        ['BANYAN_INVALID_EVENT', { streams: [{ stream: 'a', events: [{ type: 'A', tags: ['x', 'x'] }] }] }],
        [
          'BANYAN_EVENT_TOO_LARGE',
          { streams: [{ stream: 'a', events: [{ type: 'A', data: 'x'.repeat(2 ** 24 + 1) }] }] },
        ],
      ]
      for (const [code, commit] of commits)
        await refuses(log.append(commit as Parameters<typeof log.append>[0]), code, code)
      assert.equal(await log.head(), '0')
    },
  },
]
