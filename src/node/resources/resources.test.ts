import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openCoordinator } from '../../coordination/index.js'
import { subdomainMistake } from '../../coordination/resources/names.js'
import type { Resource } from '../../coordination/resources/object.js'
import { openResources } from '../../coordination/resources/store/resources.js'
import { escaped } from '../config/environment.js'
import { checkSource } from '../config/load.js'
import { secretsIn } from '../config/secrets.js'
import { checkShape } from '../config/shape.js'
import { NOTHING, readYaml } from '../config/yaml-source.js'
import { hashOf } from '../configuration.js'
import { configOf, type Composition } from './config-of.js'
import { entryKinds } from './kinds.js'
import { entryNameOf, NAME_ANNOTATION, resourceNameOf } from './names.js'
import { resolved } from './references.js'
import { ORDER_ANNOTATION, resourcesOf } from './resources-of.js'

const whose = { namespace: 'default', node: 'edge-1' }

/** Whatever is asked for is set. */
const env = new Proxy<Record<string, string>>(
  {},
  { get: (_target, name) => `http://127.0.0.1/${String(name)}` },
)

/** Every configuration that the documentation and the examples have, and every part of one. */
const written = [...markdown('docs'), ...yaml('examples')].filter(([, text]) => {
  const source = readYaml(text, env)
  if (source.problems.length > 0) return false
  const shape = checkShape(source.value)
  return (
    'config' in shape ||
    shape.problems.every(({ path, message }) => path.length === 1 && message === 'is missing')
  )
})

test('there is enough to try', () => {
  expect(written.length).toBeGreaterThan(20)
})

describe('a configuration is the same after it was resources', () => {
  test.each(written)('%s', async (_name, text) => {
    const raw = readYaml(text, undefined).value as Record<string, unknown>
    const composed = await throughStore(raw)
    expect(composed.faults).toEqual([])
    expect({ ...composed.config, $schema: raw['$schema'] }).toEqual({ $schema: undefined, ...raw })
    const before = checkSource('f', readYaml(text, env))
    if (!before.ok) return
    const back = resolved(composed.config, env)
    const after = checkSource('f', { ...NOTHING, value: back.value })
    if (!after.ok) throw new Error(after.problems[0]!.message)
    expect(after.spec).toEqual(before.spec)
    expect(hashOf(after.spec)).toBe(hashOf(before.spec))
  })
})

describe('names', () => {
  test('every name of an entry has one of a resource, from which it can be told again', () => {
    const names = fc.stringMatching(/^[A-Za-z0-9_][\w.-]{0,300}$/)
    fc.assert(
      fc.property(names, names, (name, other) => {
        const resource = resourceNameOf(name)
        expect(subdomainMistake(resource)).toBeUndefined()
        const annotations = resource === name ? undefined : { [NAME_ANNOTATION]: name }
        expect(entryNameOf({ name: resource, ...(annotations && { annotations }) } as never)).toBe(name)
        if (name !== other) expect(resourceNameOf(other)).not.toBe(resource)
      }),
    )
  })

  test('one that can be one of a resource stays as it is, another can still be read', () => {
    expect(resourceNameOf('orders.v2')).toBe('orders.v2')
    expect(resourceNameOf('Orders_API')).toMatch(/^orders-api-[0-9a-f]{10}$/)
  })

  test('the annotation of another resource does not take its place', async () => {
    const { faults, config } = await throughStore({ topics: { Orders: {} } }, (draft) => ({
      ...draft,
      metadata: { ...draft.metadata, name: 'mine' },
    }))
    expect(faults.map(({ resource, message }) => [resource.metadata.name, message])).toEqual([
      ['mine', expect.stringContaining(`but to ${resourceNameOf('Orders')}`)],
    ])
    expect(config).not.toHaveProperty('topics')
  })
})

test('what cannot be a name in a file cannot be one here', async () => {
  const name = resourceNameOf('__proto__')
  const { faults, config } = await throughStore({ topics: { a: {} } }, (draft) => ({
    ...draft,
    metadata: { ...draft.metadata, name, annotations: { [NAME_ANNOTATION]: '__proto__' } },
  }))
  expect(faults[0]!.message).toBe('`__proto__` cannot be a name')
  expect(config).not.toHaveProperty('topics')
})

describe('the order of routes', () => {
  const route = (path: string): object => ({ match: { path }, respond: { status: 204 } })

  test('is that of the file, and what has no place there comes behind, the oldest first', async () => {
    const api = await resourcesOfMemory()
    const routes = { zebra: route('/z'), aunt: route('/a'), Mole: route('/m') }
    for (const { kind, draft } of resourcesOf({ routes }, whose)) await api.create(kind.definition, draft)
    const { definition } = entryKinds().find(({ section }) => section === 'routes')!
    for (const name of ['c', 'b'])
      await api.create(definition, { metadata: { name }, spec: route(`/${name}`) as never })
    const { items } = await api.list(definition)
    const names = Object.keys(configOf(items, 'edge-1').config['routes'] as object)
    expect(names).toEqual(['zebra', 'aunt', 'Mole', 'b', 'c'])
    const older = items.map((item) =>
      item.metadata.name === 'c'
        ? { ...item, metadata: { ...item.metadata, creationTimestamp: '2000-01-01T00:00:00Z' } }
        : item,
    )
    expect(Object.keys(configOf(older, 'edge-1').config['routes'] as object).slice(3)).toEqual(['c', 'b'])
  })

  test('a place that is no number is told', () => {
    const bad = { kind: 'Route', metadata: { name: 'a', annotations: { [ORDER_ANNOTATION]: 'first' } } }
    const { faults } = configOf([bad as unknown as Resource], 'edge-1')
    expect(faults.map(({ message }) => message)).toEqual([
      `the annotation ${ORDER_ANNOTATION} must be a number`,
    ])
  })
})

