import { seededRandom, type Random } from '../../../src/core/random.js'

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

  /** All of them, in any order. */
  shuffled<T>(from: readonly T[]): T[] {
    const left = [...from]
    return from.map(() => left.splice(this.below(left.length), 1)[0]!)
  }
}
