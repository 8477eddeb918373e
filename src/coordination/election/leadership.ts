import type { Lease } from '../coordinator.js'
import type { Place } from '../line/line.js'
import { onLoss } from '../line/losses.js'
import type { ElectionOptions } from './options.js'
import { RunningTerm, type TermEnd } from './term.js'

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
  /** Resolves when others may lead. */
  readonly ended: Promise<void>
  /** Why the term is over; undefined as long as it is not. */
  why: TermEnd | undefined
  /** What the work has failed with, if that was the end of it. */
  failure: unknown
  readonly #stopped: Promise<void>
  readonly #changed: () => void
  #end = (): void => undefined
  #stop = (): void => undefined

  /** @param changed - told when the term is over, and its work may still go on */
  constructor(name: string, won: Won, changed: () => void) {
    const { token, since, lease } = won
    this.term = new RunningTerm(name, token, since, lease)
    this.won = won
    this.#changed = changed
    this.ended = new Promise((resolve) => (this.#end = resolve))
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

  /** Works until the term is over, and the work has ended. */
  async run(onLead: ElectionOptions['onLead']): Promise<void> {
    const { lease } = this.won
    const forget = onLoss(lease, () => this.stop('lease lost', lease.signal.reason))
    const work = onLead && this.#work(onLead)
    await this.#stopped
    await work
    await this.term.settled()
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
      await onLead(this.term.signal, this.term.token, this.term)
      this.stop('returned')
    } catch (error) {
      this.stop('failed', error)
    }
  }
}
