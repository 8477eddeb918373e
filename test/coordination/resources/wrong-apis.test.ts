import { describe, expect, it } from 'vitest'
import { openCoordinator, openResources, type ResourceApi } from '../../../src/coordination/index.js'
import { systemClock } from '../../../src/core/clock.js'
import { MemoryCoordination } from '../../../src/drivers/memory/coordinator.js'
import { resourceApiConformance } from '../../../src/testing/index.js'
import { coordinated } from './run.js'

/** What a wrong API does otherwise. */
type Bug = (right: ResourceApi) => Partial<ResourceApi>

const BUGS: Readonly<Record<string, { bug: Bug; foundBy: string }>> = {
  'overwrites what it has not seen': {
    foundBy: 'nobody overwrites unseen',
    bug: (right) => ({
      update: async (kind, draft, options) => {
        const name = { name: draft.metadata.name! }
        const { resourceVersion } = (await right.get(kind, name)).metadata
        return right.update(kind, { ...draft, metadata: { ...draft.metadata, resourceVersion } }, options)
      },
    }),
  },
  'writes the status with the rest': {
    foundBy: 'status and spec do not touch each other',
    bug: (right) => ({
      update: async (kind, draft, options) => {
        const next = await right.update(kind, draft, options)
        return draft.status === undefined
          ? next
          : right.updateStatus(kind, { ...next, status: draft.status }, options)
      },
    }),
  },
  'writes in a dry run': {
    foundBy: 'a dry run says what would be',
    bug: (right) => ({ create: (kind, draft) => right.create(kind, draft) }),
  },
  'does not look at preconditions': {
    foundBy: 'a delete is only of what its preconditions say',
    bug: (right) => ({ delete: (kind, name) => right.delete(kind, name) }),
  },
  'gives pages of what there is now': {
    foundBy: 'pages are of one state',
    bug: (right) => {
      let given = 0
      return {
        list: async (kind, { limit, continue: token, ...options } = {}) => {
          const { items, ...list } = await right.list(kind, options)
          if (limit === undefined) return { ...list, items }
          const first = token === undefined ? 0 : given
          given = first + limit
          const rest = Math.max(0, items.length - given)
          const more = rest > 0 && { continue: 'x', remainingItemCount: rest }
          return { ...list, metadata: { ...list.metadata, ...more }, items: items.slice(first, given) }
        },
      }
    },
  },
  'forgets deletions that it tells': {
    foundBy: 'who lists and watches misses nothing',
    bug: (right) => ({
      async *watch(kind, options) {
        for await (const event of right.watch(kind, options)) if (event.type !== 'DELETED') yield event
      },
    }),
  },
  'tells what is added as modified': {
    foundBy: 'what comes into a selection is added',
    bug: (right) => ({
      async *watch(kind, options) {
        for await (const event of right.watch(kind, options))
          yield event.type === 'ADDED' ? { ...event, type: 'MODIFIED' } : event
      },
    }),
  },
  'begins a watch with what there is, wherever it is to begin': {
    foundBy: 'a watch behind a list tells each change since',
    bug: (right) => ({
      watch: (kind, { signal } = {}) => right.watch(kind, signal ? { signal } : {}),
    }),
  },
  'deletes what has finalizers': {
    foundBy: 'what has finalizers is only marked',
    bug: (right) => ({
      delete: async (kind, name, options) => {
        const found = await right.get(kind, name)
        await right.update(kind, { ...found, metadata: { ...found.metadata, finalizers: [] } })
        return right.delete(kind, name, options)
      },
    }),
  },
  'takes a patch as an update': {
    foundBy: 'a patch is made anew if somebody else was faster',
    bug: (right) => ({
      patch: async (kind, name, { patch }, options) => {
        const { metadata, ...others } = await right.get(kind, name)
        const { resourceVersion } = metadata
        const given = patch as { metadata?: object }
        const versioned = { ...others, ...given, metadata: { resourceVersion, ...given.metadata } }
        return right.patch(kind, name, { type: 'merge', patch: versioned }, options)
      },
    }),
  },
}

describe('the conformance suite of resources', () => {
  for (const [title, { bug, foundBy }] of Object.entries(BUGS))
    it(`finds an API that ${title}`, async () => {
      const right = coordinated(() => {
        const store = new MemoryCoordination(systemClock)
        return Promise.resolve({ connect: () => openCoordinator(store.connect()) })
      })
      const wrong = (api: ResourceApi): ResourceApi => {
        const parts = bug(api)
        return new Proxy(api, {
          get(target, name) {
            if (name in parts) return Reflect.get(parts, name) as unknown
            const value: unknown = Reflect.get(target, name, target)
            return typeof value === 'function' ? (value as () => unknown).bind(target) : value
          },
        })
      }
      const cases = resourceApiConformance({
        ...right,
        open: async () => {
          const subject = await right.open()
          return {
            ...subject,
            api: wrong(subject.api),
            connect: async () => wrong(await subject.connect()),
          }
        },
      })
      const found = cases.filter(({ name }) => name.startsWith(foundBy))
      expect(found).toHaveLength(1)
      await expect(found[0]!.run()).rejects.toThrow()
    })

  it('says what an API cannot be made to do', () => {
    const cases = resourceApiConformance({
      open: async () => {
        const coordinator = await openCoordinator('memory:')
        const connect = () => Promise.resolve(openResources(coordinator))
        return { api: await connect(), connect, dispose: () => coordinator.close() }
      },
    })
    const skipped = cases.filter(({ skip }) => skip !== undefined)
    expect(new Set(skipped.map(({ skip }) => skip))).toEqual(
      new Set(['forget', 'bookmark', 'exceed'].map((what) => `this API cannot be made to do it (${what})`)),
    )
  })
})
