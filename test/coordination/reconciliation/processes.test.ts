import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import {
  defineResource,
  openCoordinator,
  openResources,
  type Resource,
  type ResourceApi,
  type ResourceDefinition,
} from '../../../src/coordination/index.js'
import { Child } from '../../faults/support/child.js'
import { Choices } from '../../faults/support/choices.js'
import { SEED, times } from '../../support/effort.js'

const root = mkdtempSync(join(tmpdir(), 'banyan-reconciliation-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** As in `processes/reconciler.mjs`. */
const Batch = defineResource<{ pieces: number }, { observedGeneration?: number }>({
  group: 'test.example',
  kind: 'Batch',
  plural: 'batches',
  status: { type: 'object', properties: { observedGeneration: { type: 'integer' } } },
})
const Piece = defineResource({ group: 'test.example', kind: 'Piece' })

const BATCHES = 6

async function pieces(api: ResourceApi, batches: readonly Resource[]): Promise<number[]> {
  const { items } = await api.list(Piece)
  return batches.map(
    ({ metadata }) =>
      items.filter((piece) => piece.metadata.ownerReferences?.[0]?.uid === metadata.uid).length,
  )
}

test.each(['election', 'shards'] as const)(
  'whoever is killed in the middle of a reconcile, another one goes on and nothing is made twice (%s, seed ' +
    `${SEED})`,
  async (by) => {
    const choices = new Choices(SEED)
    const where = `sqlite:${join(root, by)}`
    await using coordinator = await openCoordinator(where)
    await using api = openResources(coordinator)
    const all: Child[] = []
    const start = () => {
      const child = new Child('reconciler.mjs', { where, name: `p${all.length}`, ttl: 600, by })
      all.push(child)
      return child
    }
    const running = [start(), start()]
    await Promise.all(running.map(({ ready }) => ready))
    const batches = await Promise.all(
      Array.from({ length: BATCHES }, (_, index) =>
        api.create(Batch, { metadata: { name: `b${index}` }, spec: { pieces: 4 } }),
      ),
    )
    let wanted = 4
    for (let kills = times(3); kills > 0; kills--) {
      // In the middle of something: right before or behind what one of them does next.
      const steps = 1 + choices.below(12)
      const victim = await Promise.race(
        running.map(async (child) => {
          await child.lines(child.stdout.split('\n').length + steps)
          return child
        }),
      )
      victim.signal('SIGKILL')
      await victim.exited
      running[running.indexOf(victim)] = start()
      wanted += 2
      for (const { metadata } of batches)
        await api.patch(
          Batch,
          { name: metadata.name },
          { type: 'merge', patch: { spec: { pieces: wanted } } },
        )
    }
    await until(api, Batch, (items) =>
      items.every(({ metadata, status }) => status?.observedGeneration === metadata.generation),
    )
    expect(await pieces(api, batches)).toEqual(batches.map(() => wanted))

    for (const { metadata } of batches.slice(1)) await api.delete(Batch, { name: metadata.name })
    await until(api, Piece, (items) => items.length <= wanted)
    expect(await pieces(api, batches)).toEqual([wanted, ...batches.slice(1).map(() => 0)])
    // Nobody has ever made too many, and had to take them away.
    for (const child of all) expect(child.stdout).not.toContain('"delete"')
    // One that was started last may not have come so far that it can be told to end.
    await Promise.all(running.map(({ ready }) => ready))
    await Promise.all(running.map((child) => child.finish()))
  },
)

/** Waits until the resources of a kind are as a test says. */
async function until<Spec, Status>(
  api: ResourceApi,
  kind: ResourceDefinition<Spec, Status>,
  test: (items: readonly Resource<Spec, Status>[]) => boolean,
): Promise<void> {
  const { items, metadata } = await api.list(kind)
  if (test(items)) return
  const { resourceVersion } = metadata
  for await (const { type } of api.watch(kind, { resourceVersion }))
    if (type !== 'BOOKMARK' && test((await api.list(kind)).items)) return
}
