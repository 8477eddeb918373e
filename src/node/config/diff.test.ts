import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { NodeSpec } from '../spec.js'
import { diffSpecs, summarise, type ConfigChange } from './diff.js'
import { redact, redactChange } from './redact.js'

const base: NodeSpec = {
  listen: [8080],
  admin: '127.0.0.1:8081',
  limits: {},
  trust: [],
  drain: { delay: 0, grace: '10s' },
  services: { orders: { endpoints: ['http://10.0.0.1:80', 'http://10.0.0.2:80'], policy: 'patient' } },
  policies: { patient: { timeout: '2s', retry: { attempts: 3 } } },
  routes: { orders: { match: { path: '/orders/*' }, to: 'orders' }, all: { match: {}, to: 'orders' } },
}

const differences = (after: Partial<NodeSpec>): ConfigChange[] => diffSpecs(base, { ...base, ...after })

describe('a difference', () => {
  test('is one for a whole thing that is new or gone', () => {
    const slow = { endpoints: ['http://10.0.0.9:80'] }
    expect(differences({ services: { ...base.services, slow } })).toEqual([
      { kind: 'added', path: ['services', 'slow'], after: slow },
    ])
    expect(differences({ policies: {} })).toEqual([
      { kind: 'removed', path: ['policies', 'patient'], before: base.policies!['patient'] },
    ])
  })

  test('is one for each field that changed, however deep', () => {
    expect(
      differences({ policies: { patient: { timeout: '3s', retry: { attempts: 2 }, tryTimeout: '1s' } } }),
    ).toEqual([
      { kind: 'changed', path: ['policies', 'patient', 'timeout'], before: '2s', after: '3s' },
      { kind: 'changed', path: ['policies', 'patient', 'retry', 'attempts'], before: 3, after: 2 },
      { kind: 'added', path: ['policies', 'patient', 'tryTimeout'], after: '1s' },
    ])
  })

  test('is one for each element of a list that has a name, such as an endpoint', () => {
    const endpoints = ['http://10.0.0.2:80', { url: 'http://10.0.0.3:80', weight: 2 }]
    expect(differences({ services: { orders: { endpoints, policy: 'patient' } } })).toEqual([
      {
        kind: 'removed',
        path: ['services', 'orders', 'endpoints', 'http://10.0.0.1:80'],
        before: 'http://10.0.0.1:80',
      },
      {
        kind: 'added',
        path: ['services', 'orders', 'endpoints', 'http://10.0.0.3:80'],
        after: { url: 'http://10.0.0.3:80', weight: 2 },
      },
    ])
  })

  test('is told of a list that only has another order', () => {
    const endpoints = [...base.services['orders']!.endpoints!].reverse()
    expect(differences({ services: { orders: { endpoints, policy: 'patient' } } })).toEqual([
      {
        kind: 'changed',
        path: ['services', 'orders', 'endpoints'],
        before: base.services['orders']!.endpoints,
        after: endpoints,
      },
    ])
  })

  test('is told of routes in another order, as the first of two that fit equally well takes a request', () => {
    const { orders, all } = base.routes
    expect(differences({ routes: { all: all!, orders: orders! } })).toEqual([
      { kind: 'changed', path: ['routes'], before: ['orders', 'all'], after: ['all', 'orders'] },
    ])
    expect(differences({ services: { ...base.services } })).toEqual([])
  })

  test('is summarised by things, not by fields', () => {
    const slow = { endpoints: ['http://10.0.0.9:80'] }
    const changes = differences({
      services: { orders: { endpoints: ['http://10.0.0.1:80'] }, slow },
      policies: {},
      listen: [8080, 8443],
    })
    expect(summarise(changes)).toBe('listen +1, services +1 ~1, policies -1')
  })
})

