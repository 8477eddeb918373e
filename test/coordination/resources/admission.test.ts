import { expect, it } from 'vitest'
import {
  openCoordinator,
  openResources,
  ResourceError,
  type AdmissionHook,
  type AdmissionRequest,
  type ResourceApi,
} from '../../../src/coordination/index.js'
import { world } from '../../support/reachable.js'
import { Promotion, Region, type PromotionSpec } from './promotion.js'

const sale = { name: 'sale' }
const draft = { metadata: sale, spec: { discount: 10 } }

async function open(...admission: AdmissionHook[]): Promise<ResourceApi> {
  return openResources(await openCoordinator('memory:'), { admission })
}

function labels(hook: string, label: string): AdmissionHook {
  return {
    name: hook,
    mutate: ({ object }) => ({
      ...object,
      metadata: { ...object.metadata, labels: { ...object.metadata.labels, [label]: hook } },
    }),
  }
}

it('hooks change what is to be written, one after another, before defaults and checks', async () => {
  const api = await open(labels('one', 'a'), labels('two', 'a'), {
    name: 'less',
    kinds: [Promotion],
    mutate: ({ object }) => {
      const { discount } = object.spec as PromotionSpec
      return discount > 90 ? { ...object, spec: { discount: 90, audience: 'members' } } : undefined
    },
  })
  const made = await api.create(Promotion, { metadata: sale, spec: { discount: 95 } })
  expect(made).toMatchObject({
    spec: { discount: 90, audience: 'members' },
    metadata: { labels: { a: 'two' } },
  })
  const region = await api.create(Region, { metadata: { name: 'eu' }, spec: {} })
  expect(region.metadata.labels).toEqual({ a: 'two' })
})

it('hooks cannot change who a resource is, nor a part that is not written', async () => {
  const api = await open({
    name: 'bold',
    mutate: ({ object, subresource }) => ({
      ...object,
      metadata: {
        ...object.metadata,
        name: 'other',
        uid: 'other',
        ...(subresource && { labels: { a: 'b' } }),
      },
      spec: { discount: subresource ? 1 : 2 },
      status: { phase: 'Hooked' },
    }),
  })
  const made = await api.create(Promotion, draft)
  expect(made).toMatchObject({ metadata: sale, spec: { discount: 2 } })
  expect(made.metadata.uid).not.toBe('other')
  expect(made.status).toBeUndefined()
  const judged = await api.updateStatus(Promotion, { ...made, status: { phase: 'Ready' } })
  expect(judged).toMatchObject({ spec: { discount: 2 }, status: { phase: 'Hooked' } })
  expect(judged.metadata.labels).toBeUndefined()
})

it('hooks see what would be stored, what is there, and who writes it', async () => {
  const seen: Partial<AdmissionRequest>[] = []
  const api = await open({
    name: 'watcher',
    validate: ({ operation, object, before, subresource, dryRun, fieldManager }) => {
      const spec = { now: object.spec, before: before?.spec }
      seen.push({ operation, subresource, dryRun, fieldManager, object: spec as never })
    },
  })
  await api.create(Promotion, draft, { fieldManager: 'a' })
  await api.patch(Promotion, sale, { type: 'merge', patch: { spec: { discount: 20 } } }, { dryRun: true })
  await api.patch(Promotion, sale, { type: 'merge', patch: { status: {} } }, { subresource: 'status' })
  await api.delete(Promotion, sale)
  const now = { discount: 10, audience: 'all' }
  const banyan = { fieldManager: 'banyan', dryRun: false, subresource: undefined }
  expect(seen).toEqual([
    { ...banyan, operation: 'CREATE', fieldManager: 'a', object: { now, before: undefined } },
    { ...banyan, operation: 'UPDATE', dryRun: true, object: { now: { ...now, discount: 20 }, before: now } },
    { ...banyan, operation: 'UPDATE', subresource: 'status', object: { now, before: now } },
    { ...banyan, operation: 'DELETE', fieldManager: undefined, object: { now, before: now } },
  ])
})

