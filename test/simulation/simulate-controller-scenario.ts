import { expect } from 'vitest'
import {
  controller,
  defineResource,
  type Controller,
  type ControllerOptions,
  type ReconcileContext,
  type ResourceApi,
} from '../../src/coordination/index.js'
import type { Choices, ControllerProcess } from '../../src/testing/index.js'

export interface SaleSpec {
  /** Of what it makes prices. */
  items: string[]
  discount: number
}

export interface SaleStatus {
  prices?: number
  checked?: number
  observedGeneration?: number
}

export const Sale = defineResource<SaleSpec, SaleStatus>({
  group: 'shop.example',
  kind: 'Sale',
  status: {
    type: 'object',
    properties: {
      prices: { type: 'integer' },
      checked: { type: 'integer' },
      observedGeneration: { type: 'integer' },
    },
  },
})

/** What a sale makes. */
export const Price = defineResource<{ discount: number }>({ group: 'shop.example', kind: 'Price' })

export type SaleContext = ReconcileContext<SaleSpec, SaleStatus>

const NAMES = ['a', 'b', 'c'] as const
const ITEMS = ['x', 'y', 'z'] as const

/** Starts a controller of sales. */
export function salesController(
  { api, runtime }: ControllerProcess,
  reconcile: (key: string, ctx: SaleContext) => Promise<void>,
  more: Partial<ControllerOptions<SaleSpec, SaleStatus>> = {},
): Controller {
  return controller({
    name: 'sales',
    api,
    runtime,
    resource: Sale,
    owns: [Price],
    reconcile: aloneWithKey(reconcile),
    ...more,
  })
}

/** Makes a price of each item, and takes away what is none any more. */
export async function makePrices(_: string, ctx: SaleContext): Promise<void> {
  const sale = ctx.get()
  if (!sale || sale.metadata.deletionTimestamp !== undefined) return
  const { items, discount } = sale.spec
  const named = (item: string): string => `${sale.metadata.name}-${item}`
  for (const item of items) await ctx.apply(Price, { metadata: { name: named(item) }, spec: { discount } })
  const wanted = new Set(items.map(named))
  for (const { metadata } of ctx.owned(Price))
    if (!wanted.has(metadata.name))
      await ctx.api.delete(Price, { name: metadata.name, namespace: metadata.namespace! })
  ctx.setStatus({ prices: items.length })
}

/** The same reconcile; throws what no fault may be if a key is worked on twice at once. */
function aloneWithKey(
  reconcile: (key: string, ctx: SaleContext) => Promise<void>,
): (key: string, ctx: SaleContext) => Promise<void> {
  const working = new Set<string>()
  return async (key, ctx) => {
    expect(working.has(key), `${key} is worked on twice at once`).toBe(false)
    working.add(key)
    try {
      await reconcile(key, ctx)
    } finally {
      working.delete(key)
    }
  }
}

export async function createSales(user: ResourceApi): Promise<void> {
  for (const name of NAMES)
    await user.create(Sale, { metadata: { name }, spec: { items: ['x', 'y'], discount: 10 } })
}

/** Users change sales, and spoil prices by hand. */
export async function disturbSales(user: ResourceApi, random: Choices): Promise<void> {
  const name = random.pick(NAMES)
  if (random.chance(0.7)) {
    const sale = await user.get(Sale, { name })
    const spec = { items: ITEMS.slice(random.below(3)), discount: random.below(50) }
    await user.update(Sale, { ...sale, spec })
  }
  const { items } = await user.list(Price)
  if (items.length === 0) return
  const price = random.pick(items)
  if (random.chance(0.3)) await user.delete(Price, { name: price.metadata.name })
  else if (random.chance(0.3)) await user.update(Price, { ...price, spec: { discount: 99 } })
}

/** There are the prices that sales want, and the statuses say so. */
export async function salesConverged(user: ResourceApi): Promise<void> {
  const sales = (await user.list(Sale)).items
  const wanted = sales.flatMap(({ metadata, spec }) =>
    spec.items.map((item) => `${metadata.name}-${item} ${spec.discount}`),
  )
  const prices = (await user.list(Price)).items
  expect(prices.map(({ metadata, spec }) => `${metadata.name} ${spec.discount}`).sort()).toEqual(
    wanted.sort(),
  )
  for (const { metadata, spec, status } of sales)
    expect(status).toEqual({ prices: spec.items.length, observedGeneration: metadata.generation })
}
