import fc from 'fast-check'
import { expect, it } from 'vitest'
import { SEED, times } from '../../../../test/support/effort.js'
import { virtualRuntime } from '../../../testing/virtual-clock.js'
import { workQueue, type WorkItem } from './work-queue.js'

/** Numbers of which all sums are exact: a time that is off by a rounding would be another order. */
const AGEING = 64
const BASE = 5
const LONGEST = 100
const TOKEN_MS = 64
const BURST = 3

type Step =
  | { do: 'add'; key: string; priority: number }
  | { do: 'addAfter'; key: string; wait: number; priority: number }
  | { do: 'retry'; key: string }
  | { do: 'forget'; key: string }
  | { do: 'take' }
  | { do: 'giveUp' | 'finish'; which: number }
  | { do: 'advance'; ms: number }
  | { do: 'shutDown' | 'drain' | 'close' }

interface Waiting {
  key: string
  due: number
  priority: number
  /** Decides between those that are due at the same time. */
  asked: number
  /** Decides between those that could be taken for as long; undefined until they can. */
  came: number | undefined
}

/** What a queue is to do, in the plainest words: everything that waits is looked at each time. */
class Model {
  now = 0
  readonly log: string[] = []
  readonly working: { key: string; priority: number }[] = []
  readonly takers: number[] = []
  readonly failures = new Map<string, number>()
  #waiting: Waiting[] = []
  #open = true
  #ends: string[] = []
  #order = 0
  #tokens = BURST
  #tokensAt = 0

  get depth(): number {
    return this.#waiting.filter(({ came }) => came !== undefined).length
  }

  get delayed(): number {
    return this.#waiting.length - this.depth
  }