it.each<[string, AdmissionHook['validate'], object]>([
  [
    'a reason',
    () => 'not on Fridays',
    {
      code: 'BANYAN_RESOURCE_FORBIDDEN',
      reason: 'Forbidden',
      status: 403,
      message:
        'promotions.shop.example "sale" is forbidden: admission hook "strict" denied the request: not on Fridays',
    },
  ],
  [
    'what is wrong',
    () => [{ reason: 'FieldValueForbidden', field: 'spec.discount', message: 'Forbidden: too much' }],
    { reason: 'Invalid', status: 422, details: { causes: [{ field: 'spec.discount' }] } },
  ],
  [
    'an error',
    () => Promise.reject(new TypeError('oops')),
    {
      code: 'BANYAN_RESOURCE_HOOK_FAILED',
      reason: 'InternalError',
      status: 500,
      message: 'Internal error occurred: the admission hook "strict" failed: oops',
      cause: expect.any(TypeError) as unknown,
    },
  ],
  [
    'an error of resources',
    () => {
      throw new ResourceError('BANYAN_RESOURCE_TOO_LARGE', 'too large')
    },
    { status: 413, message: 'too large' },
  ],
])('%s of a hook refuses every kind of write, and nothing is done', async (_, validate, refusal) => {
  const coordinator = await openCoordinator('memory:')
  const free = openResources(coordinator)
  const first = await free.create(Promotion, draft)
  const api = openResources(coordinator, { admission: [{ name: 'strict', validate: validate! }] })
  const status = { phase: 'Ready' }
  const apply = (name: string) =>
    api.patch(Promotion, { name }, { type: 'apply', patch: { metadata: {}, spec: { discount: 10 } } })
  for (const write of [
    () => api.update(Promotion, { ...first, spec: { discount: 11 } }),
    () => api.updateStatus(Promotion, { ...first, status }),
    () => api.patch(Promotion, sale, { type: 'merge', patch: { spec: { discount: 11 } } }),
    () => apply('sale'),
    () => api.delete(Promotion, sale),
  ])
    await expect(write()).rejects.toMatchObject(refusal)
  expect((await free.list(Promotion)).items).toEqual([first])
  await free.delete(Promotion, sale)
  await expect(apply('sale')).rejects.toMatchObject(refusal)
  await expect(api.create(Promotion, draft)).rejects.toMatchObject(refusal)
  expect((await free.list(Promotion)).items).toEqual([])
})

it('a hook that does not answer is given up, and nothing is done', async () => {
  const { runtime, connect } = world()
  const { coordinator } = connect()
  const never = () => new Promise<undefined>(() => undefined)
  const admission: AdmissionHook[] = [
    { name: 'slow', kinds: [Promotion], validate: never },
    { name: 'slower', kinds: [Region], mutate: never, timeout: '30s' },
  ]
  const api = openResources(coordinator, { admission })
  const written = Promise.allSettled([
    api.create(Promotion, draft),
    api.create(Region, { metadata: { name: 'eu' }, spec: {} }),
  ])
  await runtime.clock.advance('30s')
  const failed = (name: string, limit: number) => ({
    status: 'rejected',
    reason: {
      ...{ code: 'BANYAN_RESOURCE_HOOK_FAILED', status: 500 },
      message: `Internal error occurred: the admission hook "${name}" failed: no answer within ${limit} ms`,
    },
  })
  expect(await written).toMatchObject([failed('slow', 10_000), failed('slower', 30_000)])
  expect((await api.list(Promotion)).items).toEqual([])
})

it('an apply that hooks change stays one that writes nothing when it is done again', async () => {
  const api = await open({
    name: 'double',
    mutate: ({ object }) => ({ ...object, spec: { ...(object.spec as PromotionSpec), until: 7 } }),
  })
  const patch = { type: 'apply', patch: { metadata: {}, spec: { discount: 10, until: 5 } } } as const
  const first = await api.patch(Promotion, sale, patch)
  expect(first.spec.until).toBe(7)
  expect(await api.patch(Promotion, sale, patch)).toEqual(first)
})

it('a hook that makes what cannot be is told so', async () => {
  const api = await open({
    name: 'broken',
    mutate: ({ object }) => ({ ...object, spec: { discount: 10, extra: 1 } }),
  })
  await expect(api.create(Promotion, draft)).rejects.toMatchObject({
    message: 'strict decoding error: unknown field "spec.extra"',
  })
  await expect(open({ name: 'x', validates: () => undefined } as never)).rejects.toThrow(
    /did you mean `validate`/,
  )
})
