import assert from 'node:assert/strict'
import { Promotion } from './kinds.js'
import { CONFLICT, draft, EXISTS, INVALID, NOT_FOUND, refused, relabelled } from './kit.js'
import type { ResourceCase } from './setup.js'

const dryRun = true

/** What would be, and is not. */
export const dryRunCases: readonly ResourceCase[] = [
  {
    name: 'a dry run says what would be, and writes nothing',
    run: async ({ api }) => {
      const would = await api.create(Promotion, draft('sale'), { dryRun })
      assert.equal(would.spec.audience, 'all')
      await refused(api.get(Promotion, { name: 'sale' }), NOT_FOUND, 'what would be created')
      const first = await api.create(Promotion, draft('sale', { finalizers: ['shop.example/a'] }))
      const next = await api.update(Promotion, { ...first, spec: { discount: 5 } }, { dryRun })
      assert.deepEqual([next.spec.discount, next.metadata.generation], [5, 2])
      const judged = await api.updateStatus(Promotion, { ...first, status: { phase: 'Ready' } }, { dryRun })
      assert.deepEqual(judged.status, { phase: 'Ready' })
      const marked = await api.delete(Promotion, { name: 'sale' }, { dryRun })
      assert.equal(marked.removed, false)
      assert.ok(marked.object.metadata.deletionTimestamp)
      assert.equal((await api.deleteCollection(Promotion, { dryRun })).length, 1)
      assert.deepEqual(await api.get(Promotion, { name: 'sale' }), first)
      await api.update(Promotion, relabelled(first, { finalizers: [] }))
      assert.equal((await api.delete(Promotion, { name: 'sale' }, { dryRun })).removed, true)
      assert.equal((await api.get(Promotion, { name: 'sale' })).metadata.uid, first.metadata.uid)
    },
  },
  {
    name: 'a dry run is refused as what it stands for would be',
    run: async ({ api }) => {
      const first = await api.create(Promotion, draft('sale'))
      const next = await api.update(Promotion, { ...first, spec: { ...first.spec, discount: 2 } })
      await refused(api.create(Promotion, draft('sale'), { dryRun }), EXISTS, 'creating it again')
      await refused(api.create(Promotion, draft('a', {}, { discount: 99 }), { dryRun }), INVALID, 'too much')
      await refused(api.update(Promotion, first, { dryRun }), CONFLICT, 'an old version')
      await refused(
        api.delete(
          Promotion,
          { name: 'sale' },
          { dryRun, preconditions: { resourceVersion: first.metadata.resourceVersion } },
        ),
        CONFLICT,
        'deleting an old version',
      )
      await refused(api.delete(Promotion, { name: 'none' }, { dryRun }), NOT_FOUND, 'deleting none')
      assert.deepEqual(await api.get(Promotion, { name: 'sale' }), next)
    },
  },
]
