import { describe, expect, it } from 'vitest'
import { noTelemetry } from '../../../src/core/telemetry.js'
import { kubernetesServer } from '../../support/kubernetes-server.js'
import { Promotion, Region } from './promotion.js'

const open = (options: Parameters<typeof kubernetesServer>[1] = {}) =>
  kubernetesServer([Promotion, Region], options)

const GROUP = '/apis/shop.example/v1'
const PROMOTIONS = `${GROUP}/namespaces/default/promotions`
const promotion = (name: string, spec: object = {}, metadata: object = {}) => ({
  apiVersion: 'shop.example/v1',
  kind: 'Promotion',
  metadata: { name, ...metadata },
  spec: { discount: 10, ...spec },
})

describe('discovery', () => {
  it('tells of kinds, step by step', async () => {
    await using server = await open()
    expect((await server.ask('GET', '/api')).body).toMatchObject({ kind: 'APIVersions', versions: ['v1'] })
    expect((await server.ask('GET', '/apis')).body).toMatchObject({
      kind: 'APIGroupList',
      groups: [
        {
          name: 'shop.example',
          versions: [
            { groupVersion: 'shop.example/v1', version: 'v1' },
            { groupVersion: 'shop.example/v1beta1', version: 'v1beta1' },
          ],
          preferredVersion: { groupVersion: 'shop.example/v1', version: 'v1' },
        },
      ],
    })
    expect((await server.ask('GET', '/apis/shop.example')).body).toMatchObject({ name: 'shop.example' })
    expect((await server.ask('GET', GROUP)).body).toMatchObject({
      kind: 'APIResourceList',
      groupVersion: 'shop.example/v1',
      resources: [
        {
          ...{ name: 'promotions', singularName: 'promotion', namespaced: true, kind: 'Promotion' },
          shortNames: ['promo'],
        },
        { name: 'promotions/status', namespaced: true, kind: 'Promotion', verbs: ['get', 'patch', 'update'] },
      ],
    })
  })

  it.each(['v2', 'v2beta1'])('tells of all kinds at once, as %s', async (version) => {
    await using server = await open()
    const type = `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`
    const { body, headers } = await server.ask('GET', '/apis', undefined, {
      accept: `${type},application/json;q=0.9`,
    })
    expect(headers.get('content-type')).toBe(type)
    expect(body).toMatchObject({
      kind: 'APIGroupDiscoveryList',
      apiVersion: `apidiscovery.k8s.io/${version}`,
      items: [
        {
          metadata: { name: 'shop.example' },
          versions: [
            {
              version: 'v1',
              resources: [
                {
                  ...{ resource: 'promotions', scope: 'Namespaced', singularResource: 'promotion' },
                  subresources: [{ subresource: 'status' }],
                },
              ],
            },
            { version: 'v1beta1', resources: [{ resource: 'regions', scope: 'Cluster' }] },
          ],
        },
      ],
    })
    const tag = headers.get('etag')!
    const again = await server.ask('GET', '/apis', undefined, { accept: type, 'if-none-match': tag })
    expect(again.status).toBe(304)
  })

  it('brings schemas, in every form that tools ask for', async () => {
    await using server = await open()
    const { paths } = (await server.ask('GET', '/openapi/v3')).body as {
      paths: Record<string, { serverRelativeURL: string }>
    }
    expect(Object.keys(paths)).toEqual(['apis/shop.example/v1', 'apis/shop.example/v1beta1'])
    const address = paths['apis/shop.example/v1']!.serverRelativeURL
    expect(address).toMatch(/^\/openapi\/v3\/apis\/shop\.example\/v1\?hash=\w+$/)
    expect((await server.ask('GET', address)).body).toMatchObject({ openapi: '3.0.0' })
    expect((await server.ask('GET', '/openapi/v2')).body).toMatchObject({ swagger: '2.0' })
    const protobuf = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf'
    const old = await server.ask('GET', '/openapi/v2', undefined, { accept: protobuf })
    expect([old.status, old.headers.get('content-type')]).toEqual([200, protobuf.replace('@', '.')])
  })

  it('says whether the store answers', async () => {
    await using server = await open()
    expect(await server.ask('GET', '/readyz')).toMatchObject({ status: 200, body: 'ok' })
    server.engine.reach = 'away'
    expect(await server.ask('GET', '/livez')).toMatchObject({ status: 200, body: 'ok' })
    expect((await server.ask('GET', '/version')).body).toMatchObject({ major: '1' })
  })

  it('has namespaces that need not be made', async () => {
    await using server = await open()
    await server.ask('POST', `${GROUP}/namespaces/north/promotions`, promotion('a'))
    const { body } = await server.ask('GET', '/api/v1/namespaces')
    const names = (body as { items: { metadata: { name: string } }[] }).items.map(
      (each) => each.metadata.name,
    )
    expect(names).toEqual(['default', 'north'])
    expect((await server.ask('GET', '/api/v1/namespaces/any')).body).toMatchObject({
      kind: 'Namespace',
      status: { phase: 'Active' },
    })
    expect((await server.ask('GET', '/api/v1/namespaces/any/events')).body).toMatchObject({ items: [] })
  })
})

