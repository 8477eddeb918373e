// @ts-check
import { defineController, defineResource } from 'banyan/coordination'

const { GATEWAY: gateway = '', FULFILMENT_KEY: key = '' } = process.env

/**
 * An item costs less for a while.
 *
 * Whoever wants that says so: `npx banyan apply -f examples/shop/summer.yaml`, or the same with kubectl.
 *
 * @type {import('banyan/coordination').ResourceDefinition<
 *   { sku: string, percent: number },
 *   { price?: number | undefined, observedGeneration?: number, conditions?: import('banyan/coordination').Condition[] }
 * >}
 */
export const Promotion = defineResource({
  group: 'shop.example',
  kind: 'Promotion',
  shortNames: ['promo'],
  spec: {
    type: 'object',
    required: ['sku', 'percent'],
    properties: {
      sku: { type: 'string', enum: ['fig', 'banyan', 'root'], description: 'What costs less.' },
      percent: { type: 'integer', minimum: 1, maximum: 90, description: 'How much less, in percent.' },
    },
  },
  status: {
    type: 'object',
    properties: {
      price: { type: 'number', description: 'What the item costs now.' },
      observedGeneration: { type: 'integer' },
      conditions: { type: 'array', items: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
    },
  },
  printerColumns: [
    { name: 'Item', type: 'string', jsonPath: '.spec.sku' },
    { name: 'Percent', type: 'integer', jsonPath: '.spec.percent' },
    { name: 'Price', type: 'number', jsonPath: '.status.price' },
    { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
  ],
})

/**
 * Keeps the tags of items as promotions want them. It is told only which promotion to look at, and compares what is wanted with
 * what is there: so it does not matter whether it was away meanwhile, or whether somebody has taken a tag off by hand.
 *
 * One of the nodes runs it: `controllers` in banyan.yaml and second.yaml.
 */
export const pricing = defineController({
  resource: Promotion,
  async reconcile(_, ctx) {
    const promotion = ctx.get()
    if (!promotion) return
    const { name } = promotion.metadata
    const { sku, percent } = promotion.spec
    // Before it goes its tag does, whoever runs this then.
    const stays = await ctx.finalizer('shop.example/tag', async () => {
      if ((await itemOf(sku)).promotion === name) await ask('DELETE', `/catalog/${sku}/tag`)
    })
    if (!stays) return

    const better = ctx.list(Promotion).find((other) => other.spec.sku === sku && isBetter(other, promotion))
    if (better) {
      const message = `${better.metadata.name} takes ${better.spec.percent} % off`
      ctx.setCondition({ type: 'Ready', status: false, reason: 'Outdone', message })
      ctx.setStatus({ price: undefined })
    } else {
      const item = await itemOf(sku)
      const tagged =
        item.promotion === name && item.percent === percent
          ? item
          : await ask('PUT', `/catalog/${sku}/tag`, { promotion: name, percent })
      ctx.setStatus({ price: tagged.price })
      ctx.setCondition({
        type: 'Ready',
        status: true,
        reason: 'Tagged',
        message: `${sku} costs € ${tagged.price}`,
      })
    }
    // Nobody tells when a tag is taken off by hand.
    return { after: '2s' }
  },
})

/**
 * @typedef {import('banyan/coordination').Resource<{ sku: string, percent: number }>} AnyPromotion
 * @param {AnyPromotion} one
 * @param {AnyPromotion} other
 */
function isBetter(one, other) {
  if (one.metadata.deletionTimestamp !== undefined || one.metadata.uid === other.metadata.uid) return false
  const more = one.spec.percent - other.spec.percent
  return more > 0 || (more === 0 && one.metadata.uid < other.metadata.uid)
}

/** @param {string} sku */
function itemOf(sku) {
  return ask('GET', `/catalog/${sku}`)
}

/**
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 * @returns {Promise<{ price: number, promotion?: string, percent?: number }>}
 */
async function ask(method, path, body) {
  const headers = { 'Content-Type': 'application/json', 'X-Api-Key': key }
  const answer = await fetch(`${gateway}${path}`, {
    method,
    headers,
    ...(body && { body: JSON.stringify(body) }),
  })
  const said = /** @type {any} */ (await answer.json())
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${said.detail}`)
  return said
}
