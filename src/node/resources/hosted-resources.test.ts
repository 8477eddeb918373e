import { afterEach, describe, expect, test } from 'vitest'
import { world } from '../../../test/support/reachable.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import { openCoordinator, type Coordinator } from '../../coordination/index.js'
import type { Resource, ResourceDraft } from '../../coordination/resources/object.js'
import { openResources } from '../../coordination/resources/store/resources.js'
import { checkWhole, type Loaded } from '../config/load.js'
import { formatProblem, type ConfigProblem } from '../config/problem.js'
import { readYaml } from '../config/yaml-source.js'
import { Configuration, type Origin } from '../configuration.js'
import { diffSpecs } from '../config/diff.js'
import { refuseRestructuring, type Running } from '../control.js'
import type { HostedCoordinator } from '../coordination/hosted-coordinator.js'
import type { Log } from '../log.js'
import type { NodeState } from '../node.js'
import type { NodeSpec } from '../spec.js'
import { HostedResources } from './hosted-resources.js'
import { entryKinds } from './kinds.js'
import { ORDER_ANNOTATION } from './resources-of.js'
import type { Condition, EntryStatus } from './status.js'

const open: AsyncDisposable[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]()
})

const FILE = `listen: 127.0.0.1:0
admin: false
coordination: { driver: memory }
resources: { node: edge-1 }
services:
  orders: { endpoints: [http://127.0.0.1:4001] }
routes:
  orders: { match: { path: /orders/* }, to: orders }
`

describe('the file', () => {
  test('becomes resources, and the node runs on what it ran', async () => {
    const { node, kept } = await start(FILE)
    const route = await kept('routes', 'orders', isSo('Programmed'))
    expect(route.spec).toEqual({ match: { path: '/orders/*' }, to: 'orders' })
    expect(route.metadata.managedFields).toMatchObject([{ manager: 'banyan.yaml', operation: 'Apply' }, {}])
    const self = await kept('nodes', 'edge-1', isSo('Programmed'))
    expect(self.spec).toMatchObject({ listen: '127.0.0.1:0', admin: false })
    // Not a moment with less than the file says.
    expect(node.applied).toEqual([])
  })

  test('what it has no more goes, and what others have made stays', async () => {
    const { api, kept, take, gone } = await start(FILE)
    await kept('routes', 'orders', isSo('Programmed'))
    await api.create(kindOf('routes'), draft('mine', { match: { path: '/mine' }, to: 'orders' }))
    await kept('routes', 'mine', isSo('Programmed'))
    const outcome = await take(
      FILE.replace('  orders: { match: { path: /orders/* }', '  all: { match: { path: /all }'),
    )
    expect(outcome.ok).toBe(true)
    await gone('routes', 'orders')
    await kept('routes', 'all', isSo('Programmed'))
    await kept('routes', 'mine', isSo('Programmed'))
  })

  test('does not take back what somebody else has changed, and says so with its place', async () => {
    const { api, kept, take, node } = await start(FILE)
    await kept('services', 'orders', isSo('Programmed'))
    const patch = { spec: { endpoints: ['http://127.0.0.1:5001'] } }
    await api.patch(
      kindOf('services'),
      { name: 'orders' },
      { type: 'merge', patch },
      { fieldManager: 'kubectl-edit' },
    )
    const outcome = await take(FILE.replace('path: /orders/*', 'path: /o/*'))
    if (!outcome.ok) throw new Error('refused')
    expect(outcome.warnings.map(formatProblem).filter((line) => line.includes('kubectl'))).toEqual([
      expect.stringMatching(
        /^banyan\.yaml:6:\d+: services\.orders\.endpoints: conflict with "kubectl-edit" .*\.spec\.endpoints/,
      ),
    ])
    expect(node.spec.services['orders']!.endpoints).toEqual(['http://127.0.0.1:5001'])
    expect(node.spec.routes['orders']!.match.path).toBe('/o/*')
  })

  test('of another node does not take away the settings of this one', async () => {
    const { coordinator, kept } = await start(FILE)
    await kept('nodes', 'edge-1', isSo('Programmed'))
    const other = await start(FILE.replace('edge-1', 'edge-2'), coordinator)
    await other.kept('nodes', 'edge-2', isSo('Programmed'))
    await kept('nodes', 'edge-1', isSo('Programmed'))
  })

  test('is brought once: a node that starts again takes back nothing that came since', async () => {
    const first = await start(FILE)
    await first.kept('nodes', 'edge-1', isSo('Programmed'))
    const newer = FILE.replace('edge-1', 'edge-2').replace('/orders/*', '/o/*')
    const second = await start(newer, first.coordinator)
    await second.kept('routes', 'orders', isSo('Programmed', 2))
    await first.close()
    const again = await start(FILE, first.coordinator)
    await again.node.until(({ routes }) => routes['orders']!.match.path === '/o/*')
    // Unless it is told to.
    await again.take(FILE)
    await second.node.until(({ routes }) => routes['orders']!.match.path === '/orders/*')
  })

  test('that is another than that of another node under the same manager is told', async () => {
    const first = await start(FILE)
    await first.kept('nodes', 'edge-1', isSo('Programmed'))
    const newer = FILE.replace('edge-1', 'edge-2').replace('/orders/*', '/o/*')
    const second = await start(newer, first.coordinator)
    await second.kept('nodes', 'edge-2', isSo('Programmed'))
    expect(second.warnings).toEqual([
      expect.stringMatching(/^banyan\.yaml:4:\d+: resources: node edge-1 has brought another file under/),
    ])
    const own = FILE.replace('edge-1', 'edge-3, manager: mine')
    const third = await start(own, first.coordinator)
    await third.kept('nodes', 'edge-3', isSo('Programmed'))
    expect(third.warnings.filter((line) => line.includes('another file'))).toEqual([])
  })
})