  add(key: string, wait: number, priority: number): void {
    if (!this.#open) return
    const due = this.now + wait
    const known = this.#waiting.find((each) => each.key === key)
    if (!known) this.#waiting.push({ key, due, priority, asked: this.#order++, came: undefined })
    else {
      known.priority = Math.max(known.priority, priority)
      if (due < known.due) {
        known.due = due
        known.asked = this.#order++
      }
    }
    this.settle()
  }

  retry(key: string): void {
    const failures = (this.failures.get(key) ?? 0) + 1
    this.failures.set(key, failures)
    const filled = (this.now - this.#tokensAt) / TOKEN_MS
    this.#tokens = Math.min(BURST, this.#tokens + filled) - 1
    this.#tokensAt = this.now
    const own = Math.min(LONGEST, BASE * 2 ** (failures - 1))
    const priority = this.working.find((each) => each.key === key)?.priority ?? 0
    this.add(key, Math.max(own, -this.#tokens * TOKEN_MS), priority)
  }

  take(taker: number): void {
    this.takers.push(taker)
    this.settle()
  }

  giveUp(index: number): void {
    this.log.push(`${this.takers.splice(index, 1)[0]} gives up`)
  }

  finish(index: number): void {
    this.working.splice(index, 1)
    this.settle()
  }

  stop(how: 'shutDown' | 'drain' | 'close'): void {
    this.#open = false
    if (how !== 'shutDown') this.#ends.push(how)
    this.#waiting = this.#waiting.filter(({ came }) => came !== undefined && how !== 'close')
    this.settle()
  }

  advance(ms: number): void {
    const until = this.now + ms
    for (;;) {
      const next = Math.min(...this.#waiting.filter(({ came }) => came === undefined).map(({ due }) => due))
      if (next > until) break
      this.now = next
      this.settle()
    }
    this.now = until
  }

  settle(): void {
    const due = this.#waiting.filter((each) => each.came === undefined && each.due <= this.now)
    for (const each of due.sort((a, b) => a.due - b.due || a.asked - b.asked)) each.came = this.#order++
    for (let first = this.#first(); first && this.takers.length > 0; first = this.#first()) {
      const { key, priority } = first
      this.#waiting.splice(this.#waiting.indexOf(first), 1)
      this.working.push({ key, priority })
      this.log.push(`${this.takers.shift()} takes ${key} of ${priority} at ${this.now}`)
    }
    if (this.#open || this.depth > 0) return
    for (const taker of this.takers.splice(0)) this.log.push(`${taker} is told that it is over`)
    if (this.working.length === 0) for (const how of this.#ends.splice(0)) this.log.push(`${how} has ended`)
  }

  /** Priority grows with each time that it waits. */
  #first(): Waiting | undefined {
    const aged = ({ priority, due }: Waiting): number => priority + (this.now - due) / AGEING
    return this.#waiting
      .filter(({ key, came }) => came !== undefined && !this.working.some((each) => each.key === key))
      .sort((a, b) => aged(b) - aged(a) || a.came! - b.came!)[0]
  }
}

/** The queue itself, told the same. */
class Real {
  readonly #runtime = virtualRuntime()
  readonly queue = workQueue({
    backoff: { base: BASE, max: LONGEST },
    bucket: { rate: 1000 / TOKEN_MS, burst: BURST },
    ageing: AGEING,
    runtime: this.#runtime,
  })
  readonly log: string[] = []
  readonly working: WorkItem[] = []
  readonly #takers = new Map<number, AbortController>()

  take(taker: number): void {
    const signal = new AbortController()
    this.#takers.set(taker, signal)
    const taken = (item: WorkItem | undefined): void => {
      this.#takers.delete(taker)
      if (item) this.working.push(item)
      const now = this.#runtime.clock.now()
      this.log.push(
        item
          ? `${taker} takes ${item.key} of ${item.priority} at ${now}`
          : `${taker} is told that it is over`,
      )
    }
    this.queue.take(signal.signal).then(taken, () => {
      this.#takers.delete(taker)
      this.log.push(`${taker} gives up`)
    })
  }

  giveUp(taker: number): void {
    this.#takers.get(taker)?.abort()
  }

  finish(key: string): void {
    const index = this.working.findIndex((each) => each.key === key)
    this.working.splice(index, 1)[0]!.done()
  }

  stop(how: 'shutDown' | 'drain' | 'close'): void {
    if (how === 'shutDown') this.queue.shutDown()
    else void this.queue[how]().then(() => this.log.push(`${how} has ended`))
  }

  async advance(ms: number): Promise<void> {
    await this.#runtime.clock.advance(ms)
  }
}

async function compare(steps: readonly Step[]): Promise<void> {
  const model = new Model()
  const real = new Real()
  for (const [index, step] of steps.entries()) {
    switch (step.do) {
      case 'add':
        model.add(step.key, 0, step.priority)
        real.queue.add(step.key, { priority: step.priority })
        break
      case 'addAfter':
        model.add(step.key, step.wait, step.priority)
        real.queue.addAfter(step.key, step.wait, { priority: step.priority })
        break
      case 'retry':
        model.retry(step.key)
        real.queue.retry(step.key)
        break
      case 'forget':
        model.failures.delete(step.key)
        real.queue.forget(step.key)
        break
      case 'take':
        model.take(index)
        real.take(index)
        break
      case 'giveUp': {
        const { takers } = model
        if (takers.length === 0) break
        const which = step.which % takers.length
        real.giveUp(takers[which]!)
        model.giveUp(which)
        break
      }
      case 'finish': {
        const { working } = model
        if (working.length === 0) break
        const which = step.which % working.length
        real.finish(working[which]!.key)
        model.finish(which)
        break
      }
      case 'advance':
        model.advance(step.ms)
        await real.advance(step.ms)
        break
      case 'shutDown':
      case 'drain':
      case 'close':
        model.stop(step.do)
        real.stop(step.do)
    }
    await real.advance(0)
    const { queue } = real
    // Who was told within one moment hears of it in an order of its own.
    expect([...real.log].sort()).toEqual([...model.log].sort())
    expect(real.working.map(({ key }) => key).sort()).toEqual(model.working.map(({ key }) => key).sort())
    expect([queue.depth, queue.delayed, queue.working]).toEqual([
      model.depth,
      model.delayed,
      model.working.length,
    ])
    for (const key of KEYS) expect(queue.failures(key)).toBe(model.failures.get(key) ?? 0)
  }
}

const KEYS = ['a', 'b', 'c', 'd', 'e']
const key = fc.constantFrom(...KEYS)
const priority = fc.constantFrom(-2, -1, 0, 0, 0, 1, 2)
const which = fc.nat(9)
const ms = fc.integer({ min: 0, max: 200 })

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('add' as const), key, priority }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('addAfter' as const), key, wait: ms, priority }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('retry' as const), key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('forget' as const), key }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('take' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('giveUp' as const), which }) },
  { weight: 7, arbitrary: fc.record({ do: fc.constant('finish' as const), which }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('advance' as const), ms }) },
)
const stop: fc.Arbitrary<Step> = fc.record({ do: fc.constantFrom('shutDown', 'drain', 'close') })

it('does what the model does, whatever is asked of it', async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 150, size: 'max' }), compare), {
    seed: SEED,
    numRuns: times(60),
  })
})

it('ends as the model does, whatever goes on meanwhile', async () => {
  const around = fc.array(step, { maxLength: 30, size: 'max' })
  const plan = fc.tuple(around, stop, around, fc.option(stop, { nil: undefined }), around)
  await fc.assert(
    fc.asyncProperty(plan, ([before, first, between, second, after]) =>
      compare([...before, first, ...between, ...(second ? [second] : []), ...after]),
    ),
    { seed: SEED, numRuns: times(60) },
  )
})
