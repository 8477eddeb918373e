import assert from 'node:assert/strict'
import { appended, assertRising, collect, numbered, place, put, soon } from './kit.js'
import type { CaseDefinition } from './setup.js'

const MANY_STREAMS = 10_000
const LARGE_BYTES = 10 * 1024 * 1024

/** What an append does when nothing stands against it. */
export const appendCases: readonly CaseDefinition[] = [
  {
    name: 'append numbers the events of a stream from 0, and says where they are',
    async run({ log }) {
      assert.equal(await log.revision('order-1'), 'none')
      const first = await put(log, 'order-1', 3, { id: 'c1' })
      assert.deepEqual(first.streams, [{ stream: 'order-1', revision: 2 }])
      assert.equal(first.id, 'c1')
      assert.equal(first.duplicate, false)
      const second = await put(log, 'order-1', 2, { first: 3 })
      assert.deepEqual(second.streams, [{ stream: 'order-1', revision: 4 }])
      const events = await collect(log.read({ stream: 'order-1' }))
      assert.deepEqual(
        events.map(({ revision, data }) => [revision, data]),
        [0, 1, 2, 3, 4].map((number) => [number, { number }]),
      )
      assertRising(events, 'the events of a stream')
      assert.deepEqual([events[2]?.position, events[4]?.position], [first.position, second.position])
      assert.equal(await log.revision('order-1'), 4)
      assert.equal(await log.head(), second.position)
    },
  },
  {
    name: 'a commit appends to all of its streams, each with its own revisions',
    needs: ['log'],
    async run({ log }) {
      await put(log, 'b-1', 2)
      const streams = ['a-1', 'b-1', 'c-1'].map((stream) => ({ stream, events: numbered(2) }))
      const result = appended(await log.append({ id: 'all', streams }))
      assert.deepEqual(result.streams, [
        { stream: 'a-1', revision: 1 },
        { stream: 'b-1', revision: 3 },
        { stream: 'c-1', revision: 1 },
      ])
      const events = await collect(log.read())
      assertRising(events, 'the log')
      assert.deepEqual(
        events.map(place),
        ['b-1@0', 'b-1@1', 'a-1@0', 'a-1@1', 'b-1@2', 'b-1@3', 'c-1@0', 'c-1@1'],
        'the events of a commit stand in the order in which it lists them',
      )
      assert.deepEqual(new Set(events.slice(2).map(({ commit }) => commit)), new Set(['all']))
      assert.equal(events.at(-1)?.position, result.position)
    },
  },
  {
    name: 'an event without an id has that of its commit, and its number',
    async run({ log }) {
      const events = [...numbered(2), { id: 'own', type: 'Named' }, ...numbered(1)]
      appended(await log.append({ id: 'c', streams: [{ stream: 'a', events }] }))
      const read = await collect(log.read())
      assert.deepEqual(
        read.map(({ id }) => id),
        ['c/0', 'c/1', 'own', 'c/3'],
      )
    },
  },
  {
    name: 'what was acknowledged is seen by every reader from then on',
    async run({ log, another }) {
      const other = await another()
      for (let number = 0; number < 20; number++) {
        const { position } = await put(log, 'a-1', 1, { first: number })
        assert.ok((await other.head()) >= position, 'head() is behind an acknowledged append')
        assert.equal(await other.revision('a-1'), number)
        const [last] = await collect(other.read({}, { backwards: true, limit: 1 }))
        assert.equal(last?.position, position)
      }
    },
  },
  {
    name: 'concurrent appends of one caller to one stream keep their order',
    async run({ log }) {
      const results = await soon(
        Promise.all(Array.from({ length: 500 }, (_, number) => put(log, 'a-1', 1, { first: number }))),
        '500 concurrent appends',
      )
      assert.deepEqual(
        results.map(({ streams }) => streams[0]?.revision),
        results.map((_, number) => number),
      )
      const events = await collect(log.read({ stream: 'a-1' }))
      assert.deepEqual(
        events.map(({ data }) => data),
        results.map((_, number) => ({ number })),
      )
    },
  },
  {
    name: 'of two commits that expect the same revision, exactly one is appended',
    async run({ log, another }) {
      const other = await another()
      for (let revision = 0; revision < 30; revision++) {
        const expected = revision === 0 ? 'none' : revision - 1
        const race = (writer: typeof log, name: string): ReturnType<typeof log.append> =>
          writer.append({
            id: `${name}${revision}`,
            streams: [{ stream: 'race', expected, events: [{ type: name }] }],
          })
        const results = await soon(
          Promise.all([race(log, 'A'), race(other, 'B'), race(log, 'C')]),
          'three writers',
        )
        const won = results.filter(({ ok }) => ok)
        assert.equal(won.length, 1, `${won.length} of 3 commits were appended as ${revision}`)
        for (const result of results)
          if (!result.ok) assert.deepEqual(result.conflicts, [{ stream: 'race', expected, actual: revision }])
      }
      assert.equal((await collect(log.read({ stream: 'race' }))).length, 30)
    },
  },
  {
    name: 'appends from several handles leave no gap in a stream',
    async run({ log, another }) {
      const writers = [log, await another(), await another()]
      await soon(
        Promise.all(
          writers.flatMap((writer, index) =>
            Array.from({ length: 100 }, (_, number) =>
              put(writer, 'a-1', 1, { first: number, type: `W${index}` }),
            ),
          ),
        ),
        '300 appends from 3 handles',
      )
      const events = await collect(log.read({ stream: 'a-1' }))
      assert.deepEqual(
        events.map(({ revision }) => revision),
        Array.from({ length: 300 }, (_, number) => number),
      )
      assertRising(events, 'the stream')
      for (const [index] of writers.entries())
        assert.deepEqual(
          events
            .filter(({ type }) => type === `W${index}`)
            .map(({ data }) => (data as { number: number }).number),
          Array.from({ length: 100 }, (_, number) => number),
          `the appends of handle ${index} are not in its order`,
        )
    },
  },
  {
    name: 'takes 10,000 streams',
    async run({ log }) {
      const names = Array.from({ length: MANY_STREAMS }, (_, number) => `many-${number}`)
      await soon(Promise.all(names.map((stream) => put(log, stream))), '10,000 appends')
      const listed = await collect(log.streams({ category: 'many' }))
      assert.equal(listed.length, MANY_STREAMS)
      assert.equal(new Set(listed.map(({ stream }) => stream)).size, MANY_STREAMS)
      assert.ok(listed.every(({ revision, firstRevision }) => revision === 0 && firstRevision === 0))
      assert.equal((await collect(log.read({ category: 'many' }))).length, MANY_STREAMS)
      assert.equal(await log.revision('many-9999'), 0)
    },
  },
  {
    name: 'takes events of 10 MB, as text and as bytes',
    async run({ log }) {
      const text = 'äöü€😀 text '.repeat(LARGE_BYTES / 20)
      const bytes = new Uint8Array(LARGE_BYTES).map((_, index) => (index * 31 + (index >>> 8)) & 0xff)
      const events = [{ type: 'Text', data: text }, { type: 'Bytes', data: bytes }, ...numbered(1)]
      appended(await log.append({ id: 'large', streams: [{ stream: 'large', events }] }))
      await put(log, 'large', 1)
      const [first, second, third, fourth] = await collect(log.read({ stream: 'large' }))
      assert.ok(first?.data === text, 'the text is not what was appended')
      assert.ok(
        Buffer.compare(second?.data as Uint8Array, bytes) === 0,
        'the bytes are not what was appended',
      )
      assert.deepEqual([third?.revision, fourth?.revision], [2, 3])
      const back = await collect(log.read({}, { backwards: true, limit: 3 }))
      assert.deepEqual(
        back.map(({ revision }) => revision),
        [3, 2, 1],
      )
    },
  },
  {
    name: 'takes commits of thousands of events, whole',
    async run({ log }) {
      const { position } = await put(log, 'long', 5000)
      const events = await collect(log.read())
      assert.deepEqual(
        events.map(({ revision, data }) => [revision, data]),
        events.map((_, number) => [number, { number }]),
      )
      assert.equal(events.length, 5000)
      assert.equal(events.at(-1)?.position, position)
      assert.equal(await log.head(), position)
    },
  },
]
