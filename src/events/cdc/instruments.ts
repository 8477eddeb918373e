import type { Runtime } from '../../core/runtime.js'
import type { Counter, Histogram } from '../../core/telemetry.js'
import type { RowChange } from './change.js'

/** What is measured now and then. */
export interface Gauges {
  /** In bytes. */
  lagBytes(): number
  /** In ms. */
  lagMs(): number
  parked(): number
}

/**
 * What a capture measures of itself, each by `banyan.cdc.name`.
 *
 * | metric | unit | meaning |
 * |---|---|---|
 * | `banyan.cdc.rows` | `{row}` | changes that are in the log, or parked, by table and operation |
 * | `banyan.cdc.delay` | s | from the commit at the source to the commit in the log, by the clocks of both |
 * | `banyan.cdc.lag` | s | how long ago the oldest change was committed that is not in the log; 0 if all are |
 * | `banyan.cdc.retained` | By | write-ahead log that the server keeps as it is not captured yet |
 * | `banyan.cdc.parked` | `{row}` | rows that are parked |
 * | `banyan.cdc.discarded` | `{row}` | parked rows that were thrown away, by table and reason: `snapshot`, `truncate`, `operator` |
 * | `banyan.cdc.failures` | `{failure}` | tries that failed, by the code of the error |
 */
export class CaptureInstruments {
  readonly #runtime: Runtime
  readonly #name: string
  readonly #rows: Counter
  readonly #failures: Counter
  readonly #discarded: Counter
  readonly #delay: Histogram
  readonly #removeGauges: (() => void)[]
  readonly #counts = { rows: 0, snapshotRows: 0 }

  constructor(runtime: Runtime, name: string, gauges: Gauges) {
    const { telemetry } = runtime
    this.#runtime = runtime
    this.#name = name
    const attributes = { 'banyan.cdc.name': name }
    this.#rows = telemetry.counter('banyan.cdc.rows', {
      description: 'Changes that a capture has taken.',
      unit: '{row}',
      attributes,
    })
    this.#failures = telemetry.counter('banyan.cdc.failures', {
      description: 'Tries of a capture that failed.',
      unit: '{failure}',
      attributes,
    })
    this.#discarded = telemetry.counter('banyan.cdc.discarded', {
      description: 'Parked rows of a capture that were thrown away.',
      unit: '{row}',
      attributes,
    })
    this.#delay = telemetry.histogram('banyan.cdc.delay', {
      description: 'From the commit at the source to the commit in the log.',
      unit: 's',
      attributes,
    })
    const gauge = (metric: string, description: string, unit: string, read: () => number): (() => void) =>
      telemetry.gauge(`banyan.cdc.${metric}`, { description, unit, attributes }, read)
    this.#removeGauges = [
      gauge('lag', 'How far the log is behind the source.', 's', () => gauges.lagMs() / 1000),
      gauge('retained', 'Write-ahead log that the source keeps for a capture.', 'By', () =>
        gauges.lagBytes(),
      ),
      gauge('parked', 'Rows that are parked.', '{row}', () => gauges.parked()),
    ]
  }

  /** Changes and rows of snapshots that this process has taken. */
  get counts(): { readonly rows: number; readonly snapshotRows: number } {
    return this.#counts
  }

  captured(table: string, { operation, committed }: RowChange): void {
    this.#rows.add(1, { 'banyan.cdc.table': table, 'banyan.cdc.operation': operation })
    if (operation === 'snapshot') this.#counts.snapshotRows++
    else {
      this.#counts.rows++
      this.#delay.record(Math.max(0, this.#runtime.clock.wall() - committed) / 1000)
    }
  }

  parked(table: string, why: string): void {
    this.log('error', `a row of ${table} is parked, ${why}`)
  }

  discarded(table: string, rows: number, reason: 'snapshot' | 'truncate' | 'operator'): void {
    this.#discarded.add(rows, { 'banyan.cdc.table': table, 'banyan.cdc.reason': reason })
  }

  failed(code: string): void {
    this.#failures.add(1, { 'error.type': code })
  }

  log(level: 'info' | 'warn' | 'error', message: string): void {
    this.#runtime.telemetry.log(level, `capture ${this.#name}: ${message}`, { 'banyan.cdc.name': this.#name })
  }

  close(): void {
    for (const remove of this.#removeGauges) remove()
  }
}
