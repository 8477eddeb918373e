import { beforeEach, describe, expect, test } from 'vitest'
import { virtualClock, type VirtualClock } from '../../../testing/virtual-clock.js'
import { ResourceError, type ResourceProblem } from '../error.js'
import { wholeSchema } from '../schema/whole.js'
import { applyConfiguration } from './apply-configuration.js'
import type { Json, JsonObject } from './json.js'
import { MergeSchema } from './merge-schema.js'
import { trackUpdate } from './track-update.js'

/** The parts of a Deployment that the documentation of Kubernetes has in its examples, and kinds of lists. */
const DEPLOYMENTS = new MergeSchema(
  wholeSchema({
    spec: {
      type: 'object',
      properties: {
        replicas: { type: 'integer' },
        paused: { type: 'boolean' },
        args: { type: 'array', items: { type: 'string' } },
        zones: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
        selector: {
          type: 'object',
          additionalProperties: { type: 'string' },
          'x-kubernetes-map-type': 'atomic',
        },
        containers: {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
          items: {
            type: 'object',
            properties: {
              name: { type: 'string' },
              image: { type: 'string' },
              ports: {
                type: 'array',
                'x-kubernetes-list-type': 'map',
                'x-kubernetes-list-map-keys': ['containerPort', 'protocol'],
                items: {
                  type: 'object',
                  properties: {
                    containerPort: { type: 'integer' },
                    protocol: { type: 'string', default: 'TCP' },
                    hostPort: { type: 'integer' },
                  },
                },
              },
            },
          },
        },
      },
    },
    status: { type: 'object', properties: { ready: { type: 'integer' } } },
  }),
)

const API = 'apps/v1'

/** An object that several managers write. */
class World {
  readonly clock: VirtualClock = virtualClock()
  object: JsonObject | undefined

  apply(manager: string, config: JsonObject, options: { force?: boolean; subresource?: string } = {}): this {
    const { clock } = this
    this.object = applyConfiguration({
      ...{ live: this.object, config: deployment(config), manager, apiVersion: API },
      ...{ schema: DEPLOYMENTS, clock },
      ...options,
    })
    return this
  }

  update(
    manager: string,
    change: JsonObject,
    options: { apiVersion?: string; subresource?: string } = {},
  ): this {
    const { object: before, clock } = this
    const metadata = { ...(before?.['metadata'] as JsonObject), ...(change['metadata'] as JsonObject) }
    const after = deployment({ ...before, ...change, metadata })
    this.object = trackUpdate({
      before,
      after,
      manager,
      apiVersion: API,
      schema: DEPLOYMENTS,
      clock,
      ...options,
    })
    return this
  }

  get spec(): Json | undefined {
    return this.object?.['spec']
  }

  /** Who has what, without when. */
  get managers(): readonly Json[] {
    const { managedFields = [] } = this.object?.['metadata'] as { managedFields?: readonly JsonObject[] }
    return managedFields.map((entry) => ({
      [`${entry['manager'] as string} ${entry['operation'] as string}`]: entry['fieldsV1']!,
    }))
  }
}

function deployment({ metadata, ...rest }: JsonObject): JsonObject {
  return {
    apiVersion: API,
    kind: 'Deployment',
    metadata: { name: 'web', ...(metadata as JsonObject) },
    ...rest,
  }
}

function conflictOf(act: () => unknown): ResourceError {
  try {
    act()
  } catch (error) {
    if (error instanceof ResourceError && error.reason === 'Conflict') return error
    throw error
  }
  throw new Error('there was no conflict')
}

function causesOf(act: () => unknown): readonly ResourceProblem[] {
  return conflictOf(act).details.causes ?? []
}

let world: World
beforeEach(() => {
  world = new World()
})

