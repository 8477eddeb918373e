import type { SequentialModel } from './model.js'
import { isAnswered, type Operation } from './operation.js'

const NO_RANK = NaN

/**
 * Which operations can be next by what their answers say of how far the thing had come. As they are taken in the order of their
 * ranks, the lowest of those that are left is found by counting.
 */
export class Ranks {
  readonly #of: Float64Array
  readonly #sorted: Float64Array
  #taken = 0

  constructor(
    model: Pick<SequentialModel<unknown, never, never>, 'rank'>,
    operations: readonly Operation<unknown, unknown>[],
  ) {
    const rank = model.rank?.bind(model)
    this.#of = Float64Array.from(operations, (operation) =>
      rank && isAnswered(operation)
        ? (rank(operation.input as never, operation.output as never) ?? NO_RANK)
        : NO_RANK,
    )
    this.#sorted = this.#of.filter((each) => !Number.isNaN(each)).sort()
  }

  isNext(operation: number): boolean {
    const rank = this.#of[operation]!
    return Number.isNaN(rank) || rank === this.#sorted[this.#taken]
  }

  take(operation: number): void {
    if (!Number.isNaN(this.#of[operation])) this.#taken++
  }

  untake(operation: number): void {
    if (!Number.isNaN(this.#of[operation])) this.#taken--
  }
}
