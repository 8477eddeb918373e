// @ts-check
/** What the registry costs with 10,000 instances of one service. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { discover, openCoordinator } from '../dist/coordination/index.js'
import { start } from '../scripts/engines.mjs'
import { tasksOf } from './apart.mjs'
import { spread, table } from './measure.mjs'
import { lookups, times } from './registry/lookups.mjs'

const INSTANCES = 10_000
const CHANGES = 500
/** Until everybody has seen the last change, in ms. */
const SETTLED_MS = 1000

const { begin } = tasksOf(new URL('./registry/tasks.mjs', import.meta.url))
const ns = (/** @type {number} */ ms) => `${(ms * 1e6).toFixed(0)} ns`
const us = (/** @type {number} */ ms) => `${(ms * 1e3).toFixed(0)} µs`

/** @returns {Promise<string>} tables in Markdown */
export async function registry() {
  const directory = mkdtempSync(join(tmpdir(), 'banyan-bench-registry-'))
  try {
    return [
      `## Registry: ${INSTANCES.toLocaleString('en')} instances of one service`,
      '### In one process, in memory',
      'Median of 5 rounds (lowest – highest).',
      await alone(),
      '### Registered by one process, followed by it and by another',
      `From when an instance changes its metadata until \`discover\` tells of it, in ms, of ${CHANGES} changes, 200 a second at most; then the other process looks for instances while the engine is away.`,
      table(
        [
          '',
          's to register',
          'ms to discover',
          'seen here, p50',
          'p99',
          'seen there, p50',
          'p99',
          'known while it is away',
          '`pick()`',
          '`get(id)`',
        ],
        [
          await together('sqlite', `sqlite:${join(directory, 'registry')}`),
          await together('postgres'),
          await together('etcd'),
        ],
      ),
    ].join('\n\n')
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/**
 * @param {'sqlite' | 'postgres' | 'etcd'} engine
 * @param {string} [place] where it is, if it is no server
 * @returns {Promise<string[]>} a row
 */
async function together(engine, place) {
  const server = place ? undefined : await start(engine)
  const url = { sqlite: '', postgres: 'postgres://postgres@127.0.0.1:', etcd: 'etcd://127.0.0.1:' }[engine]
  const database = engine === 'postgres' ? '/postgres' : ''
  const where = place ?? `${url}${server?.port}${database}`
  try {
    const options = { where, instances: INSTANCES, changes: CHANGES, ends: server !== undefined }
    const instances = begin('instances', options)
    await instances.ready
    const client = begin('client', options)
    await client.ready
    instances.go()
    const here = await instances.result
    await sleep(SETTLED_MS)
    await server?.stop()
    client.go()
    const there = await client.result
    const ms = (/** @type {number} */ value) => value.toFixed(1)
    return [
      `banyan, ${engine}`,
      ...[ms(here.registering), there.opening.toFixed(0)],
      ...[ms(here.p50), ms(here.p99), ms(there.p50), ms(there.p99)],
      ...(server
        ? [String(there.known), spread(there.picks, ns), spread(there.gets, ns)]
        : ['it is a file', '', '']),
    ]
  } finally {
    await server?.stop()
  }
}

async function alone() {
  const coordinator = await openCoordinator('memory:')
  /** @param {number} index @param {object} more */
  const put = (index, more = {}) =>
    coordinator.put(
      `banyan/services/orders/${index}`,
      JSON.stringify({
        registration: `${index}`,
        address: `http://10.0.${index >> 8}.${index & 255}:4001`,
        tags: ['v2'],
        zone: `zone-${index % 3}`,
        weight: 1 + (index % 4),
        state: 'passing',
        holder: `host-${index}:1`,
        since: 0,
        ...more,
      }),
    )
  for (let index = 0; index < INSTANCES; index++) await put(index)

  const opened = await times(1, async () => {
    const opening = discover(coordinator, 'orders')
    await opening.ready
    opening.instances()
    await opening.close()
  })
  const discovery = discover(coordinator, 'orders', { zone: 'zone-1' })
  await discovery.ready
  const { picks, gets } = await lookups(discovery, INSTANCES)
  const changes = await times(100, async (count) => {
    for (let each = 0; each < count; each++) {
      const told = new Promise((resolve) => {
        const unsubscribe = discovery.on('change', () => {
          unsubscribe()
          resolve(undefined)
        })
      })
      await put(each, { state: each % 2 ? 'passing' : 'warning', since: each })
      await told
      discovery.pick()
    }
  })
  await discovery.close()
  await coordinator.close()
  return table(
    ['what', 'time'],
    [
      ['`pick()` by weight in the own zone', spread(picks, ns)],
      ['`get(id)`', spread(gets, ns)],
      ['a change of one instance, to the next `pick()` that knows of it', spread(changes, us)],
      ['`discover` until it is ready', spread(opened, us)],
    ],
  )
}
