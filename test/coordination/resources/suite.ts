import { expect, it } from 'vitest'
import {
  openResources,
  type Coordinator,
  type Resource,
  type ResourceApi,
  type ResourceDraft,
  type ResourceEvent,
} from '../../../src/coordination/index.js'
import { Promotion, Region, type PromotionSpec, type PromotionStatus } from './promotion.js'

type Draft = ResourceDraft<PromotionSpec, PromotionStatus>

const draft = (
  name: string,
  more: Partial<Draft['metadata']> = {},
  spec: Partial<PromotionSpec> = {},
): Draft => ({
  metadata: { name, ...more },
  spec: { discount: 10, ...spec },
})

const codeOf = (code: string) => expect.objectContaining({ code: `BANYAN_RESOURCE_${code}` }) as unknown

/** What happens, in short: `ADDED a`. */
function told({ type, object }: ResourceEvent): string {
  return type === 'BOOKMARK'
    ? `BOOKMARK ${object.metadata.resourceVersion}`
    : `${type} ${object.metadata.name}`
}

/** The next so many events of a watch, which goes on. */
async function take(watch: AsyncIterator<ResourceEvent>, count: number): Promise<string[]> {
  const events: string[] = []
  while (events.length < count) {
    const next = await watch.next()
    if (next.done === true) break
    events.push(told(next.value))
  }
  return events
}

