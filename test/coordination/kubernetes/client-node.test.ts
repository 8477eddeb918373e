import {
  CustomObjectsApi,
  KubeConfig,
  KubernetesObjectApi,
  makeInformer,
  PatchStrategy,
  V1ObjectMeta,
  Watch,
  type Informer,
  type KubernetesListObject,
  type KubernetesObject,
  type ObjectCache,
} from '@kubernetes/client-node'
import { afterEach, beforeEach, expect, it } from 'vitest'
import {
  openCoordinator,
  openResources,
  type Coordinator,
  type ResourceApi,
} from '../../../src/coordination/index.js'
import { Promotion } from '../resources/promotion.js'
import { served, type Served } from './served.js'

const GROUP = { group: 'shop.example', version: 'v1', namespace: 'default', plural: 'promotions' }
const PATH = '/apis/shop.example/v1/namespaces/default/promotions'
/** So few changes are kept that somebody who is away for a moment has to list again. */
const WINDOW = 4

interface PromotionObject extends KubernetesObject {
  spec?: { discount: number; audience?: string }
  status?: { phase?: string }
}

let coordinator: Coordinator
let resources: ResourceApi
let server: Served
let config: KubeConfig

beforeEach(async () => {
  coordinator = await openCoordinator('memory:')
  resources = openResources(coordinator, { window: WINDOW })
  server = await served(resources, [Promotion])
  config = new KubeConfig()
  // The client takes http: only from those who say that they need no TLS.
  config.loadFromClusterAndUser(
    { name: 'ours', server: server.url, skipTLSVerify: true },
    { name: 'me', token: 'none' },
  )
})

afterEach(async () => {
  await server[Symbol.asyncDispose]()
  await coordinator.close()
})

const promotion = (name: string, discount = 10): PromotionObject => ({
  apiVersion: 'shop.example/v1',
  kind: 'Promotion',
  metadata: Object.assign(new V1ObjectMeta(), { name, namespace: 'default' }),
  spec: { discount },
})

const make = (name: string, discount = 10) =>
  resources.create(Promotion, { metadata: { name }, spec: { discount } })

/** What an informer has, and what it tells, one after another. */
class Told {
  readonly informer: Informer<PromotionObject> & ObjectCache<PromotionObject>
  lists = 0
  readonly #told: string[] = []
  #wake = (): void => undefined

