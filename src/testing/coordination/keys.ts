import assert from 'node:assert/strict'
import { refuses } from '../conformance/kit.js'
import { done, pairs, refused } from './kit.js'
import type { CoordinatorCase } from './setup.js'

/** Keys, values, conditions, listings. */
export const keyCases: readonly CoordinatorCase[] = [
  {
    name: 'a key that is not there has nothing',
    run: async ({ coordinator }) => {
      assert.equal(await coordinator.get('nothing'), undefined)
      assert.deepEqual((await coordinator.list('nothing')).entries, [])
    },
  },
  {
    name: 'a key has the value, the revision of its last change and of the change that made it',
    run: async ({ coordinator }) => {
      const first = done(await coordinator.put('a', 'one'))
      assert.equal(first.created, first.revision)
      assert.deepEqual(await coordinator.get('a'), { key: 'a', value: 'one', ...plain(first) })
      const second = done(await coordinator.put('a', 'two'))
      assert.ok(second.revision > first.revision, 'the revision rises with a change')
      assert.equal(second.created, first.created)
      assert.deepEqual(await coordinator.get('a'), { key: 'a', value: 'two', ...plain(second) })
    },
  },
  {
    name: 'the same value again is a change',
    run: async ({ coordinator }) => {
      const first = done(await coordinator.put('a', 'one'))
      assert.ok(done(await coordinator.put('a', 'one')).revision > first.revision)
    },
  },
  {
    name: 'a key that comes again is a new one, with a higher token',
    run: async ({ coordinator }) => {
      const first = done(await coordinator.put('a', 'one'))
      const removed = await coordinator.delete('a')
      assert.ok(removed.ok && removed.revision! > first.revision, 'a removal has a revision of its own')
      assert.equal(await coordinator.get('a'), undefined)
      const second = done(await coordinator.put('a', 'two'))
      assert.equal(second.created, second.revision)
      assert.ok(second.created > removed.revision!)
    },
  },
  {
    name: '`absent` sets a key that is not there, and no other',
    run: async ({ coordinator }) => {
      const first = done(await coordinator.put('a', 'one', { expected: 'absent' }))
      const actual = refused(await coordinator.put('a', 'two', { expected: 'absent' }))
      assert.deepEqual(actual, { key: 'a', value: 'one', ...plain(first) })
      assert.deepEqual(await coordinator.get('a'), actual)
    },
  },
  {
    name: 'a revision sets the key that was changed last then, and no other',
    run: async ({ coordinator }) => {
      const first = done(await coordinator.put('a', 'one'))
      const second = done(await coordinator.put('a', 'two', { expected: first.revision }))
      const actual = refused(await coordinator.put('a', 'three', { expected: first.revision }))
      assert.deepEqual(actual, { key: 'a', value: 'two', ...plain(second) })
      assert.deepEqual(await coordinator.get('a'), actual)
      assert.equal(refused(await coordinator.put('b', 'one', { expected: second.revision })), undefined)
      assert.equal(await coordinator.get('b'), undefined)
    },
  },
  {
    name: 'a removal compares, too',
    run: async ({ coordinator }) => {
      const first = done(await coordinator.put('a', 'one'))
      const second = done(await coordinator.put('a', 'two'))
      assert.equal(refused(await coordinator.delete('a', { expected: first.revision }))?.value, 'two')
      assert.equal(refused(await coordinator.delete('a', { expected: 'absent' }))?.value, 'two')
      const removed = await coordinator.delete('a', { expected: second.revision })
      assert.ok(removed.ok && removed.revision! > second.revision)
      assert.equal(refused(await coordinator.delete('a', { expected: second.revision })), undefined)
    },
  },
  {
    name: 'the removal of what is not there changes nothing',
    run: async ({ coordinator, driver }) => {
      await coordinator.put('a', 'one')
      const head = await driver.head()
      assert.deepEqual(await coordinator.delete('b'), { ok: true, revision: undefined })
      assert.deepEqual(await coordinator.delete('b', { expected: 'absent' }), {
        ok: true,
        revision: undefined,
      })
      assert.equal(await driver.head(), head)
    },
  },
  {
    name: 'what is refused changes nothing',
    run: async ({ coordinator, driver }) => {
      const { revision } = done(await coordinator.put('a', 'one'))
      refused(await coordinator.put('a', 'two', { expected: 'absent' }))
      refused(await coordinator.delete('a', { expected: revision + 1 }))
      assert.equal(await driver.head(), revision)
    },
  },
  {
    name: 'values come back as they were',
    run: async ({ coordinator }) => {
      for (const value of VALUES) {
        await coordinator.put('value', value)
        assert.equal((await coordinator.get('value'))?.value, value)
        assert.deepEqual(pairs(await coordinator.list('value')), [['value', value]])
      }
    },
  },
  {
    name: 'keys that differ in anything are different keys',
    run: async ({ coordinator }) => {
      for (const key of KEYS) done(await coordinator.put(key, `of ${key}`, { expected: 'absent' }))
      for (const key of KEYS) assert.equal((await coordinator.get(key))?.value, `of ${key}`)
    },
  },
  {
    name: 'what can be no key, prefix, value or revision is refused',
    run: async ({ coordinator }) => {
      for (const key of ['', 'a\0b', '\ud800', 'x'.repeat(513), 'ä'.repeat(257), 1 as unknown as string]) {
        await refuses(coordinator.get(key), 'BANYAN_INVALID_KEY', `get ${key}`)
        await refuses(coordinator.put(key, ''), 'BANYAN_INVALID_KEY', `put ${key}`)
        await refuses(coordinator.delete(key), 'BANYAN_INVALID_KEY', `delete ${key}`)
        if (key !== '') await refuses(coordinator.list(key), 'BANYAN_INVALID_KEY', `list ${key}`)
      }
      await refuses(coordinator.put('a', 'a\0'), 'BANYAN_INVALID_KEY', 'a NUL')
      await refuses(coordinator.put('a', '\udc00'), 'BANYAN_INVALID_KEY', 'half a pair')
      await refuses(coordinator.put('a', 'ä'.repeat(131_073)), 'BANYAN_VALUE_TOO_LARGE', 'too large')
      for (const expected of [-1, 1.5, NaN, '1' as 'any'])
        await refuses(
          coordinator.put('a', '', { expected }),
          'BANYAN_INVALID_OPTIONS',
          `expected ${expected}`,
        )
    },
  },
  {
    name: 'a listing has the keys that begin with the prefix, in the order of their bytes',
    run: async ({ coordinator }) => {
      for (const key of [...KEYS].reverse()) await coordinator.put(key, key)
      const byBytes = [...KEYS].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      assert.deepEqual(
        (await coordinator.list('')).entries.map(({ key }) => key),
        byBytes,
      )
      for (const prefix of ['k', 'k/', 'k/_', 'k/%', 'K', 'k/é', '～', '😀', "k/'", 'k/\\', 'nothing'])
        assert.deepEqual(
          (await coordinator.list(prefix)).entries.map(({ key }) => key),
          byBytes.filter((key) => key.startsWith(prefix)),
          `those that begin with ${prefix}`,
        )
    },
  },
  {
    name: 'a key can be set and those around it listed in one step, whatever comes of it',
    run: async ({ coordinator }) => {
      const outside = done(await coordinator.put('line', 'not among them'))
      const a = await coordinator.putAndList('line/a', 'one', 'line/', { expected: 'absent' })
      assert.deepEqual(pairs(a.listing), [['line/a', 'one']])
      assert.ok(done(a.put).created > outside.revision && a.listing.revision >= done(a.put).revision)
      assert.deepEqual(plain(a.listing.entries[0]!), plain(done(a.put)))
      const b = await coordinator.putAndList('line/b', 'two', 'line/')
      assert.deepEqual(pairs(b.listing), [
        ['line/a', 'one'],
        ['line/b', 'two'],
      ])
      const again = await coordinator.putAndList('line/a', 'three', 'line', { expected: 'absent' })
      assert.deepEqual(refused(again.put), { key: 'line/a', value: 'one', ...plain(done(a.put)) })
      assert.deepEqual(pairs(again.listing), [['line', 'not among them'], ...pairs(b.listing)])
      const last = await coordinator.putAndList('line/b', 'four', '', { expected: done(b.put).revision })
      assert.equal(done(last.put).created, done(b.put).created)
      assert.deepEqual(pairs(last.listing).at(-1), ['line/b', 'four'])
      await refuses(coordinator.putAndList('a', '', 'b'), 'BANYAN_INVALID_KEY', 'a key elsewhere')
      await refuses(coordinator.putAndList('', '', ''), 'BANYAN_INVALID_KEY', 'no key')
    },
  },
  {
    name: 'a listing is complete, however long',
    run: async ({ coordinator }) => {
      const keys = Array.from({ length: 2500 }, (_, index) => `many/${String(index).padStart(5, '0')}`)
      const value = 'x'.repeat(1000)
      for (let at = 0; at < keys.length; at += 100)
        await Promise.all(keys.slice(at, at + 100).map((key) => coordinator.put(key, value)))
      const { entries, revision } = await coordinator.list('many/')
      assert.deepEqual(
        entries.map(({ key }) => key),
        keys,
      )
      const { listing } = await coordinator.putAndList('many/~', value, 'many/')
      assert.deepEqual(
        listing.entries.map(({ key }) => key),
        [...keys, 'many/~'],
      )
      assert.equal(revision, Math.max(...entries.map((entry) => entry.revision)))
    },
  },
  {
    name: 'changes through one handle are seen at once through another',
    needs: [],
    run: async ({ coordinator, another }) => {
      const other = await another()
      const first = done(await coordinator.put('a', 'one'))
      assert.equal((await other.get('a'))?.revision, first.revision)
      const second = done(await other.put('a', 'two', { expected: first.revision }))
      assert.ok(second.revision > first.revision)
      assert.equal((await coordinator.list('a')).entries[0]?.revision, second.revision)
      await coordinator.delete('a')
      assert.equal(await other.get('a'), undefined)
    },
  },
  {
    name: 'keys, and the rise of revisions, outlive those who have it open',
    needs: ['durable'],
    run: async ({ coordinator, restartHandles }) => {
      const kept = done(await coordinator.put('kept', 'one'))
      const removed = done(await coordinator.put('removed', 'one'))
      await coordinator.delete('removed')
      const again = await restartHandles()
      assert.deepEqual(await again.get('kept'), { key: 'kept', value: 'one', ...plain(kept) })
      assert.equal(await again.get('removed'), undefined)
      assert.ok(done(await again.put('removed', 'two')).created > removed.revision + 1)
    },
  },
]

function plain({ revision, created }: { revision: number; created: number }): {
  revision: number
  created: number
} {
  return { revision, created }
}

const VALUES = [
  '',
  ' ',
  '{"a":[1,null,"ü"]}',
  'line\nline\r\n\t',
  '\u0001\u007f\u0080\uffff',
  '😀ﬀé',
  'ä'.repeat(131_072),
]

const KEYS = [
  'k',
  'k ',
  'K',
  'k/',
  'k/a',
  'k/A',
  'k/_b',
  'k/xb',
  'k/%b',
  'k/*',
  "k/'",
  'k/"',
  'k/\\',
  'k/é',
  'k/e\u0301',
  'k/\n',
  'k/\u007f',
  '～',
  '😀',
  '\uffff',
  '1',
  '01',
  'true',
  'null',
  'x'.repeat(512),
]
