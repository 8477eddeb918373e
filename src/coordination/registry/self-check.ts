import type { Timer } from '../../core/clock.js'
import { duration, formatDuration } from '../../core/duration.js'
import type { Runtime } from '../../core/runtime.js'
import { INSTANCE_STATES, type InstanceState } from './instance.js'
import type { Finding, HealthCheckFunction, InstanceHealthOptions } from './options.js'

/** How many times as many checks as usual damping asks for, at most. */
const MOST_DAMPING = 16
/** Every interval is longer or shorter by up to this share, so that not all instances are asked at once. */
const JITTER = 0.1

/**
 * Asks an instance again and again whether it is well, and tells when that has changed for long enough. It begins as critical
 * until the first check has ended.
 */
export class SelfCheck {
  readonly #check: HealthCheckFunction
  readonly #interval: number
  readonly #timeout: number
  readonly #healthyAfter: number
  readonly #unhealthyAfter: number
  readonly #damping: number
  readonly #runtime: Runtime
  readonly #onFinding: (finding: Finding) => void
  #state: InstanceState = 'critical'
  #isNew = true
  /** How often in a row checks have found it better or worse than it is said to be. */
  #better = 0
  #worse = 0
  #factor = 1
  #improvedAt = -Infinity
  #timer: Timer | undefined
  #running: AbortController | undefined
  #closed = false

  constructor(options: InstanceHealthOptions, runtime: Runtime, onFinding: (finding: Finding) => void) {
    const { check, healthyAfter = 2, unhealthyAfter = 3 } = options
    this.#check = typeof check === 'string' ? askUrl(check) : check
    this.#interval = duration(options.interval ?? '5s', 'health.interval')
    this.#timeout = duration(options.timeout ?? '1s', 'health.timeout')
    this.#healthyAfter = healthyAfter
    this.#unhealthyAfter = unhealthyAfter
    this.#damping = duration(options.damping ?? '5m', 'health.damping')
    this.#runtime = runtime
    this.#onFinding = onFinding
    void this.#run()
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    this.#running?.abort()
  }

  async #run(): Promise<void> {
    const { clock, random } = this.#runtime
    const finding = await this.#ask()
    if (this.#closed) return
    this.#consider(finding)
    const wait = this.#interval * (1 + JITTER * (2 * random.next() - 1))
    this.#timer = clock.schedule(clock.now() + wait, () => void this.#run())
  }

  async #ask(): Promise<Finding> {
    const { clock } = this.#runtime
    const running = new AbortController()
    this.#running = running
    return new Promise((resolve) => {
      const limit = clock.schedule(clock.now() + this.#timeout, () => {
        resolve({
          state: 'critical',
          note: `the check has not ended within ${formatDuration(this.#timeout)}`,
        })
        running.abort()
      })
      const check = async (): Promise<Finding> => {
        try {
          return findingOf(await this.#check(running.signal))
        } catch (error) {
          return { state: 'critical', note: reasonOf(error) }
        } finally {
          limit.cancel()
        }
      }
      void check().then(resolve)
    })
  }

  #consider(finding: Finding): void {
    const difference = rank(finding.state) - rank(this.#state)
    this.#better = difference < 0 ? this.#better + 1 : 0
    this.#worse = difference > 0 ? this.#worse + 1 : 0
    if (this.#isNew) this.#change(finding)
    else if (this.#worse >= this.#unhealthyAfter) this.#change(finding)
    else if (this.#better >= this.#healthyAfter * this.#damped()) this.#improve(finding)
  }

  /** How many times as many checks it takes to get better. */
  #damped(): number {
    return this.#runtime.clock.now() - this.#improvedAt < this.#damping ? this.#factor : 1
  }

  #improve(finding: Finding): void {
    this.#factor = Math.min(MOST_DAMPING, this.#damped() * 2)
    this.#improvedAt = this.#runtime.clock.now()
    this.#change(finding)
  }

  #change(finding: Finding): void {
    this.#isNew = false
    this.#better = 0
    this.#worse = 0
    this.#state = finding.state
    this.#onFinding(finding)
  }
}

function rank(state: InstanceState): number {
  return INSTANCE_STATES.indexOf(state)
}

function findingOf(result: unknown): Finding {
  const state = INSTANCE_STATES.find((each) => each === result)
  if (state) return { state }
  if (typeof result !== 'object' || result === null || !('state' in result)) return { state: 'passing' }
  const { state: given, note } = result as { state: unknown; note?: unknown }
  const known = INSTANCE_STATES.find((each) => each === given)
  if (!known) throw new Error(`the check has given the state ${JSON.stringify(given)}, which is none`)
  return { state: known, ...(typeof note === 'string' && { note }) }
}

/** `fetch` says in the cause what has failed: `fetch failed: connect ECONNREFUSED 127.0.0.1:4001`. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (!(error.cause instanceof Error)) return error.message
  // Where a name has several addresses, the cause is a list of failures that says nothing itself.
  const [cause = error.cause] = error.cause instanceof AggregateError ? (error.cause.errors as Error[]) : []
  return `${error.message}: ${cause.message}`
}

/** Consul's rules: 2xx is well, 429 is busy. */
function askUrl(url: string): HealthCheckFunction {
  return async (signal): Promise<Finding> => {
    const response = await fetch(url, { signal, redirect: 'manual' })
    await response.body?.cancel()
    if (response.ok) return { state: 'passing' }
    return {
      state: response.status === 429 ? 'warning' : 'critical',
      note: `${url} answered ${response.status}`,
    }
  }
}
