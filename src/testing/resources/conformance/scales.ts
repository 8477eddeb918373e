import assert from 'node:assert/strict'
import type { ResourceApi, ResourcePatch } from '../../../coordination/resources/api.js'
import { Pool } from './kinds.js'
import { CONFLICT, INVALID, NOT_FOUND, refused } from './kit.js'
import type { ResourceCase } from './setup.js'

const NAME = { name: 'a' }

async function create(api: ResourceApi, spec = { workers: { count: 2 }, name: 'x' }): Promise<void> {
  await api.create(Pool, { metadata: NAME, spec })
}

/** How many are wanted, of whatever kind. */
export const scaleCases: readonly ResourceCase[] = [
  {
    name: 'a scale says how many are wanted, how many there are, and what finds them',
    run: async ({ api }) => {
      await create(api)
      const { metadata } = await api.get(Pool, NAME)
      const { name, namespace, uid, resourceVersion, creationTimestamp } = metadata
      assert.deepEqual(await api.getScale(Pool, NAME), {
        apiVersion: 'autoscaling/v1',
        kind: 'Scale',
        metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
        spec: { replicas: 2 },
        status: { replicas: 0 },
      })
      const judged = await api.get(Pool, NAME)
      await api.updateStatus(Pool, { ...judged, status: { running: 1, find: 'app=a' } })
      const { status } = await api.getScale(Pool, NAME)
      assert.deepEqual(status, { replicas: 1, selector: 'app=a' })
      await refused(api.getScale(Pool, { name: 'none' }), NOT_FOUND, 'a scale of nothing')
    },
  },
  {
    name: 'a scale that is written changes how many are wanted, and nothing else; of the version it names',
    run: async ({ api }) => {
      await create(api)
      const scale = await api.getScale(Pool, NAME)
      const next = await api.updateScale(Pool, { ...scale, spec: { replicas: 5 } })
      assert.deepEqual(next.spec, { replicas: 5 })
      const { spec, metadata } = await api.get(Pool, NAME)
      assert.deepEqual([spec, metadata.generation], [{ workers: { count: 5 }, name: 'x' }, 2])
      const old = { ...scale, spec: { replicas: 6 } }
      await refused(api.updateScale(Pool, old), CONFLICT, 'a scale of an old version')
      const tooMany = { ...next, spec: { replicas: 11 } }
      await refused(api.updateScale(Pool, tooMany), INVALID, 'more than the kind allows')
      await api.updateScale(Pool, { ...next, spec: { replicas: 6 } }, { dryRun: true })
      assert.deepEqual((await api.get(Pool, NAME)).spec, spec)
    },
  },
  {
    name: 'a scale is patched by merge and by operations',
    run: async ({ api }) => {
      await create(api)
      const patches: readonly ResourcePatch[] = [
        { type: 'merge', patch: { spec: { replicas: 3 } } },
        { type: 'json', patch: [{ op: 'replace', path: '/spec/replicas', value: 4 }] },
      ]
      for (const [index, patch] of patches.entries()) {
        const scale = await api.patchScale(Pool, NAME, patch)
        assert.equal(scale.spec.replicas, 3 + index, patch.type)
      }
      assert.deepEqual((await api.get(Pool, NAME)).spec, { workers: { count: 4 }, name: 'x' })
    },
  },
]
