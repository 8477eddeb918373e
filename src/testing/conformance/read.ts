import assert from 'node:assert/strict'
import type { EventLog, ReadOptions, RecordedEvent, Selector } from '../../events/log.js'
import { categoryOf } from '../../events/names.js'
import { appended, collect, place, put, refuses } from './kit.js'
import type { CaseDefinition } from './setup.js'

const STREAMS = ['order-1', 'order-2', 'order', 'orders-1', 'cart-1']
const TYPES = ['Opened', 'Changed', 'Closed']

/** 120 events over five streams, three types and some tags; more than one in a commit. */
async function fill(log: EventLog): Promise<RecordedEvent[]> {
  for (let number = 0; number < 40; number++) {
    const stream = STREAMS[number % STREAMS.length]!
    const events = [0, 1, 2].map((part) => {
      const count = number * 3 + part
      const tags = [
        ...(count % 2 === 0 ? ['even'] : []),
        ...(count % 3 === 0 ? ['third'] : []),
        `of:${count % 4}`,
      ]
      return { type: TYPES[count % 3]!, data: { count }, tags }
    })
    appended(await log.append({ streams: [{ stream, events }] }))
  }
  return collect(log.read())
}

const SELECTORS: readonly Selector[] = [
  {},
  { stream: 'order-1' },
  { stream: 'order' },
  { stream: 'absent' },
  { category: 'order' },
  { category: 'orders' },
  { category: 'ord' },
  { category: 'absent' },
  { types: ['Opened'] },
  { types: ['Opened', 'Closed'] },
  { types: ['Absent'] },
  { tags: ['even'] },
  { tags: ['even', 'third'] },
  { tags: ['third', 'even', 'of:0'] },
  { tags: ['even', 'absent'] },
  { tags: [] },
  { stream: 'order-1', types: ['Changed'] },
  { stream: 'order-2', tags: ['third'] },
  { category: 'order', tags: ['even'], types: ['Opened'] },
  { tags: ['of:1'], types: ['Closed', 'Changed'] },
]

/** What a reader must get of everything that is there. */
function expected(all: readonly RecordedEvent[], selector: Selector, options: ReadOptions): RecordedEvent[] {
  const { stream, category, tags = [], types } = selector
  const { from = '0', to, fromRevision = 0, toRevision = Infinity, limit = Infinity, backwards } = options
  const found = all.filter(
    (event) =>
      event.position > from &&
      (to === undefined || event.position <= to) &&
      event.revision >= fromRevision &&
      event.revision <= toRevision &&
      (stream === undefined || event.stream === stream) &&
      (category === undefined || categoryOf(event.stream) === category) &&
      tags.every((tag) => event.tags.includes(tag)) &&
      (!types || types.includes(event.type)),
  )
  return (backwards ? found.reverse() : found).slice(0, limit)
}

async function compare(
  log: EventLog,
  all: readonly RecordedEvent[],
  selector: Selector,
  options: ReadOptions,
): Promise<void> {
  const found = await collect(log.read(selector, options))
  const what = `read(${JSON.stringify(selector)}, ${JSON.stringify(options)})`
  const wanted = expected(all, selector, options)
  assert.deepEqual(found.map(place), wanted.map(place), what)
  assert.deepEqual(found, wanted, what)
}

