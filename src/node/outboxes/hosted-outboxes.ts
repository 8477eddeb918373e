import { isDeepStrictEqual } from 'node:util'
import type { Runtime } from '../../core/runtime.js'
import type { EventLog } from '../../events/log.js'
import type { OutboxSpec } from '../spec.js'
import { HostedOutbox } from './hosted-outbox.js'
import type { OutboxControl, OutboxState } from './state.js'

/** The outboxes that a configuration asks for. Those that stay the same go on when it changes. */
export class HostedOutboxes implements OutboxControl {
  readonly #log: EventLog
  readonly #runtime: Runtime
  readonly #outboxes = new Map<string, HostedOutbox>()
  /** What is being closed while the node goes on. */
  readonly #leaving = new Set<Promise<void>>()

  constructor(log: EventLog, runtime: Runtime) {
    this.#log = log
    this.#runtime = runtime
  }

  /** Relays these from now on, and no others. */
  follow(specs: Readonly<Record<string, OutboxSpec>>): void {
    for (const [name, outbox] of this.#outboxes) {
      if (Object.hasOwn(specs, name) && isDeepStrictEqual(specs[name], outbox.spec)) continue
      this.#outboxes.delete(name)
      const leaving = outbox.close()
      this.#leaving.add(leaving)
      void leaving.finally(() => this.#leaving.delete(leaving))
    }
    for (const [name, spec] of Object.entries(specs))
      if (!this.#outboxes.has(name))
        this.#outboxes.set(name, new HostedOutbox(name, spec, this.#log, this.#runtime))
  }

  list(): Promise<OutboxState[]> {
    return Promise.all(Array.from(this.#outboxes.values(), (outbox) => outbox.look()))
  }

  async redrive(name: string, lanes: readonly string[] | 'all'): Promise<string[] | undefined> {
    return this.#outboxes.get(name)?.outbox.redrive(lanes)
  }

  async discard(name: string, id: string, lane?: string): Promise<boolean | undefined> {
    return this.#outboxes.get(name)?.outbox.discard(id, lane)
  }

  /** Leaves everything to others. */
  async close(): Promise<void> {
    this.follow({})
    await Promise.all(this.#leaving)
  }
}