  constructor() {
    const custom = config.makeApiClient(CustomObjectsApi)
    this.informer = makeInformer<PromotionObject>(config, PATH, () => {
      this.lists++
      return custom.listNamespacedCustomObject(GROUP) as Promise<KubernetesListObject<PromotionObject>>
    })
    for (const verb of ['add', 'update', 'delete'] as const)
      this.informer.on(verb, (object) => this.#tell(`${verb} ${object.metadata!.name}`))
    // To be stopped is an error, too.
    this.informer.on('error', (error: Error) => {
      if (error.name !== 'AbortError') this.#tell(`error ${String(error)}`)
    })
  }

  async take(count: number): Promise<string[]> {
    while (this.#told.length < count) await new Promise<void>((resolve) => (this.#wake = resolve))
    return this.#told.splice(0, count)
  }

  get names(): (string | undefined)[] {
    return this.informer.list().map(({ metadata }) => metadata?.name)
  }

  #tell(what: string): void {
    this.#told.push(what)
    this.#wake()
  }
}

it('its informers list, watch, and begin anew where changes are not kept any more', async () => {
  await make('a')
  const told = new Told()
  await told.informer.start()
  expect(await told.take(1)).toEqual(['add a'])
  const made = await make('b')
  await resources.update(Promotion, { ...made, spec: { discount: 20 } })
  await resources.delete(Promotion, { name: 'a' })
  expect(await told.take(3)).toEqual(['add b', 'update b', 'delete a'])
  expect(told.informer.get('b', 'default')?.spec).toEqual({ discount: 20, audience: 'all' })

  // Its watch is over, and what happens before it is back is more than what is kept.
  const { lists } = told
  await told.informer.stop()
  await resources.delete(Promotion, { name: 'b' })
  for (let number = 0; number < 2 * WINDOW; number++) await make(`c${number}`)
  await told.informer.start()
  const seen = await told.take(1 + 2 * WINDOW)
  expect(seen).toContain('delete b')
  expect(told.names.toSorted()).toEqual(Array.from({ length: 2 * WINDOW }, (_, number) => `c${number}`))
  expect(told.lists).toBe(lists + 1)
  await make('d')
  expect(await told.take(1)).toEqual(['add d'])
  await told.informer.stop()
})

it('its watch is told of everything, and that it is too old', async () => {
  const first = await make('a')
  for (let number = 0; number < 2 * WINDOW; number++) await make(`b${number}`)
  const events = await new Promise<unknown[]>((resolve, reject) => {
    const told: unknown[] = []
    void new Watch(config).watch(
      PATH,
      { resourceVersion: first.metadata.resourceVersion },
      (type, object: unknown) => told.push({ type, object }),
      (error: unknown) => {
        if (error !== null && (error as { statusCode?: number }).statusCode !== 410) reject(error)
        else resolve([...told, error])
      },
    )
  })
  expect(JSON.stringify(events)).toContain('410')
})

it('its API of objects finds the kind by discovery, and writes, applies and reads it', async () => {
  const objects = KubernetesObjectApi.makeApiClient(config)
  const created = await objects.create(promotion('sale'))
  expect(created).toMatchObject({ metadata: { generation: 1 }, spec: { discount: 10, audience: 'all' } })
  await expect(objects.create(promotion('sale'))).rejects.toMatchObject({ code: 409 })
  await expect(objects.create(promotion('bad', 1000))).rejects.toMatchObject({ code: 422 })

  const apply = (discount: number, manager: string, force = false) =>
    objects.patch(
      promotion('sale', discount),
      undefined,
      undefined,
      manager,
      force,
      PatchStrategy.ServerSideApply,
    )
  await expect(apply(30, 'me')).rejects.toMatchObject({ code: 409 })
  expect(await apply(30, 'me', true)).toMatchObject({ metadata: { generation: 2 }, spec: { discount: 30 } })
  await expect(apply(40, 'you')).rejects.toThrow(/conflict with .+me.+: \.spec\.discount/)
  const patched = await objects.patch(
    { ...promotion('sale'), spec: { audience: 'all', discount: 31 } },
    undefined,
    'All',
    undefined,
    undefined,
    PatchStrategy.MergePatch,
  )
  expect(patched).toMatchObject({ spec: { discount: 31 } })
  const read = await objects.read<PromotionObject>({
    ...promotion('sale'),
    metadata: { name: 'sale', namespace: 'default' },
  })
  expect(read.spec).toEqual({ discount: 30, audience: 'all' })
  expect(await objects.replace({ ...read, spec: { discount: 32 } })).toMatchObject({ spec: { discount: 32 } })
  const listed = await objects.list<PromotionObject>('shop.example/v1', 'Promotion', 'default')
  expect(listed.items.map(({ metadata }) => metadata?.name)).toEqual(['sale'])
  await objects.delete(promotion('sale'))
  await expect(objects.read(promotion('sale') as never)).rejects.toMatchObject({ code: 404 })
})

it('its API of custom objects writes status, JSON patches, and deletes many', async () => {
  const custom = config.makeApiClient(CustomObjectsApi)
  const sale = { ...GROUP, name: 'sale' }
  await custom.createNamespacedCustomObject({ ...GROUP, body: promotion('sale') })
  const read = (await custom.getNamespacedCustomObject(sale)) as PromotionObject
  const body = { ...read, status: { phase: 'Live' }, spec: { discount: 80 } }
  expect(await custom.replaceNamespacedCustomObjectStatus({ ...sale, body })).toMatchObject({
    spec: { discount: 10 },
    status: { phase: 'Live' },
  })
  // Whoever does not say otherwise patches by JSON patch.
  const operations = [{ op: 'replace', path: '/spec/discount', value: 15 }]
  expect(await custom.patchNamespacedCustomObject({ ...sale, body: operations })).toMatchObject({
    spec: { discount: 15 },
  })
  await custom.deleteCollectionNamespacedCustomObject(GROUP)
  await expect(custom.getNamespacedCustomObject(sale)).rejects.toMatchObject({ code: 404 })
})