test('what is being deleted is wanted no more', async () => {
  const resources = await stored({ topics: { a: {}, b: {} } })
  const marked = resources.map((resource) =>
    resource.metadata.name === 'a'
      ? { ...resource, metadata: { ...resource.metadata, deletionTimestamp: '2020-01-01T00:00:00Z' } }
      : resource,
  )
  expect(configOf(marked, 'edge-1').config['topics']).toEqual({ b: {} })
})

test('each node has its own settings, and all have the same entries', async () => {
  const api = await resourcesOfMemory()
  for (const node of ['one', 'two']) {
    const entries = resourcesOf({ admin: `:${node.length}`, zone: node }, { namespace: 'default', node })
    for (const { kind, draft } of entries) await api.create(kind.definition, draft)
  }
  const all = await everything(api)
  expect(configOf(all, 'two').config).toEqual({ admin: ':3', zone: 'two' })
  expect(configOf(all, 'three').config).toEqual({})
})

describe('what belongs to whom', () => {
  test('a path of the configuration leads to its resource', async () => {
    const composed = await throughStore({
      admin: false,
      services: { Orders_API: { endpoints: ['http://a'] } },
    })
    const name = (path: (string | number)[]): string | undefined => composed.resourceAt(path)?.metadata.name
    expect(name(['services', 'Orders_API', 'endpoints', 0])).toBe(resourceNameOf('Orders_API'))
    expect(name(['admin'])).toBe('edge-1')
    expect(name(['routes'])).toBeUndefined()
  })
})

describe('the environment', () => {
  const file =
    'listen: ${PORT}\nroutes:\n  a: { match: { path: /a }, respond: { status: "${STATUS}", body: "$${x} ${PORT}" } }\n'

  test('is not in the store, and is put in by who reads it', async () => {
    const raw = readYaml(file, undefined).value as Record<string, unknown>
    const resources = await stored(raw)
    expect(JSON.stringify(resources)).not.toContain('8080')
    const { value, problems } = resolved(configOf(resources, 'edge-1').config, {
      PORT: '8080',
      STATUS: '404',
    })
    expect(problems).toEqual([])
    // A listener takes both; the status has to be a number.
    expect(value).toMatchObject({
      listen: '8080',
      routes: { a: { respond: { status: 404, body: '${x} 8080' } } },
    })
  })

  test('a variable that is not set is told with its place', () => {
    const { problems } = resolved({ routes: { a: { respond: { body: '${NOPE}' } } } }, {})
    expect(problems.map(({ path }) => path)).toEqual([['routes', 'a', 'respond', 'body']])
    expect(problems[0]!.message).toContain('`NOPE` is not set')
  })

  test('text of a configuration that has nothing put in says the same', () => {
    const config = { routes: { a: { respond: { body: 'costs ${PRICE}, $${x}' } } } }
    expect(resolved(escaped(config), {}).value).toEqual(config)
  })
})

test('secrets that stand there themselves are found, references to them are not', () => {
  const config = {
    coordination: { driver: 'postgres', url: 'postgres://app:geheim@db/app' },
    outboxes: { a: { database: 'postgres://app:${PW}@db/app' }, b: { database: 'postgres://app@db/app' } },
    subscriptions: {
      a: { push: { service: 'x', secret: 'geheim' } },
      b: { push: { service: 'x', secret: { env: 'SECRET' } } },
      c: { push: { service: 'x', secret: '${SECRET}', headers: { Authorization: 'Bearer ${TOKEN:-abc}' } } },
    },
  }
  expect(secretsIn(config)).toEqual([
    ['coordination', 'url'],
    ['subscriptions', 'a', 'push', 'secret'],
    ['subscriptions', 'c', 'push', 'headers', 'Authorization'],
  ])
})

async function resourcesOfMemory(): Promise<ReturnType<typeof openResources>> {
  return openResources(await openCoordinator('memory:'))
}

type Draft = ReturnType<typeof resourcesOf>[number]['draft']

async function stored(raw: Record<string, unknown>, change = (draft: Draft) => draft): Promise<Resource[]> {
  const api = await resourcesOfMemory()
  for (const { kind, draft } of resourcesOf(raw, whose)) await api.create(kind.definition, change(draft))
  return everything(api)
}

async function everything(api: ReturnType<typeof openResources>): Promise<Resource[]> {
  const lists = await Promise.all(entryKinds().map(({ definition }) => api.list(definition)))
  return lists.flatMap(({ items }) => items).toReversed()
}

async function throughStore(
  raw: Record<string, unknown>,
  change?: (draft: Draft) => Draft,
): Promise<Composition> {
  return configOf(await stored(raw, change), whose.node)
}

function markdown(folder: string): [string, string][] {
  return filesOf(folder, '.md').flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/^ *```yaml[^\n]*\n(.*?)^ *```/gms)].map(
      ([, text], index): [string, string] => [`${file} ${index}`, text!],
    ),
  )
}

function yaml(folder: string): [string, string][] {
  return filesOf(folder, '.yaml').map((file) => [file, readFileSync(file, 'utf8')])
}

function filesOf(folder: string, ending: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(ending) && !file.includes('node_modules'))
    .map((file) => join(folder, file))
}
