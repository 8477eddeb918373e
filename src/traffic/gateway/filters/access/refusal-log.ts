import type { Runtime } from '../../../../core/runtime.js'

/** Least time between two lines of one outcome, in ms. */
const QUIET_MS = 1_000

/**
 * Says in the log why requests were refused, once a second for each outcome at most, with how many were left out: what
 * fails may be an attack, and must not fill the disk too. Reasons hold no credentials.
 */
export class RefusalLog {
  readonly #route: string
  readonly #runtime: Runtime
  readonly #lines = new Map<string, { at: number; leftOut: number }>()

  constructor(route: string, runtime: Runtime) {
    this.#route = route
    this.#runtime = runtime
  }

  /** @param by - name of the authenticator */
  write(outcome: string, reason: string, by: string | undefined): void {
    const now = this.#runtime.clock.now()
    const line = this.#lines.get(outcome)
    if (line && now - line.at < QUIET_MS) {
      line.leftOut++
      return
    }
    this.#lines.set(outcome, { at: now, leftOut: 0 })
    this.#runtime.telemetry.log('info', `access refused: ${printable(reason)}`, {
      'http.route': this.#route,
      'banyan.outcome': outcome,
      ...(by === undefined ? {} : { 'banyan.authenticator': by }),
      ...(line && line.leftOut > 0 ? { left_out: line.leftOut } : {}),
    })
  }
}

/** A subject may hold anything that its issuer lets through. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, '?').slice(0, 300)
}
