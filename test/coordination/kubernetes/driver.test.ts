import { expect, it } from 'vitest'
import {
  defineResource,
  kubernetesResources,
  type Resource,
  type ResourceApi,
  type ResourceEvent,
} from '../../../src/coordination/index.js'
import { Promotion } from '../resources/promotion.js'
import { events, json, lost, refusal, scriptedServer, type Scripted, type ScriptedServer } from './server.js'

const BASE = '/apis/shop.example/v1'
const sale = { name: 'sale' }
const draft = { metadata: sale, spec: { discount: 10 } }

const promotion = (resourceVersion = '1', name = 'sale'): Resource => ({
  apiVersion: 'shop.example/v1',
  kind: 'Promotion',
  metadata: {
    name,
    namespace: 'default',
    uid: 'u1',
    resourceVersion,
    generation: 1,
    creationTimestamp: '2026-01-01T00:00:00Z',
  },
  spec: { discount: 10 },
})
const listOf = (resourceVersion: string, ...items: Resource[]) =>
  json({ apiVersion: 'shop.example/v1', kind: 'PromotionList', metadata: { resourceVersion }, items })
const modified = (resourceVersion: string) => ({ type: 'MODIFIED', object: promotion(resourceVersion) })

const codeOf = (code: string) => expect.objectContaining({ code: `BANYAN_${code}` }) as unknown

function promise(
  name: string,
  answers: Scripted[],
  body: (api: ResourceApi, server: ScriptedServer) => Promise<void>,
): void {
  it(name, async () => {
    await using server = await scriptedServer(...answers)
    await using api = await kubernetesResources({ kubeConfig: server.config, timeout: '2s' })
    await body(api, server)
  })
}

/** So many events, and then the watch is left. */
async function take(watch: AsyncIterable<ResourceEvent>, count: number): Promise<string[]> {
  const told: string[] = []
  for await (const { type, object } of watch)
    if (told.push(`${type} ${object.metadata.resourceVersion}`) === count) break
  return told
}

promise('a create whose answer is lost is made once', [lost, json(promotion())], async (api, server) => {
  await expect(api.create(Promotion, draft)).rejects.toEqual(codeOf('OUTCOME_UNKNOWN'))
  expect(server.asked).toEqual([
    `POST ${BASE}/namespaces/default/promotions?fieldValidation=Strict&fieldManager=banyan`,
  ])
  expect(JSON.parse(server.bodies[0]!)).toEqual({
    apiVersion: 'shop.example/v1',
    kind: 'Promotion',
    metadata: { name: 'sale', namespace: 'default' },
    spec: { discount: 10 },
  })
})

promise(
  'a create that the server fails at is made once, and one that it refuses for now again',
  [refusal(500, 'InternalError'), refusal(429, 'TooManyRequests'), json(promotion(), 201)],
  async (api, server) => {
    await expect(api.create(Promotion, draft)).rejects.toEqual(codeOf('OUTCOME_UNKNOWN'))
    expect(await api.create(Promotion, draft)).toEqual(promotion())
    expect(server.asked).toHaveLength(3)
  },
)

promise(
  'what only reads, or only tries, is asked again',
  [lost, refusal(503, 'ServiceUnavailable'), json(promotion()), lost, json(promotion(), 201)],
  async (api, server) => {
    expect(await api.get(Promotion, sale)).toEqual(promotion())
    expect(await api.create(Promotion, draft, { dryRun: true })).toEqual(promotion())
    expect(server.asked).toHaveLength(5)
  },
)

promise(
  'credentials that are refused are asked for once more',
  [refusal(401, 'Unauthorized'), json(promotion()), refusal(401, 'Unauthorized')],
  async (api, server) => {
    expect(await api.create(Promotion, draft)).toEqual(promotion())
    await expect(api.get(Promotion, sale)).rejects.toEqual(codeOf('COORDINATOR_UNAVAILABLE'))
    expect(server.asked).toHaveLength(4)
  },
)

promise(
  'a path that is not there is no resource that is not there',
  [
    (response) => void response.writeHead(404, { 'content-type': 'text/plain' }).end('404 page not found\n'),
    refusal(404, 'NotFound'),
    refusal(404, 'NotFound', { name: 'sale', group: 'shop.example', kind: 'promotions' }),
  ],
  async (api) => {
    await expect(api.get(Promotion, sale)).rejects.toEqual(codeOf('UNSUPPORTED'))
    await expect(api.get(Promotion, sale)).rejects.toEqual(codeOf('UNSUPPORTED'))
    await expect(api.get(Promotion, sale)).rejects.toEqual(codeOf('RESOURCE_NOT_FOUND'))
  },
)

it('a name that would be another path is never asked for', async () => {
  await using server = await scriptedServer(json({}))
  await using api = await kubernetesResources({ kubeConfig: server.config })
  for (const name of ['', '..', 'a/status', 'a?dryRun=All'])
    await expect(api.delete(Promotion, { name })).rejects.toEqual(codeOf('RESOURCE_BAD_REQUEST'))
  expect(server.asked).toEqual([])
})

