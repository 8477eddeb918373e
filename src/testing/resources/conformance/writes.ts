import assert from 'node:assert/strict'
import { soon } from '../../conformance/kit.js'
import { Promotion, Region } from './kinds.js'
import {
  BAD_REQUEST,
  CONFLICT,
  draft,
  EXISTS,
  names,
  NOT_FOUND,
  refused,
  relabelled,
  unmanaged,
  versionOf,
} from './kit.js'
import type { ResourceCase } from './setup.js'

const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/

/** What becomes of what is written. */
export const writeCases: readonly ResourceCase[] = [
  {
    name: 'what is created has its defaults, and what the store sets; a status is not taken',
    run: async ({ api }) => {
      const created = await api.create(Promotion, {
        ...draft('sale', { uid: 'mine', generation: 7, labels: { app: 'shop' } }),
        status: { phase: 'Done' },
      })
      const { uid, resourceVersion, creationTimestamp } = created.metadata
      assert.match(uid, /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/)
      assert.match(creationTimestamp, TIMESTAMP)
      versionOf(created)
      assert.deepEqual(unmanaged(created), {
        apiVersion: 'shop.example/v1',
        kind: 'Promotion',
        metadata: {
          name: 'sale',
          namespace: 'default',
          uid,
          resourceVersion,
          generation: 1,
          creationTimestamp,
          labels: { app: 'shop' },
        },
        spec: { discount: 10, audience: 'all' },
      })
      assert.deepEqual(await api.get(Promotion, { name: 'sale' }), created)
      const region = await api.create(Region, { metadata: { name: 'eu' }, spec: { country: 'LU' } })
      assert.equal(region.metadata.namespace, undefined, 'a kind of the cluster has no namespaces')
      assert.deepEqual(await api.get(Region, { name: 'eu' }), region)
    },
  },
  {
    name: 'a name is taken once in each namespace, and found only there',
    run: async ({ api }) => {
      await api.create(Promotion, draft('sale'))
      const details = { name: 'sale', group: 'shop.example', kind: 'promotions' }
      await refused(
        api.create(Promotion, draft('sale')),
        { ...EXISTS, details, message: 'promotions.shop.example "sale" already exists' },
        'creating it again',
      )
      await refused(
        api.get(Promotion, { name: 'sale', namespace: 'other' }),
        { ...NOT_FOUND, details, message: 'promotions.shop.example "sale" not found' },
        'one of another namespace',
      )
      await api.create(Promotion, draft('sale', { namespace: 'other' }))
      await refused(
        api.update(Promotion, draft('none', { resourceVersion: '1' })),
        NOT_FOUND,
        'an update of none',
      )
      await refused(api.delete(Promotion, { name: 'none' }), NOT_FOUND, 'a deletion of none')
    },
  },
  {
    name: 'a name is made from a beginning, another one each time',
    run: async ({ api }) => {
      const made = await Promise.all(
        [1, 2, 3].map((discount) =>
          api.create(Promotion, { metadata: { generateName: 'sale-' }, spec: { discount } }),
        ),
      )
      for (const name of names(made)) assert.match(name, /^sale-[bcdfghjklmnpqrstvwxz2456789]{5}$/)
      assert.equal(new Set(names(made)).size, 3)
    },
  },
  {
    name: 'an update is of the version it was made from, and of the very resource',
    run: async ({ api }) => {
      const first = await api.create(Promotion, draft('sale'))
      const next = { ...first, spec: { ...first.spec, discount: 20 } }
      const second = await api.update(Promotion, next)
      assert.ok(versionOf(second) > versionOf(first), 'versions rise')
      assert.equal(second.metadata.uid, first.metadata.uid)
      assert.equal(second.metadata.creationTimestamp, first.metadata.creationTimestamp)
      await refused(api.update(Promotion, next), CONFLICT, 'an update of an old version')
      await refused(
        api.updateStatus(Promotion, { ...first, status: { phase: 'Done' } }),
        CONFLICT,
        'an update of the status from an old version',
      )
      await refused(
        api.update(Promotion, relabelled(second, { uid: 'another' })),
        CONFLICT,
        'an update of another resource of that name',
      )
      assert.equal((await api.get(Promotion, { name: 'sale' })).spec.discount, 20)
    },
  },
  {
    name: 'one that was deleted and made again is another, and what was made from the first does not touch it',
    run: async ({ api }) => {
      const first = await api.create(Promotion, draft('sale'))
      await api.delete(Promotion, { name: 'sale' })
      const second = await api.create(Promotion, draft('sale'))
      assert.notEqual(second.metadata.uid, first.metadata.uid)
      assert.ok(versionOf(second) > versionOf(first), 'versions rise on')
      assert.equal(second.metadata.generation, 1)
      await refused(api.update(Promotion, first), CONFLICT, 'an update of the one before')
    },
  },
  {
    name: 'the generation rises with the spec and with nothing else',
    run: async ({ api }) => {
      const first = await api.create(Promotion, draft('sale'))
      const labelled = await api.update(Promotion, relabelled(first, { labels: { a: 'b' }, generation: 99 }))
      assert.equal(labelled.metadata.generation, 1)
      const judged = await api.updateStatus(Promotion, { ...labelled, status: { phase: 'Ready' } })
      assert.equal(judged.metadata.generation, 1)
      const changed = await api.update(Promotion, { ...judged, spec: { ...judged.spec, discount: 11 } })
      assert.equal(changed.metadata.generation, 2)
    },
  },
  {
    name: 'status and spec do not touch each other',
    run: async ({ api }) => {
      const first = await api.create(Promotion, draft('sale', { labels: { a: 'b' } }))
      const updated = await api.update(Promotion, {
        ...first,
        spec: { ...first.spec, discount: 11 },
        status: { phase: 'of an update' },
      })
      assert.equal(updated.status, undefined, 'an update does not write the status')
      const judged = await api.updateStatus(Promotion, {
        ...relabelled(updated, { labels: {}, finalizers: ['shop.example/late'] }),
        spec: { discount: 90 },
        status: { phase: 'Ready' },
      })
      assert.deepEqual(judged.spec, updated.spec, 'a status does not write the spec')
      assert.deepEqual(judged.metadata.labels, { a: 'b' }, 'nor labels')
      assert.equal(judged.metadata.finalizers, undefined, 'nor finalizers')
      const changed = await api.update(Promotion, { metadata: judged.metadata, spec: { discount: 12 } })
      assert.deepEqual(changed.status, { phase: 'Ready' }, 'an update without a status keeps it')
      const cleared = await api.updateStatus(Promotion, { metadata: changed.metadata, spec: changed.spec })
      assert.equal(cleared.status, undefined, 'a status can be taken away')
      await refused(
        api.updateStatus(Region, { metadata: { name: 'eu', resourceVersion: '1' }, spec: {} }),
        BAD_REQUEST,
        'a status of a kind that has none',
      )
    },
  },
  {
    name: 'what an update leaves out is gone',
    run: async ({ api }) => {
      const first = await api.create(
        Promotion,
        draft('sale', { labels: { a: 'b' }, annotations: { note: 'x' } }, { until: 1 }),
      )
      const { name, resourceVersion } = first.metadata
      const second = await api.update(Promotion, {
        metadata: { name, resourceVersion },
        spec: { discount: 1 },
      })
      assert.deepEqual(second.spec, { discount: 1, audience: 'all' })
      assert.equal(second.metadata.labels, undefined)
      assert.equal(second.metadata.annotations, undefined)
      assert.equal(second.metadata.uid, first.metadata.uid)
    },
  },
  {
    name: 'an update that changes nothing is not written',
    run: async ({ api }) => {
      const first = await api.create(Promotion, draft('sale'))
      const same = await api.update(Promotion, { ...first, spec: { audience: 'all', discount: 10 } })
      assert.deepEqual(same, first)
      const judged = await api.updateStatus(Promotion, { ...first, status: { phase: 'Ready' } })
      const again = await api.updateStatus(Promotion, { ...judged, status: { phase: 'Ready' } })
      assert.equal(versionOf(again), versionOf(judged))
    },
  },
  {
    name: 'versions are of one order over all kinds and handles',
    run: async ({ api, another }) => {
      const other = await another()
      let last = 0
      for (let round = 0; round < 3; round++)
        for (const written of [
          await api.create(Promotion, draft(`p${round}`)),
          await other.create(Region, { metadata: { name: `r${round}` }, spec: {} }),
        ]) {
          assert.ok(versionOf(written) > last, 'each version is above all before')
          last = versionOf(written)
        }
      const { metadata } = await api.list(Promotion)
      assert.ok(Number(metadata.resourceVersion) >= last, 'a list is of all that was written before it')
    },
  },
  {
    name: 'who reads sees what was written before, whoever has written it',
    run: async ({ api, another }) => {
      const other = await another()
      const first = await api.create(Promotion, draft('sale'))
      assert.deepEqual(await other.get(Promotion, { name: 'sale' }), first)
      const second = await other.update(Promotion, { ...first, spec: { ...first.spec, discount: 2 } })
      assert.deepEqual(await api.get(Promotion, { name: 'sale' }), second)
      assert.deepEqual((await api.list(Promotion)).items, [second])
    },
  },
  {
    name: 'what a reader does with what it was given changes nothing for others',
    run: async ({ api }) => {
      const first = await api.create(Promotion, draft('a'))
      const copy = structuredClone(first)
      const [item] = (await api.list(Promotion)).items
      for (const given of [first, item!, await api.get(Promotion, { name: 'a' })])
        try {
          given.spec.discount = 1
        } catch {
          // It may be frozen.
        }
      assert.deepEqual(await api.get(Promotion, { name: 'a' }), copy)
      assert.deepEqual((await api.list(Promotion)).items, [copy])
    },
  },
  {
    name: 'a draft may be changed by its writer as soon as it was written',
    run: async ({ api }) => {
      const given = draft('a', { labels: { a: '1' } }, { codes: ['x'] })
      await api.create(Promotion, given)
      given.spec.codes!.push('y')
      Object.assign(given.metadata.labels!, { a: '2' })
      const kept = await soon(api.get(Promotion, { name: 'a' }), 'reading it')
      assert.deepEqual([kept.spec.codes, kept.metadata.labels], [['x'], { a: '1' }])
    },
  },
]
