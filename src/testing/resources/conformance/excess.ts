import assert from 'node:assert/strict'
import { Pool, Promotion } from './kinds.js'
import { AHEAD, BAD_REQUEST, draft, INVALID, NOT_FOUND, refused, Watching } from './kit.js'
import type { ResourceCase } from './setup.js'

const NAME = { name: 'sale' }

/** What stores of ours do, and a Kubernetes of 1.36 does not. */
export const excessCases: readonly ResourceCase[] = [
  {
    name: 'a watch from the future is refused, and one from what is no version',
    needs: 'exceed',
    run: async ({ api }) => {
      const { metadata } = await api.create(Promotion, draft('a'))
      const ahead = String(Number(metadata.resourceVersion) + 1_000_000)
      await refused(new Watching(api, { resourceVersion: ahead }).next('it'), AHEAD, 'the future')
      await refused(new Watching(api, { resourceVersion: 'new' }).next('it'), BAD_REQUEST, 'no version')
    },
  },
  {
    name: 'an apply that names a version does not make what is not there',
    needs: 'exceed',
    run: async ({ api }) => {
      const patch = { metadata: { resourceVersion: '1' }, spec: { discount: 5 } }
      await refused(
        api.patch(Promotion, NAME, { type: 'apply', patch }),
        NOT_FOUND,
        'a version of what is not there',
      )
    },
  },
  {
    name: 'a scale is applied',
    needs: 'exceed',
    run: async ({ api }) => {
      await api.create(Pool, { metadata: NAME, spec: { workers: { count: 2 }, name: 'x' } })
      const patch = { metadata: {}, spec: { replicas: 5 } }
      const scale = await api.patchScale(Pool, NAME, { type: 'apply', patch }, { force: true })
      assert.equal(scale.spec.replicas, 5)
      assert.deepEqual((await api.get(Pool, NAME)).spec, { workers: { count: 5 }, name: 'x' })
    },
  },
  {
    name: 'a finalizer that is said twice is there once',
    needs: 'exceed',
    run: async ({ api }) => {
      const finalizers = ['shop.example/a', 'shop.example/a']
      const { metadata } = await api.create(Promotion, draft('sale', { finalizers }))
      assert.deepEqual(metadata.finalizers, ['shop.example/a'])
    },
  },
  {
    name: 'which owner is wrong is told by its place',
    needs: 'exceed',
    run: async ({ api }) => {
      const owner = { apiVersion: 'shop.example/v1', kind: 'Promotion', name: 'a', uid: '1' }
      const ownerReferences = [owner, { ...owner, apiVersion: '' }]
      await refused(
        api.create(Promotion, draft('sale', { ownerReferences })),
        { ...INVALID, causes: ['FieldValueRequired metadata.ownerReferences[1].apiVersion'] },
        'an owner without an apiVersion',
      )
    },
  },
]
