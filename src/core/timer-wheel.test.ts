import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { TimerWheel, WheelTimer } from './timer-wheel.js'

/** What the wheel promises, as plainly as it can be said: a list, searched from end to end. */
class SortedList {
  now: number
  readonly #waiting: { id: number; due: number; sequence: number; callback: () => void }[] = []
  #sequence = 0

  constructor(now: number) {
    this.now = now
  }

  get size(): number {
    return this.#waiting.length
  }

  add(id: number, due: number, callback: () => void): void {
    this.#waiting.push({ id, due: Math.max(due, this.now + 1), sequence: this.#sequence++, callback })
  }

  remove(id: number): boolean {
    const index = this.#waiting.findIndex((timer) => timer.id === id)
    if (index >= 0) this.#waiting.splice(index, 1)
    return index >= 0
  }

  advance(tick: number): void {
    for (;;) {
      const next = this.#waiting
        .filter(({ due }) => due <= tick)
        .sort((a, b) => a.due - b.due || a.sequence - b.sequence)[0]
      if (!next) break
      this.now = next.due
      this.remove(next.id)
      next.callback()
    }
    this.now = Math.max(this.now, tick)
  }
}

/** Distances near the edges of slots and levels, of 2^30 (a turn of the wheel) and 2^32, and anything between. */
const edge = fc
  .tuple(fc.constantFrom(0, 5, 10, 15, 20, 25, 30, 31, 32, 33), fc.integer({ min: -2, max: 2 }))
  .map(([bits, off]) => Math.max(0, 2 ** bits + off))
const distance = fc.oneof(
  { weight: 4, arbitrary: edge },
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 40 }) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 40 }).map((slots) => slots * 2 ** 25) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 2 ** 33 }) },
)

/** What a timer does when it fires. */
type Reaction = { kind: 'none' } | { kind: 'add'; by: number } | { kind: 'cancel'; which: number }

const reaction: fc.Arbitrary<Reaction> = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ kind: 'none' as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('add' as const), by: distance }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cancel' as const), which: fc.nat(60) }) },
)

type Step =
  | { kind: 'add'; by: number; reaction: Reaction }
  | { kind: 'cancel'; which: number }
  | { kind: 'advance'; by: number }
  | { kind: 'next' }

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('add' as const), by: distance, reaction }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cancel' as const), which: fc.nat(60) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('advance' as const), by: distance }) },
  // To the very instant of the next timer, where slots are emptied.
  { weight: 2, arbitrary: fc.constant({ kind: 'next' as const }) },
)

interface Timers {
  add(id: number, due: number, callback: () => void): void
  remove(id: number): boolean
  advance(tick: number): void
  size(): number
}

/** Takes timers through the steps. The log says what fired, in which order, and how many waited after each step. */
function run(steps: Step[], start: number, timers: Timers): string[] {
  const log: string[] = []
  const waiting = new Map<number, number>()
  let now = start
  let count = 0
  const add = (from: number, by: number, reaction: Reaction): void => {
    const id = count++
    const at = from + Math.max(by, 1)
    waiting.set(id, at)
    timers.add(id, from + by, () => {
      log.push(`${id}, due at ${at}, fires`)
      waiting.delete(id)
      if (reaction.kind === 'add') add(at, reaction.by, { kind: 'none' })
      else if (reaction.kind === 'cancel') cancel(reaction.which)
    })
  }
  const cancel = (which: number): void => {
    if (which >= count) return
    waiting.delete(which)
    log.push(`${which} cancelled: ${timers.remove(which)}`)
  }
  for (const step of steps) {
    if (step.kind === 'add') add(now, step.by, step.reaction)
    else if (step.kind === 'cancel') cancel(step.which)
    else {
      now = step.kind === 'advance' ? now + step.by : Math.max(now, Math.min(...waiting.values(), Infinity))
      if (now === Infinity) break
      timers.advance(now)
    }
    log.push(`${timers.size()} wait at ${now}`)
  }
  return log
}

function listTimers(start: number): Timers {
  const list = new SortedList(start)
  return {
    add: (id, due, callback) => list.add(id, due, callback),
    remove: (id) => list.remove(id),
    advance: (tick) => list.advance(tick),
    size: () => list.size,
  }
}

function wheelTimers(start: number): Timers {
  const wheel = new TimerWheel(start)
  const timers: WheelTimer[] = []
  return {
    add(id, due, callback) {
      timers[id] = new WheelTimer(due, callback)
      wheel.add(timers[id])
    },
    remove: (id) => wheel.remove(timers[id]!),
    advance: (tick) => wheel.advance(tick),
    size: () => wheel.size,
  }
}

const start = fc.oneof(edge, fc.integer({ min: 0, max: 2 ** 34 }))

describe('a timer wheel', () => {
  test('fires what a sorted list would fire, in the same order, at the same ticks', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), start, (steps, start) => {
        expect(run(steps, start, wheelTimers(start))).toEqual(run(steps, start, listTimers(start)))
      }),
      { numRuns: 1_000 },
    )
  })

  test('is told to wake at the next due tick, or earlier where timers move down', () => {
    fc.assert(
      fc.property(fc.array(distance, { minLength: 1, maxLength: 10 }), start, (distances, start) => {
        const wheel = new TimerWheel(start)
        let fired = 0
        for (const by of distances) wheel.add(new WheelTimer(start + by, () => fired++))
        const due = Math.min(...distances.map((by) => start + Math.max(by, 1)))
        let wakes = 0
        while (fired === 0) {
          const next = wheel.nextTick()!
          expect(next).toBeLessThanOrEqual(due)
          wheel.advance(next)
          // For each timer: six levels, and full turns of the wheel before it comes within one.
          expect(++wakes).toBeLessThanOrEqual(distances.length * (6 + 2 ** 33 / 2 ** 30))
        }
        expect(fired).toBe(distances.filter((by) => start + Math.max(by, 1) === due).length)
      }),
      { numRuns: 300 },
    )
  })

  test('that is empty has no next tick', () => {
    const wheel = new TimerWheel(7)
    expect(wheel.nextTick()).toBeUndefined()
    const timer = new WheelTimer(100, () => undefined)
    wheel.add(timer)
    expect(wheel.remove(timer)).toBe(true)
    expect(wheel.remove(timer)).toBe(false)
    expect(wheel.nextTick()).toBeUndefined()
    expect(wheel.size).toBe(0)
  })

  test('still fires the others of a tick after a callback of it has thrown', () => {
    const wheel = new TimerWheel()
    const fired: string[] = []
    wheel.add(new WheelTimer(5, () => fired.push('first')))
    wheel.add(
      new WheelTimer(5, () => {
        throw new Error('bug in the callback')
      }),
    )
    wheel.add(new WheelTimer(5, () => fired.push('third')))
    expect(() => wheel.advance(10)).toThrow('bug in the callback')
    expect(wheel.size).toBe(1)
    wheel.advance(11)
    expect(fired).toEqual(['first', 'third'])
    expect(wheel.size).toBe(0)
  })
})