describe('resources over HTTP', () => {
  it('are made, read, replaced and deleted', async () => {
    await using server = await open()
    const made = await server.ask('POST', PROMOTIONS, promotion('a'))
    expect(made).toMatchObject({
      status: 201,
      body: { metadata: { name: 'a', namespace: 'default', generation: 1 }, spec: { audience: 'all' } },
    })
    const got = await server.ask('GET', `${PROMOTIONS}/a`)
    expect(got).toMatchObject({ status: 200, body: made.body as object })
    const next = { ...(got.body as object), spec: { discount: 20, audience: 'all' } }
    const put = await server.ask('PUT', `${PROMOTIONS}/a`, next)
    expect(put).toMatchObject({ status: 200, body: { spec: { discount: 20 }, metadata: { generation: 2 } } })
    expect(await server.ask('PUT', `${PROMOTIONS}/a`, { ...next, spec: { discount: 30 } })).toMatchObject({
      status: 409,
      body: { kind: 'Status', reason: 'Conflict', code: 409, details: { name: 'a', kind: 'promotions' } },
    })
    const status = { ...(put.body as object), status: { phase: 'Active' } }
    expect(await server.ask('PUT', `${PROMOTIONS}/a/status`, status)).toMatchObject({
      body: { status: { phase: 'Active' }, metadata: { generation: 2 } },
    })
    expect((await server.ask('GET', `${PROMOTIONS}/a/status`)).body).toMatchObject({
      status: { phase: 'Active' },
    })
    expect(await server.ask('DELETE', `${PROMOTIONS}/a`)).toMatchObject({
      status: 200,
      body: { kind: 'Status', status: 'Success', details: { name: 'a', group: 'shop.example' } },
    })
    expect(await server.ask('GET', `${PROMOTIONS}/a`)).toMatchObject({
      status: 404,
      body: { reason: 'NotFound', message: 'promotions.shop.example "a" not found' },
    })
  })

  it('of kinds without namespaces are where they are', async () => {
    await using server = await open()
    const regions = '/apis/shop.example/v1beta1/regions'
    await server.ask('POST', regions, { metadata: { name: 'north' }, spec: {} })
    expect((await server.ask('GET', regions)).body).toMatchObject({
      kind: 'RegionList',
      items: [{ metadata: { name: 'north' } }],
    })
    const within = '/apis/shop.example/v1beta1/namespaces/default/regions'
    expect((await server.ask('GET', within)).status).toBe(404)
    expect((await server.ask('GET', `${regions}/north/status`)).status).toBe(404)
  })

  it('that are only tried are not written', async () => {
    await using server = await open()
    expect(await server.ask('POST', `${PROMOTIONS}?dryRun=All`, promotion('a'))).toMatchObject({
      status: 201,
      body: { spec: { audience: 'all' } },
    })
    expect((await server.ask('GET', `${PROMOTIONS}/a`)).status).toBe(404)
    expect(await server.ask('POST', `${PROMOTIONS}?dryRun=yes`, promotion('a'))).toMatchObject({
      status: 422,
      body: {
        reason: 'Invalid',
        details: { causes: [{ reason: 'FieldValueNotSupported', field: 'dryRun' }] },
      },
    })
    await server.ask('POST', PROMOTIONS, promotion('a'))
    await server.ask('DELETE', `${PROMOTIONS}/a`, { kind: 'DeleteOptions', dryRun: ['All'] })
    await server.ask('DELETE', `${PROMOTIONS}?dryRun=All`)
    expect((await server.ask('GET', `${PROMOTIONS}/a`)).status).toBe(200)
  })

  it('with fields that nobody knows are taken with a warning, or refused', async () => {
    await using server = await open()
    const { headers, status } = await server.ask('POST', PROMOTIONS, promotion('a', { 'q"uö': 1 }))
    expect(status).toBe(201)
    expect(headers.get('warning')).toBe(String.raw`299 - "unknown field \"spec.q\\\"u?\""`)
    const strict = await server.ask('POST', `${PROMOTIONS}?fieldValidation=Strict`, promotion('b', { x: 1 }))
    expect(strict).toMatchObject({ status: 400, body: { reason: 'BadRequest' } })
    expect((strict.body as { message: string }).message).toContain('unknown field "spec.x"')
    const ignored = await server.ask('POST', `${PROMOTIONS}?fieldValidation=Ignore`, promotion('c', { x: 1 }))
    expect(ignored.headers.get('warning')).toBeNull()
  })

  it('that are wrong are refused with everything that is wrong', async () => {
    await using server = await open()
    expect(await server.ask('POST', PROMOTIONS, promotion('A', { discount: 100, codes: [1] }))).toMatchObject(
      {
        status: 422,
        body: { reason: 'Invalid', details: { causes: [{ field: 'metadata.name' }, {}, {}] } },
      },
    )
    const elsewhere = promotion('a', {}, { namespace: 'other' })
    expect((await server.ask('POST', PROMOTIONS, elsewhere)).body).toMatchObject({
      code: 400,
      message: expect.stringContaining('does not match the namespace') as string,
    })
    expect((await server.ask('PUT', `${PROMOTIONS}/b`, promotion('a'))).body).toMatchObject({
      code: 400,
      message: expect.stringContaining('does not match the name on the URL') as string,
    })
  })

  it('may be written in YAML', async () => {
    await using server = await open()
    const yaml = { 'content-type': 'application/yaml' }
    const text = 'metadata:\n  name: a\nspec:\n  discount: 15\n'
    expect(await server.ask('POST', PROMOTIONS, text, yaml)).toMatchObject({
      status: 201,
      body: { spec: { discount: 15 } },
    })
    for (const wrong of [
      'a: [',
      'a: &x [1]\nb: *x\n',
      'a: 1\n---\nb: 2\n',
      '['.repeat(100_000),
      '- '.repeat(2000),
    ])
      expect(await server.ask('POST', PROMOTIONS, wrong, yaml)).toMatchObject({
        status: 400,
        body: { reason: 'BadRequest' },
      })
  })

  it('are patched, in each way but the one that only Kubernetes has the types for', async () => {
    await using server = await open()
    const patch = (type: string, body: unknown, query = '', part = '') =>
      server.ask('PATCH', `${PROMOTIONS}/a${part}${query}`, body, { 'content-type': `application/${type}` })
    const config = promotion('a', { codes: ['x'] })
    expect((await patch('apply-patch+yaml', config, '?fieldManager=one&dryRun=All')).status).toBe(201)
    const applied = await patch('apply-patch+yaml', config, '?fieldManager=one')
    expect((await patch('apply-patch+yaml', config, '?fieldManager=one')).status).toBe(200)
    expect(applied).toMatchObject({
      status: 201,
      body: { spec: { discount: 10 }, metadata: { managedFields: [{ manager: 'one', operation: 'Apply' }] } },
    })
    const merged = await patch('merge-patch+json', { spec: { codes: null } })
    expect(merged.body).not.toHaveProperty('spec.codes')
    const operations = [{ op: 'replace', path: '/spec/discount', value: 12 }]
    expect((await patch('json-patch+json', operations, '?fieldManager=two')).body).toMatchObject({
      spec: { discount: 12 },
    })
    const conflict = await patch('apply-patch+yaml', promotion('a'), '?fieldManager=one')
    expect(conflict).toMatchObject({
      status: 409,
      body: { reason: 'Conflict', details: { causes: [{ reason: 'FieldManagerConflict' }] } },
    })
    const forced = await patch('apply-patch+yaml', promotion('a'), '?fieldManager=one&force=true')
    expect(forced.body).toMatchObject({ spec: { discount: 10 } })
    const status = await patch('merge-patch+json', { status: { phase: 'On' } }, '', '/status')
    expect(status.body).toMatchObject({ status: { phase: 'On' } })
    const fields = (status.body as { metadata: { managedFields: object[] } }).metadata.managedFields
    expect(fields.at(-1)).toMatchObject({ subresource: 'status', operation: 'Update' })
    const forcedMerge = await patch('merge-patch+json', {}, '?force=true')
    expect(forcedMerge.body).toMatchObject({ code: 422, reason: 'Invalid' })
    for (const wrong of [[], 1, '"text"'])
      expect((await patch('merge-patch+json', wrong)).body).toMatchObject({ code: 400 })
    for (const wrong of [{}, 'text'])
      expect((await patch('json-patch+json', wrong)).body).toMatchObject({ code: 400 })
  })

  it('are managed by who is named, or by the client', async () => {
    await using server = await open()
    const agent = { 'user-agent': 'curl/8.1' }
    const { body } = await server.ask('POST', PROMOTIONS, promotion('a'), agent)
    expect(body).toMatchObject({ metadata: { managedFields: [{ manager: 'curl', operation: 'Update' }] } })
  })

  it('that wait for finalizers are given, not gone', async () => {
    await using server = await open()
    await server.ask('POST', PROMOTIONS, promotion('a', {}, { finalizers: ['shop.example/x'] }))
    const deleted = await server.ask('DELETE', `${PROMOTIONS}/a`, {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      propagationPolicy: 'Foreground',
    })
    expect(deleted.body).toMatchObject({
      kind: 'Promotion',
      metadata: { finalizers: ['shop.example/x', 'foregroundDeletion'], deletionGracePeriodSeconds: 0 },
    })
    const preconditions = { preconditions: { uid: 'other' } }
    expect((await server.ask('DELETE', `${PROMOTIONS}/a`, preconditions)).status).toBe(409)
    const both = { propagationPolicy: 'Orphan', orphanDependents: true }
    expect((await server.ask('DELETE', `${PROMOTIONS}/a`, both)).status).toBe(422)
    expect((await server.ask('DELETE', `${PROMOTIONS}/a?orphanDependents=true`)).body).toMatchObject({
      metadata: { finalizers: ['shop.example/x', 'orphan'] },
    })
  })

  it.each<[unknown]>([
    [[]],
    ['"x"'],
    [{ preconditions: 'x' }],
    [{ preconditions: { uid: 5 } }],
    [{ dryRun: 'All' }],
    [{ gracePeriodSeconds: 'x' }],
    [{ orphanDependents: 'true' }],
  ])('are not deleted by what cannot be understood: %j', async (wrong) => {
    await using server = await open()
    await server.ask('POST', PROMOTIONS, promotion('a'))
    for (const path of [`${PROMOTIONS}/a`, PROMOTIONS])
      expect((await server.ask('DELETE', path, wrong)).body).toMatchObject({
        code: 400,
        reason: 'BadRequest',
      })
    expect((await server.ask('GET', `${PROMOTIONS}/a`)).status).toBe(200)
    for (const [query, body] of [
      ['?dryRun=All', { dryRun: [] }],
      ['', { dryRun: ['All'] }],
    ] as const)
      expect((await server.ask('DELETE', `${PROMOTIONS}/a${query}`, body)).status).toBe(200)
    expect((await server.ask('GET', `${PROMOTIONS}/a`)).status).toBe(200)
    const unset = { preconditions: null, dryRun: null, gracePeriodSeconds: 0, orphanDependents: false }
    expect((await server.ask('DELETE', `${PROMOTIONS}/a`, unset)).status).toBe(200)
  })

  it('are deleted all at once, if they are selected', async () => {
    await using server = await open()
    for (const name of ['a', 'b', 'c'])
      await server.ask(
        'POST',
        PROMOTIONS,
        promotion(name, {}, { labels: { on: name === 'b' ? 'no' : 'yes' } }),
      )
    const { body } = await server.ask('DELETE', `${PROMOTIONS}?labelSelector=on%3Dyes`)
    expect((body as { items: object[] }).items).toHaveLength(2)
    expect((await server.ask('GET', PROMOTIONS)).body).toMatchObject({ items: [{ metadata: { name: 'b' } }] })
  })
})

