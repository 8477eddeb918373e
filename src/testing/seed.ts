import { systemRandom, type Random } from '../core/random.js'

/** Names the seed of everything random in `banyan/testing`: what failed with it fails again. */
const VARIABLE = 'BANYAN_SEED'

/** The seed that was asked for, if one was. */
export function seedOfEnvironment(): number | undefined {
  const text = process.env[VARIABLE]
  if (text === undefined || text === '') return undefined
  const seed = Number(text)
  if (!Number.isSafeInteger(seed))
    throw new Error(`${VARIABLE} must be a whole number, got ${JSON.stringify(text)}`)
  return seed
}

/** A seed that was not used before, most likely. */
export function freshSeed(): number {
  return Math.floor(systemRandom.next() * 2 ** 31)
}

/** How to see a failure again, for its message. */
export function replayHint(seed: number): string {
  return `run again with ${VARIABLE}=${seed} to see the same`
}

/** Choices by chance. */
export interface Choices {
  /** True with this probability. */
  readonly chance: (probability: number) => boolean
  /** A whole number from 0, below this one. */
  readonly below: (limit: number) => number
  /** One of these. */
  readonly pick: <T>(list: readonly T[]) => T
}

/** Makes choices by a source of chance. */
export function choices(random: Random): Choices {
  const below = (limit: number): number => Math.floor(random.next() * limit)
  return {
    chance: (probability) => random.next() < probability,
    below,
    pick: <T>(list: readonly T[]): T => {
      if (list.length === 0) throw new Error('nothing to pick from')
      return list[below(list.length)] as T
    },
  }
}
