import type { Runtime } from '../../core/runtime.js'
import type { Counter, Histogram } from '../../core/telemetry.js'
import type { TermEnd } from './term.js'

/** What is measured of an election in one process, by `banyan.election`. */
export class ElectionMeter {
  readonly #ends: Counter
  readonly #vacancy: Histogram
  readonly #remove: () => void

  /**
   * | metric | unit | meaning |
   * |---|---|---|
   * | `banyan.election.leading` | `{leader}` | 1 while this process leads, else 0 |
   * | `banyan.election.terms` | `{term}` | terms of this process that have ended, by `banyan.why` |
   * | `banyan.election.vacancy` | s | from seeing that nobody leads to leading |
   */
  constructor({ telemetry }: Runtime, name: string, leading: () => boolean) {
    const attributes = { 'banyan.election': name }
    this.#ends = telemetry.counter('banyan.election.terms', {
      description: 'Terms that have ended.',
      unit: '{term}',
      attributes,
    })
    this.#vacancy = telemetry.histogram('banyan.election.vacancy', {
      description: 'Time from seeing that nobody leads to leading.',
      unit: 's',
      attributes,
    })
    this.#remove = telemetry.gauge(
      'banyan.election.leading',
      { description: 'Whether this process leads.', unit: '{leader}', attributes },
      () => (leading() ? 1 : 0),
    )
  }

  /** @param ms - how long nobody has led */
  began(ms: number): void {
    this.#vacancy.record(ms / 1000)
  }

  ended(why: TermEnd): void {
    this.#ends.add(1, { 'banyan.why': why })
  }

  close(): void {
    this.#remove()
  }
}
