import { expect, it } from 'vitest'
import {
  openResources,
  type Coordinator,
  type Resource,
  type ResourceApi,
  type ResourcePatch,
} from '../../../src/coordination/index.js'
import { Promotion, Region, type PromotionSpec, type PromotionStatus } from './promotion.js'

const sale = { name: 'sale' }

const apply = (spec: Partial<PromotionSpec>, metadata: object = {}): ResourcePatch => ({
  type: 'apply',
  patch: { metadata, spec },
})
const merge = (patch: object): ResourcePatch => ({ type: 'merge', patch })

/** Who has what, without when. */
function managers({ metadata }: Resource): Record<string, unknown> {
  return Object.fromEntries(
    (metadata.managedFields ?? []).map(({ manager, operation, subresource, fieldsV1 }) => [
      [manager, operation, subresource].filter(Boolean).join(' '),
      fieldsV1,
    ]),
  )
}

/** What patches, and the book of who has which fields, promise over every coordinator. */
export function runPatchSuite(open: () => Promise<Coordinator>): void {
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
  const create = (
    api: ResourceApi,
    spec: Partial<PromotionSpec> = {},
    fieldManager = 'creator',
  ): Promise<Resource<PromotionSpec, PromotionStatus>> =>
    api.create(Promotion, { metadata: sale, spec: { discount: 10, ...spec } }, { fieldManager })

  promise('a merge patch replaces what is in it, and takes out what is null', async (api) => {
    const first = await create(api, { codes: ['a', 'b'], until: 5 })
    const next = await api.patch(Promotion, sale, merge({ spec: { codes: ['c'], until: null } }))
    expect(next.spec).toEqual({ discount: 10, audience: 'all', codes: ['c'] })
    expect(next.metadata).toMatchObject({ uid: first.metadata.uid, generation: 2 })
    expect(await api.get(Promotion, sale)).toEqual(next)
  })

  promise('a JSON patch is done as a whole, or not at all', async (api) => {
    const first = await create(api, { codes: ['a'] })
    const next = await api.patch(Promotion, sale, {
      type: 'json',
      patch: [
        { op: 'test', path: '/spec/codes/0', value: 'a' },
        { op: 'add', path: '/spec/codes/-', value: 'b' },
        { op: 'add', path: '/metadata/labels', value: { on: '' } },
      ],
    })
    expect(next).toMatchObject({ spec: { codes: ['a', 'b'] }, metadata: { labels: { on: '' } } })
    const refused = api.patch(Promotion, sale, {
      type: 'json',
      patch: [
        { op: 'remove', path: '/spec/codes' },
        { op: 'test', path: '/metadata/resourceVersion', value: first.metadata.resourceVersion },
      ],
    })
    await expect(refused).rejects.toMatchObject({
      code: 'BANYAN_PATCH_REFUSED',
      reason: 'Invalid',
      status: 422,
    })
    expect(await api.get(Promotion, sale)).toEqual(next)
  })

  promise('what is no patch, or leaves no resource of the kind, is refused', async (api) => {
    await create(api)
    const never = (patch: unknown, options = {}): Promise<unknown> =>
      api.patch(Promotion, sale, patch as ResourcePatch, options)
    const bad = { status: 400, reason: 'BadRequest' }
    await expect(never({ type: 'strategic', patch: {} })).rejects.toMatchObject(bad)
    await expect(never({ type: 'merge', patch: 'text' })).rejects.toMatchObject(bad)
    await expect(never({ type: 'merge', patch: [] })).rejects.toMatchObject(bad)
    await expect(never({ type: 'json', patch: {} })).rejects.toMatchObject(bad)
    await expect(never(merge({}), { force: true })).rejects.toMatchObject(bad)
    await expect(never(merge({ metadata: { name: 'other' } }))).rejects.toMatchObject(bad)
    await expect(never(merge({ kind: 'Other' }))).rejects.toMatchObject(bad)
    await expect(never(merge({ spec: { discuont: 1 } }))).rejects.toMatchObject({
      ...bad,
      message: 'strict decoding error: unknown field "spec.discuont"',
    })
    await expect(never(apply({}, { managedFields: [{ manager: 'me' }] }))).rejects.toMatchObject(bad)
    await expect(never(merge({ spec: { discount: 100 } }))).rejects.toMatchObject({
      status: 422,
      details: { causes: [{ field: 'spec.discount' }] },
    })
    await expect(api.patch(Promotion, { name: 'none' }, merge({}))).rejects.toMatchObject({ status: 404 })
    await expect(
      api.patch(Region, { name: 'eu' }, merge({}), { subresource: 'status' }),
    ).rejects.toMatchObject(bad)
  })

  promise('a patch is made anew if somebody else was faster, unless it names a version', async (api) => {
    const first = await create(api, { discount: 1 })
    const labels = ['a', 'b', 'c', 'd', 'e']
    await Promise.all(
      labels.map((label) => api.patch(Promotion, sale, merge({ metadata: { labels: { [label]: '' } } }))),
    )
    const { metadata } = await api.get(Promotion, sale)
    expect(Object.keys(metadata.labels ?? {}).sort()).toEqual(labels)
    const { resourceVersion } = first.metadata
    for (const type of ['merge', 'apply'] as const)
      await expect(
        api.patch(Promotion, sale, { type, patch: { metadata: { resourceVersion }, spec: { discount: 2 } } }),
      ).rejects.toMatchObject({ code: 'BANYAN_RESOURCE_CONFLICT', status: 409 })
    await expect(api.patch(Promotion, sale, merge({ metadata: { uid: 'another' } }))).rejects.toMatchObject({
      status: 409,
    })
  })

  promise('a patch of the status touches nothing else, and one of the rest not the status', async (api) => {
    const first = await create(api)
    const change = { metadata: { labels: { a: 'b' } }, spec: { discount: 20 }, status: { phase: 'Ready' } }
    const judged = await api.patch(Promotion, sale, merge(change), {
      subresource: 'status',
      fieldManager: 'judge',
    })
    expect(judged).toMatchObject({
      spec: first.spec,
      status: { phase: 'Ready' },
      metadata: { generation: 1 },
    })
    expect(judged.metadata.labels).toBeUndefined()
    expect(managers(judged)['judge Update status']).toEqual({ 'f:status': { '.': {}, 'f:phase': {} } })
    const changed = await api.patch(Promotion, sale, merge({ ...change, status: { phase: 'Gone' } }))
    expect(changed).toMatchObject({ spec: { discount: 20 }, status: { phase: 'Ready' } })
    const applied = await api.patch(
      Promotion,
      sale,
      { type: 'apply', patch: { ...change, status: { observedGeneration: 2 } } },
      { subresource: 'status', fieldManager: 'applier' },
    )
    expect(applied.status).toEqual({ phase: 'Ready', observedGeneration: 2 })
    expect(managers(applied)['applier Apply status']).toEqual({ 'f:status': { 'f:observedGeneration': {} } })
  })

  promise('whoever writes a field has it, and a write without the book does not wipe it out', async (api) => {
    const first = await create(api)
    expect(managers(first)).toEqual({
      'creator Update': { 'f:spec': { '.': {}, 'f:audience': {}, 'f:discount': {} } },
    })
    const { name, resourceVersion } = first.metadata
    const next = await api.update(
      Promotion,
      { metadata: { name, resourceVersion }, spec: { ...first.spec, discount: 11 } },
      { fieldManager: 'updater' },
    )
    expect(managers(next)).toEqual({
      'creator Update': { 'f:spec': { '.': {}, 'f:audience': {} } },
      'updater Update': { 'f:spec': { 'f:discount': {} } },
    })
    const judged = await api.updateStatus(Promotion, { ...next, status: { phase: 'Ready' } })
    expect(managers(judged)).toMatchObject({ 'banyan Update status': { 'f:status': {} } })
    const anew = await api.patch(Promotion, sale, merge({ metadata: { managedFields: [{}] } }))
    expect(anew.metadata.managedFields).toBeUndefined()
    await expect(create(api, {}, 'x'.repeat(129))).rejects.toMatchObject({ status: 400 })
  })

  promise('an apply makes what is not there, and says nothing of what it did not say', async (api) => {
    const fieldManager = 'a'
    const made = await api.patch(Promotion, sale, apply({ discount: 5 }), { fieldManager })
    expect(made).toMatchObject({ spec: { discount: 5, audience: 'all' }, metadata: { generation: 1 } })
    expect(managers(made)).toEqual({ 'a Apply': { 'f:spec': { 'f:discount': {} } } })
    const resourceVersion = '1'
    await expect(
      api.patch(Promotion, { name: 'other' }, apply({ discount: 5 }, { resourceVersion })),
    ).rejects.toMatchObject({ status: 404 })
    await expect(
      api.patch(
        Promotion,
        { name: 'other' },
        { type: 'apply', patch: { metadata: {}, status: {} } },
        { subresource: 'status' },
      ),
    ).rejects.toMatchObject({ status: 404 })
    const region = await api.patch(Region, { name: 'eu' }, { type: 'apply', patch: { metadata: {} } })
    expect(region).not.toHaveProperty('spec')
  })

  promise('applying the same again writes nothing', async (api) => {
    const options = { fieldManager: 'a' }
    const patch = apply({ discount: 5, codes: ['x'] }, { labels: {}, annotations: { a: '1' } })
    const first = await api.patch(Promotion, sale, patch, options)
    expect(await api.patch(Promotion, sale, patch, options)).toEqual(first)
    const [one, two] = await Promise.all(
      ['b', 'b'].map((fieldManager) => api.patch(Promotion, { name: 'twice' }, patch, { fieldManager })),
    )
    expect(one).toEqual(two)
  })

  promise('an apply against others names every field and who has it; force takes over', async (api) => {
    await create(api, { discount: 10, until: 5 })
    await api.patch(Promotion, sale, apply({ audience: 'all' }), { fieldManager: 'b' })
    const next = apply({ discount: 20, until: 6, audience: 'all' })
    await expect(api.patch(Promotion, sale, next, { fieldManager: 'a' })).rejects.toMatchObject({
      code: 'BANYAN_APPLY_CONFLICT',
      reason: 'Conflict',
      status: 409,
      details: {
        causes: ['.spec.discount', '.spec.until'].map((field) => ({
          reason: 'FieldManagerConflict',
          field,
          message: 'conflict with "creator" using shop.example/v1',
        })),
      },
    })
    const forced = await api.patch(Promotion, sale, next, { fieldManager: 'a', force: true })
    expect(forced.spec).toEqual({ discount: 20, until: 6, audience: 'all' })
    expect(managers(forced)).toEqual({
      'a Apply': { 'f:spec': { 'f:audience': {}, 'f:discount': {}, 'f:until': {} } },
      'b Apply': { 'f:spec': { 'f:audience': {} } },
      'creator Update': { 'f:spec': { '.': {}, 'f:audience': {} } },
    })
  })

  promise('what an applier leaves out goes, unless somebody else has it', async (api) => {
    await api.patch(Promotion, sale, apply({ discount: 5, until: 1, codes: ['x'] }), { fieldManager: 'a' })
    await api.patch(Promotion, sale, apply({ until: 1 }), { fieldManager: 'b' })
    const next = await api.patch(Promotion, sale, apply({ discount: 5 }), { fieldManager: 'a' })
    expect(next.spec).toEqual({ discount: 5, audience: 'all', until: 1 })
  })

  promise('a dry run of a patch says what would be, and writes nothing', async (api) => {
    const would = await api.patch(Promotion, sale, apply({ discount: 5 }), { dryRun: true })
    expect(would.spec).toEqual({ discount: 5, audience: 'all' })
    await expect(api.get(Promotion, sale)).rejects.toMatchObject({ status: 404 })
    const first = await create(api)
    const next = await api.patch(Promotion, sale, merge({ spec: { discount: 3 } }), { dryRun: true })
    expect(next).toMatchObject({ spec: { discount: 3 }, metadata: { generation: 2 } })
    expect(await api.get(Promotion, sale)).toEqual(first)
  })
}