describe('of any two configurations', () => {
  const name = fc.constantFrom('a', 'b', 'c')
  const value = fc.oneof(fc.integer(), fc.boolean(), fc.constantFrom('x', 'y'), fc.constant({ deep: 1 }))
  const thing = fc.dictionary(name, fc.oneof(value, fc.dictionary(name, value), fc.array(value)))
  const spec = fc
    .record({ services: fc.dictionary(name, thing), routes: fc.dictionary(name, thing) })
    .map((parts) => ({ ...base, ...parts }) as unknown as NodeSpec)

  test('there is a difference if and only if they differ', () => {
    fc.assert(
      fc.property(spec, spec, (a, b) => {
        expect(diffSpecs(a, a)).toEqual([])
        const text = (each: NodeSpec): string => JSON.stringify([sorted(each), Object.keys(each.routes)])
        expect(diffSpecs(a, b).length === 0).toBe(text(a) === text(b))
      }),
      { numRuns: 500 },
    )
  })

  test('the way back is the same with sides exchanged', () => {
    const opposite = { added: 'removed', removed: 'added', changed: 'changed' } as const
    const key = ({ path, kind }: ConfigChange): string => JSON.stringify([path, kind])
    fc.assert(
      fc.property(spec, spec, (a, b) => {
        const there = diffSpecs(a, b).map((change) => ({ ...change, kind: opposite[change.kind] }))
        expect(there.map(key).sort()).toEqual(diffSpecs(b, a).map(key).sort())
      }),
      { numRuns: 500 },
    )
  })
})

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.entries(value)
    .map(([name, each]: [string, unknown]): [string, unknown] => [name, sorted(each)])
    .sort(([a], [b]) => (a < b ? -1 : 1))
}

describe('secrets', () => {
  test('are hidden on both sides of a difference, which is still told', () => {
    expect(
      redactChange({ kind: 'changed', path: ['auth', 'clientSecret'], before: 'old', after: 'new' }),
    ).toEqual({ kind: 'changed', path: ['auth', 'clientSecret'], before: '(hidden)', after: '(hidden)' })
  })

  test('are hidden by the name of their field, with all that is below it', () => {
    expect(
      redact({
        headers: { request: { set: { Authorization: 'Bearer x', 'X-Api-Key': 'y', Accept: '*/*' } } },
        secrets: { a: 'one', b: ['two', 'three'] },
        passphrase: 'p',
      }),
    ).toEqual({
      headers: { request: { set: { Authorization: '(hidden)', 'X-Api-Key': '(hidden)', Accept: '*/*' } } },
      secrets: { a: '(hidden)', b: ['(hidden)', '(hidden)'] },
      passphrase: '(hidden)',
    })
  })

  test('leave where a secret is to be found, which is none', () => {
    const authenticators = {
      ours: {
        introspection: { clientSecret: { env: 'INTROSPECTION_SECRET' } },
        apiKey: { keys: { alice: { hash: 'sha256:00', subject: 'alice' } }, from: ['header:X-Api-Key'] },
        jwt: { keys: { list: [{ kty: 'oct', kid: '1', k: 'c2VjcmV0' }] } },
      },
    }
    expect(redact({ authenticators })).toEqual({
      authenticators: {
        ours: {
          introspection: { clientSecret: { env: 'INTROSPECTION_SECRET' } },
          apiKey: { keys: { alice: { hash: '(hidden)', subject: 'alice' } }, from: ['header:X-Api-Key'] },
          jwt: { keys: { list: [{ kty: 'oct', kid: '1', k: '(hidden)' }] } },
        },
      },
    })
  })

  test('of a map are hidden one by one', () => {
    expect(redactChange({ kind: 'added', path: ['x', 'secrets', 'a'], after: 'one' })).toMatchObject({
      after: '(hidden)',
    })
    expect(redactChange({ kind: 'added', path: ['x', 'clientSecret', 'env'], after: 'NAME' })).toMatchObject({
      after: 'NAME',
    })
  })

  test('in a URL are hidden, the rest of it is shown', () => {
    expect(redact({ url: 'redis://user:pass@10.0.0.1:6379/0' })).toEqual({
      url: 'redis://(hidden)@10.0.0.1:6379/0',
    })
  })

  test('leave settings that only sound like them: numbers, switches, names of fields and files', () => {
    const settings = {
      rateLimit: { by: 'header:X-Api-Key', tokens: 5 },
      tls: { certificates: [{ cert: '/etc/a.pem', key: '/etc/a.key' }] },
      cookie: true,
    }
    expect(redact(settings)).toEqual(settings)
  })
})
