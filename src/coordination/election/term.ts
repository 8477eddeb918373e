import type { Lease } from '../coordinator.js'
import { coordinationError } from '../errors.js'
import { GuardedWork } from '../guarded-work.js'

/** The time for which one candidate leads. */
export interface Term {
  /** The fencing token: higher than that of every term before. Let resources refuse lower ones. */
  readonly token: number
  /** Since when, in ms since the epoch. */
  readonly since: number
  /** Whether it leads at this moment, by the clock. Once false it is never true again. */
  readonly held: boolean
  /** Aborts when the term ends; the reason is a `BANYAN_NOT_LEADER` that says why. */
  readonly signal: AbortSignal
  /**
   * To be called right before whatever only a leader may do: a blocked event loop delays the signal, this looks at the clock.
   *
   * @throws `BANYAN_NOT_LEADER` unless it leads at this moment
   */
  readonly check: () => void
  /**
   * Checks, then works. Nobody else leads before what was begun like this has ended, unless the lease was lost.
   *
   * @throws `BANYAN_NOT_LEADER` unless it leads at this moment; then nothing was done
   */
  readonly guard: <Result>(work: () => Result) => Result
}

/** Why a term has ended. */
export type TermEnd =
  /** `onLead` has returned. */
  | 'returned'
  /** `onLead` has failed. */
  | 'failed'
  | 'resigned'
  /** Because the leader or an operator wanted it. */
  | 'handed over'
  /** A candidate that is wanted more has asked for it. */
  | 'preempted'
  /** The lease was not renewed in time. */
  | 'lease lost'
  /** The key of the leader was deleted by somebody. */
  | 'taken away'
  | 'closed'

/** A term, and how it is ended. */
export class RunningTerm implements Term {
  readonly token: number
  readonly since: number
  readonly #lease: Lease
  readonly #name: string
  readonly #ending = new AbortController()
  readonly #guarded = new GuardedWork()

  constructor(name: string, token: number, since: number, lease: Lease) {
    this.#name = name
    this.token = token
    this.since = since
    this.#lease = lease
  }

  get held(): boolean {
    return !this.#ending.signal.aborted && this.#lease.held
  }

  get signal(): AbortSignal {
    return this.#ending.signal
  }

  readonly check = (): void => {
    if (this.held) return
    // Whoever leads learns of a lost lease as soon as somebody asks for it.
    this.end('lease lost', this.#lease.signal.reason)
    const { reason } = this.#ending.signal as { reason: Error }
    throw coordinationError('BANYAN_NOT_LEADER', reason.message, reason)
  }

  readonly guard = <Result>(work: () => Result): Result => {
    this.check()
    return this.#guarded.run(this, work)
  }

  end(why: TermEnd, cause?: unknown): void {
    if (this.#ending.signal.aborted) return
    this.#ending.abort(
      coordinationError(
        'BANYAN_NOT_LEADER',
        `the term ${this.token} as leader of ${JSON.stringify(this.#name)} has ended: ${why}` +
          (cause instanceof Error ? `, ${cause.message}` : ''),
        cause,
      ),
    )
  }

  /** Resolves when no guarded work is left. */
  settled(): Promise<void> {
    return this.#guarded.settled()
  }
}
