import { describe, expect, it } from 'vitest'
import { defineResource, openResources } from '../../../src/coordination/index.js'
import { world } from '../../support/reachable.js'

function thing(properties: object, status: object = { ready: { type: 'boolean' } }) {
  return defineResource<Record<string, unknown>, Record<string, unknown>>({
    ...{ group: 'shop.example', kind: 'Thing' },
    spec: { type: 'object', properties },
    status: { type: 'object', properties: status },
  })
}

const Before = thing({ size: { type: 'integer' }, colour: { type: 'string' } })
const at = { name: 'a' }

/** Resources with one that was made before its schema changed. */
async function setUp() {
  const { connect } = world()
  const api = openResources(connect().coordinator)
  const metadata = { ...at, finalizers: ['shop.example/clean-up'] }
  const made = await api.create(Before, { metadata, spec: { size: 100, colour: 'red' } })
  return { api, made }
}

describe('a resource that is older than its schema', () => {
  const ready = { type: 'merge', patch: { status: { ready: true } } } as const

  it('gets no new defaults in its spec by a write of its status', async () => {
    const { api, made } = await setUp()
    const After = thing({ size: {}, colour: {}, weight: { type: 'integer', default: 1 } })
    const after = await api.patch(After, at, ready, { subresource: 'status' })
    expect(after.spec).toEqual(made.spec)
    expect(after.metadata.generation).toBe(1)
    const changed = await api.patch(After, at, { type: 'merge', patch: { spec: { size: 2 } } })
    expect(changed.spec).toEqual({ size: 2, colour: 'red', weight: 1 })
  })

  it('may be wrong by now in what a write does not change', async () => {
    const { api } = await setUp()
    const After = thing({ size: { type: 'integer', maximum: 10 }, colour: {} })
    const after = await api.patch(After, at, ready, { subresource: 'status' })
    expect(after.status).toEqual({ ready: true })
    await expect(
      api.patch(After, at, { type: 'merge', patch: { spec: { colour: 'blue' } } }),
    ).rejects.toMatchObject({
      code: 'BANYAN_RESOURCE_INVALID',
      details: { causes: [{ field: 'spec.size' }] },
    })
    await expect(
      api.patch(After, at, { type: 'merge', patch: { status: { ready: 1 } } }, { subresource: 'status' }),
    ).rejects.toMatchObject({ details: { causes: [{ field: 'status.ready' }] } })
    await api.delete(After, at)
    await api.patch(After, at, { type: 'merge', patch: { metadata: { finalizers: null } } })
    await expect(api.get(After, at)).rejects.toMatchObject({ code: 'BANYAN_RESOURCE_NOT_FOUND' })
  })

  it('may be written as it was read, with fields that there are no more', async () => {
    const { api, made } = await setUp()
    const After = thing({ size: { type: 'integer' } })
    const withStatus = await api.updateStatus(After, { ...made, status: { ready: true } })
    expect(withStatus.status).toEqual({ ready: true })
    const { metadata, spec } = withStatus
    await expect(
      api.update(After, { metadata, spec: { ...spec, sise: 1 } }, { fieldValidation: 'Strict' }),
    ).rejects.toMatchObject({ message: 'strict decoding error: unknown field "spec.sise"' })
    const updated = await api.update(After, { metadata, spec: { ...spec, size: 1 } })
    expect(updated.spec).toEqual({ size: 1 })
  })
})
