import { BanyanError } from '../../core/errors.js'
import type { Runtime } from '../../core/runtime.js'
import type { Counter, Histogram } from '../../core/telemetry.js'

/**
 * What a repository measures of its commands; undo and redo are commands too.
 *
 * | metric | unit | meaning |
 * |---|---|---|
 * | `banyan.command.duration` | s | from a command to its answer, by `banyan.command.outcome`: `handled`, `nothing` to do, `duplicate`, `refused`, `conflict`, `error` |
 * | `banyan.command.retries` | `{retry}` | commands that were decided again, as others had appended meanwhile |
 */
export class CommandInstruments {
  readonly retries: Counter
  readonly #duration: Histogram
  readonly #clock: Runtime['clock']

  constructor({ telemetry, clock }: Runtime, category: string) {
    const attributes = { 'banyan.category': category }
    this.#clock = clock
    this.#duration = telemetry.histogram('banyan.command.duration', {
      description: 'Time from a command to its answer.',
      unit: 's',
      attributes,
    })
    this.retries = telemetry.counter('banyan.command.retries', {
      description: 'Commands that were decided again, as others had appended meanwhile.',
      unit: '{retry}',
      attributes,
    })
  }

  /** When a command comes, for {@link handled} and {@link failed}. */
  begun(): number {
    return this.#clock.now()
  }

  handled(begun: number, { duplicate, events }: { duplicate: boolean; events: number }): void {
    this.#record(begun, duplicate ? 'duplicate' : events === 0 ? 'nothing' : 'handled')
  }

  failed(begun: number, error: unknown): void {
    this.#record(begun, outcomeOf(error))
  }

  #record(begun: number, outcome: keyof typeof OUTCOMES): void {
    this.#duration.record((this.#clock.now() - begun) / 1000, OUTCOMES[outcome])
  }
}

/** What a decider throws is its own; faults and conflicts are of the log. */
function outcomeOf(error: unknown): keyof typeof OUTCOMES {
  if (!(error instanceof BanyanError) || error.code === 'BANYAN_NOT_UNDOABLE') return 'refused'
  return error.code === 'BANYAN_CONFLICT' ? 'conflict' : 'error'
}

/** One object each, so that measuring makes none. */
const OUTCOMES = {
  handled: { 'banyan.command.outcome': 'handled' },
  nothing: { 'banyan.command.outcome': 'nothing' },
  duplicate: { 'banyan.command.outcome': 'duplicate' },
  refused: { 'banyan.command.outcome': 'refused' },
  conflict: { 'banyan.command.outcome': 'conflict' },
  error: { 'banyan.command.outcome': 'error' },
}
