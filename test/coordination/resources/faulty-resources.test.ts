import { describe, expect, it } from 'vitest'
import { openResources, type ResourceApi } from '../../../src/coordination/index.js'
import { systemClock } from '../../../src/core/clock.js'
import { seededRandom } from '../../../src/core/random.js'
import { MemoryCoordination } from '../../../src/drivers/memory/coordinator.js'
import { openCoordinator } from '../../../src/coordination/index.js'
import { faultyResources, type ResourceFaults } from '../../../src/testing/index.js'
import { processes } from '../../support/coordinators.js'
import { Promotion } from './promotion.js'
import { coordinated, runResourceApiConformance } from './run.js'

const NONE: ResourceFaults = {
  delay: 0,
  refuse: 0,
  loseAnswer: 0,
  failRead: 0,
  cut: 0,
  conflict: 0,
  lateNews: 0,
  oldList: 0,
  dropWatch: 0,
  expire: 0,
}
const sale = { metadata: { name: 'sale' }, spec: { discount: 10 } }

describe('resources that could fail, and do not', () => {
  const right = coordinated(() => {
    const store = new MemoryCoordination(systemClock)
    return Promise.resolve({ connect: () => openCoordinator(store.connect()) })
  })
  const wrapped = (api: ResourceApi): ResourceApi => {
    const faulty = faultyResources(api, { random: seededRandom(1), clock: systemClock, faults: NONE })
    return Object.assign(faulty, { close: () => api.close() })
  }
  runResourceApiConformance({
    ...right,
    open: async () => {
      const subject = await right.open()
      return {
        ...subject,
        api: wrapped(subject.api),
        connect: async () => wrapped(await subject.connect()),
        tools: { ...subject.tools, forget: async () => wrapped(await subject.tools!.forget!()) },
      }
    },
  })
})

function setUp(faults: ResourceFaults) {
  const { clock, open } = processes()
  const truth = openResources(open())
  const random = seededRandom(7)
  let active = true
  const faulty = faultyResources(truth, {
    random,
    clock,
    faults: { ...NONE, ...faults },
    active: () => active,
  })
  const stop = (): void => void (active = false)
  return { clock, truth, faulty, stop, settle: <T>(result: Promise<T>) => clock.settle(result) }
}

const isUnavailable = { code: 'BANYAN_COORDINATOR_UNAVAILABLE' }

describe('resources that fail', () => {
  it('lose answers of writes that were done, and of others that were not', async () => {
    const { clock, truth, faulty, settle } = setUp({ loseAnswer: 1, delay: '10ms' })
    for (let number = 0; number < 40; number++)
      await expect(
        settle(faulty.create(Promotion, { ...sale, metadata: { name: `s${number}` } })),
      ).rejects.toMatchObject({ code: 'BANYAN_OUTCOME_UNKNOWN' })
    const soon = (await truth.list(Promotion)).items.length
    await clock.advance('10s')
    const late = (await truth.list(Promotion)).items.length
    expect(soon).toBeGreaterThan(5)
    expect(late).toBeGreaterThan(soon)
    expect(late).toBeLessThan(40)
  })

  it('refuse writes without doing them, fail to read, and say that somebody was faster', async () => {
    const refusing = setUp({ refuse: 1, failRead: 1 })
    await expect(refusing.settle(refusing.faulty.create(Promotion, sale))).rejects.toMatchObject(
      isUnavailable,
    )
    expect((await refusing.truth.list(Promotion)).items).toEqual([])
    await expect(refusing.settle(refusing.faulty.list(Promotion))).rejects.toMatchObject(isUnavailable)
    const { truth, faulty, settle } = setUp({ conflict: 1 })
    const made = await settle(faulty.create(Promotion, sale))
    await expect(settle(faulty.update(Promotion, { ...made, spec: { discount: 20 } }))).rejects.toMatchObject(
      { code: 'BANYAN_RESOURCE_CONFLICT', reason: 'Conflict', status: 409 },
    )
    expect((await truth.get(Promotion, { name: 'sale' })).spec.discount).toBe(10)
  })

  it('give old lists to those who do not mind, and to nobody else', async () => {
    const { truth, faulty, settle } = setUp({ oldList: 1 })
    const atHand = { resourceVersion: '0' }
    expect((await settle(faulty.list(Promotion, atHand))).items).toEqual([])
    await truth.create(Promotion, sale)
    expect((await settle(faulty.list(Promotion, atHand))).items).toEqual([])
    expect((await settle(faulty.list(Promotion))).items).toHaveLength(1)
  })

  it('tell news late, end watches, and say that they cannot go on', async () => {
    const late = setUp({ lateNews: '10s' })
    await late.truth.create(Promotion, sale)
    const began = late.clock.now()
    const watch = late.faulty.watch(Promotion)[Symbol.asyncIterator]()
    expect((await late.settle(watch.next())).value).toMatchObject({ type: 'ADDED' })
    expect(late.clock.now()).toBeGreaterThan(began + 100)

    const dropping = setUp({ dropWatch: 1 })
    await dropping.truth.create(Promotion, sale)
    const ends: string[] = []
    for (let times = 0; times < 20; times++) {
      const next = dropping.faulty.watch(Promotion)[Symbol.asyncIterator]().next()
      ends.push(
        await dropping.settle(
          next.then(
            ({ done }) => `done ${done}`,
            () => 'failed',
          ),
        ),
      )
    }
    expect(new Set(ends)).toEqual(new Set(['done true', 'failed']))

    const expiring = setUp({ expire: 1 })
    await expiring.truth.create(Promotion, sale)
    const { metadata } = await expiring.settle(expiring.faulty.list(Promotion))
    const { resourceVersion } = metadata
    const behind = expiring.faulty.watch(Promotion, { resourceVersion })[Symbol.asyncIterator]()
    await expect(expiring.settle(behind.next())).rejects.toMatchObject({ reason: 'Expired', status: 410 })
  })

  it('are cut off for a while', async () => {
    const { clock, truth, faulty, settle, stop } = setUp({ cut: 1, cutTime: '1m' })
    await truth.create(Promotion, sale)
    await expect(settle(faulty.get(Promotion, { name: 'sale' }))).rejects.toMatchObject(isUnavailable)
    expect(clock.now()).toBe(500)
    stop()
    expect((await settle(faulty.get(Promotion, { name: 'sale' }))).spec.discount).toBe(10)
  })

  it('are not made of faults that there are not', () => {
    const { truth, clock } = setUp({})
    const faults = { conflicts: 1 } as ResourceFaults
    expect(() => faultyResources(truth, { clock, random: seededRandom(1), faults })).toThrow('conflicts')
  })
})
