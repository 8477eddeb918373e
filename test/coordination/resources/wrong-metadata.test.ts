import { expect, it } from 'vitest'
import { openResources, type ResourceDraft } from '../../../src/coordination/index.js'
import { world } from '../../support/reachable.js'
import { Promotion } from './promotion.js'

const spec = { discount: 1 }
const owner = { apiVersion: 'v1', kind: 'Shop', name: 'shop', uid: '1' }

it.each<[string, object, string, string]>([
  ['a name that is none', { name: 5 }, 'BANYAN_RESOURCE_BAD_REQUEST', 'metadata.name must be text'],
  [
    'a base of a name',
    { generateName: 5 },
    'BANYAN_RESOURCE_BAD_REQUEST',
    'metadata.generateName must be text',
  ],
  [
    'one that is not needed',
    { name: 'a', generateName: {} },
    'BANYAN_RESOURCE_BAD_REQUEST',
    'metadata.generateName must be text',
  ],
  ['an empty base', { generateName: '' }, 'BANYAN_RESOURCE_INVALID', 'name or generateName is required'],
  ['no owner', { name: 'a', ownerReferences: [null] }, 'BANYAN_RESOURCE_INVALID', 'ownerReferences[0]'],
  [
    'an owner that is said to control it with a text',
    { name: 'a', ownerReferences: [{ ...owner, controller: 'yes' }] },
    'BANYAN_RESOURCE_INVALID',
    'ownerReferences[0].controller: Invalid value: must be true or false',
  ],
])('metadata with %s are refused', async (_, metadata, code, message) => {
  const api = openResources(world().connect().coordinator)
  const draft = { metadata, spec } as ResourceDraft<typeof spec>
  await expect(api.create(Promotion, draft)).rejects.toMatchObject({
    code,
    message: expect.stringContaining(message) as string,
  })
  await expect(api.list(Promotion)).resolves.toMatchObject({ items: [] })
})

it('metadata that are null are not there', async () => {
  const api = openResources(world().connect().coordinator)
  const metadata = { name: 'a', namespace: null, generateName: null, creationTimestamp: null, labels: null }
  const made = await api.create(Promotion, { metadata, spec } as unknown as ResourceDraft<typeof spec>)
  expect(Object.values(made.metadata)).not.toContain(null)
})
