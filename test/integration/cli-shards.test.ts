import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { systemRuntime } from '../../src/core/runtime.js'
import { noTelemetry } from '../../src/core/telemetry.js'
import {
  heatMeter,
  joinShards,
  openCoordinator,
  openShardMap,
  type Coordinator,
  type ShardMap,
  type ShardWorker,
} from '../../src/coordination/index.js'
import { Cli, run } from '../support/cli.js'
import { startCoordination } from '../support/coordination-node.js'
import { closeAll } from '../support/gateway.js'

/** One node, and two workers of a shard map on the same coordinator; what operators see of it and do to it, in the order of a day. */

let directory: string
let application: Coordinator
let map: ShardMap
let admin: string
let ask: Awaited<ReturnType<typeof startCoordination>>['ask']
const workers: ShardWorker[] = []

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'banyan-cli-shards-'))
  application = await openCoordinator(`sqlite:${directory}`, {
    runtime: { ...systemRuntime, telemetry: noTelemetry },
  })
  ;({ admin, ask } = await startCoordination({ driver: 'sqlite', path: directory }))
  for (const worker of ['web-1:4711', 'web-2:88'])
    workers.push(
      joinShards(application, 'orders', {
        ...{ worker, buckets: 8, settle: '20ms', reportEvery: '20ms' },
        load: (bucket) => (bucket === '3' ? 50 : 1),
      }),
    )
  map = openShardMap(application, 'orders')
  const load: unknown = expect.any(Number)
  await vi.waitFor(
    async () =>
      expect(await ask('/api/shards/orders')).toMatchObject({ unowned: 0, workers: [{ load }, { load }] }),
    { timeout: 10_000 },
  )
})

afterAll(async () => {
  await closeAll()
  await map.close()
  await Promise.all(workers.map((worker) => worker.close()))
  await application.close()
  rmSync(directory, { recursive: true })
})

const through = () => ['--admin', admin]
const directly = () => ['--on', `sqlite:${directory}`]

/** Asks for something through the admin API. */
function post(what: string, body: object): Promise<unknown> {
  return ask(`/api/shards/orders/${what}`, { method: 'POST', body: JSON.stringify(body) })
}

/** Who has a bucket, as the admin API tells. */
async function ownerOf(bucket: string): Promise<unknown> {
  const { owners } = (await ask('/api/shards/orders')) as { owners: { bucket: string; worker?: string }[] }
  return owners.find((each) => each.bucket === bucket)?.worker
}

test('what there is, through a node and directly', async () => {
  const [all, one, json] = await Promise.all([
    run('shards', ...through()),
    run('shards', 'show', 'orders', '--buckets', ...directly()),
    run('shards', 'orders', '--json', ...through()),
  ])
  expect([all, one, json].map(({ stderr }) => stderr).join('')).toBe('')
  expect(all.stdout).toMatch(
    /^SHARD MAP +BUCKETS +WORKERS +UNOWNED +MOVING +LOAD +PLANNED BY\norders +8 +2 +- +\d/,
  )
  expect(one.stdout).toMatch(
    /^orders {2}on 2 workers\nbuckets +8\nunowned +-\nplanned +by web-\d:\d+, plan \d+ of 20/,
  )
  expect(one.stdout).toMatch(
    /\nWORKER +WEIGHT +BUCKETS +PLANNED +LOAD +STATE +SINCE\nweb-1:4711 +1 +\d +\d +\S+ +works/,
  )
  expect(one.stdout.match(/\n[0-7] +web-\d:\d+ +\d+ +owned/g)).toHaveLength(8)
  expect(JSON.parse(json.stdout)).toMatchObject({
    name: 'orders',
    plan: { at: expect.stringMatching(/^20.*Z$/) as string },
    owners: Array.from({ length: 8 }, (_, bucket) => ({
      bucket: String(bucket),
      epoch: expect.any(Number) as number,
    })),
  })
})

test('a dry run says what would move, and moves nothing', async () => {
  const [without, json] = await Promise.all([
    run('shards', 'plan', 'orders', '--without', 'web-2:88', ...through()),
    run('shards', 'plan', 'orders', '--with', 'web-3:1=2', '--json', ...directly()),
  ])
  expect(without.stdout).toMatch(
    /^orders {2}\d moves?\n\nBUCKET +FROM +TO +WHY\n\d +web-2:88 +web-1:4711 +gone\n/,
  )
  expect(without.stdout).toMatch(/\nWORKER +WEIGHT +BUCKETS +THEN +LOAD +THEN\nweb-1:4711 +1 +\d +8 /)
  expect(JSON.parse(json.stdout)).toMatchObject({
    name: 'orders',
    after: [{}, {}, { worker: 'web-3:1', weight: 2 }],
  })
  expect(await ask('/api/shards/orders')).toMatchObject({ workers: [{}, {}], moves: [] })
})

