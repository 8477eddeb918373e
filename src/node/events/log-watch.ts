import type { Runtime } from '../../core/runtime.js'
import { isPassed, raceWithTimer } from '../../core/race-with-timer.js'
import type { EventLog, LogStats } from '../../events/log.js'

/** Counts that are older than this are asked for anew, in ms. */
const FRESH_MS = 1000

/** How long whoever looks waits for the log, in ms. */
const PATIENCE_MS = 2000

/**
 * Shows what a log holds as gauges: `banyan.log.events`, `banyan.log.streams`, `banyan.log.bytes` and `banyan.log.up`.
 * The log is asked when somebody looks, not all the time; gauges show what the last look has found out.
 */
export class LogWatch {
  readonly #log: EventLog
  readonly #clock: Runtime['clock']
  readonly #hide: (() => void)[] = []
  #last: LogStats | undefined = undefined
  #problem: string | undefined = undefined
  #askedAt = -Infinity

  /** @param shown - whether there are gauges */
  constructor(log: EventLog, { clock, telemetry }: Runtime, shown: boolean) {
    this.#log = log
    this.#clock = clock
    if (!shown) return
    const attributes = { 'banyan.log.driver': log.capabilities.driver }
    const gauge = (name: string, unit: string, description: string, read: () => number): void => {
      const show = (): number => {
        this.#lookAgain()
        return read()
      }
      this.#hide.push(telemetry.gauge(name, { description, unit, attributes }, show))
    }
    gauge('banyan.log.events', '{event}', 'Events that the log holds.', () => this.#last?.events ?? 0)
    gauge('banyan.log.streams', '{stream}', 'Streams of the log.', () => this.#last?.streams ?? 0)
    gauge('banyan.log.bytes', 'By', 'What the log takes on disk, or in memory.', () => this.#last?.bytes ?? 0)
    gauge('banyan.log.up', '1', 'Whether the log can be asked.', () => (this.#problem === undefined ? 1 : 0))
    void this.look()
  }

  /** Why it could not be asked the last time, if it could not. */
  get problem(): string | undefined {
    this.#lookAgain()
    return this.#problem
  }

  /** What the log holds now, or why it cannot be asked. */
  async look(): Promise<LogStats | string> {
    this.#askedAt = this.#clock.now()
    try {
      const answer = await raceWithTimer(this.#clock, this.#log.stats(), PATIENCE_MS)
      if (isPassed(answer)) throw new Error(`the log has not answered for ${PATIENCE_MS / 1000} s`)
      this.#problem = undefined
      this.#last = answer
      return answer
    } catch (error) {
      this.#problem = error instanceof Error ? error.message : String(error)
      return this.#problem
    }
  }

  /** Looks again, for whoever comes next, unless somebody has just looked. */
  #lookAgain(): void {
    if (this.#clock.now() - this.#askedAt >= FRESH_MS) void this.look()
  }

  close(): void {
    for (const hide of this.#hide) hide()
  }
}
