import { backoffWait } from '../core/backoff.js'
import { sleep } from '../core/clock.js'
import type { BanyanError } from '../core/errors.js'
import type { Runtime } from '../core/runtime.js'
import type { Lease, Session, SessionLeaseOptions } from './coordinator.js'
import { hasCode, isPassing } from './errors.js'
import { onAbort } from './on-abort.js'
import { RETRY } from './patiently.js'

/** One lease for everything in a process that has the same ttl, taken when it is needed. */
export class SharedSession implements Session {
  readonly ttl: number
  readonly #take: () => Promise<Lease>
  readonly #runtime: Runtime
  readonly #closing: AbortSignal
  /** Told why there is none yet. */
  readonly #waiting = new Set<(error: BanyanError) => void>()
  #lease: Lease | undefined
  #taking: Promise<Lease> | undefined

  /** @param take - of a ttl that the driver can keep */
  constructor(ttl: number, take: () => Promise<Lease>, runtime: Runtime, closing: AbortSignal) {
    this.ttl = ttl
    this.#take = take
    this.#runtime = runtime
    this.#closing = closing
  }

  async lease({ signal, failed, wait = true }: SessionLeaseOptions = {}): Promise<Lease> {
    signal?.throwIfAborted()
    if (this.#lease?.held) return this.#lease
    this.#taking ??= this.#takeAnew().finally(() => (this.#taking = undefined))
    const taking = this.#taking
    return new Promise((resolve, reject) => {
      const tell = (error: BanyanError): void => {
        failed?.(error)
        if (!wait) refuse(error)
      }
      const end = (): void => {
        this.#waiting.delete(tell)
        forget?.()
      }
      const refuse = (error: Error): void => {
        end()
        reject(error)
      }
      this.#waiting.add(tell)
      const forget = signal && onAbort(signal, () => refuse(signal.reason as Error))
      taking.then((lease) => {
        end()
        resolve(lease)
      }, refuse)
    })
  }

  async #takeAnew(): Promise<Lease> {
    for (let failures = 1; ; failures++) {
      try {
        return (this.#lease = await this.#take())
      } catch (error) {
        // What was under way then fails with the connections, and is nobody's concern any more.
        if (this.#closing.aborted) throw this.#closing.reason
        // A ttl that can never be was refused before: this one is too short for how slow the engine is at the moment.
        if (!isPassing(error) && !hasCode(error, 'BANYAN_LEASE_TTL')) throw error
        this.#closing.throwIfAborted()
        this.#runtime.telemetry.log('warn', `no lease, tried again: ${error.message}`)
        for (const tell of [...this.#waiting]) tell(error)
        await sleep(
          this.#runtime.clock,
          backoffWait(RETRY, failures, 'equal', this.#runtime.random),
          this.#closing,
        )
      }
    }
  }
}
