import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { openCoordinator } from '../../src/coordination/index.js'
import type { Resource } from '../../src/coordination/resources/object.js'
import { openResources } from '../../src/coordination/resources/store/resources.js'
import { entryKinds } from '../../src/node/resources/kinds.js'
import type { EntryStatus } from '../../src/node/resources/status.js'
import { Cli, configFile } from '../support/cli.js'
import { closeAll, open } from '../support/gateway.js'
import { Kubectl, kubectlMissing } from '../support/kubectl.js'

afterEach(closeAll)

/** A coordinator in a file of its own, and what is kept there. */
async function store() {
  const path = mkdtempSync(join(tmpdir(), 'banyan-resources-'))
  open.push({ close: () => rmSync(path, { recursive: true, force: true }) })
  const coordinator = await openCoordinator(`sqlite:${path}`)
  const api = openResources(coordinator)
  open.push({ close: () => coordinator.close() }, api)
  return { path, api }
}

type Api = Awaited<ReturnType<typeof store>>['api']

/** A node, as a process of its own. */
async function start(node: string, more: object = {}) {
  const file = configFile({
    listen: 0,
    admin: 0,
    resources: { node },
    routes: { hi: { match: { path: '/hi' }, respond: { body: 'hi' } } },
    ...more,
  })
  const cli = new Cli('up', '-c', file)
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    cli.process.kill(signal)
    await cli.ended
  }
  open.push({ close: () => stop('SIGKILL') })
  const admin = (await cli.printed(/admin on (http:\/\/[\d.]+:\d+)/))[1]!
  const gateway = (await cli.printed(/gateway on (http:\/\/[\d.]+:\d+)/))[1]!
  const ask = async (route: string): Promise<string> => (await fetch(`${gateway}${route}`)).text()
  return { cli, file, admin, stop, ask }
}

function kindOf(plural: string): ReturnType<typeof entryKinds>[number]['definition'] {
  return entryKinds().find(({ definition }) => definition.plural === plural)!.definition
}

/** Waits until a resource is as a test says. */
async function until(
  api: Api,
  [plural, name]: readonly [string, string],
  test: (status: EntryStatus, resource: Resource) => boolean,
): Promise<Resource<unknown, EntryStatus>> {
  for await (const event of api.watch(kindOf(plural), { fieldSelector: `metadata.name=${name}` })) {
    if (event.type === 'BOOKMARK' || event.type === 'DELETED') continue
    const { object } = event
    if (test(object.status ?? {}, object)) return object
  }
  throw new Error('the watch has ended')
}

/** All of these nodes run it as it is. */
function runsOn(...nodes: string[]) {
  return ({ nodes: reports = [] }: EntryStatus, { metadata }: Resource): boolean =>
    nodes.every((node) =>
      reports.some(
        ({ name, observedGeneration, conditions }) =>
          name === node &&
          observedGeneration === metadata.generation &&
          conditions.some(({ type, status }) => type === 'Programmed' && status === 'True'),
      ),
    )
}

test('several nodes run what is in the store, whoever has brought it', async () => {
  const { path, api } = await store()
  const coordination = { driver: 'sqlite', path }
  const [one, two] = await Promise.all([start('one', { coordination }), start('two', { coordination })])
  await until(api, ['routes', 'hi'], runsOn('one', 'two'))

  const spec = { match: { path: '/hello' }, respond: { body: 'hello' } }
  await api.create(kindOf('routes'), { metadata: { name: 'hello' }, spec })
  await until(api, ['routes', 'hello'], runsOn('one', 'two'))
  expect([await one.ask('/hello'), await two.ask('/hello')]).toEqual(['hello', 'hello'])

  // One that cannot be changes nothing, on no node.
  const lost = { match: { path: '/lost' }, to: 'nowhere' }
  await api.create(kindOf('routes'), { metadata: { name: 'lost' }, spec: lost })
  const refused = ({ nodes = [] }: EntryStatus): boolean => nodes.length === 2
  const { status } = await until(api, ['routes', 'lost'], refused)
  expect(status!.conditions).toMatchObject([
    { type: 'Accepted', status: 'False', reason: 'Invalid' },
    { type: 'Programmed', status: 'False' },
    { type: 'Ready', status: 'Unknown' },
  ])
  expect([await one.ask('/hello'), await two.ask('/hi')]).toEqual(['hello', 'hi'])
  await api.delete(kindOf('routes'), { name: 'lost' })

  // A file that one node has changed is what both run.
  const changed = readFileSync(one.file, 'utf8').replace('"body":"hi"', '"body":"ho"')
  writeFileSync(one.file, changed)
  one.cli.process.kill('SIGHUP')
  await until(
    api,
    ['routes', 'hi'],
    (state, object) => object.metadata.generation === 2 && runsOn('one', 'two')(state, object),
  )
  expect([await one.ask('/hi'), await two.ask('/hi')]).toEqual(['ho', 'ho'])

  // Both say which configuration they run, and it is not the same: the nodes' own settings are in it.
  const nodes = await api.list(kindOf('nodes'))
  expect(nodes.items.map(({ metadata }) => metadata.name)).toEqual(['one', 'two'])
  const self = await until(api, ['nodes', 'one'], runsOn('one'))
  expect(self.status!.nodes![0]!.configHash).toMatch(/^[0-9a-f]{12}$/)

  const served = await fetch(`${two.admin}/kubernetes/apis/banyan.dev/v1/namespaces/default/routes`)
  const { items } = (await served.json()) as { items: readonly Resource[] }
  expect(items.map(({ metadata }) => metadata.name)).toEqual(['hello', 'hi'])

  await one.stop('SIGTERM')
  expect(one.cli.process.exitCode).toBe(0)
})

test.skipIf(kubectlMissing())('kubectl is a door, too, and the file has its say', async () => {
  const node = await start('edge')
  await node.cli.printed(/runs the resources of default/)
  using kubectl = new Kubectl('kubectl', `${node.admin}/kubernetes`)
  const route = (name: string, spec: object): object => ({
    apiVersion: 'banyan.dev/v1',
    kind: 'Route',
    metadata: { name },
    spec,
  })
  const hello = route('hello', { match: { path: '/hello' }, respond: { body: 'hello' } })
  await kubectl.run('apply --server-side -f -', { input: hello })
  await kubectl.run('wait route/hello --for=condition=Programmed --timeout=60s')
  expect(await node.ask('/hello')).toBe('hello')
  const names = (await kubectl.run('get banyan -o name')).trim().split('\n')
  expect(names.sort()).toEqual(['node.banyan.dev/edge', 'route.banyan.dev/hello', 'route.banyan.dev/hi'])
  const [header, ...rows] = await kubectl.table('get routes hi')
  expect(header).toEqual(['NAME', 'ACCEPTED', 'PROGRAMMED', 'READY', 'AGE'])
  expect(rows.map((row) => row.slice(0, 4))).toEqual([['hi', 'True', 'True', 'True']])
  const runs = (await kubectl.table('get nodes.banyan.dev edge'))[1]!
  expect(runs[4]).toMatch(/^[0-9a-f]{12}$/)
  const mine = route('hi', { respond: { body: 'mine' } })
  const conflict = await kubectl.refused('apply --server-side -f -', { input: mine })
  expect(conflict).toContain('conflict with "banyan.yaml": .spec.respond.body')
  const wrong = await kubectl.refused('create -f -', { input: route('x', { match: {}, respnd: {} }) })
  expect(wrong).toContain('unknown field "spec.respnd"')
})
