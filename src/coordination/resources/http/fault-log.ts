import type { Runtime } from '../../../core/runtime.js'

/** Tells operators of faults that clients get no details of; of each kind once a second at most. */
export class FaultLog {
  readonly #runtime: Runtime
  readonly #last = new Map<string, number>()

  constructor(runtime: Runtime) {
    this.#runtime = runtime
  }

  note(reason: string, error: unknown): void {
    const now = this.#runtime.clock.now()
    if (now - (this.#last.get(reason) ?? -Infinity) < 1000) return
    this.#last.set(reason, now)
    const message = error instanceof Error ? error.message : String(error)
    this.#runtime.telemetry.log('error', `a request for resources failed: ${message}`, {
      'banyan.reason': reason,
    })
  }
}