describe('applying a configuration', () => {
  test('creates the object, and its fields are of the manager; not those that say which object it is', async () => {
    await world.clock.advance('1.5s')
    world.apply('kubectl', {
      metadata: { namespace: 'shop', labels: { app: 'web' }, finalizers: ['banyan.dev/keep'] },
      spec: {
        replicas: 2,
        args: ['-v'],
        selector: { app: 'web' },
        containers: [{ name: 'app', image: 'a:1' }],
      },
    })

    expect(world.object).toEqual({
      apiVersion: API,
      kind: 'Deployment',
      metadata: {
        name: 'web',
        namespace: 'shop',
        labels: { app: 'web' },
        finalizers: ['banyan.dev/keep'],
        managedFields: [
          {
            manager: 'kubectl',
            operation: 'Apply',
            apiVersion: API,
            time: '2026-01-01T00:00:01Z',
            fieldsType: 'FieldsV1',
            fieldsV1: {
              'f:metadata': {
                'f:finalizers': { 'v:"banyan.dev/keep"': {} },
                'f:labels': { 'f:app': {} },
              },
              'f:spec': {
                'f:args': {},
                'f:containers': { 'k:{"name":"app"}': { '.': {}, 'f:image': {}, 'f:name': {} } },
                'f:replicas': {},
                'f:selector': {},
              },
            },
          },
        ],
      },
      spec: {
        replicas: 2,
        args: ['-v'],
        selector: { app: 'web' },
        containers: [{ name: 'app', image: 'a:1' }],
      },
    })
  })

  test('again is the very same object, also later', async () => {
    const config = { metadata: { labels: { app: 'web' } }, spec: { replicas: 2, zones: ['a'] } }
    const first = world.apply('kubectl', config).object
    await world.clock.advance('1h')

    expect(world.apply('kubectl', config).object).toBe(first)
  })

  test('removes what the manager leaves out now, and nobody else has', () => {
    world
      .apply('kubectl', {
        metadata: { labels: { app: 'web', tier: 'front' } },
        spec: { replicas: 2, paused: true },
      })
      .apply('kubectl', { metadata: { labels: { app: 'web' } }, spec: { paused: true } })

    expect(world.object).toMatchObject({ metadata: { labels: { app: 'web' } } })
    expect(world.object).not.toHaveProperty('metadata.labels.tier')
    expect(world.spec).toEqual({ paused: true })
  })

  test('leaves an object that all has gone from out, too', () => {
    world
      .apply('kubectl', { metadata: { labels: { app: 'web' } }, spec: { replicas: 2 } })
      .apply('kubectl', {})

    expect(world.object).toEqual(deployment({}))
  })

  test('keeps what the manager gives up, but another has as well', () => {
    world
      .apply('one', { spec: { replicas: 2 } })
      .apply('two', { spec: { replicas: 2 } })
      .apply('one', { spec: {} })

    expect(world.spec).toEqual({ replicas: 2 })
    expect(world.managers).toEqual([
      { 'one Apply': { 'f:spec': {} } },
      { 'two Apply': { 'f:spec': { 'f:replicas': {} } } },
    ])
  })

  test('passes over what the server alone decides, and does not take a book that others have kept', () => {
    world.apply('kubectl', { spec: { replicas: 1 } })
    world.update('server', {
      metadata: { uid: 'u-1', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' },
    })
    const before = world.object

    world.apply('kubectl', {
      metadata: {
        uid: 'other',
        generation: 7,
        resourceVersion: '9',
        creationTimestamp: null,
        managedFields: [],
      },
      spec: { replicas: 1 },
    })

    expect(world.object).toBe(before)
    expect(() => world.apply('kubectl', { metadata: { managedFields: [{ manager: 'me' }] } })).toThrow(
      expect.objectContaining({
        code: 'BANYAN_PATCH_INVALID',
        message: 'metadata.managedFields must be nil',
      }),
    )
  })

  test('keeps what nobody has beside what the manager leaves out', () => {
    world.apply('one', { metadata: { labels: { a: 'x' } } })
    const { managedFields } = world.object?.['metadata'] as JsonObject
    world
      .update('two', { metadata: { labels: { a: 'x', b: 'x' } } })
      .update('editor', { metadata: { managedFields: managedFields! } })
      .apply('one', { metadata: { labels: { c: 'x' } } })

    expect(world.object).toMatchObject({ metadata: { labels: { b: 'x', c: 'x' } } })
    expect(world.object).not.toHaveProperty('metadata.labels.a')
  })

  test('keeps what says which object it is, also if the configuration does not say it', () => {
    const { object: live } = world.apply('kubectl', { metadata: { labels: { app: 'web' } } })
    const { clock } = world

    expect(
      applyConfiguration({
        live,
        config: {},
        manager: 'kubectl',
        apiVersion: API,
        schema: DEPLOYMENTS,
        clock,
      }),
    ).toEqual(deployment({}))
  })

  test('keeps metadata that nobody has', () => {
    world
      .update('server', { metadata: { uid: 'u-1', generation: 1 }, spec: { replicas: 1 } })
      .apply('kubectl', { metadata: { labels: { app: 'web' } } })
      .apply('kubectl', {})

    expect(world.object).toMatchObject({ metadata: { name: 'web', uid: 'u-1', generation: 1 } })
    expect(world.object).not.toHaveProperty('metadata.labels')
  })

  test('finds conflicts with what was written before anybody kept book of it', () => {
    world.object = deployment({ spec: { replicas: 3 } })

    expect(conflictOf(() => world.apply('kubectl', { spec: { replicas: 1 } })).message).toBe(
      'Apply failed with 1 conflict: conflict with "before-first-apply" using apps/v1: .spec.replicas',
    )
    expect(world.apply('kubectl', { spec: { replicas: 3 } }).managers).toEqual([
      { 'kubectl Apply': { 'f:spec': { 'f:replicas': {} } } },
      { 'before-first-apply Update': { 'f:spec': { '.': {}, 'f:replicas': {} } } },
    ])
  })

  test('through a subresource is another set of fields', () => {
    world
      .apply('kubectl', { spec: { replicas: 1 } })
      .apply('kubectl', { status: { ready: 1 } }, { subresource: 'status' })

    expect(world.object).toMatchObject({ spec: { replicas: 1 }, status: { ready: 1 } })
    expect(conflictOf(() => world.apply('other', { status: { ready: 2 } })).message).toBe(
      'Apply failed with 1 conflict: conflict with "kubectl" with subresource "status": .status.ready',
    )
  })
})

describe('a conflict', () => {
  test('names every field, and who has it, in the words of Kubernetes', () => {
    world.update('kubectl', { spec: { replicas: 1 } }).apply('helm', {
      metadata: { labels: { app: 'web' } },
      spec: { containers: [{ name: 'app', image: 'a:1' }] },
    })
    const before = world.object
    const error = conflictOf(() =>
      world.apply('argo', {
        metadata: { labels: { app: 'shop' } },
        spec: { replicas: 2, containers: [{ name: 'app', image: 'a:2' }] },
      }),
    )

    expect(error).toMatchObject({ code: 'BANYAN_APPLY_CONFLICT', reason: 'Conflict', status: 409 })
    expect(error.message).toBe(
      [
        'Apply failed with 3 conflicts: conflicts with "helm":',
        '- .metadata.labels.app',
        '- .spec.containers[name="app"].image',
        'conflicts with "kubectl" using apps/v1:',
        '- .spec.replicas',
      ].join('\n'),
    )
    const reason = 'FieldManagerConflict'
    expect(error.details.causes).toEqual([
      { reason, field: '.metadata.labels.app', message: 'conflict with "helm"' },
      { reason, field: '.spec.containers[name="app"].image', message: 'conflict with "helm"' },
      { reason, field: '.spec.replicas', message: 'conflict with "kubectl" using apps/v1' },
    ])
    expect(world.object).toBe(before)
  })

  test('is none for the same value, which both have then', () => {
    world.update('kubectl', { spec: { replicas: 1 } }).apply('argo', { spec: { replicas: 1 } })

    expect(world.managers).toEqual([
      { 'argo Apply': { 'f:spec': { 'f:replicas': {} } } },
      { 'kubectl Update': { 'f:spec': { '.': {}, 'f:replicas': {} } } },
    ])
  })

  test('is taken over by force: the others do not have these fields any more, and who has none is left out', () => {
    world
      .apply('one', { spec: { replicas: 1 } })
      .apply('two', { spec: { replicas: 1, paused: true } })
      .apply('three', { spec: { replicas: 3 } }, { force: true })

    expect(world.spec).toEqual({ replicas: 3, paused: true })
    expect(world.managers).toEqual([
      { 'three Apply': { 'f:spec': { 'f:replicas': {} } } },
      { 'two Apply': { 'f:spec': { 'f:paused': {} } } },
    ])
  })

  /** "Transferring ownership" in the documentation of Kubernetes: a user hands the replicas to an autoscaler. */
  test('is avoided by handing a field over: the new owner first, then the old one leaves it out', () => {
    world
      .apply('kubectl', { spec: { replicas: 3, paused: false } })
      .update('kube-controller-manager', { spec: { replicas: 5, paused: false } }, { subresource: 'scale' })
    expect(conflictOf(() => world.apply('kubectl', { spec: { replicas: 3 } })).message).toBe(
      'Apply failed with 1 conflict: conflict with "kube-controller-manager" with subresource "scale" using apps/v1: .spec.replicas',
    )

    world.apply('kubectl', { spec: { paused: false } })
    expect(world.spec).toEqual({ replicas: 5, paused: false })

    world.apply('kubectl-handover', { spec: { replicas: 5 } }).apply('kubectl', { spec: {} })
    expect(world.spec).toEqual({ replicas: 5 })
  })
})

describe('going over from kubectl apply at the client', () => {
  const applied = (spec: JsonObject) =>
    JSON.stringify(deployment({ metadata: { labels: { app: 'web' } }, spec }))
  const annotations = (text: string) => ({ 'kubectl.kubernetes.io/last-applied-configuration': text })
  const made = (text: string) =>
    world.update('kubectl-client-side-apply', {
      metadata: { labels: { app: 'web' }, annotations: annotations(text) },
      spec: { replicas: 1, paused: true },
    })

  test('has no conflicts with what was set there', () => {
    made(applied({ replicas: 1, paused: true })).apply('kubectl', {
      metadata: { labels: { app: 'shop' }, annotations: annotations('{}') },
      spec: { replicas: 2 },
    })
    expect(world.spec).toEqual({ replicas: 2, paused: true })
  })

  test('has the others: what somebody else has changed since, and what was never applied', () => {
    made(applied({ replicas: 1 })).update('scaler', { spec: { replicas: 5, paused: true } })
    const spec = { replicas: 2, paused: false }
    expect(causesOf(() => world.apply('kubectl', { spec }))).toMatchObject([
      { field: '.spec.paused', message: 'conflict with "kubectl-client-side-apply" using apps/v1' },
      { field: '.spec.replicas', message: 'conflict with "scaler" using apps/v1' },
    ])
  })

  test('is only for kubectl, and only if that can be read', () => {
    made(applied({ replicas: 1 }))
    expect(causesOf(() => world.apply('helm', { spec: { replicas: 2 } }))).toHaveLength(1)
    world.object = undefined
    made('{"spec":')
    expect(causesOf(() => world.apply('kubectl', { spec: { replicas: 2 } }))).toHaveLength(1)
  })
})

describe('lists', () => {
  test('are of one piece where nothing is said', () => {
    world.apply('one', { spec: { args: ['a', 'b'] } })

    expect(causesOf(() => world.apply('two', { spec: { args: ['c'] } }))).toMatchObject([
      { field: '.spec.args' },
    ])
    expect(world.apply('two', { spec: { args: ['c'] } }, { force: true }).spec).toEqual({ args: ['c'] })
  })

  test('of a set have an owner for each item', () => {
    world
      .apply('one', { spec: { zones: ['a', 'b'] } })
      .apply('two', { spec: { zones: ['c', 'b'] } })
      .apply('one', { spec: { zones: ['a'] } })
    expect(world.spec).toEqual({ zones: ['a', 'c', 'b'] })

    expect(world.apply('two', { spec: {} }).spec).toEqual({ zones: ['a'] })
  })

  test('with keys are merged item by item', () => {
    world
      .apply('one', { spec: { containers: [{ name: 'app', image: 'a:1' }] } })
      .apply('two', { spec: { containers: [{ name: 'proxy', image: 'p:1' }, { name: 'app' }] } })
    expect(world.spec).toEqual({
      containers: [
        { name: 'proxy', image: 'p:1' },
        { name: 'app', image: 'a:1' },
      ],
    })

    world.apply('one', {})
    expect(world.spec).toEqual({ containers: [{ name: 'proxy', image: 'p:1' }, { name: 'app' }] })
  })

  test('with several keys take the default of one that is left out', () => {
    const container = (...ports: readonly JsonObject[]) => ({
      spec: { containers: [{ name: 'app', ports }] },
    })
    world
      .apply('one', container({ containerPort: 53 }, { containerPort: 53, protocol: 'UDP' }))
      .apply('two', container({ containerPort: 53, protocol: 'TCP', hostPort: 5353 }))

    expect(world.object).toMatchObject(
      container(
        { containerPort: 53, protocol: 'TCP', hostPort: 5353 },
        { containerPort: 53, protocol: 'UDP' },
      ),
    )
  })

  test.each<[name: string, containers: Json, message: RegExp]>([
    ['twice', [{ name: 'app' }, { name: 'app' }], /duplicate entries for key \[name="app"\]/],
    ['nowhere', [{ image: 'a:1' }], /\.spec\.containers has an item without any of its keys name/],
    ['in no object', ['app'], /has an item without any of its keys/],
  ])('refuse a key that is there %s', (_name, containers, message) => {
    expect(() => world.apply('one', { spec: { containers } })).toThrow(
      expect.objectContaining({
        code: 'BANYAN_PATCH_INVALID',
        message: expect.stringMatching(message) as string,
      }),
    )
  })

  test('that are stored with a key twice are no obstacle', () => {
    world
      .update('old', { spec: { zones: ['a', 'a', 'b'], replicas: 1 } })
      .apply('one', { spec: { zones: ['c'] } })
    expect(world.spec).toEqual({ zones: ['a', 'a', 'b', 'c'], replicas: 1 })

    expect(world.apply('one', { spec: { zones: ['c', 'a'] } }, { force: true }).spec).toEqual({
      zones: ['b', 'c', 'a'],
      replicas: 1,
    })
  })
})

test('objects of one piece are replaced as a whole', () => {
  world.apply('one', { spec: { selector: { app: 'web' } } })
  expect(causesOf(() => world.apply('two', { spec: { selector: { tier: 'front' } } }))).toMatchObject([
    { message: 'conflict with "one"', field: '.spec.selector' },
  ])

  world.apply('two', { spec: { selector: { tier: 'front' } } }, { force: true })
  expect(world.spec).toEqual({ selector: { tier: 'front' } })
})

test('whoever had a part of what is of one piece by now has all of it', () => {
  const spec = (type: string) =>
    new MergeSchema(wholeSchema({ spec: { properties: { limits: { 'x-kubernetes-map-type': type } } } }))
  const { clock } = world
  const apply = (type: string, manager: string, limits: JsonObject, live?: JsonObject) =>
    applyConfiguration({
      ...{ live, config: deployment({ spec: { limits } }), schema: spec(type) },
      ...{ manager, apiVersion: API, clock },
    })
  const parts = apply('granular', 'two', { cpu: 1 }, apply('granular', 'one', { memory: 2 }))

  expect(causesOf(() => apply('atomic', 'one', { memory: 3 }, parts))).toMatchObject([
    { message: 'conflict with "two"', field: '.spec.limits' },
  ])
  expect(apply('atomic', 'one', { memory: 2, cpu: 1 }, parts)).toMatchObject({
    metadata: {
      managedFields: [
        { manager: 'one', fieldsV1: { 'f:spec': { 'f:limits': {} } } },
        { manager: 'two', fieldsV1: { 'f:spec': { 'f:limits': {} } } },
      ],
    },
  })
})

describe('writes that are no apply', () => {
  test('never conflict, and take fields from those who had them', async () => {
    world.apply('kubectl', { spec: { replicas: 1, paused: false } })
    await world.clock.advance('1m')
    world.update('scaler', { spec: { replicas: 4, paused: false } })

    expect(world.managers).toEqual([
      { 'kubectl Apply': { 'f:spec': { 'f:paused': {} } } },
      { 'scaler Update': { 'f:spec': { 'f:replicas': {} } } },
    ])
  })

  test('take from everybody what they remove', () => {
    world.apply('one', { spec: { replicas: 1 } }).apply('two', { spec: { replicas: 1, paused: true } })
    world.update('editor', { spec: { paused: true } })

    expect(world.managers).toEqual([{ 'two Apply': { 'f:spec': { 'f:paused': {} } } }])
  })

  test('change nothing of the book if they change no field', async () => {
    world.update('one', { spec: { replicas: 1 } })
    const before = world.object
    await world.clock.advance('1h')

    expect(
      world.update('two', {}).update('one', { metadata: { resourceVersion: '8', generation: 2 } }).object,
    ).toEqual({
      ...before,
      metadata: { ...(before?.['metadata'] as JsonObject), resourceVersion: '8', generation: 2 },
    })
  })

  test('keep the fields of a manager together, with the time of the last', async () => {
    world.update('one', { spec: { replicas: 1 } })
    await world.clock.advance('1m')
    world.update('one', { spec: { replicas: 1, paused: true } })

    expect(world.managers).toEqual([
      { 'one Update': { 'f:spec': { '.': {}, 'f:paused': {}, 'f:replicas': {} } } },
    ])
    expect(world.object).toHaveProperty('metadata.managedFields.0.time', '2026-01-01T00:01:00Z')
  })

  test('may begin the book anew, or leave it out without wiping it out', () => {
    world.apply('kubectl', { spec: { replicas: 1 } })
    const { managers } = world
    expect(world.update('plain', { metadata: { managedFields: null } }).managers).toEqual(managers)
    expect(world.update('plain', { metadata: { managedFields: 'rubbish' } }).managers).toEqual(managers)
    expect(
      world.update('plain', { metadata: { managedFields: [{}] } }, { subresource: 'status' }).managers,
    ).toEqual(managers)

    world.update('plain', { metadata: { managedFields: [{}] } })
    expect(world.object).toEqual(deployment({ spec: { replicas: 1 } }))
  })

  test('of many managers are kept apart up to ten; the oldest are put together', async () => {
    for (let i = 0; i < 14; i++) {
      await world.clock.advance('1s')
      world.update(`tool-${i}`, { metadata: { labels: { ...labelsOf(world.object), [`l${i}`]: 'x' } } })
    }

    expect(world.managers.map((entry) => Object.keys(entry as JsonObject)[0])).toEqual(
      ['ancient-changes', ...[5, 6, 7, 8, 9, 10, 11, 12, 13].map((i) => `tool-${i}`)].map(
        (name) => `${name} Update`,
      ),
    )
    expect(world.managers[0]).toEqual({
      'ancient-changes Update': {
        'f:metadata': { 'f:labels': { '.': {}, 'f:l0': {}, 'f:l1': {}, 'f:l2': {}, 'f:l3': {}, 'f:l4': {} } },
      },
    })
  })
})

function labelsOf(object: JsonObject | undefined): JsonObject {
  return ((object?.['metadata'] as JsonObject | undefined)?.['labels'] ?? {}) as JsonObject
}
