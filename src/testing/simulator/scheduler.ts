import type { Clock, Timer } from '../../core/clock.js'
import type { Random } from '../../core/random.js'

interface Due {
  at: number
  /** Decides between those that are due at the same time. */
  order: number
  callback: () => void
  cancelled: boolean
}

/** How many turns of the event loop a simulation may take without virtual time: what it waits for then is not in it. */
const IDLE_TURNS = 1000

/**
 * The clock of a simulation, that runs it too: it goes to the next thing that is due, and lets everything happen that
 * follows from it. What is due at the same time happens in an order drawn by chance.
 */
export class Scheduler implements Clock {
  readonly #random: Random
  readonly #wallStart: number
  /** A heap: the first is due next. */
  readonly #due: Due[] = []
  #now = 0
  #steps = 0

  constructor(random: Random, wallStart: number) {
    this.#random = random
    this.#wallStart = wallStart
  }

  now(): number {
    return this.#now
  }

  wall(): number {
    return this.#wallStart + this.#now
  }

  /** How many things have happened. */
  get steps(): number {
    return this.#steps
  }

  schedule(at: number, callback: () => void): Timer {
    const due: Due = { at: Math.max(at, this.#now), order: this.#random.next(), callback, cancelled: false }
    this.#push(due)
    return {
      cancel: () => {
        due.cancelled = true
      },
    }
  }

  /**
   * Runs until a result settles.
   *
   * @param limits - after this much, it is taken as running for ever
   */
  async run(result: Promise<unknown>, limits: { until: number; steps: number }): Promise<void> {
    let settled = false
    const settle = (): void => {
      settled = true
    }
    result.then(settle, settle)
    const hasSettled = (): boolean => settled
    for (let idle = 0; ;) {
      await turn()
      if (hasSettled()) return
      const next = this.#pop()
      if (!next) {
        if (++idle > IDLE_TURNS)
          throw new Error(
            'nothing is left that could happen, and the run has not ended: it waits for something outside of the simulation, or for ever',
          )
        continue
      }
      idle = 0
      if (next.cancelled) continue
      if (next.at > limits.until || ++this.#steps > limits.steps)
        throw new Error(
          `the run has not ended after ${Math.round(this.#now)} ms of its time and ${this.#steps} steps`,
        )
      this.#now = next.at
      next.callback()
    }
  }

  #push(due: Due): void {
    const heap = this.#due
    let index = heap.push(due) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!isBefore(due, heap[parent]!)) break
      heap[index] = heap[parent]!
      index = parent
    }
    heap[index] = due
  }

  #pop(): Due | undefined {
    const heap = this.#due
    const first = heap[0]
    const last = heap.pop()
    if (!last || heap.length === 0) return first
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (!isBefore(heap[child]!, last)) break
      heap[index] = heap[child]!
      index = child
    }
    heap[index] = last
    return first
  }
}

function isBefore(a: Due, b: Due): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}

/** Every promise that can go on does so. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
