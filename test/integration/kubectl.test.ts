import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  defineResource,
  kubernetesApi,
  openCoordinator,
  openResources,
  type Coordinator,
  type ResourceApi,
} from '../../src/coordination/index.js'
import { nodeListener } from '../../src/core/index.js'
import { TestAuthority } from '../support/certificates.js'
import { Kubectl, kubectlMissing, type KubectlName } from '../support/kubectl.js'

interface PromotionSpec {
  discount: number
  audience?: string
  replicas?: number
  codes?: string[]
}

interface PromotionStatus {
  replicas?: number
  conditions?: { type: string; status: string }[]
}

const Promotion = defineResource<PromotionSpec, PromotionStatus>({
  group: 'shop.example',
  kind: 'Promotion',
  shortNames: ['promo'],
  categories: ['shop'],
  selectableFields: ['spec.audience'],
  spec: {
    type: 'object',
    description: 'A price that is lower for a while.',
    required: ['discount'],
    properties: {
      discount: { type: 'integer', minimum: 1, maximum: 90, description: 'In percent.' },
      audience: { type: 'string', enum: ['all', 'members'], default: 'all', description: 'Who gets it.' },
      replicas: { type: 'integer', minimum: 0 },
      codes: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
    },
  },
  status: {
    type: 'object',
    properties: {
      replicas: { type: 'integer' },
      conditions: {
        type: 'array',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['type'],
        items: {
          type: 'object',
          required: ['type', 'status'],
          properties: { type: { type: 'string' }, status: { type: 'string' } },
        },
      },
    },
  },
  scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' },
  printerColumns: [
    { name: 'Discount', type: 'integer', jsonPath: '.spec.discount' },
    { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
    { name: 'Audience', type: 'string', jsonPath: '.spec.audience', priority: 1 },
  ],
})
const Region = defineResource<{ country?: string }>({
  group: 'shop.example',
  version: 'v1beta1',
  kind: 'Region',
  scope: 'Cluster',
  categories: ['shop'],
  spec: { type: 'object', properties: { country: { type: 'string' } } },
})

let coordinator: Coordinator
let api: ResourceApi
let server: Server
let url: string

beforeAll(async () => {
  coordinator = await openCoordinator('memory:')
  api = openResources(coordinator)
  server = createServer(nodeListener(kubernetesApi(api, { definitions: [Promotion, Region] })))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterAll(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  await api.close()
  await coordinator.close()
})

let worlds = 0

/** A namespace that nothing is in, and a kubectl in it. */
function world(name: KubectlName) {
  const namespace = `world-${++worlds}`
  const kubectl = new Kubectl(name, url, namespace)
  const make = (promotion: string, spec: Partial<PromotionSpec> = {}, metadata: object = {}) =>
    api.create(Promotion, {
      metadata: { name: promotion, namespace, ...metadata },
      spec: { discount: 10, ...spec },
    })
  const read = (promotion: string) => api.get(Promotion, { name: promotion, namespace })
  return { namespace, kubectl, make, read, [Symbol.dispose]: () => kubectl[Symbol.dispose]() }
}

/** A promotion as somebody writes it. */
function manifest(name: string, spec: object = {}, metadata: object = {}) {
  return {
    apiVersion: 'shop.example/v1',
    kind: 'Promotion',
    metadata: { name, ...metadata },
    spec: { discount: 10, ...spec },
  }
}

const column = (table: string[][], index: number) => table.slice(1).map((row) => row[index])

describe.each<KubectlName>(['kubectl', 'kubectl-debian'])('with %s', (name) => {
  const isOld = name === 'kubectl-debian'

  describe.skipIf(kubectlMissing(name))('people', () => {
    it('see what there is, selected and in every form', async () => {
      using given = world(name)
      const { kubectl, make, namespace } = given
      expect(await kubectl.run('get promo')).toBe('')
      await make('autumn', { audience: 'members' }, { labels: { tier: 'gold', app: 'shop' } })
      await make('spring', { discount: 20 }, { labels: { app: 'shop' } })
      await make('winter', { discount: 5 })
      const table = await kubectl.table('get promotions')
      expect(table[0]).toEqual(['NAME', 'DISCOUNT', 'READY', 'AGE'])
      expect(table[1]?.slice(0, 2)).toEqual(['autumn', '10'])
      expect(column(table, 0)).toEqual(['autumn', 'spring', 'winter'])
      expect((await kubectl.table('get promo -o wide'))[0]).toEqual([
        ...['NAME', 'DISCOUNT', 'READY', 'AUDIENCE', 'AGE'],
      ])
      const names = async (line: string) => (await kubectl.run(`get ${line} -o name`)).trim().split('\n')
      const of = (...all: string[]) => all.map((each) => `promotion.shop.example/${each}`)
      expect(await names('promo -l tier=gold')).toEqual(of('autumn'))
      expect(await names("promo -l 'app in (shop),!tier'")).toEqual(of('spring'))
      expect(await names('promo --field-selector metadata.name!=spring')).toEqual(of('autumn', 'winter'))
      expect(await names('promo --field-selector spec.audience=members')).toEqual(of('autumn'))
      expect(await names('promo --chunk-size=1')).toEqual(of('autumn', 'spring', 'winter'))
      expect(await names('promo/winter')).toEqual(of('winter'))
      expect(await names('promotions.v1.shop.example winter')).toEqual(of('winter'))
      expect(await names('shop')).toEqual(of('autumn', 'spring', 'winter'))
      expect(column(await kubectl.table('get promo --sort-by=.spec.discount'), 0)).toEqual([
        ...['winter', 'autumn', 'spring'],
      ])
      const everywhere = await kubectl.table('get promo -A --show-labels -L tier')
      expect(everywhere[0]).toEqual(['NAMESPACE', 'NAME', 'DISCOUNT', 'READY', 'AGE', 'TIER', 'LABELS'])
      expect(everywhere.filter(([where]) => where === namespace)).toHaveLength(3)
      expect(await kubectl.run('get promo autumn -o jsonpath={.spec.audience}')).toBe('members')
      expect(await kubectl.table('get promo winter -o custom-columns=WHO:.metadata.name,OFF:.spec.discount')).toEqual([
        ...[['WHO', 'OFF'], ['winter', '5']],
      ]) // prettier-ignore
      expect(await kubectl.run('get promo spring -o yaml')).toContain('\n  discount: 20\n')
      expect(JSON.parse(await kubectl.run('get promo -o json'))).toMatchObject({
        kind: 'List',
        items: [{}, {}, {}],
      })
      expect(await kubectl.refused('get promo nothing')).toBe(
        'Error from server (NotFound): promotions.shop.example "nothing" not found\n',
      )
      expect(await kubectl.run('get promo nothing --ignore-not-found')).toBe('')
      expect(await kubectl.refused("get promo -l 'a in'")).toMatch(/nable to parse|BadRequest/)
      expect(await kubectl.refused('get promo --field-selector spec.nothing=1')).toContain('BadRequest')
      expect(await kubectl.run(`get ns ${namespace} -o name`)).toBe(`namespace/${namespace}\n`)
    })

    it('watch what happens', async () => {
      using given = world(name)
      const { kubectl, make, namespace, read } = given
      await make('summer')
      const watch = kubectl.start('get promo -w --output-watch-events')
      await watch.printed(/EVENT +NAME +DISCOUNT +READY +AGE\nADDED +summer +10 /)
      const { metadata } = await read('summer')
      await api.update(Promotion, { metadata, spec: { discount: 30 } })
      await watch.printed(/\nMODIFIED +summer +30 /)
      await make('winter')
      await watch.printed(/\nADDED +winter +10 /)
      await api.delete(Promotion, { name: 'summer', namespace })
      await watch.printed(/\nDELETED +summer +30 /)
      watch.process.kill()
      await watch.finish()
    })

    it('apply what they want', async () => {
      using given = world(name)
      const { kubectl, make, read } = given
      const apply = (input: object, flags = '') => kubectl.run(`apply ${flags} -f -`, { input })
      const labels = { tier: 'gold', app: 'shop' }
      expect(await apply(manifest('summer', { codes: ['a'] }, { labels }))).toBe(
        'promotion.shop.example/summer created\n',
      )
      expect(await apply(manifest('summer', { codes: ['a'] }, { labels }))).toBe(
        'promotion.shop.example/summer unchanged\n',
      )
      await kubectl.run('label promo summer by=hand')
      const cheaper = manifest('summer', { discount: 20 }, { labels: { app: 'shop' } })
      expect(await apply(cheaper)).toBe('promotion.shop.example/summer configured\n')
      expect((await read('summer')).metadata.labels).toEqual({ by: 'hand', app: 'shop' })
      expect((await read('summer')).spec).toMatchObject({ discount: 20 })
      expect((await read('summer')).spec).not.toHaveProperty('codes')
      expect(await kubectl.run('apply view-last-applied promo/summer')).toContain('discount: 20')
      const both = {
        apiVersion: 'v1',
        kind: 'List',
        items: [
          manifest('autumn'),
          {
            ...manifest('x'),
            apiVersion: 'shop.example/v1beta1',
            kind: 'Region',
            spec: { country: 'Chile' },
          },
        ],
      }
      expect(await apply(both)).toBe('promotion.shop.example/autumn created\nregion.shop.example/x created\n')
      expect(await kubectl.run('delete -f -', { input: both })).toContain('region.shop.example "x" deleted')
      const wrong = await kubectl.refused('apply -f -', {
        input: manifest('wrong', { discount: 99, audience: 'me' }),
      })
      expect(wrong).toContain('spec.discount: Invalid value')
      expect(wrong).toContain('spec.audience: Unsupported value')
      const unknown = await kubectl.refused('apply -f -', { input: manifest('unknown', { discuont: 1 }) })
      expect(unknown).toMatch(
        isOld ? /unknown field "discuont"/ : /strict decoding error: unknown field "spec.discuont"/,
      )
      await apply(manifest('unknown', { discuont: 1 }), '--validate=false')
      expect((await read('unknown')).spec).not.toHaveProperty('discuont')
      await make('found')
      const { stderr } = await kubectl
        .start('apply -f -', { input: manifest('found', { discount: 11 }) })
        .finish()
      expect(stderr).toContain('missing the kubectl.kubernetes.io/last-applied-configuration annotation')
      expect(await read('found')).toMatchObject({ spec: { discount: 11 } })
    })

    it('apply at the server, and learn who else has a field', async () => {
      using given = world(name)
      const { kubectl, read } = given
      const apply = (who: string, input: object, flags = '') =>
        kubectl.start(`apply --server-side --field-manager=${who} ${flags} -f -`, { input }).finish()
      expect(await apply('ada', manifest('summer', { codes: ['a'] }))).toMatchObject({
        code: 0,
        stdout: 'promotion.shop.example/summer serverside-applied\n',
      })
      const conflict = await apply('bob', manifest('summer', { discount: 20, codes: ['b'] }))
      expect(conflict.code).toBe(1)
      expect(conflict.stderr).toContain('conflict with "ada"')
      expect(conflict.stderr).toContain('.spec.discount')
      expect(conflict.stderr).not.toContain('.spec.codes')
      expect(
        await apply('bob', manifest('summer', { discount: 20, codes: ['b'] }), '--force-conflicts'),
      ).toMatchObject({ code: 0 })
      expect(await read('summer')).toMatchObject({ spec: { discount: 20, codes: ['a', 'b'] } })
      await apply('bob', manifest('summer', { discount: 20 }))
      expect(await read('summer')).toMatchObject({ spec: { discount: 20, codes: ['a'] } })
    })

    it('see what would be different', async () => {
      using given = world(name)
      const { kubectl, make, read } = given
      await kubectl.run('apply -f -', { input: manifest('summer') })
      expect(await kubectl.run('diff -f -', { input: manifest('summer') })).toBe('')
      const changed = await kubectl.refused('diff -f -', { input: manifest('summer', { discount: 30 }) })
      expect(changed).toMatch(/\n- {2}discount: 10\n\+ {2}discount: 30\n/)
      const added = await kubectl.refused('diff --server-side -f -', { input: manifest('winter') })
      expect(added).toMatch(/\n\+ {2}name: winter\n/)
      await expect(read('winter')).rejects.toMatchObject({ code: 'BANYAN_RESOURCE_NOT_FOUND' })
      expect(await read('summer')).toMatchObject({ spec: { discount: 10 } })
      await make('autumn')
      for (const flag of ['--dry-run=server', '--dry-run=client'])
        expect(await kubectl.run(`create ${flag} -f -`, { input: manifest('winter') })).toMatch(
          /^promotion.shop.example\/winter created/,
        )
      await expect(read('winter')).rejects.toMatchObject({ code: 'BANYAN_RESOURCE_NOT_FOUND' })
      expect(await kubectl.refused('create --dry-run=server -f -', { input: manifest('autumn') })).toContain(
        'AlreadyExists',
      )
      expect(await kubectl.run('delete promo autumn --dry-run=server')).toContain('(server dry run)')
      await read('autumn')
    })

    it('wait until something is so, and until it is gone', async () => {
      using given = world(name)
      const { kubectl, make, namespace, read } = given
      await make('summer')
      const ready = kubectl.start('wait --for=condition=Ready promo/summer --timeout=60s -v=8')
      await ready.printed(/watch=true/)
      const { metadata, spec } = await read('summer')
      const status = { conditions: [{ type: 'Ready', status: 'True' }] }
      await api.updateStatus(Promotion, { metadata, spec, status })
      expect(await ready.finish()).toMatchObject({ code: 0 })
      expect(await kubectl.run('wait --for=condition=Ready promo/summer')).toBe(
        'promotion.shop.example/summer condition met\n',
      )
      expect(column(await kubectl.table('get promo'), 2)).toEqual(['True'])
      const gone = kubectl.start('wait --for=delete promo/summer --timeout=60s -v=8')
      await gone.printed(/watch=true/)
      await api.delete(Promotion, { name: 'summer', namespace })
      expect(await gone.finish()).toMatchObject({ code: 0 })
      await make('never')
      expect(await kubectl.refused('wait --for=condition=Ready promo/never --timeout=1s')).toContain(
        'timed out',
      )
    })

    it('have the kinds explained', async () => {
      using given = world(name)
      const { kubectl } = given
      const kind = await kubectl.run('explain promo')
      expect(kind).toMatch(/KIND: +Promotion\nVERSION: +(shop.example\/)?v1\n/)
      for (const word of [
        'A price that is lower for a while.',
        'metadata\t<',
        'spec\t<',
        'What is known of it.',
      ])
        expect(kind).toContain(word)
      expect(await kubectl.run('explain promotions.spec.discount')).toMatch(
        /discount\s+<integer>[\s\S]*In percent\./,
      )
      const all = await kubectl.run('explain promo --recursive')
      for (const field of ['ownerReferences', 'audience', 'codes', 'conditions', 'blockOwnerDeletion'])
        expect(all).toContain(field)
      expect(await kubectl.refused('explain promo.spec.nothing')).toContain('field "nothing" does not exist')
      expect(await kubectl.run('explain regions.spec')).toContain('country')
    })

    it('edit', async () => {
      using given = world(name)
      const { kubectl, make, read } = given
      await make('summer')
      const editor = kubectl.file(
        'editor',
        '#!/bin/sh\nexec sed -i \'s/discount: 10/discount: 25/\' "$1"\n',
        0o700,
      )
      expect(await kubectl.run('edit promo summer', { environment: { KUBE_EDITOR: editor } })).toBe(
        'promotion.shop.example/summer edited\n',
      )
      expect(await read('summer')).toMatchObject({ spec: { discount: 25 } })
      const { stderr } = await kubectl
        .start('edit promo summer', { environment: { KUBE_EDITOR: 'true' } })
        .finish()
      expect(stderr).toContain('no changes made')
    })

    it('patch', async () => {
      using given = world(name)
      const { kubectl, make, read } = given
      await make('summer', { codes: ['a', 'b'] })
      expect(await kubectl.run(`patch promo summer --type=merge -p '{"spec":{"discount":15}}'`)).toBe(
        'promotion.shop.example/summer patched\n',
      )
      expect(await kubectl.run(`patch promo summer --type=merge -p '{"spec":{"discount":15}}'`)).toBe(
        'promotion.shop.example/summer patched (no change)\n',
      )
      await kubectl.run(`patch promo summer --type=json -p '[{"op":"remove","path":"/spec/codes/0"}]'`)
      expect(await read('summer')).toMatchObject({ spec: { discount: 15, codes: ['b'] } })
      expect(
        await kubectl.refused(
          `patch promo summer --type=json -p '[{"op":"test","path":"/spec/discount","value":1}]'`,
        ),
      ).toContain('The request is invalid')
      expect(await kubectl.refused(`patch promo summer -p '{"spec":{"discount":1}}'`)).toContain(
        'accepted media types include: application/json-patch+json',
      )
      expect(
        await kubectl.refused(`patch promo summer --type=merge -p '{"spec":{"discount":99}}'`),
      ).toContain('spec.discount: Invalid value')
      expect(await read('summer')).toMatchObject({ spec: { discount: 15, codes: ['b'] } })
    })

    it('replace', async () => {
      using given = world(name)
      const { kubectl, make, read } = given
      const first = await make('summer', { codes: ['a'] })
      expect(await kubectl.run('replace -f -', { input: manifest('summer', { discount: 12 }) })).toBe(
        'promotion.shop.example/summer replaced\n',
      )
      expect((await read('summer')).spec).toEqual({ discount: 12, audience: 'all' })
      const stale = {
        ...manifest('summer'),
        metadata: { name: 'summer', resourceVersion: first.metadata.resourceVersion },
      }
      expect(await kubectl.refused('replace -f -', { input: stale })).toContain(
        'the object has been modified',
      )
      await kubectl.run('replace --force -f -', { input: manifest('summer', { discount: 13 }) })
      const last = await read('summer')
      expect(last).toMatchObject({ spec: { discount: 13 } })
      expect(last.metadata.uid).not.toBe(first.metadata.uid)
      expect(await kubectl.refused('replace -f -', { input: manifest('nothing') })).toContain('not found')
    })

    it('delete', async () => {
      using given = world(name)
      const { kubectl, make, namespace, read } = given
      const list = async () =>
        (await api.list(Promotion, { namespace })).items.map((item) => item.metadata.name)
      await make('held', {}, { finalizers: ['shop.example/cleanup'] })
      await make('one', {}, { labels: { app: 'shop' } })
      await make('two', {}, { labels: { app: 'shop' } })
      await make('three')
      await make('four')
      expect(await kubectl.run('delete promo -l app=shop')).toMatch(/"one" deleted.*\n.*"two" deleted/)
      expect(await kubectl.run('delete promo/three promo/four')).toMatch(
        /"three" deleted.*\n.*"four" deleted/,
      )
      expect(await list()).toEqual(['held'])
      await kubectl.run('delete promo held --wait=false')
      expect((await read('held')).metadata.deletionTimestamp).toBeDefined()
      const waiting = kubectl.start('delete promo held --timeout=60s -v=8')
      await waiting.printed(/watch=true/)
      await kubectl.run(`patch promo held --type=merge -p '{"metadata":{"finalizers":null}}'`)
      expect(await waiting.finish()).toMatchObject({ code: 0 })
      expect(await list()).toEqual([])
      await make('orphaning')
      await kubectl.run('delete promo orphaning --cascade=orphan --wait=false')
      expect((await read('orphaning')).metadata.finalizers).toEqual(['orphan'])
      await make('foreground')
      if (!isOld) {
        await kubectl.run('delete promo foreground --cascade=foreground --wait=false')
        expect((await read('foreground')).metadata.finalizers).toEqual(['foregroundDeletion'])
      }
      await make('forced')
      await kubectl.run('delete promo forced --force --grace-period=0')
      expect(await list()).not.toContain('forced')
      expect(await kubectl.refused('delete promo nothing')).toContain('NotFound')
      expect(await kubectl.run('delete promo nothing --ignore-not-found')).not.toContain('nothing')
      await make('last')
      expect(await kubectl.run('delete promo --all --wait=false')).toContain('"last" deleted')
    })

    it('scale, label and annotate', async () => {
      using given = world(name)
      const { kubectl, make, read } = given
      await make('summer', { replicas: 1 })
      expect(await kubectl.run('scale promo summer --replicas=3')).toBe(
        'promotion.shop.example/summer scaled\n',
      )
      expect(await read('summer')).toMatchObject({ spec: { replicas: 3 } })
      expect(await kubectl.refused('scale promo summer --current-replicas=1 --replicas=5')).toContain(
        'to be 1, was 3',
      )
      expect(await kubectl.run('label promo summer tier=gold app=shop')).toBe(
        'promotion.shop.example/summer labeled\n',
      )
      expect(await kubectl.refused('label promo summer tier=silver')).toContain(
        'already has a value (gold), and --overwrite is false',
      )
      await kubectl.run('label promo summer tier=silver --overwrite')
      await kubectl.run('label promo --all app-')
      expect((await read('summer')).metadata.labels).toEqual({ tier: 'silver' })
      expect(await kubectl.refused("label promo summer 'tier=not allowed'")).toContain('a valid label must')
      await kubectl.run("annotate promo summer shop.example/note='since june'")
      expect((await read('summer')).metadata.annotations).toEqual({ 'shop.example/note': 'since june' })
      await kubectl.run('annotate promo summer shop.example/note-')
      expect((await read('summer')).metadata.annotations).toBeUndefined()
    })

    it('look around', async () => {
      using given = world(name)
      const { kubectl, make } = given
      const kinds = await kubectl.run('api-resources --api-group=shop.example -o wide')
      expect(kinds).toMatch(/promotions +promo +shop.example\/v1 +true +Promotion +/)
      expect(kinds).toMatch(/regions +shop.example\/v1beta1 +false +Region +/)
      expect(await kubectl.run('api-resources --namespaced=false -o name')).toContain('regions.shop.example')
      expect(await kubectl.run('api-versions')).toContain('shop.example/v1\nshop.example/v1beta1\n')
      expect(await kubectl.run('version')).toMatch(/Server Version/)
      await make('summer', { codes: ['a'] }, { labels: { app: 'shop' } })
      const described = await kubectl.run('describe promo summer')
      expect(described).toMatch(/^Name: +summer\n/)
      expect(described).toMatch(/Labels: +app=shop\n/)
      expect(described).toMatch(/ Discount: +10\n/)
      expect(described).toMatch(/Events: +<none>\n/)
      expect(await kubectl.run('get events')).toBe('')
      expect(await kubectl.run('get --raw /readyz')).toBe('ok')
      expect(await kubectl.run('auth can-i delete promo')).toBe('yes\n')
    })

    it('make namespaces, as manifests do: they are there', async () => {
      using given = world(name)
      const { kubectl } = given
      const team = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team-a' } }
      expect(await kubectl.run('create -f -', { input: team })).toBe('namespace/team-a created\n')
      const { stdout, stderr } = await kubectl.start('apply -f -', { input: team }).finish()
      expect([stdout, stderr]).toEqual([
        'namespace/team-a configured\n',
        expect.stringContaining('Warning: namespaces are there by being named'),
      ])
      expect(
        await kubectl.refused('create -f -', { input: { ...team, metadata: { name: 'Team' } } }),
      ).toContain('RFC 1123')
      expect(await kubectl.run('create namespace team-b')).toBe('namespace/team-b created\n')
    })
  })
})

/** What the one of Debian does not know yet. */
describe.skipIf(kubectlMissing())('with a kubectl of today people', () => {
  it('wait for any field, and for what is not there yet', async () => {
    using given = world('kubectl')
    const { kubectl, make } = given
    const made = kubectl.start('wait --for=create promo/summer --timeout=60s')
    await make('summer')
    expect(await made.finish()).toMatchObject({ code: 0 })
    const cheaper = kubectl.start('wait --for=jsonpath={.spec.discount}=50 promo/summer --timeout=60s -v=8')
    await cheaper.printed(/watch=true/)
    await kubectl.run(`patch promo summer --type=merge -p '{"spec":{"discount":50}}'`)
    expect(await cheaper.finish()).toMatchObject({ code: 0 })
  })

  it('read and write statuses', async () => {
    using given = world('kubectl')
    const { kubectl, make, read } = given
    await make('summer')
    await kubectl.run(`patch promo summer --subresource=status --type=merge -p '{"status":{"replicas":2}}'`)
    expect(await read('summer')).toMatchObject({ status: { replicas: 2 } })
    expect(await kubectl.run('get promo summer --subresource=status -o jsonpath={.status.replicas}')).toBe(
      '2',
    )
    const status = { ...manifest('summer', { discount: 80 }), status: { replicas: 3 } }
    await kubectl.run('apply --server-side --subresource=status --force-conflicts -f -', { input: status })
    expect(await read('summer')).toMatchObject({ spec: { discount: 10 }, status: { replicas: 3 } })
    const editor = kubectl.file(
      'editor',
      '#!/bin/sh\nexec sed -i \'s/replicas: 3/replicas: 4/\' "$1"\n',
      0o700,
    )
    await kubectl.run('edit promo summer --subresource=status', { environment: { KUBE_EDITOR: editor } })
    expect(await read('summer')).toMatchObject({ status: { replicas: 4 } })
  })

  it('see who manages which fields, also after they went over to apply at the server', async () => {
    using given = world('kubectl')
    const { kubectl, read } = given
    await kubectl.run('apply -f -', { input: manifest('summer', { codes: ['a'] }) })
    await kubectl.run('apply --server-side -f -', { input: manifest('summer', { discount: 20 }) })
    const { metadata, spec } = await read('summer')
    expect(spec).toEqual({ discount: 20, audience: 'all' })
    const managers = metadata.managedFields?.map(({ manager, operation }) => [manager, operation].join(' '))
    expect(managers?.toSorted()).toEqual(['kubectl Apply', 'kubectl-last-applied Apply'])
    expect(await kubectl.run('get promo summer --show-managed-fields -o yaml')).toContain('f:discount')
  })

  it('are known by their tokens, over TLS, and may what they may', async () => {
    using given = world('kubectl')
    const { kubectl } = given
    const authority = new TestAuthority()
    const { cert, key } = authority.issue({ names: ['IP:127.0.0.1'] })
    const guarded = kubernetesApi(api, {
      definitions: [Promotion],
      authorize: ({ token, verb }) => (token === undefined ? 'unknown' : token === 'ada' || verb === 'get'),
    })
    const listener = createTlsServer(
      { cert: readFileSync(cert), key: readFileSync(key) },
      nodeListener(guarded),
    )
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
    const address = `https://127.0.0.1:${(listener.address() as AddressInfo).port}`
    const secure = `--server=${address} --certificate-authority=${authority.cert}`
    expect(await kubectl.run(`${secure} --token=ada get promo -o name`)).toBe('')
    expect(await kubectl.run(`${secure} --token=bob auth can-i get promo/summer`)).toBe('yes\n')
    expect(await kubectl.refused(`${secure} --token=bob auth can-i list promo`)).toBe('no\n')
    expect(await kubectl.run(`${secure} --token=bob auth whoami -o name`)).toContain('selfsubjectreview')
    expect(await kubectl.refused(`${secure} --token=bob get promo`)).toMatch(
      /Forbidden.*cannot list resource "promotions" in API group "shop.example" in the namespace/,
    )
    expect(await kubectl.refused(`${secure} --username=ada --password=x get promo`)).toMatch(
      /must be logged in|Unauthorized/,
    )
    listener.closeAllConnections()
    await new Promise((resolve) => listener.close(resolve))
  })

  it('are warned of fields that there are not', async () => {
    using given = world('kubectl')
    const { kubectl, read } = given
    const { code, stderr } = await kubectl
      .start('apply --validate=warn -f -', { input: manifest('summer', { discuont: 1 }) })
      .finish()
    expect([code, stderr]).toEqual([0, 'Warning: unknown field "spec.discuont"\n'])
    expect((await read('summer')).spec).not.toHaveProperty('discuont')
  })
})
