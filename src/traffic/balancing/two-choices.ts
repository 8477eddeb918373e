import type { Random } from '../../core/random.js'
import { choices, type Balancer, type Candidate } from './candidate.js'

/** Draws for one choice before all candidates are looked at. */
const MOST_DRAWS = 4

/**
 * The better of two random choices (Mitzenmacher, "The power of two choices in randomized load balancing", 2001):
 * nearly as even as asking all, and no endpoint that has just become free is overrun. The two are always distinct, and
 * drawn by weight: whoever is drawn evenly is taken with the odds of its weight against the heaviest, else drawn anew.
 * So a choice costs the same for ten endpoints and for a thousand.
 *
 * @param load - what is compared, for its weight; the first that was drawn wins a tie
 */
export function twoChoices<C extends Candidate>(random: Random, load: (candidate: C) => number): Balancer<C> {
  let known: readonly C[] | undefined
  let heaviest = 0
  const scratch: C[] = []

  const below = (count: number): number => Math.floor(random.next() * count)

  /** @returns the index of one that is ready; -1 if none was drawn */
  const draw = (among: readonly C[], avoid: C | undefined, except: number): number => {
    const count = except < 0 ? among.length : among.length - 1
    for (let turn = 0; turn < MOST_DRAWS; turn++) {
      let index = below(count)
      if (except >= 0 && index >= except) index++
      const candidate = among[index]!
      const weight = weightOf(candidate)
      if (candidate === avoid || weight <= 0) continue
      if (weight < heaviest && random.next() * heaviest >= weight) continue
      if (candidate.ready()) return index
    }
    return -1
  }

  const better = (a: C, b: C): C => (load(b) / weightOf(b) < load(a) / weightOf(a) ? b : a)

  /** The same from those alone that are ready. */
  const search = (among: readonly C[], avoid: C | undefined): C | undefined => {
    const ready = choices(among, avoid, scratch)
    if (ready.length < 2) return ready[0]
    const first = drawByWeight(ready, random)
    const a = ready.splice(first, 1)[0]!
    return better(a, ready[drawByWeight(ready, random)]!)
  }

  return {
    pick(among, avoid) {
      if (among !== known) {
        known = among
        heaviest = among.reduce((most, { weight }) => Math.max(most, weight), 0)
      }
      if (among.length > 1) {
        const first = draw(among, avoid, -1)
        const second = first < 0 ? -1 : draw(among, avoid, first)
        if (second >= 0) return better(among[first]!, among[second]!)
      }
      return search(among, avoid)
    },
  }
}

function drawByWeight(candidates: readonly Candidate[], random: Random): number {
  let total = 0
  for (const candidate of candidates) total += weightOf(candidate)
  let point = random.next() * total
  for (let index = 0; index < candidates.length; index++) {
    point -= weightOf(candidates[index]!)
    if (point < 0) return index
  }
  return candidates.length - 1
}

function weightOf({ weight, share }: Candidate): number {
  return weight * share
}
