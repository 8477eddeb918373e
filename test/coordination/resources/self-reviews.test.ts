import { expect, it } from 'vitest'
import type { ResourceAccess } from '../../../src/coordination/index.js'
import { kubernetesServer } from '../../support/kubernetes-server.js'
import { Promotion, Region } from './promotion.js'

const ACCESS = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'
const WHOAMI = '/apis/authentication.k8s.io/v1/selfsubjectreviews'
const protobuf = { 'content-type': 'application/vnd.kubernetes.protobuf' }

/** What kubectl 1.35 sends for `auth can-i get promotions/x --subresource=status -n foo`. */
const CAN_I =
  '6b3873000a320a17617574686f72697a6174696f6e2e6b38732e696f2f7631121753656c665375626a656374416363657373526576696577' +
  '12510a100a0012001a0022002a0032003800420012330a310a03666f6f12036765741a0c73686f702e6578616d706c6522002a0a70726f6d' +
  '6f74696f6e7332067374617475733a01781a08080012001a0020001a002200'
/** The same for `create namespace north`. */
const NORTH =
  '6b3873000a0f0a02763112094e616d657370616365121d0a150a056e6f72746812001a0022002a0032003800420012001a020a001a002200'
const bytes = (hex: string): string => Buffer.from(hex, 'hex').toString('latin1')

async function open(authorize?: (access: ResourceAccess) => boolean) {
  const server = await kubernetesServer([Promotion, Region], { ...(authorize && { authorize }) })
  const can = async (spec: object): Promise<unknown> => {
    const { body } = await server.ask('POST', ACCESS, { spec })
    return (body as { status: { allowed: unknown } }).status.allowed
  }
  return { ...server, [Symbol.asyncDispose]: server[Symbol.asyncDispose].bind(server), can }
}

it('who asks what it may is told what the hook says', async () => {
  const asked: ResourceAccess[] = []
  await using server = await open((access) => {
    asked.push(access)
    return access.verb === 'get' && !access.path.startsWith('/openapi')
  })
  const group = 'shop.example'
  const bearer = { authorization: 'Bearer one', ...protobuf }
  const answer = await server.ask('POST', ACCESS, bytes(CAN_I), bearer)
  const attributes = {
    namespace: 'foo',
    verb: 'get',
    group,
    resource: 'promotions',
    subresource: 'status',
    name: 'x',
  }
  expect(answer).toMatchObject({
    status: 201,
    body: {
      ...{ apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview' },
      ...{ spec: { resourceAttributes: attributes }, status: { allowed: true } },
    },
  })
  expect(asked.at(-1)).toEqual({
    ...attributes,
    ...{ user: undefined, token: 'one', path: '/apis/shop.example/v1/namespaces/foo/promotions/x/status' },
  })
  const promotions = { group, resource: 'promotions' }
  expect(await server.can({ resourceAttributes: { ...promotions, verb: 'delete' } })).toBe(false)
  expect(await server.can({ resourceAttributes: { ...promotions, verb: '*' } })).toBe(false)
  expect(await server.can({ resourceAttributes: { group: '*', resource: '*', verb: 'get' } })).toBe(true)
  expect(await server.can({ resourceAttributes: { resource: 'pods', verb: 'get' } })).toBe(false)
  expect(await server.can({ nonResourceAttributes: { path: '/version', verb: 'get' } })).toBe(true)
  expect(await server.can({ nonResourceAttributes: { path: '/openapi/v3', verb: 'get' } })).toBe(false)
})

it('where nobody decides, everything may be done with what there is', async () => {
  await using server = await open()
  const all = { group: '*', resource: '*', verb: '*' }
  expect(await server.can({ resourceAttributes: all })).toBe(true)
  // As `kubectl auth can-i '*' '*'` asks.
  expect(await server.can({ resourceAttributes: { resource: '*', verb: '*' } })).toBe(true)
  expect(await server.can({ resourceAttributes: { ...all, resource: 'pods' } })).toBe(false)
  expect((await server.ask('POST', WHOAMI, {})).body).toMatchObject({
    ...{ apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
    status: { userInfo: { username: 'system:anonymous' } },
  })
})

it('what tools send of kinds that are built in may be in Protocol Buffers', async () => {
  await using server = await open()
  const made = await server.ask('POST', '/api/v1/namespaces', bytes(NORTH), protobuf)
  expect(made).toMatchObject({ status: 201, body: { metadata: { name: 'north' } } })
  for (const wrong of [
    '',
    'k8s',
    'k8s\0',
    bytes(NORTH).slice(0, -3),
    `k8s\0${'\x0f'.repeat(9)}`,
    `k8s\0\x12\x7f`,
  ])
    expect((await server.ask('POST', '/api/v1/namespaces', wrong, protobuf)).status).toBe(400)
  for (const wrong of ['k8s\0', bytes(CAN_I).slice(0, -9)])
    expect((await server.ask('POST', ACCESS, wrong, protobuf)).status).toBe(400)
  for (const wrong of [{}, { spec: [] }, { spec: { resourceAttributes: { verb: 1 } } }])
    expect((await server.ask('POST', ACCESS, wrong)).status).toBe(400)
})