describe('what the store has', () => {
  test('the node runs: what is made, changed and deleted', async () => {
    const { api, node, kept } = await start(FILE)
    await kept('routes', 'orders', isSo('Programmed'))
    await api.create(kindOf('routes'), draft('hello', { match: { path: '/hello' }, respond: { body: 'hi' } }))
    await kept('routes', 'hello', isSo('Programmed'))
    expect(Object.keys(node.spec.routes)).toEqual(['orders', 'hello'])
    const patch = { spec: { respond: { body: 'ho' } } }
    await api.patch(kindOf('routes'), { name: 'hello' }, { type: 'merge', patch })
    await kept('routes', 'hello', isSo('Programmed', 2))
    expect(node.spec.routes['hello']!.respond).toEqual({ body: 'ho' })
    await api.delete(kindOf('routes'), { name: 'hello' })
    await node.until(({ routes }) => !Object.hasOwn(routes, 'hello'))
  })

  test('what is not right is told so, and holds up nobody', async () => {
    const { api, node, kept } = await start(FILE)
    await kept('routes', 'orders', isSo('Programmed'))
    await api.create(kindOf('routes'), draft('lost', { match: { path: '/lost' }, to: 'nowhere' }))
    const lost = await kept('routes', 'lost', isNotSo('Accepted'))
    expect(conditionOf(lost, 'Accepted')).toMatchObject({ reason: 'Invalid', observedGeneration: 1 })
    expect(conditionOf(lost, 'Accepted')!.message).toContain('spec.to: unknown service `nowhere`')
    expect(conditionOf(lost, 'Programmed')!.status).toBe('False')
    expect(Object.keys(node.spec.routes)).toEqual(['orders'])
    await api.create(kindOf('routes'), draft('next', { match: { path: '/next' }, to: 'orders' }))
    await kept('routes', 'next', isSo('Programmed'))
    expect(Object.keys(node.spec.routes)).toEqual(['orders', 'next'])
    expect(node.refusals).toHaveLength(1)
    await api.create(kindOf('services'), draft('nowhere', { endpoints: ['http://127.0.0.1:4009'] }))
    await kept('routes', 'lost', isSo('Programmed'))
  })

  test('what is changed for the worse runs on as it was', async () => {
    const { api, node, kept, take } = await start(FILE)
    await kept('routes', 'orders', isSo('Programmed'))
    const to = (service: string) => ({ type: 'merge', patch: { spec: { to: service } } }) as const
    await api.patch(kindOf('routes'), { name: 'orders' }, to('nowhere'), { fieldManager: 'me' })
    await kept('routes', 'orders', isNotSo('Accepted'))
    const outcome = await take(FILE.replace('127.0.0.1:4001', '127.0.0.1:4002'))
    if (!outcome.ok) throw new Error('refused')
    expect(outcome.warnings.map(formatProblem)).toContainEqual(
      expect.stringContaining('routes.orders.to: unknown service `nowhere`'),
    )
    expect(node.spec.services['orders']!.endpoints).toEqual(['http://127.0.0.1:4002'])
    expect(node.spec.routes['orders']!.to).toBe('orders')
    await api.patch(kindOf('routes'), { name: 'orders' }, to('orders'), { fieldManager: 'me' })
    await kept('routes', 'orders', isSo('Programmed', 3))
  })

  test('what is noted wrongly on it changes nothing of what it runs', async () => {
    const { api, node, kept } = await start(FILE)
    await kept('routes', 'orders', isSo('Programmed'))
    const patch = { metadata: { annotations: { [ORDER_ANNOTATION]: 'first' } } }
    await api.patch(kindOf('routes'), { name: 'orders' }, { type: 'merge', patch })
    const route = await kept('routes', 'orders', isNotSo('Accepted'))
    expect(conditionOf(route, 'Accepted')).toMatchObject({ reason: 'Unclear' })
    const next = draft('next', { match: { path: '/next' }, to: 'orders' })
    await api.create(kindOf('routes'), { ...next, metadata: { ...next.metadata, ...patch.metadata } })
    await kept('routes', 'next', isNotSo('Accepted'))
    await api.create(kindOf('routes'), draft('last', { match: { path: '/last' }, to: 'orders' }))
    await kept('routes', 'last', isSo('Programmed'))
    expect(Object.keys(node.spec.routes)).toEqual(['orders', 'last'])
  })

  test('what ran and cannot run on is never left out: what was stays in force, and others wait', async () => {
    const { api, node, kept } = await start(FILE)
    await kept('routes', 'orders', isSo('Programmed'))
    await api.delete(kindOf('services'), { name: 'orders' })
    await kept('routes', 'orders', isNotSo('Accepted'))
    await api.create(kindOf('routes'), draft('next', { match: { path: '/next' }, respond: { body: 'hi' } }))
    const next = await kept('routes', 'next', isSo('Accepted'))
    expect(conditionOf(next, 'Programmed')).toMatchObject({ status: 'False', reason: 'HeldBack' })
    expect(conditionOf(next, 'Programmed')!.message).toContain('Route orders is not right')
    expect(Object.keys(node.spec.routes)).toEqual(['orders'])
    await api.create(kindOf('services'), draft('orders', { endpoints: ['http://127.0.0.1:4009'] }))
    await kept('routes', 'next', isSo('Programmed'))
  })

  test('settings that the node cannot take while it runs are the fault of its own resource', async () => {
    const { api, kept } = await start(FILE)
    await kept('nodes', 'edge-1', isSo('Programmed'))
    const patch = { spec: { workers: 4 } }
    await api.patch(kindOf('nodes'), { name: 'edge-1' }, { type: 'merge', patch })
    const self = await kept('nodes', 'edge-1', isNotSo('Accepted'))
    expect(conditionOf(self, 'Accepted')!.message).toContain('workers')
  })

  test('several nodes run the same, and each tells so', async () => {
    const { coordinator, api, kept, node } = await start(FILE)
    await kept('routes', 'orders', isSo('Programmed'))
    const other = await start(FILE.replace('edge-1', 'edge-2'), coordinator)
    await api.create(kindOf('routes'), draft('both', { match: { path: '/both' }, to: 'orders' }))
    const both = await kept(
      'routes',
      'both',
      ({ status }) =>
        (status as EntryStatus | undefined)?.nodes?.length === 2 &&
        isSo('Programmed')({ status } as Resource),
    )
    expect((both.status as EntryStatus).nodes!.map(({ name }) => name)).toEqual(['edge-1', 'edge-2'])
    expect(node.spec.routes).toEqual(other.node.spec.routes)
  })
})

