import assert from 'node:assert/strict'
import type { ResourceApi, ListOptions } from '../../../coordination/resources/api.js'
import type { ResourceList } from '../../../coordination/resources/object.js'
import { Promotion, Region } from './kinds.js'
import { BAD_REQUEST, draft, EXPIRED, INVALID, names, refused } from './kit.js'
import type { ResourceCase } from './setup.js'

async function createAll(api: ResourceApi, ...all: string[]): Promise<void> {
  for (const name of all) await api.create(Promotion, draft(name))
}

/** All pages of a list. */
async function pagesOf(api: ResourceApi, options: ListOptions): Promise<ResourceList[]> {
  const pages: ResourceList[] = []
  let next: ListOptions = {}
  do {
    const page: ResourceList = await api.list(Promotion, { ...options, ...next })
    pages.push(page)
    next = page.metadata.continue === undefined ? {} : { continue: page.metadata.continue }
  } while (next.continue !== undefined)
  return pages
}

/** Lists in pages. */
export const pageCases: readonly ResourceCase[] = [
  {
    name: 'pages are of one state, whatever happens in between',
    run: async ({ api }) => {
      await createAll(api, 'a', 'b', 'c', 'd', 'e')
      const first = await api.list(Promotion, { limit: 2 })
      assert.equal(first.metadata.remainingItemCount, 3)
      await api.delete(Promotion, { name: 'c' })
      await createAll(api, 'bb')
      const second = await api.list(Promotion, { limit: 2, continue: first.metadata.continue! })
      const third = await api.list(Promotion, { limit: 2, continue: second.metadata.continue! })
      const pages = [first, second, third]
      assert.deepEqual(
        pages.map(({ items }) => names(items)),
        [['a', 'b'], ['c', 'd'], ['e']],
      )
      assert.equal(new Set(pages.map(({ metadata }) => metadata.resourceVersion)).size, 1)
      assert.deepEqual([third.metadata.continue, third.metadata.remainingItemCount], [undefined, undefined])
    },
  },
  {
    name: 'pages go on also where only others have changed since',
    run: async ({ api, another }) => {
      await createAll(api, 'a', 'b', 'c')
      await api.list(Promotion, { resourceVersion: '0' })
      await (await another()).create(Region, { metadata: { name: 'eu' }, spec: {} })
      const { metadata } = await api.list(Promotion, { limit: 2 })
      assert.deepEqual(names((await api.list(Promotion, { continue: metadata.continue! })).items), ['c'])
    },
  },
  {
    name: 'pages of a selection have what is selected, as many as asked for',
    run: async ({ api }) => {
      for (const [index, name] of ['a', 'b', 'c', 'd', 'e', 'f', 'g'].entries())
        await api.create(
          Promotion,
          draft(name, index % 2 === 0 ? { labels: { on: '' } } : { namespace: 'other' }),
        )
      const pages = await pagesOf(api, { labelSelector: 'on', limit: 2 })
      const full = pages.filter(({ items }) => items.length > 0)
      assert.deepEqual(
        full.map(({ items }) => names(items)),
        [
          ['a', 'c'],
          ['e', 'g'],
        ],
        'apart from a last page, which may be empty',
      )
      assert.equal(pages[0]!.metadata.remainingItemCount, undefined, 'nobody has counted them')
      const inOther = await pagesOf(api, { namespace: 'other', limit: 1 })
      assert.deepEqual(
        inOther.flatMap(({ items }) => names(items)),
        ['b', 'd', 'f'],
      )
    },
  },
  {
    name: 'a limit that is not reached is none, and neither is 0',
    run: async ({ api }) => {
      await createAll(api, 'a', 'b')
      for (const limit of [0, 2, 3]) {
        const { items, metadata } = await api.list(Promotion, { limit })
        assert.deepEqual([names(items), metadata.continue], [['a', 'b'], undefined], `limit ${limit}`)
      }
      const { metadata } = await api.list(Promotion, { limit: 1 })
      await refused(
        api.list(Promotion, { continue: metadata.continue!, resourceVersion: metadata.resourceVersion }),
        [BAD_REQUEST, INVALID],
        'a page of another version than the first',
      )
    },
  },
  {
    name: 'pages whose state is forgotten are refused: the list begins anew',
    needs: 'forget',
    run: async ({ api, tool }) => {
      await createAll(api, 'a', 'b', 'c')
      const { metadata } = await api.list(Promotion, { limit: 1 })
      await api.delete(Promotion, { name: 'c' })
      const forgetful = await tool('forget')()
      await refused(forgetful.list(Promotion, { continue: metadata.continue! }), EXPIRED, 'the second page')
      const { resourceVersion } = metadata
      await refused(
        forgetful.list(Promotion, { resourceVersion, resourceVersionMatch: 'Exact' }),
        EXPIRED,
        'a state that is forgotten',
      )
      const pages = await pagesOf(forgetful, { limit: 1 })
      assert.deepEqual(
        pages.flatMap(({ items }) => names(items)),
        ['a', 'b'],
      )
    },
  },
]
