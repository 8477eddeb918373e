import assert from 'node:assert/strict'
import { Promotion, Region } from './kinds.js'
import { AHEAD, BAD_REQUEST, draft, INVALID, listed, names, refused } from './kit.js'
import type { ResourceCase } from './setup.js'

/** What lists have. */
export const listCases: readonly ResourceCase[] = [
  {
    name: 'a list is of one kind and of one namespace, or all, in the order of namespaces and names',
    run: async ({ api }) => {
      for (const [name, namespace] of [
        ['c', 'default'],
        ['a', 'other'],
        ['b', 'default'],
      ] as const)
        await api.create(Promotion, draft(name, { namespace }))
      await api.create(Region, { metadata: { name: 'eu' }, spec: {} })
      const all = await api.list(Promotion)
      assert.deepEqual([all.apiVersion, all.kind], ['shop.example/v1', 'PromotionList'])
      assert.deepEqual(names(all.items), ['b', 'c', 'a'])
      assert.deepEqual(await listed(api, { namespace: 'other' }), ['a'])
      assert.deepEqual(await listed(api, { namespace: 'nowhere' }), [])
      assert.deepEqual(await listed(api, {}, Region), ['eu'])
      for (const item of all.items)
        assert.deepEqual(
          item,
          await api.get(Promotion, { name: item.metadata.name, namespace: item.metadata.namespace! }),
        )
    },
  },
  {
    name: 'lists are selected by labels',
    run: async ({ api }) => {
      await api.create(Promotion, draft('a', { labels: { tier: 'web', size: '3' } }))
      await api.create(Promotion, draft('b', { labels: { tier: 'api' } }))
      await api.create(Promotion, draft('c', { namespace: 'other' }))
      for (const [labelSelector, found] of [
        ['tier=web', ['a']],
        ['tier==web', ['a']],
        ['tier!=web', ['b', 'c']],
        ['tier', ['a', 'b']],
        ['!tier', ['c']],
        ['tier in (web, api),size', ['a']],
        ['tier notin (web)', ['b', 'c']],
        ['size>2', ['a']],
        ['size<3', []],
        ['', ['a', 'b', 'c']],
      ] as const)
        assert.deepEqual(await listed(api, { labelSelector }), found, labelSelector)
      assert.deepEqual(await listed(api, { namespace: 'other', labelSelector: 'tier!=web' }), ['c'])
      for (const labelSelector of ['a=b=c', 'a in b', 'tier=(', '=b'])
        await refused(api.list(Promotion, { labelSelector }), BAD_REQUEST, labelSelector)
    },
  },
  {
    name: 'lists are selected by names, namespaces and the fields that the kind allows',
    run: async ({ api }) => {
      await api.create(Promotion, draft('a'))
      await api.create(Promotion, draft('b', {}, { audience: 'members' }))
      await api.create(Promotion, draft('c', { namespace: 'other' }))
      for (const [fieldSelector, found] of [
        ['metadata.name=a', ['a']],
        ['metadata.name!=a', ['b', 'c']],
        ['metadata.namespace=other', ['c']],
        ['spec.audience=members', ['b']],
        ['metadata.name!=a,spec.audience=all', ['c']],
      ] as const)
        assert.deepEqual(await listed(api, { fieldSelector }), found, fieldSelector)
      for (const fieldSelector of ['spec.discount=1', 'metadata.uid=1', 'a'])
        await refused(api.list(Promotion, { fieldSelector }), BAD_REQUEST, fieldSelector)
    },
  },
  {
    name: 'a list is as new as is asked for',
    run: async ({ api, another }) => {
      const other = await another()
      assert.deepEqual(await listed(api, { resourceVersion: '0' }), [])
      const { metadata } = await other.create(Promotion, draft('a'))
      const { resourceVersion } = metadata
      assert.deepEqual(await listed(api), ['a'], 'what is there now')
      assert.deepEqual(await listed(api, { resourceVersion }), ['a'], 'not older than this')
      const ahead = String(Number(resourceVersion) + 1_000_000)
      await refused(
        api.list(Promotion, { resourceVersion: ahead }),
        { ...AHEAD, causes: ['ResourceVersionTooLarge '] },
        'a version that was not reached yet',
      )
    },
  },
  {
    name: 'a list of a version is of exactly that',
    run: async ({ api }) => {
      const { items, metadata } = await api.list(Promotion)
      assert.equal(items.length, 0)
      assert.match(metadata.resourceVersion, /^\d+$/)
      const a = await api.create(Promotion, draft('a'))
      const b = await api.create(Promotion, draft('b'))
      await api.update(Promotion, { ...b, spec: { ...b.spec, discount: 2 } })
      await api.delete(Promotion, { name: 'a' })
      const exact = async (resourceVersion: string): Promise<object> => {
        const list = await api.list(Promotion, { resourceVersion, resourceVersionMatch: 'Exact' })
        return { items: list.items, version: list.metadata.resourceVersion }
      }
      const { resourceVersion } = b.metadata
      assert.deepEqual(await exact(resourceVersion), { items: [a, b], version: resourceVersion })
    },
  },
  {
    name: 'a list that cannot be meant is refused',
    run: async ({ api }) => {
      for (const options of [
        { resourceVersion: 'new' },
        { resourceVersionMatch: 'Exact' },
        { resourceVersion: '0', resourceVersionMatch: 'Exact' },
        { continue: 'nonsense' },
      ] as const)
        await refused(api.list(Promotion, options), [BAD_REQUEST, INVALID], JSON.stringify(options))
    },
  },
]