/** Reading: every selector with every part, both ways, over pages. */
export const readCases: readonly CaseDefinition[] = [
  {
    name: 'reads by stream, category, tags and types, and all of them together, forwards and backwards',
    async run({ log, another }) {
      const all = await fill(log)
      assert.equal(all.length, 120)
      const other = await another()
      for (const selector of SELECTORS)
        for (const backwards of [false, true])
          for (const limit of [undefined, 1, 7])
            await compare(other, all, selector, { backwards, ...(limit !== undefined && { limit }) })
    },
  },
  {
    name: 'reads the part between two positions',
    async run({ log }) {
      const all = await fill(log)
      const at = (index: number): string => all[index]!.position
      const parts: ReadOptions[] = [
        { from: '0' },
        { from: at(0) },
        { from: at(59) },
        { from: at(119) },
        { to: at(0) },
        { to: at(59) },
        { to: at(119) },
        { to: '0' },
        { from: at(10), to: at(100) },
        { from: at(10), to: at(11) },
        { from: at(10), to: at(10) },
        { from: at(100), to: at(10) },
      ]
      for (const selector of [
        {},
        { stream: 'order-1' },
        { category: 'order' },
        { tags: ['even'] },
        { types: ['Opened'] },
      ])
        for (const part of parts)
          for (const backwards of [false, true]) await compare(log, all, selector, { ...part, backwards })
    },
  },
  {
    name: 'reads the part of a stream between two revisions',
    async run({ log }) {
      const all = await fill(log)
      const parts: ReadOptions[] = [
        { fromRevision: 0 },
        { fromRevision: 5 },
        { fromRevision: 23 },
        { fromRevision: 24 },
        { fromRevision: 10_000 },
        { toRevision: 0 },
        { toRevision: 5 },
        { toRevision: 10_000 },
        { fromRevision: 3, toRevision: 7 },
        { fromRevision: 7, toRevision: 7 },
        { fromRevision: 7, toRevision: 3 },
        { fromRevision: 3, limit: 2 },
        { toRevision: 7, limit: 2 },
        { from: all[50]!.position, fromRevision: 2, toRevision: 20 },
      ]
      for (const part of parts)
        for (const backwards of [false, true])
          for (const selector of [{ stream: 'order-1' }, { stream: 'order-1', types: ['Changed'] }])
            await compare(log, all, selector, { ...part, backwards })
    },
  },
  {
    name: 'reads more than a page, to the last event, both ways',
    async run({ log }) {
      for (let part = 0; part < 3; part++) {
        await put(log, 'long', 512, { first: part * 512, tags: ['t'] })
        await put(log, 'other', 20)
      }
      const all = await collect(log.read())
      assert.equal(all.length, 3 * 532)
      for (const selector of [
        {},
        { stream: 'long' },
        { category: 'long' },
        { tags: ['t'] },
        { types: ['Happened'] },
      ])
        for (const backwards of [false, true])
          for (const limit of [511, 512, 513, 1024, 1025, 5000])
            await compare(log, all, selector, { limit, backwards })
      await compare(log, all, {}, { limit: 0 })
    },
  },
  {
    name: 'a read ends, though events are appended all the while',
    async run({ log }) {
      await put(log, 'a', 600)
      let count = 0
      for await (const { revision } of log.read({ stream: 'a' })) {
        assert.equal(revision, count++)
        if (count % 100 === 0) await put(log, 'a', 300)
        assert.ok(count < 3000, 'the read runs after what is appended')
      }
      assert.ok(count >= 600)
    },
  },
  {
    name: 'a read that is aborted rejects with the reason, since what was read is not everything',
    async run({ log }) {
      await put(log, 'a', 600)
      const stop = new AbortController()
      const reason = new Error('enough')
      const read = async (): Promise<number> => {
        let count = 0
        for await (const event of log.read({}, { signal: stop.signal })) {
          count += event.revision >= 0 ? 1 : 0
          if (count === 1) stop.abort(reason)
        }
        return count
      }
      await assert.rejects(read(), reason)
      await assert.rejects(collect(log.read({}, { signal: AbortSignal.abort(reason) })), reason)
    },
  },
  {
    name: 'refuses selectors that contradict themselves',
    async run({ log }) {
      const wrong: [unknown, unknown][] = [
        [{ stream: 'a', category: 'b' }, {}],
        [{ stream: '' }, {}],
        [{ tag: 'x' }, {}],
        [{ types: [] }, {}],
        [{ category: 'a' }, { fromRevision: 1 }],
        [{ stream: 'a' }, { toRevision: -1 }],
        [{}, { limit: 1.5 }],
      ]
      for (const [selector, options] of wrong)
        await refuses(
          collect(log.read(selector as Selector, options as ReadOptions)),
          'BANYAN_INVALID_SELECTOR',
          JSON.stringify([selector, options]),
        )
    },
  },
  {
    name: 'lists streams by category, in parts, each once',
    async run({ log }) {
      const names = ['a', 'a-1', 'a-2', 'A-1', 'b-1', 'é-1', '😀-1', 'z-1', '%-1']
      for (const [index, name] of names.entries()) await put(log, name, index + 1)
      const all = await collect(log.streams())
      assert.deepEqual(all.map(({ stream }) => stream).sort(), [...names].sort())
      for (const { stream, revision, firstRevision, category } of all)
        assert.deepEqual(
          [revision, firstRevision, category],
          [names.indexOf(stream), 0, categoryOf(stream)],
          stream,
        )
      assert.deepEqual(await collect(log.streams()), all, 'the order of streams is not the same each time')
      for (let size = 1; size <= names.length; size++) {
        const parts = []
        for (let after: string | undefined; ; after = parts.at(-1)?.stream) {
          const part = await collect(log.streams({ limit: size, ...(after !== undefined && { after }) }))
          assert.ok(part.length <= size)
          parts.push(...part)
          if (part.length < size) break
        }
        assert.deepEqual(parts, all, `in parts of ${size}`)
      }
      const inA = await collect(log.streams({ category: 'a' }))
      assert.deepEqual(
        inA,
        all.filter(({ category }) => category === 'a'),
      )
      assert.deepEqual(await collect(log.streams({ category: 'absent' })), [])
    },
  },
]
