import fc from 'fast-check'
import { expect, it } from 'vitest'
import { SEED, times } from '../../../../test/support/effort.js'
import { Heap, type Placed } from './heap.js'

interface Thing extends Placed {
  rank: number
}

const step = fc.record({
  do: fc.constantFrom('push', 'push', 'push', 'shift', 'remove', 'advance'),
  rank: fc.integer({ min: 0, max: 1000 }),
  which: fc.nat(),
})

it('has the first of what is in it at hand, whatever is taken out or comes earlier', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: 'max' }), (steps) => {
      const heap = new Heap<Thing>((one, other) => one.rank < other.rank)
      const things: Thing[] = []
      const lowest = (): number | undefined => things.map(({ rank }) => rank).sort((a, b) => a - b)[0]
      for (const { do: what, rank, which } of steps) {
        const index = which % things.length
        const thing = things[index]
        if (what === 'push') {
          const pushed = { rank, place: -1 }
          things.push(pushed)
          heap.push(pushed)
        } else if (what === 'shift') {
          const first = heap.shift()
          expect(first?.rank).toBe(lowest())
          if (first) things.splice(things.indexOf(first), 1)
        } else if (thing && what === 'remove') {
          things.splice(index, 1)
          heap.remove(thing)
        } else if (thing) {
          thing.rank -= rank
          heap.advance(thing)
        }
        expect([heap.size, heap.peek()?.rank]).toEqual([things.length, lowest()])
      }
      const left = things.map(({ rank }) => rank).sort((a, b) => a - b)
      expect(left.map(() => heap.shift()?.rank)).toEqual(left)
    }),
    { seed: SEED, numRuns: times(40) },
  )
})
