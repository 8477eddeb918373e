import { describe, expect, it } from 'vitest'
import {
  defineResource,
  openResources,
  type Resource,
  type ResourceApi,
  type ResourceList,
} from '../../../src/coordination/index.js'
import { BanyanError } from '../../../src/core/errors.js'
import { sleep, type Clock } from '../../../src/core/clock.js'
import { seededRandom, type Random } from '../../../src/core/random.js'
import { faultyCoordinator } from '../../../src/testing/index.js'
import { processes } from '../../support/coordinators.js'
import { SEED, times } from '../../support/effort.js'

const Thing = defineResource<{ count: number }>({ group: 'test.example', kind: 'Thing' })
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f']

/** What somebody knows who lists, and then watches from there; again where that cannot go on. */
class Informer {
  readonly known = new Map<string, Resource>()
  relists = 0
  readonly #api: ResourceApi
  readonly #clock: Clock
  readonly #random: Random
  readonly #selection: { labelSelector?: string }

  constructor(api: ResourceApi, clock: Clock, random: Random) {
    this.#api = api
    this.#clock = clock
    this.#random = random
    this.#selection = random.next() < 0.5 ? { labelSelector: 'on' } : {}
  }

  get selection(): { labelSelector?: string } {
    return this.#selection
  }

  async run(signal: AbortSignal): Promise<void> {
    const isStopped = (): boolean => signal.aborted
    while (!isStopped())
      try {
        const from = await this.#list()
        this.relists++
        await this.#watch(from, signal)
      } catch (error) {
        if (isStopped()) return
        if (!(error instanceof BanyanError)) throw error
        if (!['EXPIRED', 'UNAVAILABLE', 'UNKNOWN', 'AHEAD'].some((end) => error.code.endsWith(end)))
          throw error
        await sleep(this.#clock, 50, signal).catch(() => undefined)
      }
  }

  /** All, at once or in pages. */
  async #list(): Promise<string> {
    const limit = this.#random.next() < 0.5 ? { limit: 2 } : {}
    const found: Resource[] = []
    let page: ResourceList
    let next: { continue?: string } = {}
    do {
      page = await this.#api.list(Thing, { ...this.#selection, ...limit, ...next })
      found.push(...page.items)
      next = { ...(page.metadata.continue !== undefined && { continue: page.metadata.continue }) }
    } while (next.continue !== undefined)
    this.known.clear()
    for (const each of found) this.known.set(each.metadata.name, each)
    return page.metadata.resourceVersion
  }

  async #watch(resourceVersion: string, signal: AbortSignal): Promise<void> {
    let version = Number(resourceVersion)
    const options = { ...this.#selection, resourceVersion, allowWatchBookmarks: true, signal }
    for await (const { type, object } of this.#api.watch(Thing, options)) {
      const next = Number(object.metadata.resourceVersion)
      if (type === 'BOOKMARK') {
        expect(next).toBeGreaterThanOrEqual(version)
        version = next
        continue
      }
      expect(next).toBeGreaterThan(version)
      version = next
      const { name } = object.metadata
      expect(this.known.has(name)).toBe(type !== 'ADDED')
      if (type === 'DELETED') this.known.delete(name)
      else this.known.set(name, object)
      // Now and then one that is slower than what happens.
      if (this.#random.next() < 0.1)
        await sleep(this.#clock, this.#random.next() * 3000, signal).catch(() => undefined)
    }
  }
}

/** Changes things at random; what fails, fails. */
async function disturb(api: ResourceApi, random: Random): Promise<void> {
  const name = NAMES[Math.floor(random.next() * NAMES.length)]!
  const labels: Record<string, string> = random.next() < 0.5 ? { on: '' } : {}
  const finalizers = random.next() < 0.3 ? ['test.example/hold'] : []
  const spec = { count: Math.floor(random.next() * 1000) }
  try {
    const found = await api.get(Thing, { name }).catch(() => undefined)
    if (!found) await api.create(Thing, { metadata: { name, labels, finalizers }, spec })
    else if (random.next() < 0.3) await api.delete(Thing, { name })
    else {
      const kept = found.metadata.deletionTimestamp === undefined ? finalizers : []
      await api.update(Thing, { ...found, metadata: { ...found.metadata, labels, finalizers: kept }, spec })
    }
  } catch (error) {
    if (!(error instanceof BanyanError)) throw error
  }
}

describe('who lists and then watches', () => {
  it.each(Array.from({ length: times(12) }, (_, index) => SEED + index))(
    'ends with what the store has, whatever fails and is compacted (BANYAN_SEED=%i)',
    async (seed) => {
      const random = seededRandom(seed)
      const { clock, store, open } = processes()
      let active = true
      const faulty = () =>
        open({ wrap: (driver) => faultyCoordinator(driver, { random, clock, active: () => active }) })
      const coordinators = [faulty(), faulty(), faulty()]
      const window = random.next() < 0.5 ? 3 : 1000
      const apis = coordinators.map((coordinator) =>
        openResources(coordinator, { window, bookmarkEvery: '500ms' }),
      )
      const stop = new AbortController()
      const informers = apis.map((api) => new Informer(api, clock, random))
      const running = informers.map((informer) => informer.run(stop.signal))
      const failed = Promise.all(running)
      failed.catch(() => undefined)

      for (let step = 0; step < 120; step++) {
        void disturb(apis[step % apis.length]!, random)
        if (random.next() < 0.2) store.put(`other/${step}`, '', 'any', undefined)
        if (random.next() < 0.03) store.compact()
        await clock.advance(random.next() * 200)
      }
      active = false
      await clock.advance('2m')

      const truth = openResources(open())
      for (const { known, selection } of informers) {
        const { items } = await truth.list(Thing, selection)
        expect(Object.fromEntries(known)).toEqual(
          Object.fromEntries(items.map((item) => [item.metadata.name, item])),
        )
      }
      stop.abort()
      await clock.advance(0)
      await failed
      for (const api of [...apis, truth]) await api.close()
    },
  )
})
