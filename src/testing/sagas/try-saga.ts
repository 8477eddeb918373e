import { saga } from '../../events/saga/definition.js'
import type { SagaOutcome } from '../../events/saga/sagas.js'
import type { SagaState } from '../../events/saga/state.js'
import { everyWay, type Decisions } from './choices.js'
import { checkedTrial, type TrySagaOptions } from './options.js'
import { Trial } from './trial.js'

/** What was tried. */
export interface TriedSaga {
  readonly runs: number
  /** False if there were more ways than runs. */
  readonly complete: boolean
  /** How often it has ended how. */
  readonly outcomes: Readonly<Record<'completed' | 'compensated' | 'parked' | 'waiting', number>>
}

/** A run that was not as it must be. */
export class SagaTrialError extends Error {
  /** What happened, a line each. */
  readonly trace: readonly string[]

  constructor(what: string, faults: readonly string[], trace: readonly string[], cause?: unknown) {
    const list = faults.length === 0 ? 'without any fault' : `with ${faults.join('; ')}`
    super(
      `${what}\n${list}. What happened:\n${trace.map((line) => `  ${line}`).join('\n')}`,
      cause === undefined ? {} : { cause },
    )
    this.name = 'SagaTrialError'
    this.trace = trace
  }
}

/**
 * Runs a saga in every way that it can go with up to `faults` faults: each call refused, lost, hanging or failing for good, the
 * process killed before and after each call and each write, a cancellation at every moment. Those with the fewest faults first,
 * so that what it finds is as short as it gets. Time is virtual.
 *
 * In each run the saga must end completed, or with all that was done undone in reverse order, or be parked for a compensation or a
 * step past its point of no return that fails each time; its code must do the same when it is run again; and `check` must be
 * content. Whoever is called honours idempotency keys: a step is done once for its key.
 *
 * @throws {@link SagaTrialError} with a trace of the first run that is not so, or in which a step waits for something real;
 *   `BANYAN_INVALID_OPTIONS`, `BANYAN_INVALID_EVENT` for an input or a signal that is no JSON
 */
export async function trySaga<World>(options: TrySagaOptions<World>): Promise<TriedSaga> {
  const {
    world: made,
    saga: of,
    input,
    faults = 2,
    runs: most = 100_000,
    signals = {},
    check,
  } = checkedTrial(options)
  const outcomes = { completed: 0, compensated: 0, parked: 0, waiting: 0 }
  const { runs, complete } = await everyWay(faults, { runs: most }, async (decisions) => {
    const world = made()
    const trial = new Trial(saga(of(world)), input, signals, decisions)
    try {
      await trial.run()
      for (const id of trial.ids) await mustBeRight(trial, id)
      const state = trial.stateOf()
      const end = endOf(state)
      outcomes[end?.outcome ?? 'waiting']++
      if (end) await check?.(end, world)
    } catch (error) {
      throw new SagaTrialError(
        error instanceof Error ? error.message : String(error),
        faultsOf(decisions),
        trial.trace,
        error,
      )
    }
  })
  return { runs, complete, outcomes }
}

function endOf({ end, parked }: SagaState): SagaOutcome | undefined {
  if (parked) return { outcome: 'parked', reason: parked.reason }
  return end?.outcome === 'completed' ? { outcome: 'completed', result: end.result } : end
}

function faultsOf({ points }: Decisions): string[] {
  return points.filter(({ taken }) => taken > 0).map(({ options, taken }) => options[taken]!)
}

async function mustBeRight(trial: Trial, id: string): Promise<void> {
  const { end, parked, ops, isBeyondReturn } = trial.stateOf(id)
  if (parked && parked.op === undefined && !isBeyondReturn)
    throw new Error(`saga ${id} is parked: ${parked.reason}`)
  const difference = await trial.again(id)
  if (difference !== undefined)
    throw new Error(`the code of saga ${id} does not do the same when it is run again: ${difference}`)
  if (end?.outcome !== 'compensated') return
  const { done } = trial
  const undone: number[] = []
  for (const key of done) {
    const op = ops.find(({ name }) => key === `${id}/${name}/compensate`)
    if (op) undone.push(op.settled!)
  }
  for (const { name, kind, compensable } of ops)
    if (
      kind === 'step' &&
      compensable &&
      done.includes(`${id}/${name}/run`) &&
      !done.includes(`${id}/${name}/compensate`)
    )
      throw new Error(`saga ${id} is compensated, and step ${name} was done and not undone`)
  if (undone.some((settled, at) => at > 0 && settled >= undone[at - 1]!))
    throw new Error(`saga ${id} was not undone in the reverse order`)
}
