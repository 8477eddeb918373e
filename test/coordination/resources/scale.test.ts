import { beforeEach, expect, it } from 'vitest'
import {
  defineResource,
  openCoordinator,
  openResources,
  type ResourceApi,
} from '../../../src/coordination/index.js'
import { kubernetesServer } from '../../support/kubernetes-server.js'
import { Pool } from './promotion.js'

const Plain = defineResource({ group: 'shop.example', kind: 'Plain' })
const pool = { name: 'a' }

let api: ResourceApi
beforeEach(async () => {
  api = openResources(await openCoordinator('memory:'))
})

async function create(spec: object = { workers: { count: 2 }, name: 'x' }): Promise<void> {
  await api.create(Pool, { metadata: pool, spec })
}

it('a scale says how many are wanted, how many there are, and what finds them', async () => {
  await create()
  const first = await api.getScale(Pool, pool)
  const { metadata } = await api.get(Pool, pool)
  const { name, namespace, uid, resourceVersion, creationTimestamp } = metadata
  expect(first).toEqual({
    apiVersion: 'autoscaling/v1',
    kind: 'Scale',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: 2 },
    status: { replicas: 0 },
  })
  const status = { running: 1, find: 'app=a' }
  await api.patch(Pool, pool, { type: 'merge', patch: { status } }, { subresource: 'status' })
  expect((await api.getScale(Pool, pool)).status).toEqual({ replicas: 1, selector: 'app=a' })
})

it('a scale that is written changes how many are wanted, and nothing else', async () => {
  await create()
  const scale = await api.getScale(Pool, pool)
  const next = await api.updateScale(Pool, { ...scale, spec: { replicas: 5 } }, { fieldManager: 'scaler' })
  expect(next.spec).toEqual({ replicas: 5 })
  const { metadata, spec } = await api.get(Pool, pool)
  expect(spec).toEqual({ workers: { count: 5 }, name: 'x' })
  expect(metadata).toMatchObject({
    generation: 2,
    managedFields: [
      { manager: 'banyan', fieldsV1: { 'f:spec': { 'f:name': {} } } },
      { manager: 'scaler', subresource: 'scale', fieldsV1: { 'f:spec': { 'f:workers': { 'f:count': {} } } } },
    ],
  })
  await expect(api.updateScale(Pool, { ...scale, spec: { replicas: 6 } })).rejects.toMatchObject({
    status: 409,
  })
  await api.updateScale(Pool, { metadata: pool, spec: { replicas: 7 } })
  expect((await api.get(Pool, pool)).spec.workers).toEqual({ count: 7 })
})

it.each([
  ['merge', { type: 'merge', patch: { spec: { replicas: 4 } } }],
  ['JSON', { type: 'json', patch: [{ op: 'replace', path: '/spec/replicas', value: 4 }] }],
  ['apply', { type: 'apply', patch: { metadata: {}, spec: { replicas: 4 } } }],
] as const)('a scale is patched: %s', async (_, patch) => {
  await create({ name: 'x' })
  const scale = await api.patchScale(Pool, pool, patch)
  expect(scale).toMatchObject({ kind: 'Scale', spec: { replicas: 4 } })
  expect((await api.get(Pool, pool)).spec).toEqual({ workers: { count: 4 }, name: 'x' })
})

it('an apply of a scale has its conflicts with whoever has the number', async () => {
  await create()
  const patch = { type: 'apply', patch: { metadata: {}, spec: { replicas: 4 } } } as const
  await expect(api.patchScale(Pool, pool, patch, { fieldManager: 'a' })).rejects.toMatchObject({
    details: { causes: [{ field: '.spec.workers.count' }] },
  })
  await expect(api.patchScale(Pool, { name: 'b' }, patch)).rejects.toMatchObject({
    status: 404,
  })
})

it.each([
  ['what is no number', { replicas: '4' }, 422, 'spec.replicas'],
  ['less than none', { replicas: -1 }, 422, 'spec.replicas'],
  ['nothing', {}, 422, 'spec.replicas'],
  ['more than the kind allows', { replicas: 11 }, 422, 'spec.workers.count'],
])('%s is refused', async (_, spec, status, field) => {
  await create()
  const scale = { metadata: pool, spec } as never
  await expect(api.updateScale(Pool, scale)).rejects.toMatchObject({
    status,
    details: { causes: [{ field }] },
  })
  expect((await api.get(Pool, pool)).spec.workers).toEqual({ count: 2 })
})

it('what does not say how many it wants has no scale, nor has a kind without', async () => {
  await create({})
  await expect(api.getScale(Pool, pool)).rejects.toMatchObject({
    reason: 'Invalid',
    details: { causes: [{ field: 'spec.workers.count', reason: 'FieldValueRequired' }] },
  })
  await api.create(Plain, { metadata: pool, spec: {} })
  await expect(api.getScale(Plain, pool)).rejects.toMatchObject({ reason: 'BadRequest' })
  await expect(
    api.updateScale(Pool, { kind: 'Pool', metadata: pool, spec: { replicas: 1 } }),
  ).rejects.toMatchObject({ reason: 'BadRequest' })
})

it('a scale has a path of its own over HTTP', async () => {
  await using server = await kubernetesServer([Pool, Plain])
  const path = '/apis/shop.example/v1/namespaces/default/pools'
  await server.ask('POST', path, { metadata: pool, spec: { workers: { count: 2 } } })
  const scale = (await server.ask('GET', `${path}/a/scale`)).body as { spec: object }
  expect(scale).toMatchObject({ kind: 'Scale', apiVersion: 'autoscaling/v1', spec: { replicas: 2 } })
  const put = await server.ask('PUT', `${path}/a/scale`, { ...scale, spec: { replicas: 3 } })
  expect(put).toMatchObject({ status: 200, body: { kind: 'Scale', spec: { replicas: 3 } } })
  const patched = await server.ask(
    'PATCH',
    `${path}/a/scale`,
    { spec: { replicas: 4 } },
    {
      'content-type': 'application/merge-patch+json',
    },
  )
  expect(patched).toMatchObject({ status: 200, body: { kind: 'Scale', spec: { replicas: 4 } } })
  expect((await server.ask('GET', `${path}/a`)).body).toMatchObject({ spec: { workers: { count: 4 } } })
  expect((await server.ask('GET', '/apis/shop.example/v1')).body).toMatchObject({
    resources: expect.arrayContaining([
      expect.objectContaining({ name: 'pools/scale', group: 'autoscaling', version: 'v1', kind: 'Scale' }),
    ]) as unknown,
  })
  expect((await server.ask('GET', '/apis/shop.example/v1/namespaces/default/plains/a/scale')).status).toBe(
    404,
  )
})
