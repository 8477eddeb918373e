import assert from 'node:assert/strict'
import { Promotion } from './kinds.js'
import {
  CONFLICT,
  draft,
  INVALID,
  listed,
  names,
  now,
  NOT_FOUND,
  refused,
  relabelled,
  versionOf,
  Watching,
} from './kit.js'
import type { ResourceCase } from './setup.js'

/** How resources go. */
export const deletionCases: readonly ResourceCase[] = [
  {
    name: 'what is deleted is gone, and is given as it was at last',
    run: async ({ api }) => {
      const created = await api.create(Promotion, draft('sale'))
      const { removed, object } = await api.delete(Promotion, { name: 'sale' })
      assert.equal(removed, true)
      assert.equal(object.metadata.uid, created.metadata.uid)
      assert.deepEqual(object.spec, created.spec)
      await refused(api.get(Promotion, { name: 'sale' }), NOT_FOUND, 'reading it')
      await refused(api.delete(Promotion, { name: 'sale' }), NOT_FOUND, 'deleting it again')
      await refused(api.update(Promotion, created), NOT_FOUND, 'updating it')
      assert.deepEqual(await listed(api), [])
    },
  },
  {
    name: 'what has finalizers is only marked, and goes with the last of them',
    run: async ({ api }) => {
      const finalizers = ['shop.example/a', 'shop.example/b']
      const first = await api.create(Promotion, draft('sale', { finalizers }))
      const { removed, object } = await api.delete(Promotion, { name: 'sale' })
      assert.equal(removed, false)
      const { deletionTimestamp } = object.metadata
      assert.match(deletionTimestamp ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
      assert.equal(object.metadata.generation, 2, 'the mark is a wish, as a spec is')
      assert.deepEqual(await api.get(Promotion, { name: 'sale' }), object)
      const again = await api.delete(Promotion, { name: 'sale' })
      assert.deepEqual([again.removed, versionOf(again.object)], [false, versionOf(object)])

      const changed = await api.update(Promotion, { ...object, spec: { ...object.spec, discount: 2 } })
      assert.equal(changed.metadata.deletionTimestamp, deletionTimestamp, 'an update keeps the mark')
      const judged = await api.updateStatus(Promotion, { ...changed, status: { phase: 'Going' } })
      const half = await api.update(Promotion, relabelled(judged, { finalizers: ['shop.example/b'] }))
      assert.equal(half.metadata.deletionTimestamp, deletionTimestamp)
      const watch = new Watching(api, { resourceVersion: await now(api) })
      await api.update(Promotion, relabelled(half, { finalizers: [] }))
      assert.deepEqual(await watch.take(1, 'the end'), ['DELETED sale'])
      await watch.end()
      await refused(api.get(Promotion, { name: 'sale' }), NOT_FOUND, 'reading it')
      const next = await api.create(Promotion, draft('sale'))
      assert.notEqual(next.metadata.uid, first.metadata.uid)
    },
  },
  {
    name: 'what is being deleted gets no new finalizers, and cannot be saved',
    run: async ({ api }) => {
      await api.create(Promotion, draft('sale', { finalizers: ['shop.example/a'] }))
      const { object } = await api.delete(Promotion, { name: 'sale' })
      const finalizers = ['shop.example/a', 'shop.example/late']
      await refused(
        api.update(Promotion, relabelled(object, { finalizers })),
        { ...INVALID, causes: ['FieldValueForbidden metadata.finalizers'] },
        'a finalizer that comes late',
      )
      const metadata = { ...object.metadata }
      Reflect.deleteProperty(metadata, 'deletionTimestamp')
      const saved = await api.update(Promotion, { ...object, metadata, spec: { discount: 3 } })
      assert.equal(saved.metadata.deletionTimestamp, object.metadata.deletionTimestamp)
    },
  },
  {
    name: 'finalizers of what is not being deleted hold nobody up',
    run: async ({ api }) => {
      const first = await api.create(Promotion, draft('sale', { finalizers: ['shop.example/a'] }))
      await api.update(Promotion, relabelled(first, { finalizers: [] }))
      assert.equal((await api.delete(Promotion, { name: 'sale' })).removed, true)
    },
  },
  {
    name: 'how deletion spreads is kept as finalizers, and the last to ask decides',
    run: async ({ api }) => {
      for (const [name, propagationPolicy, finalizer] of [
        ['a', 'Foreground', 'foregroundDeletion'],
        ['b', 'Orphan', 'orphan'],
      ] as const) {
        await api.create(Promotion, draft(name))
        const { removed, object } = await api.delete(Promotion, { name }, { propagationPolicy })
        assert.deepEqual([removed, object.metadata.finalizers], [false, [finalizer]])
        const now = await api.delete(Promotion, { name }, { propagationPolicy: 'Background' })
        assert.equal(now.removed, true)
      }
    },
  },
  {
    name: 'a delete is only of what its preconditions say',
    run: async ({ api }) => {
      const { metadata } = await api.create(Promotion, draft('sale'))
      const { uid, resourceVersion } = metadata
      for (const preconditions of [
        { uid: '00000000-0000-4000-8000-000000000000' },
        { uid, resourceVersion: '1000000' },
      ])
        await refused(
          api.delete(Promotion, { name: 'sale' }, { preconditions }),
          CONFLICT,
          JSON.stringify(preconditions),
        )
      await api.delete(Promotion, { name: 'sale' }, { preconditions: { uid, resourceVersion } })
      await refused(api.get(Promotion, { name: 'sale' }), NOT_FOUND, 'reading it')
    },
  },
  {
    name: 'a deletion of many is of those that are selected',
    run: async ({ api }) => {
      await api.create(Promotion, draft('a', { labels: { tier: 'web' } }))
      await api.create(Promotion, draft('b', { labels: { tier: 'web' }, finalizers: ['shop.example/b'] }))
      await api.create(Promotion, draft('c'))
      await api.create(Promotion, draft('d', { namespace: 'other', labels: { tier: 'web' } }))
      const gone = await api.deleteCollection(Promotion, { namespace: 'default', labelSelector: 'tier' })
      assert.deepEqual(names(gone.map(({ object }) => object)), ['a', 'b'])
      assert.deepEqual(
        gone.map(({ removed }) => removed),
        [true, false],
      )
      assert.deepEqual(await listed(api), ['b', 'c', 'd'])
      assert.deepEqual(await api.deleteCollection(Promotion, { labelSelector: 'nowhere' }), [])
    },
  },
]
