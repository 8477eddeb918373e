import { sleep } from '../../core/clock.js'
import type { Runtime } from '../../core/runtime.js'
import { eventError } from '../../events/errors.js'
import { isPassed, raceWithTimer } from '../../core/race-with-timer.js'
import { openReadModels, type EventLog, type ProjectionStatus, type ReadModels } from '../../events/index.js'
import { redact } from '../config/redact.js'

/** Pauses between tries to open a store, in ms. */
const PAUSE_FIRST_MS = 200
const PAUSE_LAST_MS = 10_000

/** How long whoever looks waits for a store, in ms. */
const PATIENCE_MS = 5000

/**
 * A store of read models, for all projections that are kept there. One that cannot be opened is tried again without end: the
 * rest of the node does not depend on it.
 */
export class HostedStore {
  /** For people, without secrets. */
  readonly name: string
  readonly #url: string
  readonly #log: EventLog
  readonly #runtime: Runtime
  readonly #closing = new AbortController()
  readonly #opening: Promise<ReadModels<unknown>>
  #models: ReadModels<unknown> | undefined
  #problem: string | undefined

  constructor(url: string, log: EventLog, runtime: Runtime) {
    this.#url = url
    this.name = String(redact(url))
    this.#log = log
    this.#runtime = runtime
    this.#opening = this.#open()
    // Told as a problem of the store; whoever waits for it is told besides.
    this.#opening.catch(() => undefined)
  }

  /** Waits until it is open; rejects if the signal aborts, or the store is closed before. */
  async opened(signal: AbortSignal): Promise<ReadModels<unknown>> {
    signal.throwIfAborted()
    let abort!: () => void
    const aborted = new Promise<never>((_, reject) => {
      abort = () => reject(signal.reason as Error)
    })
    signal.addEventListener('abort', abort, { once: true })
    try {
      return await Promise.race([this.#opening, aborted])
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  /** @throws `BANYAN_READ_MODEL_UNAVAILABLE` as long as it is not open */
  get models(): ReadModels<unknown> {
    if (this.#models) return this.#models
    throw eventError(
      'BANYAN_READ_MODEL_UNAVAILABLE',
      `${this.name} is not open${this.#problem === undefined ? ' yet' : `: ${this.#problem}`}`,
    )
  }

  /** Every version that it has, or why it cannot be asked. */
  async look(): Promise<readonly ProjectionStatus[] | string> {
    try {
      const answer = await raceWithTimer(this.#runtime.clock, this.models.list(), PATIENCE_MS)
      return isPassed(answer) ? `${this.name} has not answered for ${PATIENCE_MS / 1000} s` : answer
    } catch (error) {
      return reasonOf(error)
    }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#opening.then(
      (models) => models.close(),
      () => undefined,
    )
  }

  async #open(): Promise<ReadModels<unknown>> {
    const { clock, telemetry } = this.#runtime
    const { signal } = this.#closing
    for (let pause = PAUSE_FIRST_MS; ; pause = Math.min(2 * pause, PAUSE_LAST_MS)) {
      try {
        this.#models = await openReadModels<unknown>(this.#url, this.#log, { runtime: this.#runtime })
        this.#problem = undefined
        return this.#models
      } catch (error) {
        const problem = reasonOf(error)
        if (problem !== this.#problem)
          telemetry.log(
            'error',
            `read models in ${this.name} cannot be opened, and are tried again: ${problem}`,
          )
        this.#problem = problem
      }
      await sleep(clock, pause, signal)
      signal.throwIfAborted()
    }
  }
}

/** What is wrong, for people. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