/** What resources promise over every coordinator. */
export function runResourcesSuite(open: () => Promise<Coordinator>): void {
  const promise = (
    name: string,
    body: (api: ResourceApi, coordinator: Coordinator) => Promise<void>,
  ): void => {
    it(name, async () => {
      await using coordinator = await open()
      await using api = openResources(coordinator)
      await body(api, coordinator)
    })
  }
  const names = (items: readonly Resource[]): string[] => items.map(({ metadata }) => metadata.name)

  promise('what is created has its defaults, and what the store sets', async (api) => {
    const created = await api.create(Promotion, {
      ...draft('sale', { uid: 'mine', generation: 7, labels: { app: 'shop' } }),
      status: { phase: 'Done' },
    })
    expect(created).toEqual({
      apiVersion: 'shop.example/v1',
      kind: 'Promotion',
      metadata: {
        name: 'sale',
        namespace: 'default',
        uid: expect.stringMatching(
          /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/,
        ) as string,
        resourceVersion: expect.stringMatching(/^[1-9]\d*$/) as string,
        generation: 1,
        creationTimestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/) as string,
        labels: { app: 'shop' },
        managedFields: [
          {
            manager: 'banyan',
            operation: 'Update',
            apiVersion: 'shop.example/v1',
            time: created.metadata.creationTimestamp,
            fieldsType: 'FieldsV1',
            fieldsV1: {
              'f:metadata': { 'f:labels': { '.': {}, 'f:app': {} } },
              'f:spec': { '.': {}, 'f:audience': {}, 'f:discount': {} },
            },
          },
        ],
      },
      spec: { discount: 10, audience: 'all' },
    })
    expect(await api.get(Promotion, { name: 'sale' })).toEqual(created)
    await expect(api.create(Promotion, draft('sale'))).rejects.toMatchObject({
      code: 'BANYAN_RESOURCE_EXISTS',
      reason: 'AlreadyExists',
      status: 409,
      message: 'promotions.shop.example "sale" already exists',
    })
    await expect(api.get(Promotion, { name: 'sale', namespace: 'other' })).rejects.toMatchObject({
      code: 'BANYAN_RESOURCE_NOT_FOUND',
      reason: 'NotFound',
      status: 404,
      details: { name: 'sale', group: 'shop.example', kind: 'promotions' },
    })
  })

  promise('a name is made from a beginning', async (api) => {
    const made = await Promise.all(
      [1, 2].map(() => api.create(Promotion, { metadata: { generateName: 'sale-' }, spec: { discount: 1 } })),
    )
    const [one, two] = names(made)
    expect(one).toMatch(/^sale-[bcdfghjklmnpqrstvwxz2456789]{5}$/)
    expect(one).not.toBe(two)
  })

  promise('an update needs the version it was made from', async (api) => {
    const first = await api.create(Promotion, draft('sale'))
    const next = { ...first, spec: { ...first.spec, discount: 20 } }
    const second = await api.update(Promotion, next)
    expect(Number(second.metadata.resourceVersion)).toBeGreaterThan(Number(first.metadata.resourceVersion))
    await expect(api.update(Promotion, next)).rejects.toMatchObject({ reason: 'Conflict', status: 409 })
    const { resourceVersion, ...others } = second.metadata
    expect(resourceVersion).not.toBe(first.metadata.resourceVersion)
    await expect(api.update(Promotion, { ...second, metadata: others })).rejects.toMatchObject({
      reason: 'Invalid',
      status: 422,
      message:
        'Promotion.shop.example "sale" is invalid: metadata.resourceVersion: Invalid value: 0x0: must be specified for an update',
    })
    await expect(
      api.update(Promotion, { ...second, metadata: { ...second.metadata, uid: 'another' } }),
    ).rejects.toEqual(codeOf('CONFLICT'))
    expect((await api.get(Promotion, { name: 'sale' })).spec.discount).toBe(20)
  })

  promise('of many updates of one version, one is made', async (api) => {
    const first = await api.create(Promotion, draft('sale'))
    const tried = await Promise.allSettled(
      [1, 2, 3, 4].map((discount) => api.update(Promotion, { ...first, spec: { ...first.spec, discount } })),
    )
    expect(tried.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  promise('the generation rises with the spec, and status and spec do not touch each other', async (api) => {
    const first = await api.create(Promotion, draft('sale'))
    const labelled = await api.update(Promotion, {
      ...first,
      metadata: { ...first.metadata, labels: { a: 'b' }, generation: 99 },
      status: { phase: 'ignored' },
    })
    expect(labelled.metadata.generation).toBe(1)
    expect(labelled.status).toBeUndefined()
    const judged = await api.updateStatus(Promotion, {
      ...labelled,
      metadata: { ...labelled.metadata, labels: {} },
      spec: { discount: 90 },
      status: { phase: 'Ready' },
    })
    expect(judged).toMatchObject({
      spec: { discount: 10 },
      status: { phase: 'Ready' },
      metadata: { generation: 1, labels: { a: 'b' } },
    })
    const changed = await api.update(Promotion, { ...judged, spec: { ...judged.spec, discount: 11 } })
    expect(changed).toMatchObject({ status: { phase: 'Ready' }, metadata: { generation: 2 } })
  })

  promise('an update that changes nothing is not written', async (api) => {
    const first = await api.create(Promotion, draft('sale'))
    const same = await api.update(Promotion, { ...first, spec: { audience: 'all', discount: 10 } })
    expect(same).toEqual(first)
  })

  promise('everything that is wrong is told at once, with where it is', async (api) => {
    const wrong = {
      metadata: {
        name: 'No_Name',
        labels: { 'a b': 'c' },
        ownerReferences: [{ kind: 'A', name: 'a', uid: '1' }],
      },
      spec: { discount: 'much', audience: 'cats', codes: [1] },
    } as unknown as Draft
    await expect(api.create(Promotion, wrong)).rejects.toMatchObject({
      reason: 'Invalid',
      status: 422,
      message: expect.stringMatching(
        /^Promotion.shop.example "No_Name" is invalid: \[metadata.name: /,
      ) as string,
      details: {
        causes: [
          { field: 'metadata.name', reason: 'FieldValueInvalid' },
          { field: 'metadata.labels', reason: 'FieldValueInvalid' },
          { field: 'metadata.ownerReferences[0].apiVersion', reason: 'FieldValueRequired' },
          { field: 'spec.discount', reason: 'FieldValueTypeInvalid' },
          { field: 'spec.audience', reason: 'FieldValueNotSupported' },
          { field: 'spec.codes[0]', reason: 'FieldValueTypeInvalid' },
        ],
      },
    })
  })

  promise('rules are asked, those that compare only where something was', async (api) => {
    await expect(api.create(Promotion, draft('sale', {}, { discount: 60 }))).rejects.toMatchObject({
      details: { causes: [{ field: 'spec.discount', message: 'Invalid value: only members get 60' }] },
    })
    const first = await api.create(Promotion, draft('sale', {}, { discount: 60, audience: 'members' }))
    await expect(
      api.update(Promotion, { ...first, spec: { discount: 10, audience: 'all' } }),
    ).rejects.toMatchObject({
      details: { causes: [{ field: 'spec.audience', message: 'Invalid value: cannot be changed' }] },
    })
  })

  promise('unknown fields are refused, told, or left out', async (api) => {
    const odd = { ...draft('sale'), extra: 1, spec: { discount: 1, discuont: 2 } } as Draft
    await expect(api.create(Promotion, odd)).rejects.toMatchObject({
      reason: 'BadRequest',
      message: 'strict decoding error: unknown field "extra", unknown field "spec.discuont"',
    })
    const warnings: string[] = []
    const onWarning = (warning: string): void => void warnings.push(warning)
    const created = await api.create(Promotion, odd, { fieldValidation: 'Warn', onWarning })
    expect(warnings).toEqual(['unknown field "extra"', 'unknown field "spec.discuont"'])
    expect(created.spec).toEqual({ discount: 1, audience: 'all' })
    expect(created).not.toHaveProperty('extra')
  })

  promise('a write of another kind, or above the limit, is refused', async (api) => {
    await expect(api.create(Promotion, { ...draft('a'), kind: 'Other' })).rejects.toEqual(
      codeOf('BAD_REQUEST'),
    )
    await expect(api.create(Promotion, draft('a', { resourceVersion: '1' }))).rejects.toEqual(
      codeOf('BAD_REQUEST'),
    )
    await expect(api.create(Region, { metadata: { name: 'eu', namespace: 'a' }, spec: {} })).rejects.toEqual(
      codeOf('BAD_REQUEST'),
    )
    const codes = Array.from({ length: 3000 }, () => 'x'.repeat(100))
    await expect(api.create(Promotion, draft('a', {}, { codes }))).rejects.toMatchObject({
      reason: 'RequestEntityTooLarge',
      status: 413,
    })
  })

  promise('what has finalizers goes with the last of them', async (api) => {
    const first = await api.create(
      Promotion,
      draft('sale', { finalizers: ['shop.example/a', 'shop.example/b'] }),
    )
    const { removed, object } = await api.delete(Promotion, { name: 'sale' })
    expect(removed).toBe(false)
    expect(object.metadata).toMatchObject({
      uid: first.metadata.uid,
      deletionTimestamp: expect.any(String) as string,
    })
    expect((await api.delete(Promotion, { name: 'sale' })).object).toEqual(object)
    const finalizers = ['shop.example/a', 'shop.example/late']
    await expect(
      api.update(Promotion, { ...object, metadata: { ...object.metadata, finalizers } }),
    ).rejects.toMatchObject({ reason: 'Invalid', details: { causes: [{ field: 'metadata.finalizers' }] } })
    const half = await api.update(Promotion, {
      ...object,
      metadata: { ...object.metadata, finalizers: ['shop.example/b'] },
    })
    expect(half.metadata.deletionTimestamp).toBe(object.metadata.deletionTimestamp)
    await api.update(Promotion, { ...half, metadata: { ...half.metadata, finalizers: [] } })
    await expect(api.get(Promotion, { name: 'sale' })).rejects.toEqual(codeOf('NOT_FOUND'))
    const next = await api.create(Promotion, draft('sale'))
    expect(next.metadata.uid).not.toBe(first.metadata.uid)
  })

  promise('how deletion spreads is kept as finalizers', async (api) => {
    for (const [name, propagationPolicy, finalizer] of [
      ['a', 'Foreground', 'foregroundDeletion'],
      ['b', 'Orphan', 'orphan'],
    ] as const) {
      await api.create(Promotion, draft(name))
      const { removed, object } = await api.delete(Promotion, { name }, { propagationPolicy })
      expect(removed).toBe(false)
      expect(object.metadata.finalizers).toEqual([finalizer])
      expect((await api.delete(Promotion, { name }, { propagationPolicy: 'Background' })).removed).toBe(true)
    }
  })

  promise('a delete is only of what its preconditions say', async (api) => {
    const { metadata } = await api.create(Promotion, draft('sale'))
    const { uid, resourceVersion } = metadata
    for (const preconditions of [{ uid: 'another' }, { uid, resourceVersion: '1000000' }])
      await expect(api.delete(Promotion, { name: 'sale' }, { preconditions })).rejects.toEqual(
        codeOf('CONFLICT'),
      )
    await api.delete(Promotion, { name: 'sale' }, { preconditions: { uid, resourceVersion } })
    await expect(api.delete(Promotion, { name: 'sale' })).rejects.toEqual(codeOf('NOT_FOUND'))
  })

  promise('a dry run says what would be, and writes nothing', async (api) => {
    const dryRun = true
    const would = await api.create(Promotion, draft('sale'), { dryRun })
    expect(would.spec.audience).toBe('all')
    const first = await api.create(Promotion, draft('sale'))
    await expect(api.create(Promotion, draft('sale'), { dryRun })).rejects.toEqual(codeOf('EXISTS'))
    const next = await api.update(Promotion, { ...first, spec: { discount: 5 } }, { dryRun })
    expect(next).toMatchObject({ spec: { discount: 5 }, metadata: { generation: 2 } })
    await api.updateStatus(Promotion, { ...first, status: { phase: 'Ready' } }, { dryRun })
    expect((await api.delete(Promotion, { name: 'sale' }, { dryRun })).removed).toBe(true)
    expect(await api.deleteCollection(Promotion, { dryRun })).toHaveLength(1)
    expect(await api.get(Promotion, { name: 'sale' })).toEqual(first)
  })

  promise('lists are of a namespace or all, and selected by labels and fields', async (api) => {
    await api.create(Promotion, draft('a', { labels: { tier: 'web', size: '3' } }))
    await api.create(Promotion, draft('b', { labels: { tier: 'api' } }, { audience: 'members' }))
    await api.create(Promotion, draft('c', { namespace: 'other' }))
    await api.create(Region, { metadata: { name: 'eu' }, spec: {} })
    const listed = async (options: object): Promise<string[]> =>
      names((await api.list(Promotion, options)).items)
    expect(await listed({})).toEqual(['a', 'b', 'c'])
    expect(await listed({ namespace: 'other' })).toEqual(['c'])
    for (const [labelSelector, found] of [
      ['tier=web', ['a']],
      ['tier!=web', ['b', 'c']],
      ['tier in (web, api),size', ['a']],
      ['tier notin (web)', ['b', 'c']],
      ['!tier', ['c']],
      ['size>2', ['a']],
      ['size<3', []],
    ] as const)
      expect(await listed({ labelSelector }), labelSelector).toEqual(found)
    expect(await listed({ fieldSelector: 'metadata.name!=a,spec.audience=all' })).toEqual(['c'])
    for (const wrong of [
      { labelSelector: 'a=b=c' },
      { labelSelector: 'a in b' },
      { fieldSelector: 'spec.discount=1' },
    ])
      await expect(api.list(Promotion, wrong)).rejects.toEqual(codeOf('BAD_REQUEST'))
    expect(names((await api.list(Region)).items)).toEqual(['eu'])
    const gone = await api.deleteCollection(Promotion, { labelSelector: 'tier' })
    expect(names(gone.map(({ object }) => object))).toEqual(['a', 'b'])
    expect(await listed({})).toEqual(['c'])
  })

  promise('pages are of one state, whatever happens in between', async (api, coordinator) => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) await api.create(Promotion, draft(name))
    const first = await api.list(Promotion, { limit: 2 })
    expect(first.metadata.remainingItemCount).toBe(3)
    await api.delete(Promotion, { name: 'c' })
    await api.create(Promotion, draft('bb'))
    const second = await api.list(Promotion, { limit: 2, continue: first.metadata.continue! })
    const third = await api.list(Promotion, { limit: 2, continue: second.metadata.continue! })
    expect([first, second, third].map(({ items }) => names(items))).toEqual([['a', 'b'], ['c', 'd'], ['e']])
    expect(new Set([first, second, third].map(({ metadata }) => metadata.resourceVersion)).size).toBe(1)
    expect(third.metadata.continue).toBeUndefined()
    const { resourceVersion } = first.metadata
    const exact = await api.list(Promotion, { resourceVersion, resourceVersionMatch: 'Exact' })
    expect(names(exact.items)).toEqual(['a', 'b', 'c', 'd', 'e'])
    // Another server has not seen what was there.
    await using other = openResources(coordinator)
    await expect(other.list(Promotion, { continue: first.metadata.continue! })).rejects.toMatchObject({
      reason: 'Expired',
      status: 410,
    })
    await expect(api.list(Promotion, { continue: 'nonsense' })).rejects.toEqual(codeOf('BAD_REQUEST'))
  })

  promise('pages go on also where only others have changed since', async (api, coordinator) => {
    for (const name of ['a', 'b', 'c']) await api.create(Promotion, draft(name))
    await api.list(Promotion, { resourceVersion: '0' })
    await coordinator.put('elsewhere', '1')
    const { metadata } = await api.list(Promotion, { limit: 2 })
    expect(names((await api.list(Promotion, { continue: metadata.continue! })).items)).toEqual(['c'])
  })

  promise('a list is as new as is asked for', async (api, coordinator) => {
    await using other = openResources(coordinator)
    expect((await api.list(Promotion, { resourceVersion: '0' })).items).toEqual([])
    const { metadata } = await other.create(Promotion, draft('a'))
    expect(names((await api.list(Promotion)).items)).toEqual(['a'])
    const { resourceVersion } = metadata
    expect(names((await api.list(Promotion, { resourceVersion })).items)).toEqual(['a'])
    const ahead = String(Number(resourceVersion) + 1_000_000)
    await expect(api.list(Promotion, { resourceVersion: ahead })).rejects.toMatchObject({
      status: 504,
      details: { causes: [{ reason: 'ResourceVersionTooLarge' }] },
    })
    await expect(api.list(Promotion, { resourceVersion: 'new' })).rejects.toEqual(codeOf('BAD_REQUEST'))
  })

  promise('a watch tells what there is, and then what happens', async (api) => {
    await api.create(Promotion, draft('a'))
    const watch = api.watch(Promotion)[Symbol.asyncIterator]()
    expect(await take(watch, 1)).toEqual(['ADDED a'])
    const b = await api.create(Promotion, draft('b'))
    await api.update(Promotion, { ...b, spec: { discount: 2 } })
    await api.delete(Promotion, { name: 'a' })
    expect(await take(watch, 3)).toEqual(['ADDED b', 'MODIFIED b', 'DELETED a'])
    await watch.return?.()
  })

  promise('a watch behind a list tells each change since, once', async (api, coordinator) => {
    await using writer = openResources(coordinator)
    await api.list(Promotion, { resourceVersion: '0' })
    await writer.create(Promotion, draft('a'))
    const { metadata } = await api.list(Promotion)
    const { resourceVersion } = metadata
    const watch = api.watch(Promotion, { resourceVersion })[Symbol.asyncIterator]()
    await writer.create(Promotion, draft('b'))
    const { object } = await writer.delete(Promotion, { name: 'a' })
    expect(await take(watch, 1)).toEqual(['ADDED b'])
    const { value } = (await watch.next()) as { value: ResourceEvent }
    expect(value).toMatchObject({
      type: 'DELETED',
      object: { metadata: { name: 'a', resourceVersion: object.metadata.resourceVersion } },
    })
    await watch.return?.()
  })

  promise('what comes into a selection is added, and what leaves it is deleted', async (api) => {
    const watch = api.watch(Promotion, { labelSelector: 'on' })[Symbol.asyncIterator]()
    const first = await api.create(Promotion, draft('a'))
    const pending = take(watch, 3)
    const on = await api.update(Promotion, { ...first, metadata: { ...first.metadata, labels: { on: '' } } })
    const more = await api.update(Promotion, { ...on, spec: { discount: 3 } })
    await api.update(Promotion, { ...more, metadata: { ...more.metadata, labels: {} } })
    expect(await pending).toEqual(['ADDED a', 'MODIFIED a', 'DELETED a'])
    await watch.return?.()
  })

  promise('initial events end with a bookmark that says so', async (api) => {
    const { metadata } = await api.create(Promotion, draft('a'))
    const { resourceVersion } = metadata
    const watch = api
      .watch(Promotion, { sendInitialEvents: true, allowWatchBookmarks: true, resourceVersion })
      [Symbol.asyncIterator]()
    expect(await take(watch, 1)).toEqual(['ADDED a'])
    expect((await watch.next()).value).toMatchObject({
      type: 'BOOKMARK',
      object: { metadata: { annotations: { 'k8s.io/initial-events-end': 'true' } } },
    })
    await watch.return?.()
  })

  promise('a watch from before what is kept, or from the future, is refused', async (api, coordinator) => {
    const { metadata } = await api.create(Promotion, draft('a'))
    const { resourceVersion } = await api.create(Promotion, draft('b')).then((b) => b.metadata)
    await using late = openResources(coordinator)
    const past = late.watch(Promotion, { resourceVersion: metadata.resourceVersion })[Symbol.asyncIterator]()
    await expect(past.next()).rejects.toMatchObject({ reason: 'Expired', status: 410 })
    const future = String(Number(resourceVersion) + 1_000_000)
    const ahead = late.watch(Promotion, { resourceVersion: future })[Symbol.asyncIterator]()
    await expect(ahead.next()).rejects.toEqual(codeOf('VERSION_AHEAD'))
  })

  promise('a watch ends with its signal, and with the resources', async (api) => {
    const stop = new AbortController()
    const one = api.watch(Promotion, { signal: stop.signal })[Symbol.asyncIterator]()
    const two = api.watch(Promotion)[Symbol.asyncIterator]()
    const ends = [one.next(), two.next()]
    stop.abort()
    expect(await ends[0]).toEqual({ done: true, value: undefined })
    await api.close()
    await expect(ends[1]).resolves.toEqual({ done: true, value: undefined })
    await expect(api.list(Promotion)).rejects.toMatchObject({ code: 'BANYAN_COORDINATOR_CLOSED' })
  })

  promise('what is read cannot be changed under others', async (api) => {
    await api.create(Promotion, draft('a'))
    const { items } = await api.list(Promotion)
    expect(() => (items[0]!.spec.discount = 1)).toThrow(TypeError)
  })

  promise('a misspelled option is an error', async (api) => {
    const misspelled = { labelSelectors: 'a' } as object
    await expect(api.deleteCollection(Promotion, misspelled)).rejects.toMatchObject({
      code: 'BANYAN_INVALID_OPTIONS',
    })
  })
}
