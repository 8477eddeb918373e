import assert from 'node:assert/strict'
import { Promotion, Region } from './kinds.js'
import { BAD_REQUEST, draft, EXPIRED, now, refused, relabelled, versionOf, Watching } from './kit.js'
import type { ResourceCase } from './setup.js'

const END = 'k8s.io/initial-events-end'

/** What watches tell. */
export const watchCases: readonly ResourceCase[] = [
  {
    name: 'a watch tells what there is, and then what happens',
    run: async ({ api }) => {
      await api.create(Promotion, draft('a'))
      const watch = new Watching(api)
      assert.deepEqual(await watch.take(1, 'what there is'), ['ADDED a'])
      const b = await api.create(Promotion, draft('b'))
      const c = await api.update(Promotion, { ...b, spec: { ...b.spec, discount: 2 } })
      await api.updateStatus(Promotion, { ...c, status: { phase: 'Ready' } })
      await api.delete(Promotion, { name: 'a' })
      assert.deepEqual(await watch.take(4, 'what happens'), [
        'ADDED b',
        'MODIFIED b',
        'MODIFIED b',
        'DELETED a',
      ])
      await watch.end()
    },
  },
  {
    name: 'a watch behind a list tells each change since, once, as it was',
    run: async ({ api, another }) => {
      const writer = await another()
      await api.list(Promotion, { resourceVersion: '0' })
      await writer.create(Promotion, draft('a'))
      const { resourceVersion } = (await api.list(Promotion)).metadata
      const watch = new Watching(api, { resourceVersion })
      const b = await writer.create(Promotion, draft('b'))
      const next = await writer.update(Promotion, { ...b, spec: { ...b.spec, discount: 2 } })
      const gone = await writer.delete(Promotion, { name: 'a' })
      assert.deepEqual(await watch.next('what was created'), { type: 'ADDED', object: b })
      assert.deepEqual(await watch.next('what was updated'), { type: 'MODIFIED', object: next })
      const last = await watch.next('what was deleted')
      assert.ok(last?.type === 'DELETED', 'a deletion is told')
      assert.equal(last.object.metadata.name, 'a')
      assert.deepEqual(last.object.spec, gone.object.spec, 'with what it was at last')
      assert.ok(versionOf(last.object) > versionOf(next), 'the version is that of the deletion')
      await watch.end()
    },
  },
  {
    name: 'a mark for deletion is a change, and the end is one of its own',
    run: async ({ api }) => {
      await api.create(Promotion, draft('a', { finalizers: ['shop.example/a'] }))
      const watch = new Watching(api, { resourceVersion: await now(api) })
      const { object } = await api.delete(Promotion, { name: 'a' })
      assert.deepEqual(await watch.next('the mark'), { type: 'MODIFIED', object })
      await api.update(Promotion, relabelled(object, { finalizers: [] }))
      assert.deepEqual(await watch.take(1, 'the end'), ['DELETED a'])
      await watch.end()
    },
  },
  {
    name: 'what comes into a selection is added, and what leaves it is deleted',
    run: async ({ api }) => {
      const first = await api.create(Promotion, draft('a'))
      const resourceVersion = await now(api)
      const labels = new Watching(api, { resourceVersion, labelSelector: 'on' })
      const spaces = new Watching(api, { resourceVersion, namespace: 'other' })
      const fields = new Watching(api, { resourceVersion, fieldSelector: 'metadata.name=b' })
      const on = await api.update(Promotion, relabelled(first, { labels: { on: '' } }))
      const more = await api.update(Promotion, { ...on, spec: { ...on.spec, discount: 3 } })
      await api.update(Promotion, relabelled(more, { labels: {} }))
      await api.create(Promotion, draft('c', { namespace: 'other' }))
      await api.create(Promotion, draft('b'))
      assert.deepEqual(await labels.take(3, 'by labels'), ['ADDED a', 'MODIFIED a', 'DELETED a'])
      assert.deepEqual(await spaces.take(1, 'by namespace'), ['ADDED c'])
      assert.deepEqual(await fields.take(1, 'by fields'), ['ADDED b'])
      for (const watch of [labels, spaces, fields]) await watch.end()
    },
  },
  {
    name: 'a watch is of its kind alone',
    run: async ({ api }) => {
      const watch = new Watching(api, {}, Region)
      const first = watch.take(1, 'the first')
      await api.create(Promotion, draft('a'))
      await api.create(Region, { metadata: { name: 'eu' }, spec: {} })
      assert.deepEqual(await first, ['ADDED eu'])
      await watch.end()
    },
  },
  {
    name: 'initial events end with a bookmark that says so',
    run: async ({ api }) => {
      const { metadata } = await api.create(Promotion, draft('a'))
      const { resourceVersion } = metadata
      const watch = new Watching(api, {
        sendInitialEvents: true,
        allowWatchBookmarks: true,
        resourceVersion,
      })
      assert.deepEqual(await watch.take(1, 'what there is'), ['ADDED a'])
      const mark = await watch.next('the bookmark')
      assert.ok(mark?.type === 'BOOKMARK', `a bookmark, got ${mark?.type}`)
      const { apiVersion, kind, metadata: told } = mark.object
      assert.deepEqual([apiVersion, kind], ['shop.example/v1', 'Promotion'])
      assert.equal(told.annotations?.[END], 'true')
      assert.ok(Number(told.resourceVersion) >= Number(resourceVersion), 'it is not older than was asked for')
      await api.create(Promotion, draft('b'))
      assert.deepEqual(await watch.take(1, 'what happens'), ['ADDED b'])
      await watch.end()
    },
  },
  {
    name: 'a bookmark says how far everything was told, to those who ask for it',
    needs: 'bookmark',
    run: async ({ api, tool }) => {
      await api.create(Promotion, draft('a'))
      const resourceVersion = await now(api)
      const asked = new Watching(api, { resourceVersion, allowWatchBookmarks: true })
      const silent = new Watching(api, { resourceVersion })
      const [mark, first] = [asked.next('a bookmark'), silent.next('the first change')]
      await tool('bookmark')()
      const told = await mark
      assert.ok(told?.type === 'BOOKMARK', `a bookmark, got ${told?.type}`)
      assert.ok(versionOf(told.object as never) >= Number(resourceVersion))
      const b = await api.create(Promotion, draft('b'))
      assert.deepEqual(await first, { type: 'ADDED', object: b }, 'nobody else gets bookmarks')
      const behind = new Watching(api, { resourceVersion: told.object.metadata.resourceVersion })
      assert.deepEqual(await behind.next('what came behind the bookmark'), { type: 'ADDED', object: b })
      for (const watch of [asked, silent, behind]) await watch.end()
    },
  },
  {
    name: 'a watch from before what is kept is refused: list again',
    needs: 'forget',
    run: async ({ api, tool }) => {
      const { resourceVersion } = (await api.create(Promotion, draft('a'))).metadata
      await api.create(Promotion, draft('b'))
      const forgetful = await tool('forget')()
      await refused(new Watching(forgetful, { resourceVersion }).next('it'), EXPIRED, 'the watch')
      const { metadata } = await forgetful.list(Promotion)
      const watch = new Watching(forgetful, { resourceVersion: metadata.resourceVersion })
      await api.create(Promotion, draft('c'))
      assert.deepEqual(await watch.take(1, 'behind the list'), ['ADDED c'])
      await watch.end()
    },
  },
  {
    name: 'a watch that cannot be meant is refused',
    run: async ({ api }) => {
      await refused(new Watching(api, { labelSelector: 'a in b' }).next('it'), BAD_REQUEST, 'a selector')
    },
  },
  {
    name: 'a watch ends with its signal, without an error, and with the API',
    run: async ({ api }) => {
      const stop = new AbortController()
      const one = new Watching(api, { signal: stop.signal })
      const two = new Watching(api)
      const over = new Watching(api, { signal: AbortSignal.abort() })
      assert.equal(await over.next('the end of what was over before it began'), undefined)
      const ends = [one.next('the end by the signal'), two.next('the end by closing')]
      stop.abort()
      assert.equal(await ends[0], undefined)
      await api.close()
      assert.equal(await ends[1], undefined)
    },
  },
]
