import type { Runtime } from '../../core/runtime.js'
import type { EventLog, LogStats } from '../../events/log.js'

/** Counts that are older than this are asked for anew, in ms. */
const FRESH_MS = 1000

/**
 * Shows what a log holds as gauges: `banyan.log.events`, `banyan.log.streams`, `banyan.log.bytes` and `banyan.log.up`.
 * The log is asked when somebody looks, not all the time; a look shows what the one before has found out.
 */
export class LogWatch {
  readonly #log: EventLog
  readonly #clock: Runtime['clock']
  readonly #hide: (() => void)[] = []
  #last: LogStats | undefined = undefined
  #problem: string | undefined = undefined
  #asked: Promise<void> | undefined = undefined
  #askedAt = -Infinity

  /** @param shown - whether there are gauges */
  constructor(log: EventLog, { clock, telemetry }: Runtime, shown: boolean) {
    this.#log = log
    this.#clock = clock
    if (!shown) return
    const attributes = { 'banyan.log.driver': log.capabilities.driver }
    const gauge = (name: string, unit: string, description: string, read: () => number): void => {
      const show = (): number => {
        void this.refresh()
        return read()
      }
      this.#hide.push(telemetry.gauge(name, { description, unit, attributes }, show))
    }
    gauge('banyan.log.events', '{event}', 'Events that the log holds.', () => this.#last?.events ?? 0)
    gauge('banyan.log.streams', '{stream}', 'Streams of the log.', () => this.#last?.streams ?? 0)
    gauge('banyan.log.bytes', 'By', 'What the log takes on disk, or in memory.', () => this.#last?.bytes ?? 0)
    gauge('banyan.log.up', '1', 'Whether the log can be asked.', () => (this.#problem === undefined ? 1 : 0))
    void this.refresh()
  }

  /** Why it could not be asked, if it could not. */
  get problem(): string | undefined {
    return this.#problem
  }

  /** What the log holds now, or a moment ago; or why it cannot be asked. */
  async refresh(): Promise<LogStats | string> {
    if (!this.#asked && this.#clock.now() - this.#askedAt >= FRESH_MS) {
      this.#askedAt = this.#clock.now()
      this.#asked = this.#ask().finally(() => {
        this.#asked = undefined
      })
    }
    await this.#asked
    return this.#problem ?? this.#last ?? 'it was not asked yet'
  }

  close(): void {
    for (const hide of this.#hide) hide()
  }

  async #ask(): Promise<void> {
    try {
      this.#last = await this.#log.stats()
      this.#problem = undefined
    } catch (error) {
      this.#problem = error instanceof Error ? error.message : String(error)
    }
  }
}
