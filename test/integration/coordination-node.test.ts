import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { diffSpecs } from '../../src/node/config/diff.js'
import { render } from '../../src/cli/status/render.js'
import type { NodeState } from '../../src/node/node.js'
import { coordinationConfig, startCoordination } from '../support/coordination-node.js'
import { specOf } from '../support/events-node.js'
import { closeAll } from '../support/gateway.js'

let directory: string
beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'banyan-node-coordination-'))))
afterEach(async () => {
  await closeAll()
  rmSync(directory, { recursive: true })
})

test('a node tells what its coordinator is and whether it answers', async () => {
  const { ask, admin } = await startCoordination({ driver: 'sqlite', path: directory })
  expect(await ask('/readyz')).toEqual({ status: 'ready', coordination: 'ready' })
  const state = (await ask('/api/state')) as NodeState
  expect(state.coordination).toEqual({
    ...{ driver: 'sqlite', shared: 'machine', durable: 'power loss', minTtl: 100, maxTtl: 86_400_000 },
    latency: expect.any(Number) as number,
  })
  expect(render(state, Date.now(), 200)).toMatch(
    /^coordination sqlite {2}of one machine, survives power loss {2}answers in /m,
  )
  const metrics = await (await fetch(`${admin}/metrics`)).text()
  expect(metrics).toContain('banyan_coordination_leases{banyan_coordination_driver="sqlite"} 0')
  expect(metrics).toContain('banyan_coordination_up{banyan_coordination_driver="sqlite"} 1')
})

test('a coordinator that cannot be reached keeps no node from starting, and is used as soon as it is there', async () => {
  const inTheWay = join(directory, 'keys')
  writeFileSync(inTheWay, '')
  const coordination = { driver: 'sqlite', path: join(inTheWay, 'below') }
  const { ask, node, lines } = await startCoordination(coordination)
  const [url] = node.state().node.listen
  expect(await (await fetch(url!)).text()).toBe('hi')
  expect(await ask('/readyz')).toEqual({
    status: 'ready',
    coordination: expect.stringContaining('below') as string,
  })
  const { coordination: away } = (await ask('/api/state')) as NodeState
  expect(away).toEqual({ driver: 'sqlite', problem: expect.stringContaining('below') as string })
  expect(lines.join('')).toContain('the coordinator cannot be reached and is tried again')

  unlinkSync(inTheWay)
  await expect.poll(() => ask('/readyz')).toEqual({ status: 'ready', coordination: 'ready' })
})

test('what waiting does not help keeps a node from starting', async () => {
  const file = join(directory, 'other.db')
  writeFileSync(file, 'this is no database, whatever its name says'.repeat(100))
  await expect(startCoordination({ driver: 'sqlite', path: file })).rejects.toMatchObject({
    code: expect.stringMatching(/^BANYAN_COORDINATOR_(FORMAT|CORRUPT)$/) as string,
    message: expect.stringContaining('coordination: ') as string,
  })
})

test('another coordinator takes a restart', async () => {
  const { node } = await startCoordination({ driver: 'memory' })
  const to = (coordination: object | undefined) =>
    node.apply(specOf({ ...coordinationConfig({}), coordination }))
  expect(diffSpecs(node.spec, specOf(coordinationConfig({ driver: 'memory' })))).toEqual([])
  await expect(to({ driver: 'sqlite', path: directory })).rejects.toThrow(
    'coordination.driver: cannot change while the node runs; start it anew',
  )
  await expect(to(undefined)).rejects.toThrow('coordination: cannot be removed while the node runs')
})
