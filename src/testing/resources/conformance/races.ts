import assert from 'node:assert/strict'
import { seededRandom } from '../../../core/random.js'
import type { ResourceApi } from '../../../coordination/resources/api.js'
import { ResourceError } from '../../../coordination/resources/error.js'
import type { Resource } from '../../../coordination/resources/object.js'
import { choices, type Choices } from '../../seed.js'
import { Promotion, type PromotionSpec, type PromotionStatus } from './kinds.js'
import { CONFLICT, draft, EXISTS, NOT_FOUND, relabelled, versionOf, Watching } from './kit.js'
import type { ResourceCase } from './setup.js'

type Known = Resource<PromotionSpec, PromotionStatus>

/** What may come of a write if others write, too. */
const LOSSES: readonly string[] = [CONFLICT.code, EXISTS.code, NOT_FOUND.code]
const NAMES = ['a', 'b', 'c', 'd'] as const
const WRITES = 25

/** Many at once. */
export const raceCases: readonly ResourceCase[] = [
  {
    name: 'of many who write at once, one creates, one updates and one deletes a version',
    run: async ({ api, another }) => {
      const apis = [api, await another(), api, await another()]
      const winners = async (
        write: (api: ResourceApi, number: number) => Promise<unknown>,
      ): Promise<number> => {
        const tried = await Promise.allSettled(apis.map((each, index) => write(each, index + 1)))
        for (const each of tried)
          if (each.status === 'rejected') assert.ok(isLoss(each.reason), String(each.reason))
        return tried.filter(({ status }) => status === 'fulfilled').length
      }
      assert.equal(await winners((each) => each.create(Promotion, draft('sale'))), 1, 'creations')
      const first = await api.get(Promotion, { name: 'sale' })
      const update = (each: ResourceApi, discount: number): Promise<unknown> =>
        each.update(Promotion, { ...first, spec: { ...first.spec, discount: 20 + discount } })
      assert.equal(await winners(update), 1, 'updates of one version')
      const { resourceVersion } = (await api.get(Promotion, { name: 'sale' })).metadata
      const remove = (each: ResourceApi): Promise<unknown> =>
        each.delete(Promotion, { name: 'sale' }, { preconditions: { resourceVersion } })
      assert.equal(await winners(remove), 1, 'deletions of one version')
    },
  },
  {
    name: 'nobody overwrites unseen: what many count up has counted all',
    run: async ({ api, another, seed }) => {
      const random = choices(seededRandom(seed))
      const apis = [api, await another(), await another()]
      await api.create(Promotion, draft('counter', {}, { until: 0 }))
      const countUp = async (each: ResourceApi): Promise<void> => {
        for (let counted = 0; counted < 5;)
          try {
            const now = await each.get(Promotion, { name: 'counter' })
            // So that they do not go in step.
            for (let turns = random.below(3); turns > 0; turns--) await new Promise(setImmediate)
            await each.update(Promotion, { ...now, spec: { ...now.spec, until: now.spec.until! + 1 } })
            counted++
          } catch (error) {
            if (!isLoss(error)) throw error
          }
      }
      const judge = async (each: ResourceApi): Promise<void> => {
        for (let judged = 0; judged < 3;)
          try {
            const now = await each.get(Promotion, { name: 'counter' })
            const observedGeneration = (now.status?.observedGeneration ?? 0) + 1
            await each.updateStatus(Promotion, { ...now, status: { observedGeneration } })
            judged++
          } catch (error) {
            if (!isLoss(error)) throw error
          }
      }
      await Promise.all([...apis.map(countUp), ...apis.map(judge)])
      const { spec, status, metadata } = await api.get(Promotion, { name: 'counter' })
      assert.deepEqual([spec.until, status?.observedGeneration], [15, 9])
      assert.equal(metadata.generation, 16)
    },
  },
  {
    name: 'who lists and watches misses nothing: every version that a writer was told comes once, in order',
    run: async ({ api, another, seed }) => {
      const random = choices(seededRandom(seed))
      const writers = [api, await another(), await another()]
      await api.create(Promotion, draft('a'))
      const follower = await another()
      const start = await follower.list(Promotion)
      const { resourceVersion } = start.metadata
      const watch = new Watching(follower, { resourceVersion })
      const written = await Promise.all(writers.map((each) => disturb(each, random)))
      const last = await api.create(Promotion, draft('last'))

      const known = new Map(start.items.map((item) => [item.metadata.name, item as Resource]))
      const told: number[] = []
      for (let version = Number(resourceVersion); version < versionOf(last);) {
        const event = await watch.next(`version ${versionOf(last)}, behind ${version}`)
        assert.ok(event && event.type !== 'BOOKMARK', 'the watch goes on')
        const { name } = event.object.metadata
        assert.ok(versionOf(event.object) > version, `${versionOf(event.object)} comes behind ${version}`)
        version = versionOf(event.object)
        assert.equal(known.has(name), event.type !== 'ADDED', `${event.type} ${name} of version ${version}`)
        if (event.type === 'DELETED') known.delete(name)
        else known.set(name, event.object)
        told.push(version)
      }
      await watch.end()
      for (const version of written.flat()) assert.ok(told.includes(version), `${version} was not told`)
      const { items } = await api.list(Promotion)
      assert.deepEqual(
        [...known.values()].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1)),
        items,
        'who has followed knows what is there',
      )
    },
  },
]

function isLoss(error: unknown): boolean {
  return error instanceof ResourceError && LOSSES.includes(error.code)
}

/** Writes at random. @returns the versions of what is there afterwards */
async function disturb(api: ResourceApi, random: Choices): Promise<number[]> {
  const versions: number[] = []
  const wrote = ({ metadata }: Known): void => void versions.push(Number(metadata.resourceVersion))
  for (let count = 0; count < WRITES; count++)
    try {
      const name = random.pick(NAMES)
      const found = await api.get(Promotion, { name }).catch(() => undefined)
      if (!found) {
        const finalizers = random.chance(0.3) ? ['shop.example/hold'] : []
        wrote(await api.create(Promotion, draft(name, { finalizers })))
      } else if (random.chance(0.3)) {
        const { removed, object } = await api.delete(Promotion, { name })
        if (!removed) wrote(object)
      } else if (random.chance(0.3))
        wrote(await api.updateStatus(Promotion, { ...found, status: { phase: `${count}` } }))
      else {
        const next = { ...found, spec: { ...found.spec, until: random.below(1000) } }
        const updated = await api.update(Promotion, relabelled(next, { finalizers: [] }))
        if (found.metadata.deletionTimestamp === undefined) wrote(updated)
      }
    } catch (error) {
      if (!isLoss(error)) throw error
    }
  return versions
}
