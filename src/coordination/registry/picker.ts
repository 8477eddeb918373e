import type { Random } from '../../core/random.js'
import type { Instance } from './instance.js'

/**
 * How much more than its part a zone can bear before some of its requests go elsewhere: all of them stay as long as about 70 %
 * of its weight is well (Envoy's overprovisioning factor).
 */
const OVERPROVISION = 1.4

/** Instances to draw from, each as often as its weight says. */
class Urn {
  readonly #instances: Instance[] = []
  /** The sum of the weights up to each. */
  readonly #sums: number[] = []
  #total = 0

  add(instance: Instance): void {
    if (instance.weight <= 0) return
    this.#total += instance.weight
    this.#instances.push(instance)
    this.#sums.push(this.#total)
  }

  get total(): number {
    return this.#total
  }

  draw(random: Random): Instance | undefined {
    const at = random.next() * this.#total
    let low = 0
    let high = this.#sums.length - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#sums[middle]! > at) high = middle
      else low = middle + 1
    }
    return this.#instances[low]
  }
}

/** Chooses instances: of the own zone as far as that can bear it, by weight. */
export class Picker {
  readonly #near = new Urn()
  readonly #all = new Urn()
  /** Share of the choices that stays in the own zone. */
  readonly #ownShare: number

  /**
   * @param choices - those that may be chosen
   * @param all - with those that are there but not well
   */
  constructor(choices: Iterable<Instance>, all: Iterable<Instance>, zone: string | undefined) {
    for (const instance of choices) {
      this.#all.add(instance)
      if (zone !== undefined && instance.zone === zone) this.#near.add(instance)
    }
    let own = 0
    for (const instance of all) if (instance.zone === zone && !instance.draining) own += instance.weight
    this.#ownShare = own > 0 ? Math.min(1, (OVERPROVISION * this.#near.total) / own) : 0
  }

  pick(random: Random): Instance | undefined {
    if (this.#near.total > 0 && (this.#ownShare === 1 || random.next() < this.#ownShare))
      return this.#near.draw(random)
    return this.#all.draw(random)
  }
}
