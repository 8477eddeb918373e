import { sleep } from '../../core/clock.js'
import { duration, formatDuration, type Duration } from '../../core/duration.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import type { Counter, Histogram } from '../../core/telemetry.js'
import type { EventLog } from '../log.js'
import { retain, type RetentionReport } from './retain.js'
import { RETENTION_RULE, Rules, type RetentionRule } from './rules.js'

/** Options of {@link retention}. */
export interface RetentionOptions {
  /** What to keep. */
  rules: readonly RetentionRule[]
  /** Time from the end of one run to the next; default `'1h'`. The first run is at once. */
  every?: Duration
  /** A directory to which events are archived before they are removed. Default: they are only removed. */
  archive?: string
  /** The `source` of archived CloudEvents; default `/banyan`. */
  source?: string
  /** Is told what each run did. */
  onReport?: (report: RetentionReport) => void
  /** Time and telemetry; default the system's. */
  runtime?: Runtime
}

/** The options, for whoever reads them from a configuration. */
export const RETENTION: OptionTable<RetentionOptions> = {
  rules: {
    kind: 'list',
    of: { kind: 'group', options: RETENTION_RULE, doc: 'a rule' },
    doc: 'what to keep; the most specific rule decides',
  },
  every: { kind: 'duration', min: 1, doc: 'time from the end of one run to the next' },
  archive: { kind: 'string', doc: 'a directory to which events are archived before they are removed' },
  source: { kind: 'string', doc: 'the source of archived CloudEvents' },
  onReport: { kind: 'code', type: 'function', doc: 'is told what each run did' },
  runtime: { kind: 'code', type: 'object', doc: 'time and telemetry' },
}

/** A retention that runs. */
export interface Retention extends AsyncDisposable {
  /** Ends it, a run that is on its way between two slices. */
  close(): Promise<void>
}

/**
 * Keeps a log to its rules: runs `retain` again and again. A run that fails is logged, and the next one is as usual. Several
 * processes may do so for one log.
 *
 * | metric | unit | meaning |
 * |---|---|---|
 * | `banyan.retention.removed` | `{event}` | events that were removed |
 * | `banyan.retention.duration` | s | how long runs took, by `banyan.retention.outcome`: `done`, `held` if a hold kept events, `failed` |
 *
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function retention(log: EventLog, options: RetentionOptions): Retention {
  checkOptions('retention', RETENTION, options)
  return new Runner(log, options)
}

class Runner implements Retention {
  readonly #log: EventLog
  readonly #options: RetentionOptions
  readonly #every: number
  readonly #runtime: Runtime
  readonly #removed: Counter
  readonly #duration: Histogram
  readonly #closing = new AbortController()
  readonly #running: Promise<void>

  constructor(log: EventLog, options: RetentionOptions) {
    // What is wrong with the rules is said now, not to the log of the first run.
    new Rules(options.rules)
    this.#log = log
    this.#options = options
    this.#every = duration(options.every ?? '1h', 'every')
    this.#runtime = options.runtime ?? systemRuntime
    const { telemetry } = this.#runtime
    this.#removed = telemetry.counter('banyan.retention.removed', {
      description: 'Events that retention has removed.',
      unit: '{event}',
    })
    this.#duration = telemetry.histogram('banyan.retention.duration', {
      description: 'How long runs of retention took.',
      unit: 's',
    })
    this.#running = this.#run()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      await this.#once(signal)
      await sleep(this.#runtime.clock, this.#every, signal).catch(() => undefined)
    }
  }

  async #once(signal: AbortSignal): Promise<void> {
    const { rules, archive, source, onReport } = this.#options
    const { clock, telemetry } = this.#runtime
    const begun = clock.now()
    let outcome = 'failed'
    try {
      const report = await retain(this.#log, rules, {
        ...(archive !== undefined && { archive }),
        ...(source !== undefined && { source }),
        clock,
        signal,
      })
      this.#removed.add(report.removed)
      outcome = this.#tell(report)
      onReport?.(report)
    } catch (error) {
      if (signal.aborted) return
      telemetry.log(
        'error',
        `retention failed, the next run is in ${formatDuration(this.#every)}: ${error instanceof Error ? error.message : String(error)}`,
      )
    }
    this.#duration.record((clock.now() - begun) / 1000, { 'banyan.retention.outcome': outcome })
  }

  #tell({ removed, rules }: RetentionReport): 'done' | 'held' {
    const { telemetry } = this.#runtime
    if (removed > 0) telemetry.log('info', `retention removed ${removed} events`)
    const held = rules.filter(({ heldBy }) => heldBy !== undefined)
    for (const { rule, heldBy } of held) {
      const about = rule.stream ?? rule.category ?? 'everything'
      telemetry.log('warn', `the hold ${heldBy} keeps events that the rule for ${about} would remove`)
    }
    return held.length > 0 ? 'held' : 'done'
  }
}
