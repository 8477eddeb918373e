import { duration, type Duration } from '../core/duration.js'
import { checkOptions, type OptionKind, type OptionTable } from '../core/options.js'
import { systemRuntime, type Runtime } from '../core/runtime.js'
import type { Call } from './policy.js'

/** Options of {@link retryBudget}. */
export interface RetryBudgetOptions {
  /** Extra tries allowed for each first try within the window, 0 to 10. Default 0.2: one in five. */
  ratio?: number
  /**
   * Extra tries a second that are allowed however little traffic there is; a window's worth may go at once, and
   * unless this is 0, one always may. Default 3.
   */
  minimumPerSecond?: number
  /** The time that counts, in ms or as text. Default `'10s'`. */
  window?: Duration
  /** Time. Default: the system's. */
  runtime?: Runtime
}

/** What {@link retryBudget} accepts, for checks, schemas and docs. */
export const retryBudgetOptions: OptionTable<RetryBudgetOptions> = {
  ratio: { kind: 'number', min: 0, max: 10, doc: 'Extra tries for each first try within the window.' },
  minimumPerSecond: {
    kind: 'number',
    min: 0,
    doc: 'Extra tries a second that are always allowed. Default 3.',
  },
  window: { kind: 'duration', min: 100, doc: 'The time that counts. Default 10s.' },
  runtime: { kind: 'code', type: 'object', doc: 'Time.' },
}

/**
 * Bounds everything that multiplies load. When a service is down, every caller retries at the same time; a limit per
 * call then triples the load just when it hurts most. One budget limits the extra tries of all calls together.
 */
export interface RetryBudget {
  /** A first try was made. */
  deposit(): void
  /** Takes an extra try out of the budget; false if there is none left. */
  withdraw(): boolean
  /** Extra tries that are left now. */
  readonly balance: number
}

/** Steps in which the window moves on. */
const STEPS = 10
/** The steps of a whole window, and the one that has just begun. */
const SLOTS = STEPS + 1

/**
 * A budget for extra tries, to be shared by any number of `retry` and `hedge` policies; a call that passes several
 * of them is one first try. Whenever an extra try is allowed, the window that ends with it holds
 *
 * extra tries <= `ratio` x first tries + `minimumPerSecond` x window.
 *
 * The window moves in steps. In the step that its far edge cuts, extra tries still count and first tries do not:
 * the budget may allow a little less than the formula, never more.
 *
 * Source: Finagle's retry budget (Twitter, 2016); shared with hedges as in failsafe-go.
 *
 * @param options - see {@link RetryBudgetOptions}
 */
export function retryBudget(options: RetryBudgetOptions = {}): RetryBudget {
  checkOptions('retryBudget', retryBudgetOptions, options)
  const { ratio = 0.2, minimumPerSecond = 3, runtime = systemRuntime } = options
  const { clock } = runtime
  const window = duration(options.window ?? '10s', 'retryBudget: window')
  const width = window / STEPS
  const reserve = Math.max(minimumPerSecond > 0 ? 1 : 0, (minimumPerSecond * window) / 1000)
  const firsts = new Uint32Array(SLOTS)
  const extras = new Uint32Array(SLOTS)
  let current = Math.floor(clock.now() / width)
  let end = (current + 1) * width
  let totalFirsts = 0
  let totalExtras = 0

  /** Moves the window up to now; returns the slot of the current step. */
  const advance = (): number => {
    const now = clock.now()
    if (now < end) return current % SLOTS
    const step = Math.floor(now / width)
    for (let begun = Math.max(current + 1, step - STEPS); begun <= step; begun++) {
      // The slot of the new step held the one that has left the window; the next slot holds the one at its edge.
      const left = begun % SLOTS
      totalExtras -= extras[left]!
      extras[left] = 0
      const edge = (begun + 1) % SLOTS
      totalFirsts -= firsts[edge]!
      firsts[edge] = 0
    }
    current = step
    end = (step + 1) * width
    return step % SLOTS
  }

  const left = (): number => Math.floor(totalFirsts * ratio + reserve) - totalExtras

  return {
    deposit() {
      const index = advance()
      firsts[index]!++
      totalFirsts++
    },
    withdraw() {
      const index = advance()
      if (left() < 1) return false
      extras[index]!++
      totalExtras++
      return true
    },
    get balance() {
      advance()
      return Math.max(0, left())
    },
  }
}

/** Where a policy's extra tries come from: an own budget, a shared one, or no limit at all. */
export type BudgetOption = RetryBudgetOptions | RetryBudget | false

/** What an option for a budget accepts. */
export function budgetKind(doc: string): OptionKind {
  return {
    kind: 'either',
    of: [
      { kind: 'choice', values: [false], doc: 'No limit.' },
      { kind: 'group', options: retryBudgetOptions, doc: 'Options of an own budget.' },
      { kind: 'code', type: 'object', doc: 'A budget to share.' },
    ],
    doc,
  }
}

/** Makes or takes the budget that an option names. */
export function budgetOf(
  option: BudgetOption | undefined,
  defaults: RetryBudgetOptions,
  runtime: Runtime,
): RetryBudget | undefined {
  if (option === false) return undefined
  if (option && 'withdraw' in option) return option
  return retryBudget({ ...defaults, ...option, runtime })
}

/** Counts a call as one first try, also where several policies that share the budget see it. */
export function countFirstTry(budget: RetryBudget | undefined, call: Call): void {
  if (!budget || call.counted === budget) return
  call.counted = budget
  budget.deposit()
}
