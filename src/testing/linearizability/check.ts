import { checkOptions, type OptionTable } from '../../core/options.js'
import { describeViolation, type Violation } from './evidence.js'
import type { SequentialModel } from './model.js'
import { narrow } from './narrow.js'
import type { Operation } from './operation.js'
import { searchOrder } from './search.js'
import { checkHistory } from './timeline.js'

/** Options of {@link checkLinearizability}. */
export interface LinearizabilityOptions {
  /**
   * How much work is done at most: steps of the model, and comparisons of configurations; default 5,000,000, which are some seconds.
   * Where it is used up nothing is known, and the verdict says so. Evidence may take as much again.
   */
  limit?: number
}

const OPTIONS: OptionTable<LinearizabilityOptions> = {
  limit: { kind: 'number', min: 1, integer: true, doc: 'steps and comparisons, at most' },
}

const LIMIT = 5_000_000

/** What {@link checkLinearizability} found. */
export type LinearizabilityVerdict<State, Input, Output> = {
  /** Whether the history is linearizable, for certain. */
  readonly ok: boolean
  /** Steps of the model and comparisons of configurations that it took. */
  readonly steps: number
  /** The verdict for people, with the evidence. */
  readonly summary: string
} & (
  | { readonly verdict: 'linearizable' }
  | {
      readonly verdict: 'violated'
      /** Of the smallest part that is not linearizable. */
      readonly violation: Violation<State, Input, Output>
    }
  | {
      readonly verdict: 'unknown'
      /** The names of the parts for which the limit was too low; the others are linearizable. */
      readonly undecided: readonly string[]
    }
)

/**
 * Says whether a history is linearizable: whether there is one order of its operations, in which each has the output that it had,
 * and each that returned before another was called comes before that one.
 *
 * In general this takes exponential time. It is quick where few operations are under way at once (10,000 operations of 10 processes
 * over 20 keys are a tenth of a second), slow where many are, or where the outcomes of many are unknown. It is never guessed: if the limit is
 * reached the verdict is `unknown`.
 *
 * @param model - what the thing does when it is used by one caller at a time
 * @param history - in any order; what was refused before anything was done does not belong in it
 * @throws `BANYAN_INVALID_OPTIONS`; `BANYAN_INVALID_HISTORY` if it is no list of operations, or one returned before it was called
 */
export function checkLinearizability<State, Input, Output>(
  model: SequentialModel<State, Input, Output>,
  history: readonly Operation<Input, Output>[],
  options: LinearizabilityOptions = {},
): LinearizabilityVerdict<State, Input, Output> {
  checkOptions('checkLinearizability', OPTIONS, options)
  checkHistory(history)
  const { limit = LIMIT } = options
  const parts = Array.from(model.partition?.(history) ?? [['', history] as const])
  // Small parts first: what is wrong is best seen there, and each gets its share of what smaller ones have left.
  parts.sort(([, a], [, b]) => a.length - b.length)
  const undecided: string[] = []
  let steps = 0
  for (const [index, [name, operations]] of parts.entries()) {
    const share = Math.floor((limit - steps) / (parts.length - index))
    const found = searchOrder(model, operations, share)
    steps += found.steps
    if (found.is === 'limit') undecided.push(name)
    if (found.is !== 'none') continue
    const { steps: more, ...evidence } = narrow(model, operations, found.reached, limit)
    steps += more
    const violation = { partition: name, ...evidence }
    const head = `not linearizable: ${count(operations.length, 'operation')}${name === '' ? '' : ` of ${name}`}`
    const summary = [head, ...describeViolation(violation, model)].join('\n')
    return { ok: false, verdict: 'violated', violation, steps, summary }
  }
  const size = `${count(history.length, 'operation')} in ${count(parts.length, 'part')}`
  if (undecided.length === 0)
    return {
      ok: true,
      verdict: 'linearizable',
      steps,
      summary: `linearizable: ${size}, ${count(steps, 'step')}`,
    }
  const summary = `unknown: ${size}, of which ${undecided.length} took more than the limit of ${limit} steps allows${names(undecided)}`
  return { ok: false, verdict: 'unknown', undecided, steps, summary }
}

function names(parts: readonly string[]): string {
  const shown = parts.filter((name) => name !== '').slice(0, 5)
  return shown.length === 0 ? '' : `: ${shown.join(', ')}${parts.length > shown.length ? ', ...' : ''}`
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}
