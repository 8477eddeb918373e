import { seededRandom, type Random } from '../../../src/core/random.js'

/** `BANYAN_FAULTS_SEED=n` repeats the plan of a run. What processes make of a plan differs a little each time. */
export const SEED = Number(process.env['BANYAN_FAULTS_SEED'] ?? Math.floor(Math.random() * 1e9))

/** How many processes a kill loop kills. `BANYAN_FAULTS_KILLS=5000` makes it go on for longer. */
export const KILLS = Number(process.env['BANYAN_FAULTS_KILLS'] ?? 200)

/** Choices of a test, repeatable by its seed. */
export class Choices {
  readonly #random: Random

  constructor(seed: number) {
    this.#random = seededRandom(seed)
  }

  /** A whole number from 0 to below a limit. */
  below(limit: number): number {
    return Math.floor(this.#random.next() * limit)
  }

  /** True with a probability. */
  chance(probability: number): boolean {
    return this.#random.next() < probability
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!
  }
}
