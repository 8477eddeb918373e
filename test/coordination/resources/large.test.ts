import { expect, it } from 'vitest'
import { defineResource, openCoordinator, openResources } from '../../../src/coordination/index.js'

const Thing = defineResource({
  group: 'test.example',
  kind: 'Thing',
  spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
})
const metadata = { name: 'a' }

function deep(levels: number): object {
  let value: object = { end: 1 }
  for (let level = 1; level < levels; level++) value = { in: value }
  return value
}

it('a resource of a hundred levels is written in every way', async () => {
  const api = openResources(await openCoordinator('memory:'))
  const spec = deep(100)
  const first = await api.create(Thing, { metadata, spec })
  expect(first.spec).toEqual(spec)
  await api.update(Thing, { ...first, spec: { more: 1, ...spec } })
  await api.patch(Thing, metadata, { type: 'merge', patch: { spec: { less: spec } } })
  const path = `/spec${'/in'.repeat(99)}/end`
  await api.patch(Thing, metadata, { type: 'json', patch: [{ op: 'replace', path, value: 2 }] })
  const applied = await api.patch(Thing, metadata, { type: 'apply', patch: { spec } }, { force: true })
  expect(applied.spec).toMatchObject(spec)
})

it('what is as deep as can be can be written again as it was read', async () => {
  const api = openResources(await openCoordinator('memory:'))
  const first = await api.create(Thing, { metadata, spec: deep(239) })
  const next = await api.update(Thing, { ...first, metadata: { ...first.metadata, labels: { a: 'b' } } })
  expect(next.metadata.labels).toEqual({ a: 'b' })
  await expect(api.update(Thing, { ...next, spec: deep(240) })).rejects.toMatchObject({ status: 400 })
})

it.each([1_000, 100_000])('%i levels are refused, and break nothing', async (levels) => {
  const api = openResources(await openCoordinator('memory:'))
  const spec = JSON.parse(`${'{"in":'.repeat(levels)}1${'}'.repeat(levels)}`) as object
  const refused = { code: 'BANYAN_RESOURCE_BAD_REQUEST', status: 400 }
  await expect(api.create(Thing, { metadata, spec })).rejects.toMatchObject(refused)
  await api.create(Thing, { metadata, spec: {} })
  for (const type of ['merge', 'apply'] as const)
    await expect(api.patch(Thing, metadata, { type, patch: { spec } })).rejects.toMatchObject(refused)
  // Each doubles the depth.
  const patch = Array.from(
    { length: 12 },
    (_, times) => ({ op: 'copy', from: '/spec', path: `/spec${'/in'.repeat(2 ** times)}` }) as const,
  )
  await expect(api.patch(Thing, metadata, { type: 'json', patch })).rejects.toMatchObject({
    code: 'BANYAN_PATCH_INVALID',
  })
  await expect(api.patch(Thing, metadata, { type: 'json', patch: patch.slice(0, 8) })).rejects.toMatchObject(
    refused,
  )
})

it('what is too large for the coordinator is refused, and nothing is done', async () => {
  const api = openResources(await openCoordinator('memory:'))
  const spec = { text: 'x'.repeat(1024 * 1024) }
  const refused = { code: 'BANYAN_RESOURCE_TOO_LARGE', reason: 'RequestEntityTooLarge', status: 413 }
  await expect(api.create(Thing, { metadata, spec })).rejects.toMatchObject(refused)
  const first = await api.create(Thing, { metadata, spec: {} })
  await expect(api.update(Thing, { ...first, spec })).rejects.toMatchObject(refused)
  for (const type of ['merge', 'apply'] as const)
    await expect(api.patch(Thing, metadata, { type, patch: { spec } })).rejects.toMatchObject(refused)
  expect(await api.get(Thing, metadata)).toEqual(first)
})