describe('a route', () => {
  test('whose service has no healthy endpoint says so', async () => {
    const { kept, node, look } = await start(FILE)
    const ready = await kept('routes', 'orders', isSo('Ready'))
    expect(conditionOf(ready, 'Ready')!.reason).toBe('Healthy')
    node.healthy = false
    await look()
    const route = await kept('routes', 'orders', isNotSo('Ready'))
    expect(conditionOf(route, 'Ready')).toMatchObject({
      reason: 'NoHealthyEndpoint',
      message: 'the service `orders` has no healthy endpoint',
    })
    expect(conditionOf(await kept('services', 'orders', isNotSo('Ready')), 'Ready')!.reason).toBe(
      'NoHealthyEndpoint',
    )
  })
})

describe('a node without a process', () => {
  test('is gone, and so is what it said, until it is back', async () => {
    const { coordinator, kept, look } = await start(FILE)
    const ofSecond = FILE.replace('edge-1', 'edge-2')
    const second = await start(ofSecond, coordinator)
    await kept('nodes', 'edge-2', isSo('Programmed'))
    await kept('routes', 'orders', isToldBy('edge-1', 'edge-2'))
    await second.close()
    await look()
    const gone = await kept('nodes', 'edge-2', isGone)
    const conditions = (gone.status as EntryStatus).conditions!
    expect(conditions.map(({ type, status }) => [type, status])).toEqual([
      ['Accepted', 'Unknown'],
      ['Programmed', 'Unknown'],
      ['Ready', 'Unknown'],
    ])
    expect((gone.status as EntryStatus).nodes).toEqual([])
    await kept('routes', 'orders', isToldBy('edge-1'))
    await start(ofSecond, coordinator)
    await kept('nodes', 'edge-2', isSo('Programmed'))
    await kept('routes', 'orders', isToldBy('edge-1', 'edge-2'))
  })

  test('is told once, whoever looks and how often', async () => {
    const { coordinator, api, kept, look } = await start(FILE)
    const others = ['edge-2', 'edge-3'].map((name) => start(FILE.replace('edge-1', name), coordinator))
    const [second, third] = await Promise.all(others)
    // Somebody has made it for a node to come.
    await api.create(kindOf('nodes'), draft('edge-4', {}))
    await kept('nodes', 'edge-2', isSo('Programmed'))
    await second!.close()
    await Promise.all([look(), third!.look()])
    const { metadata } = await kept('nodes', 'edge-2', isGone)
    for (let looks = 0; looks < 3; looks++) await Promise.all([look(), third!.look()])
    expect((await api.get(kindOf('nodes'), { name: 'edge-2' })).metadata).toEqual(metadata)
    expect((await api.get(kindOf('nodes'), { name: 'edge-4' })).status).toBeUndefined()
  })
})

