import { defineResource } from '../../../src/coordination/index.js'
import type { Condition, ResourceApi } from '../../../src/coordination/index.js'

export interface SaleSpec {
  /** Of what it makes prices. */
  items: string[]
  discount: number
}

export interface SaleStatus {
  prices?: number
  observedGeneration?: number
  conditions?: readonly Condition[]
}

/** What a controller looks after. */
export const Sale = defineResource<SaleSpec, SaleStatus>({
  group: 'shop.example',
  kind: 'Sale',
  spec: {
    type: 'object',
    properties: { items: { type: 'array', items: { type: 'string' } }, discount: { type: 'integer' } },
  },
  status: {
    type: 'object',
    properties: {
      prices: { type: 'integer' },
      observedGeneration: { type: 'integer' },
      conditions: {
        type: 'array',
        items: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
      },
    },
  },
})

/** What it makes. */
export const Price = defineResource<{ discount: number }>({ group: 'shop.example', kind: 'Price' })

/** What else concerns it: sales say by a label in which season they are. */
export const Season = defineResource<{ factor: number }>({
  group: 'shop.example',
  kind: 'Season',
  scope: 'Cluster',
})

/** An API some of whose methods are others. */
export function intercepted(api: ResourceApi, others: Partial<ResourceApi>): ResourceApi {
  return new Proxy(api, {
    get(target, name) {
      const method: unknown = Reflect.get(name in others ? others : target, name)
      return typeof method === 'function' ? (method.bind(target) as unknown) : method
    },
  })
}
