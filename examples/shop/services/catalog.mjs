// @ts-check
import { startService } from './service.mjs'

const ITEMS = [
  { sku: 'fig', name: 'Strangler fig, potted', price: 24 },
  { sku: 'banyan', name: 'Banyan sapling', price: 39 },
  { sku: 'root', name: 'Aerial root, 1 m', price: 7 },
]

startService('catalog', (_request, url) => {
  const sku = url.pathname.split('/')[2]
  if (!sku) return { items: ITEMS }
  const item = ITEMS.find((each) => each.sku === sku)
  if (!item) throw { status: 404, detail: `there is no ${sku}` }
  return item
})
