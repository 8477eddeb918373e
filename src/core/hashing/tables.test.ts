import { describe, expect, it } from 'vitest'
import { mix } from './hash.js'
import { maglev } from './maglev.js'
import { ring } from './ring.js'
import type { HashTable, Owner } from './table.js'

const owners = (count: number): Owner[] =>
  Array.from({ length: count }, (_, index) => ({ id: `10.0.${index >> 8}.${index & 255}:80`, weight: 1 }))

function counts({ places }: HashTable, of: number): number[] {
  const counts = new Array<number>(of).fill(0)
  for (const owner of places) counts[owner]!++
  return counts
}

/** What part of the places has another owner, and what part of all had one that is still there. */
function disruption(count: number, gone: number, size: number): { changed: number; needless: number } {
  const all = owners(count)
  const before = maglev(all, size).places
  const left = all.slice(gone)
  const after = maglev(left, size).places
  let [changed, needless] = [0, 0]
  for (const [place, owner] of before.entries()) {
    if (all[owner]!.id === left[after[place]!]!.id) continue
    changed++
    if (owner >= gone) needless++
  }
  return { changed: changed / size, needless: needless / size }
}

describe('maglev', () => {
  it.each([
    [1000, 65_537],
    [1000, 655_373],
    [7, 65_537],
    [100, 65_537],
  ])('gives %d owners of %d places as many each, or one more', (count, size) => {
    const all = counts(maglev(owners(count), size), count)
    expect(Math.min(...all)).toBe(Math.floor(size / count))
    expect(Math.max(...all)).toBe(Math.ceil(size / count))
  })

  // Figures of a simulation of the algorithm of the paper: part of the places that changes, and of it needlessly.
  it.each([
    [3, 1, 65_537, 0.3336, 0.0003],
    [10, 1, 65_537, 0.102, 0.002],
    [100, 1, 65_537, 0.0155, 0.0055],
    [1000, 1, 65_537, 0.0067, 0.0057],
    [1000, 10, 65_537, 0.034, 0.024],
    [1000, 50, 65_537, 0.083, 0.033],
    [1000, 100, 65_537, 0.136, 0.036],
    [1000, 10, 655_373, 0.016, 0.006],
  ])('of %d owners %d go, of %d places change about %d', (count, gone, size, changed, needless) => {
    const measured = disruption(count, gone, size)
    expect(measured.changed / changed).toBeGreaterThan(0.75)
    expect(measured.changed / changed).toBeLessThan(1.25)
    expect(measured.needless).toBeLessThan(needless * 1.5 + 0.001)
  })
})

describe('a ring', () => {
  it('finds the first point at or behind a hash, and behind the last the first', () => {
    for (const count of [1, 2, 3, 50]) {
      const all = owners(count)
      const table = ring(all)
      // The owner of a place tells nothing of where it is: points are told by where the answer changes.
      let last = 0
      for (let hash = 0; hash < 2 ** 32; hash += 2 ** 16 + 1) {
        const place = table.placeOf(hash)
        expect(place === 0 || place >= last).toBe(true)
        last = place === 0 ? last : place
        expect(place).toBeLessThan(table.places.length)
      }
    }
  })

  // Standard deviation of loads and the highest one, beside the mean: a simulation with 100 owners, and 1/sqrt(points).
  it.each([
    [10, 0.316],
    [40, 0.16],
    [160, 0.079],
    [1000, 0.0316],
  ])('with %d points an owner has loads that differ by about %d', (points, error) => {
    const count = 100
    const table = ring(owners(count), points)
    const loads = new Array<number>(count).fill(0)
    const keys = 200_000
    for (let key = 0; key < keys; key++) loads[table.places[table.placeOf(mix(key))]!]!++
    const mean = keys / count
    const deviation = Math.sqrt(loads.reduce((sum, load) => sum + (load - mean) ** 2, 0) / count) / mean
    expect(deviation / error).toBeGreaterThan(0.7)
    expect(deviation / error).toBeLessThan(1.35)
  })
})
