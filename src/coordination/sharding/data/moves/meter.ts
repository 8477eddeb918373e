import type { Runtime } from '../../../../core/runtime.js'
import type { Counter, Histogram } from '../../../../core/telemetry.js'
import type { DataMove, MoveStepName } from '../map.js'

/** Steps take from a moment to days. */
const STEP_SECONDS = [0.01, 0.1, 1, 10, 60, 600, 3600, 21_600, 86_400]

/** What is measured by who makes the moves of `banyan.shards`. */
export class MoveMeter {
  readonly #runtime: Runtime
  readonly #rows: Counter
  readonly #steps: Histogram
  readonly #blocked: Histogram
  /** By move: its step, and since when it is there, by the clock. */
  readonly #at = new Map<string, { readonly step: MoveStepName; readonly since: number }>()

  /**
   * | metric | unit | meaning |
   * |---|---|---|
   * | `banyan.shards.move.rows` | `{row}` | rows that were copied |
   * | `banyan.shards.move.step` | s | how long a move was at a step since this process makes the moves, by `banyan.step` |
   * | `banyan.shards.move.blocked` | s | how long nobody could use the buckets of a switch, unless its end is not known |
   */
  constructor(runtime: Runtime, name: string) {
    this.#runtime = runtime
    const { telemetry } = runtime
    const attributes = { 'banyan.shards': name }
    this.#rows = telemetry.counter('banyan.shards.move.rows', {
      description: 'Rows that were copied to another database.',
      unit: '{row}',
      attributes,
    })
    this.#steps = telemetry.histogram('banyan.shards.move.step', {
      description: 'Time that a move was at a step.',
      unit: 's',
      attributes,
      bounds: STEP_SECONDS,
    })
    this.#blocked = telemetry.histogram('banyan.shards.move.blocked', {
      description: 'Time that nobody could use the buckets of a switch.',
      unit: 's',
      attributes,
    })
  }

  /** Looks at which step each move is. */
  saw(moves: readonly DataMove[]): void {
    const now = this.#runtime.clock.now()
    const steps = new Map(moves.map(({ id, step }) => [id, step]))
    for (const [id, { step, since }] of this.#at) {
      if (steps.get(id) === step) continue
      this.#steps.record((now - since) / 1000, { 'banyan.step': step })
      this.#at.delete(id)
    }
    for (const [id, step] of steps) if (!this.#at.has(id)) this.#at.set(id, { step, since: now })
  }

  copied(rows: number): void {
    this.#rows.add(rows)
  }

  /** @param since - by the clock */
  blocked(since: number): void {
    this.#blocked.record((this.#runtime.clock.now() - since) / 1000)
  }
}
