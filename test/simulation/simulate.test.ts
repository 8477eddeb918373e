import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { defineResource, openResources } from '../../src/coordination/index.js'
import { eventError } from '../../src/events/errors.js'
import { memoryLog, simulate, SimulationError, type World } from '../../src/testing/index.js'
import { BUGS } from '../conformance/bugs.js'
import { sharedMemorySetup } from '../conformance/shared-memory.js'
import { times } from '../support/effort.js'
import { writersAndFollowers } from './scenario.js'

const CALM = { refuse: 0, loseAnswer: 0, failRead: 0, cutPage: 0, wakeForNothing: 0, crash: 0, stall: 0 }

async function failure(run: (world: World) => Promise<void>, options = {}): Promise<SimulationError> {
  const error: unknown = await simulate({ run, ...options }).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(SimulationError)
  return error as SimulationError
}

afterEach(() => vi.unstubAllEnvs())

describe('writers and followers over a log that fails', () => {
  it(
    'lose, repeat, reorder, invent and tear nothing, over hundreds of seeds',
    { timeout: 300_000 },
    async () => {
      const { seeds, steps, time } = await simulate({ seeds: times(400), run: writersAndFollowers })
      if (process.env['BANYAN_SEED'] !== undefined) return
      expect(seeds).toBe(times(400))
      expect(steps).toBeGreaterThan(100 * seeds)
      expect(time).toBeGreaterThan(1800 * seeds)
    },
  )

  for (const [name, found] of Object.entries({
    'skips late commits': /lost: follower/,
    'forgets ids': /duplicated|reordered/,
    'acknowledges before it is durable': /lost: commit/,
    'writes halves of commits': /torn|invented/,
    'answers a repetition with the head': /was acknowledged at/,
    'steps over an event between pages': /lost: follower/,
    'says the end too early': /torn|not as it should be/,
  }))
    it(`find a driver that ${name}`, { timeout: 300_000 }, async () => {
      const { bug, losesLastGroup = false } = BUGS[name]!
      const error = await failure(
        async (world) => {
          const { driver } = await sharedMemorySetup(bug, { losesLastGroup }).open()
          await writersAndFollowers(world, { driver, crash: () => driver.close() })
        },
        { seeds: 300 },
      )
      expect(error.message).toMatch(found)
    })
})