test('of two nodes of one name the second says so, runs all the same, and has the name when the first is gone', async () => {
  const { connect, runtime } = world()
  const { clock } = runtime
  const { coordinator } = connect()
  const first = await start(FILE, coordinator, { runtime })
  await clock.advance('10s')
  const second = await start(FILE, connect().coordinator, { runtime })
  await clock.advance('1m')
  const clash =
    /^resources: another node is called `edge-1` \(.+\): give each a name of its own with `resources.node`/
  expect(second.warnings).toEqual([expect.stringMatching(clash)])
  expect(first.warnings).toEqual([])
  await first.api.create(kindOf('routes'), draft('hello', { match: { path: '/hello' }, to: 'orders' }))
  second.node.healthy = false
  await clock.advance('10s')
  expect(Object.keys(second.node.spec.routes)).toEqual(['orders', 'hello'])
  // What is told is of the first.
  const hello = () => second.api.get(kindOf('routes'), { name: 'hello' })
  expect(conditionOf(await hello(), 'Ready')).toMatchObject({ status: 'True' })
  await first.close()
  await clock.advance('10s')
  expect(conditionOf(await hello(), 'Ready')).toMatchObject({ status: 'False' })
  expect(second.warnings).toHaveLength(1)
})

test('a place in the order changes what the node runs', async () => {
  const { api, kept, node } = await start(`${FILE}  more: { match: { path: /more }, to: orders }\n`)
  await kept('routes', 'more', isSo('Programmed'))
  const patch = { metadata: { annotations: { [ORDER_ANNOTATION]: '0' } } }
  await api.patch(kindOf('routes'), { name: 'more' }, { type: 'merge', patch })
  await node.until(({ routes }) => Object.keys(routes)[0] === 'more')
})

test('what comes while the coordinator is away runs from the file', async () => {
  const { take, node } = await start(FILE, undefined, { away: true })
  const outcome = await take(FILE.replace('path: /orders/*', 'path: /o/*'))
  expect(outcome.ok).toBe(true)
  expect(node.spec.routes['orders']!.match.path).toBe('/o/*')
})

type Test = (resource: Resource) => boolean

function isSo(type: string, generation = 1): Test {
  return (resource) => {
    const condition = conditionOf(resource, type)
    return condition?.status === 'True' && condition.observedGeneration >= generation
  }
}

function isNotSo(type: string): Test {
  return (resource) => conditionOf(resource, type)?.status === 'False'
}

function isGone(resource: Resource): boolean {
  return conditionOf(resource, 'Programmed')?.reason === 'NodeGone'
}

function isToldBy(...nodes: string[]): Test {
  return ({ status }) =>
    (status as EntryStatus | undefined)?.nodes?.map(({ name }) => name).join() === nodes.join()
}

