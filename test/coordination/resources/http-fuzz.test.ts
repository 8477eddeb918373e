import { expect, it } from 'vitest'
import { seededRandom, type Random } from '../../../src/core/random.js'
import { SEED, times } from '../../support/effort.js'
import { kubernetesServer } from '../../support/kubernetes-server.js'
import { Promotion, Region } from './promotion.js'

const one = <Value>(random: Random, values: readonly Value[]): Value =>
  values[Math.floor(random.next() * values.length)]!

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS']
const PATHS = [
  ...['/', '/api', '/api/v1', '/api/v1/namespaces', '/api/v1/namespaces/%00', '/apis', '/apis/', '/version'],
  ...['/apis/shop.example', '/apis/shop.example/v1', '/apis/shop.example/v2', '/openapi/v3', '/openapi/v2'],
  ...['/apis/shop.example/v1/promotions', '/apis/shop.example/v1/namespaces/default/promotions'],
  ...['/apis/shop.example/v1/namespaces/default/promotions/a', '/apis/shop.example/v1/promotions/a'],
  ...['/apis/shop.example/v1/namespaces/default/promotions/a/status', '/apis/shop.example/v1beta1/regions/a'],
  ...['/apis/shop.example/v1beta1/regions', '/apis/shop.example/v1/namespaces/A_/promotions/%2e%2e'],
  ...['/apis/shop.example/v1/namespaces//promotions', '//', '/apis/shop.example/v1/namespaces/x/regions'],
]
const PROMOTIONS = '/apis/shop.example/v1/namespaces/default/promotions'
/** What clients ask, and what they call what they send. */
const LIKELY = [
  ['POST', PROMOTIONS, 'application/json'],
  ['PUT', `${PROMOTIONS}/a`, 'application/json'],
  ['PUT', `${PROMOTIONS}/a/status`, 'application/json'],
  ['PATCH', `${PROMOTIONS}/a`, 'application/merge-patch+json'],
  ['PATCH', `${PROMOTIONS}/a`, 'application/json-patch+json'],
  ['PATCH', `${PROMOTIONS}/a`, 'application/apply-patch+yaml'],
  ['DELETE', `${PROMOTIONS}/a`, 'application/json'],
] as const
const PARAMETERS = {
  labelSelector: ['a', 'a in (b', '!', 'x=1', ','.repeat(100)],
  fieldSelector: ['metadata.name=a', 'spec.x=1', '=', 'metadata.name'],
  limit: ['1', '-1', '0', '1e9', '99999999999999999999'],
  continue: ['x', 'eyJ2IjoxfQ', ''],
  resourceVersion: ['0', '1', '-1', 'x', '999999', '9'.repeat(40)],
  resourceVersionMatch: ['Exact', 'NotOlderThan', 'x'],
  sendInitialEvents: ['true', 'false', ''],
  dryRun: ['All', 'x', ''],
  fieldManager: ['me', 'x'.repeat(200), ''],
  fieldValidation: ['Strict', 'Warn', 'Ignore', 'x'],
  force: ['true', 'x'],
  pretty: ['true'],
  propagationPolicy: ['Foreground', 'Orphan', 'x'],
  orphanDependents: ['true'],
  includeObject: ['None', 'x', ''],
}
const TYPES = [
  ...['application/json', 'application/yaml', 'application/merge-patch+json', 'application/json-patch+json'],
  ...['application/apply-patch+yaml', 'application/strategic-merge-patch+json', 'text/plain', 'x;', ';'],
]
const ACCEPTS = [
  ...['*/*', 'application/json', 'application/json;as=Table;v=v1;g=meta.k8s.io', 'text/html', ';;,,;q=x'],
  ...[
    'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
    'application/json;as=__proto__',
    'a=b;c',
  ],
]
const VALUES: readonly unknown[] = [
  ...[null, true, 0, -1, 1e300, '', 'a', 'A', '\u0000', [], {}, [[]], { a: null }, { __proto__: null }],
  ...['shop.example/v1', 'Promotion', '1', 10, ['x', 'x'], { app: 'shop' }, [{ op: 'add', path: '/spec' }]],
]