describe('a simulation', () => {
  it('is the same each time for a seed, and another one for each seed', async () => {
    const traces = new Set<string>()
    for (let seed = 1; seed <= 20; seed++) {
      const once = await simulate({ seeds: 1, firstSeed: seed, run: writersAndFollowers })
      const again = await simulate({ seeds: 1, firstSeed: seed, run: writersAndFollowers })
      expect(again).toEqual(once)
      traces.add(once.trace.join('\n'))
    }
    expect(traces.size).toBe(20)
  })

  it('names the seed that failed, and BANYAN_SEED replays it', async () => {
    const run = async (world: World): Promise<void> => {
      const log = world.log()
      let crashes = 0
      world.node('writer', async (node) => {
        crashes = node.starts - 1
        for (;;) {
          await node.open(log).append({ id: node.id(), streams: [{ stream: 'a', events: [{ type: 'A' }] }] })
        }
      })
      await world.storm('30s')
      if (crashes > 12) throw new Error(`it crashed ${crashes} times`)
    }
    const first = await failure(run)
    expect(first.message).toContain(`seed ${first.seed}: it crashed`)
    expect(first.message).toContain(`run again with BANYAN_SEED=${first.seed} to see the same`)
    vi.stubEnv('BANYAN_SEED', String(first.seed))
    const second = await failure(run)
    expect(second.trace).toEqual(first.trace)
    expect(second.message.split('\n').length).toBeGreaterThanOrEqual(first.message.split('\n').length)
    expect(second.cause).toEqual(first.cause)
  })

  it('starts a crashed node again with nothing in its memory; what it had sent may be in the log', async () => {
    const outcomes = new Set<string>()
    await simulate({
      seeds: 200,
      faults: { ...CALM, crash: 0.5 },
      run: async (world) => {
        const log = world.log()
        let remembered = 0
        const answered: number[] = []
        const node = world.node('writer', async (self) => {
          remembered = 0
          await self
            .open(log)
            .append({ id: `c${self.starts}`, streams: [{ stream: 'a', events: [{ type: 'A' }] }] })
          answered.push(self.starts)
          remembered++
        })
        await world.storm('30s')
        await world.calm(() => node.state === 'done')
        expect(remembered).toBe(1)
        const events = []
        for await (const { commit } of log.truth.read()) events.push(commit)
        const appended = events.includes('c1') ? 'appended' : 'not appended'
        outcomes.add(`${answered.includes(1) ? 'answered' : 'crashed'}, ${appended}`)
      },
    })
    expect(outcomes).toEqual(new Set(['answered, appended', 'crashed, appended']))
  })

  it('lets nodes be crashed and started by hand', async () => {
    await simulate({
      seeds: 20,
      faults: CALM,
      run: async (world) => {
        let starts = 0
        const node = world.node('sleeper', async (self) => {
          starts = self.starts
          await self.sleep('1h')
        })
        await world.storm('10ms')
        expect([node.state, starts]).toEqual(['up', 1])
        node.crash()
        expect(node.state).toBe('down')
        node.start()
        await world.storm('1ms')
        expect([node.state, starts]).toEqual(['up', 2])
      },
    })
  })

  it('starts a node again that ends with a fault of the log, and fails when a program has a bug', async () => {
    let starts = 0
    await simulate({
      seeds: 1,
      faults: CALM,
      run: async (world) => {
        const node = world.node('weak', (self) => {
          starts = self.starts
          return starts < 3 ? Promise.reject(eventError('BANYAN_LOG_UNAVAILABLE', 'gone')) : Promise.resolve()
        })
        await world.calm(() => node.state === 'done')
      },
    })
    expect(starts).toBe(3)
    const error = await failure(async (world) => {
      world.node('wrong', () => Promise.reject(new TypeError('x is not a function')))
      await world.storm('1s')
    })
    expect(error.cause).toEqual(new TypeError('x is not a function'))
  })

  it('says so when nothing can happen any more, or too much', async () => {
    const stuck = await failure(() => new Promise(() => undefined))
    expect(stuck.message).toContain('nothing is left that could happen')
    const forever = await failure(async (world) => {
      for (;;) await world.storm('1m')
    })
    expect(forever.message).toContain('has not ended after')
    const waiting = await failure(async (world) => {
      await world.calm(() => false, '2s')
    })
    expect(waiting.message).toContain('it is calm for 2000 ms, and it is still not as it should be')
  })

  it('gives every node a wall clock of its own, and one monotonic time', async () => {
    const skews = new Set<number>()
    await simulate({
      seeds: 10,
      run: async (world) => {
        world.node('a', async ({ runtime, sleep }) => {
          skews.add(runtime.clock.wall() - world.clock.wall())
          expect(runtime.clock.now()).toBe(world.clock.now())
          await sleep('1s')
        })
        await world.storm('2s')
      },
    })
    expect(skews.size).toBeGreaterThan(5)
    expect([...skews].every((skew) => Math.abs(skew) <= 1000)).toBe(true)
  })

  it('refuses what is not a probability', async () => {
    const run = (world: World): Promise<void> => world.storm('1s')
    await expect(simulate({ faults: { refuse: 2 }, run })).rejects.toThrow(
      'refuse is a probability from 0 to 1',
    )
    expect(memoryLog().capabilities.driver).toBe('memory')
  })
})

it('what a run has left open is not kept: there may be any number of runs', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const Thing = defineResource({ group: 'test.example', kind: 'Thing' })
  const worlds: WeakRef<World>[] = []
  await simulate({
    seeds: 6,
    run: async (world) => {
      worlds.push(new WeakRef(world))
      const engine = world.coordination()
      world.node('watches', async (node) => {
        await openResources(node.coordinate(engine)).list(Thing)
        await new Promise(() => undefined)
      })
      await world.calm()
    },
  })
  await expect
    .poll(() => {
      collect()
      return worlds.filter((world) => world.deref()).length
    })
    .toBeLessThanOrEqual(1)
})