describe('lists over HTTP', () => {
  it('are selected, and come in pages', async () => {
    await using server = await open()
    for (const name of ['a', 'b', 'c'])
      await server.ask('POST', PROMOTIONS, promotion(name, name === 'b' ? { audience: 'members' } : {}))
    const first = await server.ask('GET', `${PROMOTIONS}?limit=2&unknown=1`)
    const { metadata, items } = first.body as { metadata: { continue: string }; items: object[] }
    expect(metadata).toMatchObject({ remainingItemCount: 1 })
    expect(items).toMatchObject([{ metadata: { name: 'a' } }, { metadata: { name: 'b' } }])
    const second = await server.ask('GET', `${PROMOTIONS}?limit=2&continue=${metadata.continue}`)
    expect(second.body).toMatchObject({ items: [{ metadata: { name: 'c' } }] })
    const selected = await server.ask('GET', `${GROUP}/promotions?fieldSelector=spec.audience%3Dmembers`)
    expect(selected.body).toMatchObject({ kind: 'PromotionList', items: [{ metadata: { name: 'b' } }] })
    expect((await server.ask('GET', `${PROMOTIONS}?limit=x`)).status).toBe(400)
    expect((await server.ask('GET', `${PROMOTIONS}?fieldSelector=spec.no%3D1`)).status).toBe(400)
    for (const wrong of ['=No', '=Exact', '=NotOlderThan', '=Exact&resourceVersion=0', '=Exact&continue=x'])
      expect((await server.ask('GET', `${PROMOTIONS}?resourceVersionMatch${wrong}`)).body).toMatchObject({
        ...{ code: 422, reason: 'Invalid', details: { causes: [{ field: 'resourceVersionMatch' }] } },
      })
  })

  it('of many come in parts, whole all the same', async () => {
    await using server = await open()
    const made = Array.from({ length: 1200 }, (_, index) =>
      server.api.create(Promotion, { metadata: { name: `p-${index}` }, spec: { discount: 10 } }),
    )
    await Promise.all(made)
    const { body, headers } = await server.ask('GET', PROMOTIONS)
    expect(headers.get('content-length')).toBeNull()
    expect((body as { items: object[] }).items).toHaveLength(1200)
    const table = await server.ask('GET', PROMOTIONS, undefined, {
      accept: 'application/json;as=Table;v=v1;g=meta.k8s.io',
    })
    expect((table.body as { rows: object[] }).rows).toHaveLength(1200)
    expect((await server.ask('DELETE', PROMOTIONS)).status).toBe(200)
  })

  it('are tables, or only metadata, for those who want that', async () => {
    await using server = await open()
    await server.ask('POST', PROMOTIONS, promotion('a'))
    const as = async (accept: string, path = PROMOTIONS) =>
      (await server.ask('GET', path, undefined, { accept })).body
    const table =
      'application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io'
    expect(await as(`${table},application/json`)).toMatchObject({
      kind: 'Table',
      rows: [{ cells: ['a', '0s'], object: { kind: 'PartialObjectMetadata' } }],
    })
    expect(await as(table, `${PROMOTIONS}/a?includeObject=None`)).toMatchObject({
      rows: [{ cells: ['a', '0s'] }],
    })
    const partial = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io'
    expect(await as(partial)).toMatchObject({
      kind: 'PartialObjectMetadataList',
      items: [{ kind: 'PartialObjectMetadata', metadata: { name: 'a' } }],
    })
    expect(await as('application/vnd.kubernetes.protobuf,application/json')).toMatchObject({
      kind: 'PromotionList',
    })
    expect(await as('application/vnd.kubernetes.protobuf')).toMatchObject({ kind: 'Status', code: 406 })
  })
})

