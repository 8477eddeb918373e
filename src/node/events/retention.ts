import { isDeepStrictEqual } from 'node:util'
import type { Runtime } from '../../core/runtime.js'
import type { EventLog } from '../../events/log.js'
import { retention, type Retention } from '../../events/retention/index.js'
import type { RetentionSpec } from '../spec.js'

/** Keeps the log of a node to the rules of its configuration, which may change while it runs. */
export class LogRetention {
  readonly #log: EventLog
  readonly #runtime: Runtime
  #spec: RetentionSpec | undefined = undefined
  #running: Retention | undefined = undefined

  constructor(log: EventLog, runtime: Runtime) {
    this.#log = log
    this.#runtime = runtime
  }

  /** Goes on with these rules; at once, if they are others than before. */
  follow(spec: RetentionSpec | undefined): void {
    if (isDeepStrictEqual(spec, this.#spec)) return
    const before = this.#running
    this.#spec = spec
    this.#running = spec && retention(this.#log, { ...spec, runtime: this.#runtime })
    void before?.close()
  }

  /** Ends what is on its way. */
  async close(): Promise<void> {
    await this.#running?.close()
  }
}
