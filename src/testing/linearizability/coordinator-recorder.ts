import type { Coordinator, DeleteResult, Entry, PutResult } from '../../coordination/coordinator.js'
import { systemClock, type Clock } from '../../core/clock.js'
import { BanyanError } from '../../core/errors.js'
import type {
  CoordinatorEntry,
  CoordinatorInput,
  CoordinatorOperation,
  CoordinatorOutput,
} from './coordinator.js'
import { recordHistory } from './recorder.js'

/** What of a coordinator concerns one key. */
type KeyCalls = Pick<Coordinator, 'get' | 'put' | 'delete'>

/** Records what processes do with coordinators, for `checkLinearizability` with `coordinatorModel`. */
export interface CoordinatorRecorder {
  /**
   * The calls of a coordinator that concern one key, recorded.
   *
   * @param process - who makes them
   */
  client(process: string, coordinator: KeyCalls): KeyCalls

  /** The history up to now; the outcome of what is under way is unknown. */
  readonly operations: readonly CoordinatorOperation[]
}

/**
 * Makes a recorder of what is done with one engine. Errors are taken by their word: what fails with `BANYAN_OUTCOME_UNKNOWN` may have
 * been done, what fails with another `BanyanError` was not. What fails otherwise may have been done, too.
 *
 * @param clock - as of {@link recordHistory}
 */
export function recordCoordinator(clock: Pick<Clock, 'now'> = systemClock): CoordinatorRecorder {
  const history = recordHistory<CoordinatorInput, CoordinatorOutput>(clock, {
    nothingDone: (error) => error instanceof BanyanError && error.code !== 'BANYAN_OUTCOME_UNKNOWN',
  })
  return {
    client: (process, coordinator) => ({
      get: (key) => history.run(process, { op: 'get', key }, () => coordinator.get(key), gotten),
      put(key, value, options = {}) {
        const { expected = 'any', lease } = options
        const id = typeof lease === 'object' ? lease.id : lease
        const input = { op: 'put', key, value, expected, ...(id !== undefined && { lease: id }) } as const
        return history.run(process, input, () => coordinator.put(key, value, options), changed)
      },
      delete(key, options = {}) {
        const { expected = 'any' } = options
        return history.run(
          process,
          { op: 'delete', key, expected },
          () => coordinator.delete(key, options),
          changed,
        )
      },
    }),
    get operations() {
      return history.operations
    },
  }
}

function gotten(entry: Entry | undefined): CoordinatorOutput {
  return entry ? { is: 'present', ...told(entry) } : { is: 'absent' }
}

function changed(result: PutResult | DeleteResult): CoordinatorOutput {
  if (!result.ok) return { is: 'conflict', actual: result.actual ? told(result.actual) : 'absent' }
  if (result.revision === undefined) return { is: 'done' }
  const { revision } = result
  return { is: 'done', revision, ...('created' in result && { created: result.created }) }
}

function told({ value, revision, created }: Entry): CoordinatorEntry {
  return { value, revision, created }
}
