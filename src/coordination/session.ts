import { backoffWait } from '../core/backoff.js'
import { sleep } from '../core/clock.js'
import type { Runtime } from '../core/runtime.js'
import type { Lease, Session } from './coordinator.js'
import { isPassing } from './errors.js'
import { RETRY } from './patiently.js'

/** One lease for everything in a process that has the same ttl, taken when it is needed. */
export class SharedSession implements Session {
  readonly ttl: number
  readonly #take: () => Promise<Lease>
  readonly #runtime: Runtime
  readonly #closing: AbortSignal
  #lease: Lease | undefined
  #taking: Promise<Lease> | undefined

  constructor(ttl: number, take: () => Promise<Lease>, runtime: Runtime, closing: AbortSignal) {
    this.ttl = ttl
    this.#take = take
    this.#runtime = runtime
    this.#closing = closing
  }

  async lease(signal?: AbortSignal): Promise<Lease> {
    signal?.throwIfAborted()
    if (this.#lease?.held) return this.#lease
    this.#taking ??= this.#takeAnew().finally(() => (this.#taking = undefined))
    if (!signal) return this.#taking
    const taking = this.#taking
    return new Promise((resolve, reject) => {
      const abort = (): void => reject(signal.reason as Error)
      signal.addEventListener('abort', abort, { once: true })
      taking.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
    })
  }

  async #takeAnew(): Promise<Lease> {
    for (let failures = 1; ; failures++) {
      try {
        return (this.#lease = await this.#take())
      } catch (error) {
        if (!isPassing(error)) throw error
        this.#runtime.telemetry.log('warn', `no lease, tried again: ${error.message}`)
        await sleep(
          this.#runtime.clock,
          backoffWait(RETRY, failures, 'equal', this.#runtime.random),
          this.#closing,
        )
      }
    }
  }
}