it('what can be read can be asked for without its body', async () => {
  await using server = await open()
  await server.ask('POST', PROMOTIONS, promotion('a'))
  for (const path of [PROMOTIONS, `${PROMOTIONS}/a`, `${PROMOTIONS}?watch=true`]) {
    const { status, body, headers } = await server.ask('HEAD', path)
    expect([status, body, headers.get('content-type')]).toEqual([200, '', 'application/json'])
  }
  expect((await server.ask('HEAD', `${PROMOTIONS}/b`)).status).toBe(404)
})

describe('watches over HTTP', () => {
  it('begin at once, and tell what happens', async () => {
    await using server = await open()
    const { metadata } = (await server.ask('GET', PROMOTIONS)).body as {
      metadata: { resourceVersion: string }
    }
    const watching = await server.watch(
      `${PROMOTIONS}?watch=true&resourceVersion=${metadata.resourceVersion}&labelSelector=!off`,
    )
    expect(watching.status).toBe(200)
    await server.ask('POST', PROMOTIONS, promotion('a'))
    const added = await watching.next()
    expect(added).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'a' } } })
    await server.ask('PUT', `${PROMOTIONS}/a`, {
      ...(added!.object as object),
      spec: { discount: 11, audience: 'all' },
    })
    expect(await watching.next()).toMatchObject({ type: 'MODIFIED', object: { spec: { discount: 11 } } })
    await server.ask('DELETE', `${PROMOTIONS}/a`)
    expect(await watching.next()).toMatchObject({ type: 'DELETED', object: { metadata: { name: 'a' } } })
    await watching.close()
  })

  it('may begin with what there is, and say when that is all', async () => {
    await using server = await open()
    await server.ask('POST', PROMOTIONS, promotion('a'))
    const streaming = 'sendInitialEvents=true&resourceVersionMatch=NotOlderThan'
    const watching = await server.watch(`${PROMOTIONS}?watch=1&${streaming}&allowWatchBookmarks=true`)
    expect(await watching.next()).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'a' } } })
    expect(await watching.next()).toMatchObject({
      type: 'BOOKMARK',
      object: { kind: 'Promotion', metadata: { annotations: { 'k8s.io/initial-events-end': 'true' } } },
    })
    await watching.close()
    const unmatched = await server.watch(`${PROMOTIONS}?watch=1&sendInitialEvents=true`)
    expect(unmatched.status).toBe(422)
    const now = await server.watch(
      `${PROMOTIONS}?watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan`,
    )
    await server.ask('POST', PROMOTIONS, promotion('b'))
    expect(await now.next()).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'b' } } })
    await now.close()
  })

  it('end when the time of the client, or of the server, is over', async () => {
    const closing = new AbortController()
    await using server = await open({ closing: closing.signal })
    const { clock } = server.world.runtime
    const short = await server.watch(`${PROMOTIONS}?watch=1&timeoutSeconds=5`)
    const long = await server.watch(`${PROMOTIONS}?watch=1&allowWatchBookmarks=true`)
    const end = short.next()
    await clock.advance('6s')
    expect(await end).toBeUndefined()
    const bookmark = long.next()
    await clock.advance('2m')
    expect(await bookmark).toMatchObject({ type: 'BOOKMARK' })
    closing.abort()
    let last = await long.next()
    while (last) last = await long.next()
    expect(last).toBeUndefined()
  })

  it('from a version that is not kept any more say that one has to list again', async () => {
    await using server = await open({ window: 2 })
    await server.ask('POST', PROMOTIONS, promotion('a'))
    await server.ask('GET', `${PROMOTIONS}?resourceVersion=0`)
    for (const name of ['b', 'c', 'd', 'e']) await server.ask('POST', PROMOTIONS, promotion(name))
    const watching = await server.watch(`${PROMOTIONS}?watch=1&resourceVersion=1`)
    expect(await watching.next()).toMatchObject({
      type: 'ERROR',
      object: { kind: 'Status', reason: 'Expired', code: 410 },
    })
    expect(await watching.next()).toBeUndefined()
    const list = await server.ask('GET', `${PROMOTIONS}?resourceVersion=1&resourceVersionMatch=Exact`)
    expect(list).toMatchObject({ status: 410, body: { reason: 'Expired' } })
    const ahead = await server.ask('GET', `${PROMOTIONS}?resourceVersion=99999`)
    expect(ahead).toMatchObject({
      status: 504,
      body: { details: { causes: [{ reason: 'ResourceVersionTooLarge' }], retryAfterSeconds: 1 } },
    })
    expect(ahead.headers.get('retry-after')).toBe('1')
  })

  it('are tables for those who want them, whose columns are said once', async () => {
    await using server = await open()
    await server.ask('POST', PROMOTIONS, promotion('a'))
    await server.ask('POST', PROMOTIONS, promotion('b'))
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io'
    const watching = await server.watch(`${PROMOTIONS}?watch=true`, { accept })
    const [first, second] = [await watching.next(), await watching.next()]
    expect(first).toMatchObject({ object: { kind: 'Table', rows: [{ cells: ['a', '0s'] }] } })
    expect((first!.object as { columnDefinitions: object[] }).columnDefinitions).toHaveLength(2)
    expect(second).toMatchObject({ object: { columnDefinitions: [], rows: [{ cells: ['b', '0s'] }] } })
    await watching.close()
  })
})

