import type { BanyanError } from '../../core/errors.js'
import type { Coordinator } from '../coordinator.js'
import { coordinationError } from '../errors.js'
import { HeldWatch, type Watched } from './held-watch.js'
import type { Place } from './line.js'
import { onAbort } from '../on-abort.js'
import { leave } from './own-key.js'

/**
 * Something that is held until it is released, or lost: because its lease could not be renewed in time, or because an operator
 * has taken it away. It is given up before anybody else can have it, see {@link Lease}.
 */
export interface Held extends AsyncDisposable {
  /** The fencing token: higher than that of everybody who held it before. Let the resource refuse lower ones. */
  readonly token: number
  /** Whether it is held at this moment, by the clock. Once false it is never true again. */
  readonly held: boolean
  /** Aborts when it is lost or released. The reason of a loss is a `BANYAN_LEASE_LOST` that says why. */
  readonly signal: AbortSignal
  /**
   * To be called right before whatever needs it: a blocked event loop delays the signal, and this looks at the clock.
   *
   * @throws `BANYAN_LEASE_LOST` unless it is held at this moment
   */
  readonly check: () => void
  /** Gives it back. Whatever needs it must have ended. Never fails: what the engine cannot be told now, it is told later. */
  release(): Promise<void>
}

const TAKEN = 'its key was deleted: somebody has unlocked it by force'

/** A place in line that has been let in. */
export class Hold implements Held, Watched {
  readonly key: string
  readonly created: number
  readonly #place: Place
  readonly #coordinator: Coordinator
  readonly #what: string
  readonly #ended: (lost: boolean) => void
  #lost: BanyanError | undefined
  #signal: AbortController | undefined
  #forget: (() => void) | undefined
  #release: Promise<void> | undefined
  /** Whether somebody had taken it away before it was released. */
  #wasGone = false

  /**
   * @param what - what is held, for people: `the lock "x"`
   * @param ended - told when it was released, and whether it was lost before
   */
  constructor(coordinator: Coordinator, place: Place, what: string, ended: (lost: boolean) => void) {
    this.key = place.key
    this.created = place.created
    this.#place = place
    this.#coordinator = coordinator
    this.#what = what
    this.#ended = ended
    HeldWatch.of(coordinator).add(this)
  }

  get token(): number {
    return this.created
  }

  get held(): boolean {
    return !this.#lost && !this.#release && this.#place.lease.held
  }

  get signal(): AbortSignal {
    if (!this.#signal) {
      // Made for those who ask: most hold so shortly that it would be a good part of the cost.
      this.#signal = new AbortController()
      if (this.#lost || this.#release) this.#signal.abort(this.#lost ?? this.#released())
      else this.#forget = onAbort(this.#place.lease.signal, () => this.#lose())
    }
    return this.#signal.signal
  }

  readonly check = (): void => {
    if (this.held) return
    if (this.#release && !this.#lost) throw this.#released()
    this.#lose()
    // A new one, with the stack of who asked.
    throw coordinationError('BANYAN_LEASE_LOST', this.#lost!.message, this.#lost)
  }

  taken(): void {
    // Also who stood still sees its key go, when the lease is over.
    this.#lose(this.#place.lease.held ? TAKEN : undefined)
  }

  release(): Promise<void> {
    this.#release ??= this.#giveBack()
    return this.#release
  }

  /**
   * Gives it back, after what needed it has been done.
   *
   * @throws `BANYAN_LEASE_LOST` if it was lost before; also if that was not noticed, as it was held too shortly to be watched
   */
  async finish(): Promise<void> {
    this.check()
    await this.release()
    if (this.#wasGone) throw this.#loss(TAKEN)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release()
  }

  /** @param why - unless the lease is over */
  #lose(why?: string): void {
    if (this.#lost || this.#release) return
    this.#lost = this.#loss(why)
    HeldWatch.of(this.#coordinator).remove(this)
    this.#signal?.abort(this.#lost)
  }

  async #giveBack(): Promise<void> {
    this.#forget?.()
    if (!this.#lost && !this.#place.lease.held) this.#lose()
    HeldWatch.of(this.#coordinator).remove(this)
    this.#signal?.abort(this.#released())
    this.#ended(this.#lost !== undefined)
    const left = leave(this.#coordinator, this.#place)
    // Nobody waits for what is lost, and the engine may be away.
    if (this.#lost) return
    // A lease that ends meanwhile takes the key with it, which was held until then.
    this.#wasGone = (await left) && this.#place.lease.held
  }

  #loss(why: string | undefined): BanyanError {
    const { reason } = this.#place.lease.signal as { reason?: BanyanError }
    return coordinationError(
      'BANYAN_LEASE_LOST',
      `${this.#what} is lost, ${why ?? reason?.message ?? 'its lease is over'}`,
      reason,
    )
  }

  #released(): BanyanError {
    return coordinationError('BANYAN_LEASE_LOST', `${this.#what} was released`)
  }
}
