import { qualifiedPlural } from '../../resources/define.js'
import { nameOfKey } from '../keys.js'
import type { Item } from './item.js'

/** Something that keeps a resource from being collected, or from going. */
export interface GarbageProblem {
  /** `promotions.shop.example`. */
  readonly resource: string
  readonly namespace?: string
  readonly name: string
  /**
   * `UnknownOwner`: of a kind that the collector does not know, so that nobody can say whether it is there. `OwnerElsewhere`: it
   * is in another namespace, or in one at all, or has another name. `OwnerCycle`: it belongs to itself, by others or not, and goes only if somebody deletes one
   * of them. `FinalizersRemain`: it was deleted, and nobody takes its finalizers out.
   */
  readonly reason: 'UnknownOwner' | 'OwnerElsewhere' | 'OwnerCycle' | 'FinalizersRemain'
  readonly message: string
}

/** What is in the way of items, by their ids: told when it is new. */
export class Problems {
  readonly #all = new Map<string, readonly GarbageProblem[]>()
  readonly #told: (problem: GarbageProblem) => void

  constructor(told: (problem: GarbageProblem) => void) {
    this.#told = told
  }

  get list(): readonly GarbageProblem[] {
    return [...this.#all.values()].flat()
  }

  get size(): number {
    return this.#all.size
  }

  clear(): void {
    this.#all.clear()
  }

  /** All there are of an item now. */
  set(id: string, { of, key }: Item, found: readonly Pick<GarbageProblem, 'reason' | 'message'>[]): void {
    const before = this.#all.get(id) ?? []
    const problems = found.map((each) => ({ resource: qualifiedPlural(of.kind), ...nameOfKey(key), ...each }))
    if (problems.length === 0) this.#all.delete(id)
    else this.#all.set(id, problems)
    for (const each of problems)
      if (!before.some(({ reason, message }) => reason === each.reason && message === each.message))
        this.#told(each)
  }
}
