import { sleep } from '../../core/clock.js'
import type { Runtime } from '../../core/runtime.js'
import { eventError } from '../../events/errors.js'
import { isPassed, raceWithTimer } from '../../core/race-with-timer.js'
import { openOutbox, type EventLog, type Outbox, type OutboxStatus, type Relay } from '../../events/index.js'
import { redact } from '../config/redact.js'
import type { OutboxSpec } from '../spec.js'
import type { OutboxState } from './state.js'

/** Pauses between tries to open a database, in ms. */
const PAUSE_FIRST_MS = 200
const PAUSE_LAST_MS = 10_000
/** How long whoever looks waits for a database, in ms. */
const PATIENCE_MS = 2000

/**
 * An outbox of an application, relayed to the log of this node. A database that cannot be opened is tried again without end:
 * the rest of the node does not depend on it.
 *
 * | gauge | unit | meaning |
 * |---|---|---|
 * | `banyan.outbox.waiting` | `{message}` | messages that wait, up to 10,000; not those that parked lanes hold back |
 * | `banyan.outbox.age` | s | how long the oldest of them has been waiting |
 * | `banyan.outbox.parked` | `{lane}` | lanes that do not go on, up to 100 |
 */
export class HostedOutbox {
  readonly name: string
  readonly spec: OutboxSpec
  readonly #log: EventLog
  readonly #runtime: Runtime
  readonly #database: string
  readonly #closing = new AbortController()
  readonly #running: Promise<void>
  readonly #hides: (() => void)[]
  #outbox: Outbox | undefined
  #relay: Relay | undefined
  #problem: string | undefined
  #seen: OutboxStatus | undefined

  constructor(name: string, spec: OutboxSpec, log: EventLog, runtime: Runtime) {
    this.name = name
    this.spec = spec
    this.#log = log
    this.#runtime = runtime
    this.#database = String(redact(spec.database))
    this.#hides = this.#show()
    this.#running = this.#run()
  }

  /** How far it is now, or why that cannot be told. */
  async look(): Promise<OutboxState> {
    const { name } = this
    const database = this.#database
    const relay = this.#relay && { relay: this.#relay.status() }
    try {
      const answer = await raceWithTimer(this.#runtime.clock, this.outbox.status(), PATIENCE_MS)
      if (isPassed(answer)) throw new Error(`the database has not answered for ${PATIENCE_MS / 1000} s`)
      this.#seen = answer
      return { name, database, ...relay, ...answer }
    } catch (error) {
      return { name, database, ...relay, problem: this.#problem ?? reasonOf(error) }
    }
  }

  /** @throws `BANYAN_OUTBOX_UNAVAILABLE` as long as it is not open */
  get outbox(): Outbox {
    if (this.#outbox) return this.#outbox
    throw eventError(
      'BANYAN_OUTBOX_UNAVAILABLE',
      `the outbox ${this.name} is not open${this.#problem === undefined ? ' yet' : `: ${this.#problem}`}`,
    )
  }

  async close(): Promise<void> {
    this.#closing.abort()
    for (const hide of this.#hides) hide()
    await this.#running
    await this.#outbox?.close()
  }

  async #run(): Promise<void> {
    const { clock, telemetry } = this.#runtime
    const { signal } = this.#closing
    const { database, ...options } = this.spec
    for (let pause = PAUSE_FIRST_MS; !signal.aborted; pause = Math.min(2 * pause, PAUSE_LAST_MS)) {
      try {
        this.#outbox = await openOutbox(database, { runtime: this.#runtime })
        this.#problem = undefined
        if (!this.#closing.signal.aborted)
          this.#relay = this.#outbox.relay(this.#log, { ...options, name: this.name })
        return
      } catch (error) {
        const problem = reasonOf(error)
        if (problem !== this.#problem)
          telemetry.log(
            'error',
            `the outbox ${this.name} in ${this.#database} cannot be opened, and is tried again: ${problem}`,
          )
        this.#problem = problem
      }
      await sleep(clock, pause, signal).catch(() => undefined)
    }
  }

  #show(): (() => void)[] {
    const { telemetry } = this.#runtime
    const attributes = { 'banyan.outbox': this.name }
    return [
      telemetry.gauge(
        'banyan.outbox.waiting',
        { description: 'Messages that wait to be relayed.', unit: '{message}', attributes },
        () => this.#seen?.waiting.count ?? 0,
      ),
      telemetry.gauge(
        'banyan.outbox.age',
        { description: 'How long the oldest message has been waiting.', unit: 's', attributes },
        () => (this.#seen?.age ?? 0) / 1000,
      ),
      telemetry.gauge(
        'banyan.outbox.parked',
        {
          description: 'Lanes that do not go on, as the log has refused a message.',
          unit: '{lane}',
          attributes,
        },
        () => this.#seen?.parked.length ?? 0,
      ),
    ]
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
