import { type } from 'arktype'
import * as v from 'valibot'
import { expect, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import {
  defineResource,
  openCoordinator,
  openResources,
  type Resource,
  type ResourceDefinition,
} from '../../../src/coordination/index.js'

const group = 'shop.example'
const status = z.object({ phase: z.string() })
const kinds = {
  zod: defineResource({
    group,
    kind: 'Promotion',
    spec: z.object({ discount: z.number().max(90), codes: z.array(z.string()).optional() }),
    status,
  }),
  valibot: defineResource({
    group,
    kind: 'Promotion',
    spec: v.object({ discount: v.pipe(v.number(), v.maxValue(90)), codes: v.optional(v.array(v.string())) }),
    status,
  }),
  arktype: defineResource({
    group,
    kind: 'Promotion',
    spec: type({ discount: 'number <= 90', 'codes?': 'string[]' }),
    status,
  }),
}

it.each(Object.entries(kinds))(
  'a schema of %s checks, and leaves what was written as it is',
  async (_, kind) => {
    const api = openResources(await openCoordinator('memory:'))
    const metadata = { name: 'sale' }
    const spec = { discount: 10, more: { of: 'it' } }
    const made = await api.create(kind, { metadata, spec })
    expect(made.spec).toEqual(spec)
    await expect(
      api.patch(kind, metadata, { type: 'merge', patch: { spec: { discount: 91, codes: ['a', 1] } } }),
    ).rejects.toMatchObject({
      reason: 'Invalid',
      details: {
        causes: [
          { reason: 'FieldValueInvalid', field: 'spec.discount' },
          { reason: 'FieldValueInvalid', field: 'spec.codes[1]' },
        ],
      },
    })
    await expect(api.updateStatus(kind, { ...made, status: {} as never })).rejects.toMatchObject({
      details: { causes: [{ field: 'status.phase' }] },
    })
    await expect(api.create(kind, { metadata, spec: 'text' as never })).rejects.toMatchObject({
      details: { causes: [{ field: 'spec', reason: 'FieldValueTypeInvalid' }] },
    })
    expect(kind.spec).toEqual({ type: 'object', 'x-kubernetes-preserve-unknown-fields': true })
  },
)

it('what a kind is like follows from its schemas', () => {
  type ItemOf<Kind> = Kind extends { readonly types?: infer Types } ? NonNullable<Types> : never
  interface Types {
    readonly spec: { discount: number; codes?: string[] | undefined }
    readonly status: { phase: string }
  }
  expectTypeOf<ItemOf<typeof kinds.zod>>().toEqualTypeOf<Types>()
  expectTypeOf<ItemOf<typeof kinds.valibot>>().toEqualTypeOf<Types>()
  expectTypeOf<ItemOf<typeof kinds.arktype>['spec']['discount']>().toBeNumber()
  const open = () => defineResource({ group, kind: 'Open', spec: { type: 'object' } })
  expectTypeOf(open).returns.toEqualTypeOf<ResourceDefinition>()
  const api = {} as ReturnType<typeof openResources>
  const read = () => api.get(kinds.zod, { name: 'a' })
  expectTypeOf(read).returns.resolves.toEqualTypeOf<Resource<Types['spec'], Types['status']>>()
})