describe('what cannot be answered', () => {
  it('is told as a Status', async () => {
    await using server = await open()
    const refused = async (
      method: string,
      path: string,
      body?: unknown,
      headers?: Record<string, string>,
    ): Promise<[number, string]> => {
      const answer = await server.ask(method, path, body, headers)
      const { kind, code, reason } = answer.body as { kind: string; code: number; reason: string }
      expect([kind, code]).toEqual(['Status', answer.status])
      return [answer.status, reason]
    }
    expect(await refused('GET', '/nothing')).toEqual([404, 'NotFound'])
    expect(await refused('GET', '/apis/other.example/v1/things')).toEqual([404, 'NotFound'])
    expect(await refused('GET', `${PROMOTIONS}/a/log`)).toEqual([404, 'NotFound'])
    expect(await refused('GET', `${PROMOTIONS}/%zz`)).toEqual([404, 'NotFound'])
    expect(await refused('POST', `${GROUP}/promotions`, promotion('a'))).toEqual([405, 'MethodNotAllowed'])
    expect(await refused('POST', `${PROMOTIONS}/a`, promotion('a'))).toEqual([405, 'MethodNotAllowed'])
    expect(await refused('DELETE', '/api/v1/namespaces/a')).toEqual([405, 'MethodNotAllowed'])
    expect(await refused('POST', '/api/v1/namespaces', {})).toEqual([400, 'BadRequest'])
    expect(await refused('POST', PROMOTIONS, '{"metadata":')).toEqual([400, 'BadRequest'])
    expect(await refused('POST', PROMOTIONS, '[]')).toEqual([400, 'BadRequest'])
    expect(await refused('POST', PROMOTIONS, 'null')).toEqual([400, 'BadRequest'])
    expect(await refused('POST', PROMOTIONS)).toEqual([400, 'BadRequest'])
    expect(
      await refused('POST', PROMOTIONS, 'k8s', { 'content-type': 'application/vnd.kubernetes.protobuf' }),
    ).toEqual([415, 'UnsupportedMediaType'])
    expect(
      await refused('PATCH', `${PROMOTIONS}/a`, '{}', {
        'content-type': 'application/strategic-merge-patch+json',
      }),
    ).toEqual([415, 'UnsupportedMediaType'])
    expect(
      await refused('PATCH', `${PROMOTIONS}/a`, '{}', { 'content-type': 'application/apply-patch+yaml' }),
    ).toEqual([422, 'Invalid'])
    const long = JSON.stringify(promotion('a', { note: 'x'.repeat(4 * 1024 * 1024) }))
    expect(await refused('POST', PROMOTIONS, long)).toEqual([413, 'RequestEntityTooLarge'])
    const kept = JSON.stringify(promotion('a', { codes: ['x'.repeat(300 * 1024)] }))
    expect(await refused('POST', PROMOTIONS, kept)).toEqual([413, 'RequestEntityTooLarge'])
  })
})