test('what is wrong is an error that helps', async () => {
  const answers = await Promise.all([
    run('shards', 'order', ...through()),
    run('shards', 'move', 'orders', '3', '--to', 'web-7:1', ...directly()),
    run('shards', 'plan', 'orders', '--with', 'web-3=none', ...directly()),
    run('shards', 'drain', 'carts', 'web-1:4711', ...through()),
    run('shards', 'heat', 'orders', '--from', join(directory, 'none.json'), ...directly()),
  ])
  expect(answers.map(({ code }) => code)).toEqual([1, 1, 2, 1, 1])
  const errors = answers.map(({ stderr }) => stderr)
  expect(errors[0]).toContain('there are no shards "order", did you mean "orders"?')
  expect(errors[1]).toContain('no worker "web-7:1" takes part in "orders"; who does: web-1:4711, web-2:88')
  expect(errors[2]).toContain('--with is ID or ID=WEIGHT with a weight above 0, not web-3=none')
  expect(errors[3]).toContain('there are no shards "carts"; there are "orders"')
  expect(errors[4]).toContain('none.json cannot be read as JSON')
})

test('the admin API answers the same, and says what is wrong', async () => {
  expect(await ask('/api/shards')).toMatchObject({ shards: [{ name: 'orders', buckets: 8, unowned: 0 }] })
  expect(JSON.stringify(await ask('/api/shards'))).not.toContain('"owners"')
  expect(await ask('/api/data-shards')).toEqual({ 'data-shards': [] })
  const asked = (body: string) => ({ method: 'POST', body })
  for (const [path, init, problem] of [
    ['/api/shards/ordrs', {}, { status: 404, code: 'BANYAN_SHARD_MAP_UNKNOWN' }],
    ['/api/data-shards/orders', {}, { status: 404, code: 'BANYAN_SHARDS_UNKNOWN' }],
    ['/api/shards/orders/cold', {}, { status: 404 }],
    ['/api/shards/orders/move', asked('{ "bucket": "3" }'), { status: 400, detail: '`to` is missing.' }],
    [
      '/api/shards/orders/move',
      asked('{ "bucket": "3", "to": "web-9" }'),
      { status: 404, code: 'BANYAN_WORKER_UNKNOWN' },
    ],
    [
      '/api/shards/orders/split',
      asked('{ "bucket": "3/0" }'),
      { status: 404, code: 'BANYAN_BUCKET_UNKNOWN' },
    ],
    ['/api/shards/orders/plan', asked('{ "add": { "w": "1" } }'), { status: 400 }],
    ['/api/shards/orders/drain', asked('{ "worker": "web-2:88", "undo": 1 }'), { status: 400 }],
  ] as const)
    expect(await ask(path, init), path).toMatchObject(problem)
  const response = await fetch(`${admin}/api/shards/orders/plan`, asked('{ "remove": ["web-2:88"] }'))
  expect([response.status, await response.json()]).toMatchObject([200, { after: [{ worker: 'web-1:4711' }] }])
})

test('what is too hot: as workers say, and as a meter has measured', async () => {
  const byWorkers = await run('shards', 'heat', 'orders', ...through())
  expect(byWorkers.stdout).toMatch(/\nHOTTEST BUCKET +OWNER +LOAD +SHARE\n3 +web-\d:\d+ +50 +87\.7%\n/)
  expect(byWorkers.stdout).toMatch(/\nsplit: bucket 3 of "web-\d:\d+" has 87\.7% of the load/)
  expect(await ask('/api/shards/orders/heat')).toMatchObject({ total: 57, findings: [{ bucket: '3' }] })

  const meter = heatMeter({ buckets: 8 })
  for (let request = 0; request < 90; request++)
    meter.record(request % 10 === 0 ? `customer-${request}` : 'whale')
  const file = join(directory, 'heat.json')
  writeFileSync(file, JSON.stringify(meter.snapshot()))
  const byMeter = await run('shards', 'heat', 'orders', '--from', file, ...directly())
  expect(byMeter.stdout).toMatch(/\nHOTTEST KEY +BUCKET +LOAD +SHARE\nwhale +\d +\S+ +90\.0%\n/)
  expect(byMeter.stdout).toContain('\nsalt: key "whale" has at least 90.0% of the load')
})