function conditionOf({ status }: Resource, type: string): Condition | undefined {
  return (status as EntryStatus | undefined)?.conditions?.find((each) => each.type === type)
}

function kindOf(plural: string): ReturnType<typeof entryKinds>[number]['definition'] {
  return entryKinds().find(({ definition }) => definition.plural === plural)!.definition
}

function draft(name: string, spec: Record<string, unknown>): ResourceDraft<Record<string, unknown>> {
  return { metadata: { name }, spec }
}

async function read(text: string): Promise<Loaded & { ok: true }> {
  const loaded = await checkWhole('banyan.yaml', readYaml(text, {}))
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'))
  return loaded
}

/** Resources of a file, on a node that only notes what it is to run. */
async function start(text: string, shared?: Coordinator, { away = false, runtime = systemRuntime } = {}) {
  const coordinator = shared ?? (await openCoordinator('memory:'))
  if (!shared) open.push(coordinator)
  const loaded = await read(text)
  const node = new NotingNode(loaded.spec, away ? undefined : coordinator, runtime)
  const warnings: string[] = []
  const log: Log = (level, message) => {
    if (level === 'warn') warnings.push(message)
  }
  const hosted = new HostedResources({ node, loaded, log, env: {} })
  open.push(hosted)
  hosted.begin()
  const api = openResources(coordinator)
  open.push(api)
  const found = async (plural: string, name: string, test: (resource: Resource | undefined) => boolean) => {
    const options = {
      fieldSelector: `metadata.name=${name}`,
      sendInitialEvents: true,
      allowWatchBookmarks: true,
    }
    let known: Resource | undefined
    for await (const { type, object } of api.watch(kindOf(plural), options)) {
      if (type !== 'BOOKMARK') known = type === 'DELETED' ? undefined : object
      if (test(known)) return known
    }
    throw new Error('the watch has ended')
  }
  return {
    ...{ api, coordinator, node, warnings },
    close: () => hosted.close(),
    look: () => hosted.look(),
    kept: async (plural: string, name: string, test: Test) =>
      (await found(plural, name, (resource) => resource !== undefined && test(resource)))!,
    gone: (plural: string, name: string) => found(plural, name, (resource) => !resource),
    take: async (changed: string) => hosted.take(await read(changed), { by: 'watch', file: 'banyan.yaml' }),
  }
}

class NotingNode implements Running {
  spec: NodeSpec
  readonly applied: NodeSpec[] = []
  readonly refusals: (readonly ConfigProblem[])[] = []
  readonly coordinator: HostedCoordinator
  readonly runtime: Runtime
  healthy = true
  readonly #configuration: Configuration
  readonly #waiting = new Set<() => void>()

  constructor(spec: NodeSpec, coordinator: Coordinator | undefined, runtime: Runtime) {
    this.spec = spec
    this.runtime = runtime
    const { clock } = runtime
    const telemetry = {
      ...runtime.telemetry,
      counter: () => ({ add: () => undefined }),
      gauge: () => () => undefined,
    }
    this.#configuration = new Configuration(spec, { by: 'start' }, clock, telemetry, () => undefined)
    this.coordinator = {
      whenReached: (use: (coordinator: Coordinator) => void) => coordinator && use(coordinator),
    } as unknown as HostedCoordinator
  }

  get configuration() {
    return this.#configuration.state
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- it rejects, as the node does
  async apply(spec: NodeSpec, origin: Origin = { by: 'program' }) {
    refuseRestructuring(this.spec, spec)
    const changes = diffSpecs(this.spec, spec)
    if (changes.length > 0) this.applied.push(spec)
    this.spec = spec
    for (const look of this.#waiting) look()
    return this.#configuration.applied(spec, origin, changes)
  }

  /** Resolves when it runs what the test is for. */
  until(test: (spec: NodeSpec) => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (test(this.spec)) resolve()
      }
      this.#waiting.add(look)
      look()
    })
  }

  state(): NodeState {
    const endpoints = [{ available: this.healthy }]
    const names = Object.keys(this.spec.services)
    return {
      services: Object.fromEntries(names.map((name) => [name, { endpoints }])),
    } as unknown as NodeState
  }

  refuse(_origin: Origin, problems: readonly ConfigProblem[]): void {
    this.refusals.push(problems)
  }

  start = () => Promise.resolve()
  stop = () => Promise.resolve()
  controlledBy = () => undefined
  reopenLogs = () => undefined
}
