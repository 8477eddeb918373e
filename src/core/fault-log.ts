import type { Runtime } from './runtime.js'

/** What the lines of a {@link FaultLog} say. */
export interface FaultLine {
  /** What comes before the message of the fault: `the event log failed a request`. */
  readonly what: string
  /** The attribute that has the kind of the fault. */
  readonly attribute: string
}

/** Tells operators of faults that clients get no details of; of each kind once a second at most. */
export class FaultLog {
  readonly #runtime: Runtime
  readonly #line: FaultLine
  readonly #last = new Map<string, number>()

  constructor(runtime: Runtime, line: FaultLine) {
    this.#runtime = runtime
    this.#line = line
  }

  note(kind: string, error: unknown): void {
    const now = this.#runtime.clock.now()
    if (now - (this.#last.get(kind) ?? -Infinity) < 1000) return
    this.#last.set(kind, now)
    const { what, attribute } = this.#line
    const message = error instanceof Error ? error.message : String(error)
    this.#runtime.telemetry.log('error', `${what}: ${message}`, { [attribute]: kind })
  }
}