describe('a store that fails', () => {
  it('is told of, with what became of the request, and operators hear why', async () => {
    const logged: string[] = []
    const log = (_: string, message: string): void => void logged.push(message)
    await using server = await open({ telemetry: { ...noTelemetry, log } })
    await server.ask('GET', PROMOTIONS)
    server.engine.reach = 'away'
    const away = await server.ask('POST', PROMOTIONS, promotion('a'))
    expect(away).toMatchObject({
      status: 503,
      body: { reason: 'ServiceUnavailable', details: { retryAfterSeconds: 1 } },
    })
    expect(away.headers.get('retry-after')).toBe('1')
    expect((await server.ask('GET', '/readyz')).status).toBe(503)
    expect((await server.ask('GET', '/livez')).status).toBe(200)
    server.engine.reach = 'there'
    server.engine.losesAnswers = true
    expect(await server.ask('POST', PROMOTIONS, promotion('b'))).toMatchObject({
      status: 504,
      body: { reason: 'Timeout' },
    })
    server.engine.losesAnswers = false
    // Of each kind once a second, however many there are.
    expect(logged).toEqual([
      'a request for resources failed: connection refused',
      'a request for resources failed: connection lost',
    ])
  })
})

describe('access', () => {
  it('is for those who come by address, if nobody else decides', async () => {
    await using server = await open()
    const { port } = new URL(server.url)
    expect((await ask(port, { host: 'evil.example' })).status).toBe(421)
    expect((await ask(port, { host: `localhost:${port}` })).status).toBe(200)
    expect((await ask(port, { origin: 'http://evil.example' })).status).toBe(403)
  })

  it('is decided about each request', async () => {
    const asked: object[] = []
    await using server = await open({
      authorize: (access) => {
        asked.push(access)
        return access.token === 'good' ? access.verb !== 'delete' : 'unknown'
      },
    })
    const bearer = { authorization: 'Bearer good' }
    const unknown = await server.ask('GET', PROMOTIONS)
    expect(unknown).toMatchObject({ status: 401, body: { reason: 'Unauthorized' } })
    expect(unknown.headers.get('www-authenticate')).toBe('Bearer')
    expect((await server.ask('GET', PROMOTIONS, undefined, bearer)).status).toBe(200)
    expect((await server.ask('DELETE', `${PROMOTIONS}/a`, undefined, bearer)).body).toMatchObject({
      code: 403,
      reason: 'Forbidden',
      message: expect.stringMatching(
        /^promotions\.shop\.example "a" is forbidden: .* cannot delete/,
      ) as string,
    })
    expect(asked.at(-1)).toMatchObject({
      ...{ verb: 'delete', group: 'shop.example', resource: 'promotions', namespace: 'default', name: 'a' },
    })
    expect((await server.ask('GET', '/nothing')).status).toBe(401)
  })
})

