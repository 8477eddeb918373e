import type { Random } from '../../core/random.js'
import type { Balancer, Candidate } from './candidate.js'
import { boundOf } from '../../core/hashing/bound.js'
import { hashText, mix } from '../../core/hashing/hash.js'
import { maglev } from '../../core/hashing/maglev.js'
import { ring } from '../../core/hashing/ring.js'
import type { HashTable } from '../../core/hashing/table.js'
import { leastRequest } from './least-request.js'

/** How keys are given to endpoints. */
export interface ConsistentHashOptions {
  /** `ring` moves the fewest keys when endpoints change, `maglev` is the more even. Default `ring`. */
  table?: 'ring' | 'maglev'
  /**
   * Most requests under way at one endpoint, as a multiple of its fair part of all; above 1. What is beyond goes to
   * the next. Default: no bound.
   */
  boundedLoad?: number
}

/**
 * Requests of one key go to one endpoint, and stay there when others come and go. One that is not ready, not among
 * those that may be chosen, or over its bound is passed over for the next from the key's place on, the same one for
 * the same key (Mirrokni et al., "Consistent hashing with bounded loads", 2018). An endpoint that starts slowly takes
 * a growing part of its keys. Requests without a key go to the less busy of two.
 */
export function consistentHash<C extends Candidate>(
  options: ConsistentHashOptions,
  random: Random,
): Balancer<C> {
  const { boundedLoad } = options
  const build = options.table === 'maglev' ? maglev : ring
  const keyless = leastRequest<C>(random)
  let owners: readonly C[] = []
  let table: HashTable | undefined
  let among: readonly C[] | undefined
  /** For each owner whether it may be chosen. */
  let allowed = new Uint8Array(0)
  /** For each owner the number of the pick that passed it over. */
  let passed = new Uint32Array(0)
  let picks = 0

  const walk = (hash: number, accept: (owner: C) => boolean): C | undefined => {
    const { places } = table!
    if (++picks === 2 ** 32) {
      passed.fill(0)
      picks = 1
    }
    let left = owners.length
    let place = table!.placeOf(hash)
    while (left > 0) {
      const index = places[place]!
      if (passed[index] !== picks) {
        if (allowed[index] === 1 && accept(owners[index]!)) return owners[index]
        passed[index] = picks
        left--
      }
      if (++place === places.length) place = 0
    }
    return undefined
  }

  return {
    keyed: true,
    use(all) {
      owners = all.filter(({ weight }) => weight > 0)
      table = owners.length === 0 ? undefined : build(owners)
      allowed = new Uint8Array(owners.length)
      passed = new Uint32Array(owners.length)
      among = undefined
    },
    pick(from, avoid, key) {
      if (key === undefined) return keyless.pick(from, avoid)
      if (!table) return undefined
      if (from !== among) {
        among = from
        const chosen = new Set(from)
        for (let index = 0; index < owners.length; index++)
          allowed[index] = chosen.has(owners[index]!) ? 1 : 0
      }
      const hash = hashText(key)
      // A second number of the same key, so that the keys that come back first are the same all the time.
      const turn = mix(hash ^ 0x27d4eb2f) / 2 ** 32
      const bound = boundedLoad === undefined ? undefined : bounds(from, boundedLoad)
      return (
        walk(
          hash,
          (owner) =>
            owner !== avoid && turn < owner.share && (!bound || owner.active < bound(owner)) && owner.ready(),
        ) ??
        walk(hash, (owner) => owner !== avoid && owner.ready()) ??
        walk(hash, (owner) => owner.ready())
      )
    },
  }
}

/** Most requests that each may have under way, this one included. */
function bounds<C extends Candidate>(among: readonly C[], factor: number): (candidate: C) => number {
  let active = 1
  let weights = 0
  for (const candidate of among) {
    active += candidate.active
    weights += candidate.weight
  }
  return ({ weight }) => boundOf(factor, active, weight, weights)
}
