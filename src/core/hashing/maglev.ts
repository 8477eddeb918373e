import { hashText } from './hash.js'
import type { HashTable, Owner } from './table.js'

/** Places in the table; a prime, so that every step width visits all of them. */
export const MAGLEV_PLACES = 65_537
const OFFSET_SEED = 0x5bd1e995
const SKIP_SEED = 0x1b873593

/**
 * The lookup table of Maglev (Eisenbud et al., NSDI 2016): owners take turns, by weight, at taking the next free place
 * in an order of their own. Loads differ by about one in a hundred; when an owner comes or goes, a few keys of others
 * move as well.
 *
 * @param size - places in the table, a prime: for loads that differ by less than one in a hundred, more than 100 for each owner
 */
export function maglev(owners: readonly Owner[], size = MAGLEV_PLACES): HashTable {
  const places = new Uint32Array(size)
  const table: HashTable = { places, placeOf: (hash) => hash % size }
  // The turns go by name, not by the order of the list: every process must come to the same table.
  const turns = owners
    .map(({ id, weight }, index) => ({
      id,
      index,
      weight,
      next: hashText(id, OFFSET_SEED) % size,
      skip: (hashText(id, SKIP_SEED) % (size - 1)) + 1,
      due: 0,
    }))
    .sort((a, b) => (a.id < b.id ? -1 : 1))
  if (turns.length < 2) return table
  const heaviest = Math.max(...turns.map(({ weight }) => weight))
  const taken = new Uint8Array(size)
  let free = size
  for (let round = 1; ; round++) {
    for (const turn of turns) {
      // The heaviest has a turn in each round, one of half its weight in every other.
      if (round * turn.weight < turn.due + heaviest) continue
      turn.due += heaviest
      while (taken[turn.next] === 1) turn.next = (turn.next + turn.skip) % size
      taken[turn.next] = 1
      places[turn.next] = turn.index
      if (--free === 0) return table
    }
  }
}