it('who may only watch may not write by saying so', async () => {
  await using server = await open({ authorize: ({ verb }) => verb === 'watch' })
  await server.api.create(Promotion, { metadata: { name: 'a' }, spec: { discount: 10 } })
  expect((await server.ask('POST', `${PROMOTIONS}?watch=true`, promotion('b'))).status).toBe(403)
  expect((await server.ask('DELETE', `${PROMOTIONS}?watch=true`)).status).toBe(403)
  expect((await server.api.list(Promotion)).items).toHaveLength(1)
})

it('what is read of the API is told to who decides as it is found, however it was spelled', async () => {
  await using server = await open({ authorize: ({ path }) => !path.startsWith('/openapi') })
  expect((await server.ask('GET', '/openapi/v3')).status).toBe(403)
  expect((await server.ask('GET', '/%6fpenapi/v3')).status).toBe(403)
})

/** With fields that `fetch` does not let one set. */
async function ask(port: string, headers: Record<string, string>): Promise<{ status: number }> {
  const { request } = await import('node:http')
  return new Promise((resolve, reject) => {
    request({ port, host: '127.0.0.1', path: '/apis', headers }, (response) => {
      response.resume()
      resolve({ status: response.statusCode! })
    })
      .on('error', reject)
      .end()
  })
}
