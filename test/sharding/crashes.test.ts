import { describe, expect, test } from 'vitest'
import { hashText } from '../../src/core/hashing/hash.js'
import { seededRandom, type Random } from '../../src/core/random.js'
import {
  abortMove,
  finishMove,
  reverseMove,
  startMoves,
} from '../../src/coordination/sharding/data/moves/operate.js'
import { SEED, times } from '../support/effort.js'
import { Crash, MovingWorld, type CrashPoint } from './moving-world.js'

const NAME = 'conformance'

/** What an operator does about a move that an executor has left somewhere. */
const WISHES = ['forward', 'abort', 'reverse', 'finish'] as const

async function crash(world: MovingWorld, random: Random, calls: number): Promise<void> {
  const modes: CrashPoint['mode'][] = ['before', 'after', 'late']
  const mode = modes[Math.floor(random.next() * modes.length)]!
  await world.execute({ at: 1 + Math.floor(random.next() * calls), mode }).catch((error: unknown) => {
    if (!(error instanceof Crash)) throw error
  })
}

async function trial(seed: number): Promise<void> {
  const random = seededRandom(seed)
  const world = await MovingWorld.open(random)
  try {
    const buckets = [1, 2].slice(0, 1 + Math.floor(random.next() * 2))
    const [id] = await startMoves(world.coordinator, NAME, [{ buckets, from: 'a', to: 'b' }])
    const wish = WISHES[Math.floor(random.next() * WISHES.length)]!
    const crashes = 1 + Math.floor(random.next() * 3)
    for (let count = 0; count < crashes; count++) await crash(world, random, 80)
    const step = async (): Promise<string | undefined> => (await world.moves())[0]?.step
    if (wish === 'abort' && (await step()) !== 'switched') {
      await abortMove(world.coordinator, NAME, id!)
      await crash(world, random, 12)
      await world.execute()
    } else {
      await world.execute()
      expect(await step()).toBe('switched')
      expect(await world.check()).toEqual([])
      if (wish === 'reverse') {
        await reverseMove(world.coordinator, NAME, id!)
        await crash(world, random, 60)
        await world.execute()
      }
    }
    await world.lateCall()
    expect(await world.check()).toEqual([])
    if ((await step()) === 'switched') {
      await finishMove(world.coordinator, NAME, id!)
      await crash(world, random, 4)
      await world.execute()
    }
    await world.lateCall()
    expect(await step()).toBeUndefined()
    expect(await world.check()).toEqual([])
    expect(await world.left()).toBe(0)
  } finally {
    await world.close()
  }
}

describe('whatever call an executor ends at, the next one brings every row to where it belongs, once', () => {
  test.each(Array.from({ length: times(25) }, (_, index) => hashText(String(index), SEED)))('seed %i', trial)
})
