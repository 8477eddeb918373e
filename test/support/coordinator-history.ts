import { seededRandom } from '../../src/core/random.js'
import { choices } from '../../src/testing/seed.js'
import type {
  CoordinatorEntry,
  CoordinatorInput,
  CoordinatorOperation,
  CoordinatorOutput,
} from '../../src/testing/linearizability/index.js'

interface Kept {
  value: string
  revision: number
  created: number
  lease?: string
}

/** A true store: one thing after the other. */
export class Store {
  #revision = 0
  #keys = new Map<string, Kept>()
  /** What the next get says instead of what is true. */
  late: CoordinatorOutput | undefined

  copy(): Store {
    const copy = new Store()
    copy.become(this)
    return copy
  }

  become(other: Store): void {
    this.#revision = other.#revision
    this.#keys = new Map(other.#keys)
  }

  apply(input: CoordinatorInput): CoordinatorOutput {
    const kept = this.#keys.get(input.key)
    if (input.op === 'get') return kept ? { is: 'present', ...entryOf(kept) } : { is: 'absent' }
    if (input.op === 'expire') {
      if (kept?.lease === input.lease && this.#keys.delete(input.key)) this.#revision++
      return { is: 'done' }
    }
    const { expected } = input
    const isExpected = expected === 'any' || expected === (kept?.revision ?? 'absent')
    if (!isExpected) return { is: 'conflict', actual: kept ? entryOf(kept) : 'absent' }
    if (input.op === 'delete') {
      if (!this.#keys.delete(input.key)) return { is: 'done' }
      return { is: 'done', revision: ++this.#revision }
    }
    const revision = ++this.#revision
    this.#keys.set(input.key, {
      value: input.value,
      revision,
      created: kept?.created ?? revision,
      ...(input.lease !== undefined && { lease: input.lease }),
    })
    return { is: 'done', revision, created: kept?.created ?? revision }
  }
}

function entryOf({ value, revision, created }: Kept): CoordinatorEntry {
  return { value, revision, created }
}

/** What a store that is not true does now and then. */
export type Bug = (store: Store, input: CoordinatorInput) => CoordinatorOutput

/** Options of {@link rightHistory}. */
export interface HistoryShape {
  operations?: number
  processes?: number
  keys?: number
  /** How probable it is that a call is not answered; half of these have an effect. */
  unanswered?: number
  /** How probable it is that a put is with a lease that will end. */
  leased?: number
  /** What the store does wrong, once in three times; default nothing. */
  bug?: Bug
}

/**
 * What processes see of a true store that they use at the same time: every call takes effect at a moment that is drawn between its
 * call and its return.
 */
export function rightHistory(seed: number, shape: HistoryShape = {}): CoordinatorOperation[] {
  const { operations = 60, processes = 4, keys = 2, unanswered = 0, leased = 0, bug } = shape
  const { chance, below, pick } = choices(seededRandom(seed))
  const store = new Store()
  const answer = (input: CoordinatorInput): CoordinatorOutput => {
    const { late } = store
    store.late = undefined
    if (late && input.op === 'get') return late
    return bug && chance(0.33) ? bug(store, input) : store.apply(input)
  }
  const history: CoordinatorOperation[] = []
  const ready = Array.from({ length: processes }, () => below(20))
  const known = new Map<string, number>()
  const waiting: { at: number; run: () => void }[] = []
  const runUntil = (time: number): void => {
    for (;;) {
      const next = waiting.filter(({ at }) => at < time).sort((a, b) => a.at - b.at)[0]
      if (!next) return
      waiting.splice(waiting.indexOf(next), 1)
      next.run()
    }
  }
  for (let number = 0; number < operations; number++) {
    const process = ready.indexOf(Math.min(...ready))
    const called = ready[process]!
    const effect = called + below(12) + 0.5
    const returned = effect + below(12) + 0.5
    // Whoever calls knows only what was told before.
    runUntil(called)
    const key = `key-${below(keys)}`
    const revision = known.get(key) ?? 0
    const expected = pick(['any', 'known', 'known', 'absent'] as const)
    const told = expected === 'known' ? (revision > 0 ? revision : 'absent') : expected
    const lease = chance(leased) ? `L${number}` : undefined
    const input: CoordinatorInput = chance(0.4)
      ? { op: 'get', key }
      : chance(0.2)
        ? { op: 'delete', key, expected: told === 'absent' ? 'any' : told }
        : { op: 'put', key, value: `v${number}`, expected: told, ...(lease !== undefined && { lease }) }
    const name = `p${process}`
    if (chance(unanswered)) {
      history.push({ process: name, input, called })
      if (chance(0.5)) waiting.push({ at: effect + below(200), run: () => store.apply(input) })
    } else {
      const place = history.push({ process: name, input, called }) - 1
      waiting.push({
        at: effect,
        run: () => {
          const output = answer(input)
          history[place] = { process: name, input, output, called, returned }
          if (output.is === 'present' || output.is === 'done') known.set(key, output.revision ?? 0)
        },
      })
    }
    ready[process] = returned + below(8)
    if (lease !== undefined)
      waiting.push({ at: effect + 1 + below(100), run: () => store.apply({ op: 'expire', key, lease }) })
  }
  runUntil(Infinity)
  return history
}