/** Something like a resource, a patch or options, with anything anywhere. */
function body(random: Random): string {
  if (random.next() < 0.3) {
    const metadata = { name: one(random, ['a', 'b', 'c']), annotations: { at: `${random.next()}` } }
    return JSON.stringify({ metadata, spec: { discount: 10 } })
  }
  const maybe = (name: string, likely: unknown): object =>
    random.next() < 0.2 ? {} : { [name]: random.next() < 0.8 ? likely : one(random, VALUES) }
  const metadata = {
    ...maybe('name', 'a'),
    ...maybe('labels', { app: 'shop' }),
    ...maybe('resourceVersion', one(random, ['1', '2', '3', undefined])),
    ...maybe('ownerReferences', []),
    ...maybe('finalizers', ['x/y']),
    ...maybe('annotations', {}),
    ...maybe('managedFields', undefined),
  }
  const resource = {
    ...maybe('apiVersion', undefined),
    ...maybe('kind', undefined),
    ...maybe('metadata', metadata),
    ...maybe('spec', { discount: one(random, [10, 60, 'x']), ...maybe('audience', 'all') }),
    ...maybe('status', { phase: 'On' }),
    ...maybe('preconditions', { uid: 'x' }),
  }
  const operation = () => ({
    ...maybe('op', one(random, ['add', 'remove', 'replace', 'move', 'copy', 'test'])),
    ...maybe(
      'path',
      one(random, ['/spec/discount', '/metadata', '', '/spec/codes/-', '/x/~2', '/metadata/labels/a']),
    ),
    ...maybe('from', '/spec'),
    ...maybe('value', 10),
  })
  const text = JSON.stringify(random.next() < 0.7 ? resource : [operation(), operation()]) // prettier-ignore
  if (random.next() < 0.8) return text
  return random.next() < 0.5
    ? text.slice(0, random.next() * text.length)
    : JSON.stringify(one(random, VALUES))
}

it(`whatever is asked is answered, and never as a fault of the server, seed ${SEED}`, async () => {
  const random = seededRandom(SEED)
  await using server = await kubernetesServer([Promotion, Region])
  const seen = new Set<number>()
  for (let count = 0; count < times(300); count++) {
    const isLikely = random.next() < 0.6
    const [method, place, usual] = isLikely
      ? one(random, LIKELY)
      : ([one(random, METHODS), one(random, PATHS), 'application/json'] as const)
    const query = new URLSearchParams()
    for (const [name, values] of Object.entries(PARAMETERS))
      if (random.next() < 0.1) query.set(name, one(random, values))
    const path = `${place}?${query.toString()}`
    const hasBody = !['GET', 'HEAD', 'OPTIONS'].includes(method) && random.next() < 0.9
    const sent = hasBody ? body(random) : undefined
    const headers = {
      'content-type': isLikely ? usual : one(random, TYPES),
      accept: isLikely ? '*/*' : one(random, ACCEPTS),
    }
    const told = `${method} ${path} ${JSON.stringify(headers)} ${sent}`
    const answer = await server.ask(method, path, sent, headers).catch((error: unknown) => {
      throw new Error(`${told}: ${String(error)}`)
    })
    seen.add(answer.status)
    // A version that is ahead is told with 504, as Kubernetes does.
    if (answer.status !== 504) expect(answer.status, told).toBeLessThan(500)
    if (answer.status >= 400 && method !== 'HEAD')
      expect(answer.body, told).toMatchObject({ kind: 'Status', status: 'Failure', code: answer.status })
  }
  expect([...seen].sort()).toEqual(expect.arrayContaining([200, 201, 400, 404, 422]))
})