promise(
  'each warning is told',
  [json(promotion(), 200, { warning: ['299 - "unknown field \\"spec.x\\"", 299 - "old"', '299 - "two"'] })],
  async (api) => {
    const warnings: string[] = []
    await api.update(
      Promotion,
      { ...draft, metadata: { ...sale, resourceVersion: '1' } },
      {
        fieldValidation: 'Warn',
        onWarning: (warning) => warnings.push(warning),
      },
    )
    expect(warnings).toEqual(['unknown field "spec.x"', 'old', 'two'])
  },
)

promise(
  'what is deleted is only what was read, also if it is removed at once',
  [
    json(promotion()),
    refusal(409, 'Conflict', { name: 'sale' }),
    json(promotion('7')),
    json({ kind: 'Status', status: 'Success' }),
  ],
  async (api, server) => {
    expect(await api.delete(Promotion, sale)).toEqual({ removed: true, object: promotion('7') })
    expect(JSON.parse(server.bodies[3]!)).toMatchObject({ preconditions: { uid: 'u1' } })
  },
)

promise(
  'a watch goes on where it was, however it ended',
  [
    listOf('5', promotion('3')),
    events(modified('6'), { type: 'BOOKMARK', object: { metadata: { resourceVersion: '9' } } }),
    (response) => {
      response.write(`${JSON.stringify(modified('10'))}\n${JSON.stringify(modified('11')).slice(0, 50)}`)
      setImmediate(() => response.destroy())
    },
    lost,
    events(modified('11'), modified('12')),
  ],
  async (api, server) => {
    const told = await take(api.watch(Promotion, { allowWatchBookmarks: true }), 6)
    expect(told).toEqual(['ADDED 3', 'MODIFIED 6', 'BOOKMARK 9', 'MODIFIED 10', 'MODIFIED 11', 'MODIFIED 12'])
    expect(server.asked.map((url) => /resourceVersion=(\d+)/.exec(url)?.[1])).toEqual([
      undefined,
      '5',
      '9',
      '10',
      '10',
    ])
  },
)

promise(
  'a watch of what is not kept any more says so, at its beginning and later',
  [
    refusal(410, 'Expired'),
    events(modified('8'), { type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Gone' } }),
  ],
  async (api) => {
    const from = { resourceVersion: '7' }
    await expect(take(api.watch(Promotion, from), 1)).rejects.toEqual(codeOf('RESOURCE_EXPIRED'))
    await expect(take(api.watch(Promotion, from), 2)).rejects.toEqual(codeOf('RESOURCE_EXPIRED'))
  },
)

promise(
  'a watch ends with its signal, and with the resources',
  [
    (response) => {
      response.flushHeaders()
    },
  ],
  async (api) => {
    const leaving = new AbortController()
    const left = take(api.watch(Promotion, { resourceVersion: '1', signal: leaving.signal }), 1)
    const closed = take(api.watch(Promotion, { resourceVersion: '1' }), 1)
    leaving.abort()
    expect(await left).toEqual([])
    await api.close()
    expect(await closed).toEqual([])
    await expect(api.get(Promotion, sale)).rejects.toEqual(codeOf('COORDINATOR_CLOSED'))
  },
)

promise(
  'the last of several pages says so by nothing',
  [json({ kind: 'PromotionList', metadata: { resourceVersion: '1', continue: '' }, items: [] })],
  async (api) => {
    expect(await api.list(Promotion)).toMatchObject({ metadata: { resourceVersion: '1' } })
    expect((await api.list(Promotion)).metadata).not.toHaveProperty('continue')
  },
)

it('a server that cannot be reached is told, and nothing is done', async () => {
  const server = await scriptedServer(lost)
  await server[Symbol.asyncDispose]()
  await using api = await kubernetesResources({ kubeConfig: server.config, timeout: 50 })
  await expect(api.create(Promotion, draft)).rejects.toEqual(codeOf('COORDINATOR_UNAVAILABLE'))
})

const Pool = defineResource({
  group: 'shop.example',
  kind: 'Pool',
  status: {},
  scale: { specReplicasPath: '.spec.count', statusReplicasPath: '.status.count' },
})
const scale = { apiVersion: 'autoscaling/v1', kind: 'Scale', metadata: sale, spec: { replicas: 3 } }

promise(
  'a scale is read and written at a path of its own',
  [json(scale), json(scale), json(scale)],
  async (api, server) => {
    expect(await api.getScale(Pool, sale)).toEqual(scale)
    await api.updateScale(Pool, { metadata: sale, spec: { replicas: 3 } })
    await api.patchScale(Pool, sale, { type: 'apply', patch: { spec: { replicas: 3 } } })
    await expect(api.getScale(Promotion, sale)).rejects.toEqual(codeOf('RESOURCE_BAD_REQUEST'))
    const path = `${BASE}/namespaces/default/pools/sale/scale`
    const query = '?fieldValidation=Strict&fieldManager=banyan'
    expect(server.asked).toEqual([`GET ${path}`, `PUT ${path}${query}`, `PATCH ${path}${query}`])
    const sent = { ...scale, metadata: { ...sale, namespace: 'default' } }
    expect(server.bodies.filter(Boolean).map((body) => JSON.parse(body) as unknown)).toEqual([sent, sent])
  },
)
