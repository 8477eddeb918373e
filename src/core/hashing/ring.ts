import { hashText, mix } from './hash.js'
import type { HashTable, Owner } from './table.js'

/** Points of an owner of weight 1. More are more even, and more memory: a load differs by about 1/sqrt of it. */
const POINTS = 256
/**
 * Most points of all together. Where there would be more, everybody gets half as many, again and again; and twice as many where all weights
 * together are below 1. At such a step keys of others move as well: between a weight of 1 and of 4,096 there is none.
 */
const MOST = 1 << 20

/**
 * A ring (Karger et al., "Consistent hashing and random trees", 1997): every owner stands at many points of a circle
 * of 32 bits, and a key belongs to the next one. When an owner goes, only its keys move; when one comes, keys move
 * only to it.
 *
 * @param perWeight - points of an owner of weight 1
 */
export function ring(owners: readonly Owner[], perWeight = POINTS): HashTable {
  // Where two meet at one point the name decides, not the order of the list.
  const order = owners.map((_, index) => index).sort((a, b) => (owners[a]!.id < owners[b]!.id ? -1 : 1))
  const points = sortedPoints(
    order.map((index) => owners[index]!),
    perWeight,
  )
  const hashes = Uint32Array.from(points, (point) => Math.floor(point / MOST))
  const places = Uint32Array.from(points, (point) => order[point % MOST]!)
  const { begins, shift } = sectorsOf(hashes)
  return {
    places,
    placeOf(hash) {
      let place = begins[hash >>> shift]!
      while (place < hashes.length && hashes[place]! < hash) place++
      return place === hashes.length ? 0 : place
    },
  }
}

/** Where each part of the circle begins, with about one point in each: looking there is faster than searching in all. */
function sectorsOf(hashes: Uint32Array): { begins: Uint32Array; shift: number } {
  const bits = Math.max(1, Math.ceil(Math.log2(hashes.length + 1)))
  const shift = 32 - bits
  const begins = new Uint32Array(2 ** bits)
  let place = 0
  for (let sector = 0; sector < begins.length; sector++) {
    while (place < hashes.length && hashes[place]! >>> shift < sector) place++
    begins[sector] = place
  }
  return { begins, shift }
}

/** Each with its owner in the low bits, so that sorting numbers sorts both. */
function sortedPoints(owners: readonly Owner[], perWeight: number): Float64Array {
  let scale = perWeight
  const total = perWeight * owners.reduce((sum, { weight }) => sum + weight, 0)
  for (let all = total; all > 0 && all < perWeight; all *= 2) scale *= 2
  for (let all = total; all > MOST; all /= 2) scale /= 2
  const points: number[] = []
  for (const [index, { id, weight }] of owners.entries()) {
    const base = hashText(id)
    const own = Math.max(1, Math.round(weight * scale))
    for (let point = 1; point <= own; point++)
      points.push(mix(base ^ Math.imul(point, 0x9e3779b9)) * MOST + index)
  }
  return Float64Array.from(points).sort()
}
