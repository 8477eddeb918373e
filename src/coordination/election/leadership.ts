import { formatDuration } from '../../core/duration.js'
import type { Runtime } from '../../core/runtime.js'
import type { Lease } from '../coordinator.js'
import type { Place } from '../line/line.js'
import { onAbort } from '../on-abort.js'
import type { ElectionOptions } from './options.js'
import { RunningTerm, type TermEnd } from './term.js'
import { isWorkOf, workFor } from '../../core/within.js'

/** A candidacy that has come to leading. */
export interface Won {
  readonly lease: Lease
  /** What tells the leader's key from that of every other candidacy. */
  readonly id: string
  readonly token: number
  /** Of the leader's key. */
  readonly revision: number
  /** Its key in line, if it stays there for its term. */
  readonly place: Place | undefined
  /** ms since the epoch */
  readonly since: number
  /** Whether another put of the key may still be on its way. */
  readonly doubtful: boolean
}

/** One term, from its begin to the end of all that was done in it. */
export class Leadership {
  readonly term: RunningTerm
  readonly won: Won
  /** Why the term is over; undefined as long as it is not. */
  why: TermEnd | undefined
  /** What the work has failed with, if that was the end of it. */
  failure: unknown
  readonly #name: string
  readonly #ended: Promise<void>
  readonly #stopped: Promise<void>
  readonly #changed: () => void
  #end = (): void => undefined
  #stop = (): void => undefined

  /** @param changed - told when the term is over, and its work may still go on */
  constructor(name: string, won: Won, changed: () => void) {
    const { token, since, lease } = won
    this.#name = name
    this.term = new RunningTerm(name, token, since, lease)
    this.won = won
    this.#changed = changed
    this.#ended = new Promise((resolve) => (this.#end = resolve))
    this.#stopped = new Promise((resolve) => (this.#stop = resolve))
  }

  /** Ends the term: from now on nothing is done any more that only a leader may do. */
  stop(why: TermEnd, cause?: unknown): void {
    if (this.why) return
    this.why = why
    if (why === 'failed') this.failure = cause
    this.term.end(why, cause)
    this.#changed()
    this.#stop()
  }

  /** Whether who asks is part of its work, and would wait for itself. */
  get isWithin(): boolean {
    return isWorkOf(this.term)
  }

  /** Resolves when others may lead; for its own work at once. */
  async ended(): Promise<void> {
    if (!this.isWithin) await this.#ended
  }

  /** Works until the term is over, and the work has ended. */
  async run(onLead: ElectionOptions['onLead'], { clock, telemetry }: Runtime): Promise<void> {
    const { lease } = this.won
    const forget = onAbort(lease.signal, () => this.stop('lease lost', lease.signal.reason))
    const work = onLead && this.#work(onLead)
    await this.#stopped
    const long = clock.schedule(clock.now() + lease.ttl, () => telemetry.log('warn', this.#overdue()))
    await work
    await this.term.settled()
    long.cancel()
    forget()
  }

  /** Others may lead now. */
  finish(): void {
    this.#end()
  }

  async #work(onLead: NonNullable<ElectionOptions['onLead']>): Promise<void> {
    // Whoever began it is told first that it leads.
    await Promise.resolve()
    if (this.why) return
    try {
      const { term } = this
      await workFor(term, () => onLead(term.signal, term.token, term))
      this.stop('returned')
    } catch (error) {
      this.stop('failed', error)
    }
  }

  #overdue(): string {
    const [token, ttl] = [this.term.token, formatDuration(this.won.lease.ttl)]
    // Only then others do not wait for it.
    const alone = this.why === 'lease lost' || this.why === 'taken away'
    return (
      `election ${JSON.stringify(this.#name)}: the work of the term ${token}, ${this.why}, has not ended for ${ttl}; ` +
      (alone ? 'it is no candidate meanwhile' : 'nobody leads meanwhile')
    )
  }
}