test('a bucket is moved as those who follow see it, and pinned until that is taken back', async () => {
  const from = await ownerOf('3')
  const to = from === 'web-1:4711' ? 'web-2:88' : 'web-1:4711'
  const live = new Cli('shards', 'orders', '--watch', '--json', ...through())
  await live.printed(/"name":"orders"/)
  const moved = await run('shards', 'move', 'orders', '3', '--to', to, '--actor', 'ada', ...directly())
  expect(moved.stdout).toBe(`bucket 3 of orders goes to ${to}, and stays there until it is unpinned\n`)
  await expect.poll(() => ownerOf('3')).toBe(to)
  await live.printed(
    new RegExp(`"what":"pinned","buckets":\\[{"bucket":"3","from":"${String(from)}","to":"${to}"`),
  )
  live.process.kill('SIGINT')
  expect((await live.finish()).code).toBe(0)
  const shown = await run('shards', 'orders', ...through())
  expect(shown.stdout).toMatch(new RegExp(`\n3 +${to} +\\d+ +pinned to ${to} by ada`))
  expect(await post('unpin', { bucket: '3' })).toEqual({ name: 'orders' })
})

test('paused, split, resumed, merged, drained', async () => {
  const said = async (...args: string[]) => (await run('shards', ...args)).stdout
  const live = new Cli('shards', '--watch', '--json', ...directly())
  await live.printed(/"dataShards":\[\]/)
  expect(await said('pause', 'orders', '--actor', 'ada', ...through())).toBe(
    'orders is paused: nothing moves that somebody has\n',
  )
  expect(await said(...directly())).toMatch(/\norders .* paused by ada\n$/)
  await live.printed(/"paused":\{"by":"ada"/)
  live.process.kill('SIGINT')
  expect((await live.finish()).code).toBe(0)
  // What is on its way waits, and nothing else may want it meanwhile.
  const from = await ownerOf('5')
  await post('move', { bucket: '5', to: from === 'web-1:4711' ? 'web-2:88' : 'web-1:4711' })
  expect(await post('move', { bucket: '5', to: from })).toMatchObject({
    ...{ status: 409, code: 'BANYAN_SHARD_MOVING' },
  })
  await post('unpin', { bucket: '5' })
  expect(await said('split', 'orders', '3', ...directly())).toMatch(
    /^bucket 3 of orders becomes 3\/0 and 3\/1; /,
  )
  await expect.poll(() => ownerOf('3/1')).toMatch(/^web/)
  await post('merge', { bucket: '3' })
  await expect.poll(() => ownerOf('3')).toMatch(/^web/)
  await post('resume', {})
  expect(await said('drain', 'orders', 'web-2:88', ...through())).toMatch(
    /^web-2:88 gives away what it has of orders/,
  )
  await expect
    .poll(() => ask('/api/shards/orders'))
    .toMatchObject({ unowned: 0, workers: [{ buckets: 8 }, { buckets: 0, draining: true }] })
  expect(await said('orders', ...directly())).toMatch(/\nweb-2:88 +1 +0 +0 +\S+ +draining/)
})

test('a map is forgotten only when nobody works for it', async () => {
  const refused = await run('shards', 'forget', 'orders', '--yes', ...directly())
  expect([refused.code, refused.stdout]).toEqual([1, ''])
  expect(refused.stderr).toContain('web-1:4711')
  await Promise.all(workers.splice(0).map((worker) => worker.close()))
  await map.close()
  const asked = await run('shards', 'forget', 'orders', ...through())
  expect(asked.stderr).toMatch(/The shard map orders is removed.*say --yes/)
  expect(await ask('/api/shards/orders')).toMatchObject({ buckets: 8 })
  const forgotten = await run('shards', 'forget', 'orders', '--yes', '--json', ...through())
  expect(JSON.parse(forgotten.stdout)).toEqual({ name: 'orders', forgotten: true })
  expect(await ask('/api/shards/orders')).toMatchObject({ status: 404 })
  expect((await run('shards', 'forget', 'orders', '--yes', ...directly())).code).toBe(1)
})
