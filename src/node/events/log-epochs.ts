import { sleep } from '../../core/clock.js'
import { BanyanError } from '../../core/errors.js'
import type { Runtime } from '../../core/runtime.js'
import type { Coordinator } from '../../coordination/index.js'
import { epochOf, type ReplicatedDriver, type ReplicaState } from '../../events/replica.js'
import { isPassed, raceWithTimer } from '../../core/race-with-timer.js'
import { LeaderKeys } from '../../events/replication/leader-keys.js'
import type { Log } from '../log.js'

/** Between looks at what the coordinator knows, in ms. */
const LOOK_MS = 1000
/** How long a promotion waits for it, which may be urgent, in ms. */
const PATIENCE_MS = 2000

/** What a log and its coordinator are kept of one mind with. */
export interface EpochOptions {
  readonly runtime: Runtime
  readonly write: Log
  /** Ends it. */
  readonly signal: AbortSignal
}

/**
 * Tells a coordinator of each epoch that the log of this node leads in, and asks it for those that others have begun: an old
 * leader that comes back takes no appends then, whoever can reach it. No lease is held, so that appends do not depend on the
 * coordinator; until the next look an old leader goes on.
 */
export class LogEpochs {
  readonly #driver: ReplicatedDriver
  readonly #coordinator: Coordinator
  readonly #options: EpochOptions
  /** The first look. */
  readonly begun: Promise<void>

  constructor(driver: ReplicatedDriver, coordinator: Coordinator, options: EpochOptions) {
    this.#driver = driver
    this.#coordinator = coordinator
    this.#options = options
    this.begun = this.#lookQuietly()
    void this.#keepLooking()
  }

  /**
   * Looks whether a follower has all epochs that have begun.
   *
   * @returns why it may not begin the next one, as far as the coordinator says so in time
   */
  async objection(state: ReplicaState): Promise<string | undefined> {
    const asked = this.#keysOf(state)
      .epoch()
      .catch(() => undefined)
    const known = await raceWithTimer(this.#options.runtime.clock, asked, PATIENCE_MS)
    if (isPassed(known)) return undefined
    if (!known || known.epoch <= epochOf(state)) return undefined
    return `epoch ${known.epoch} of this log has begun elsewhere, as the coordinator knows, and this copy is of epoch ${epochOf(state)}: another copy was promoted. Follow that one. That cannot be forced; if it is gone for good, remove the key ${known.key} from the coordinator first`
  }

  /**
   * Tells of the epoch that the log leads in, or ends its time if another has begun.
   *
   * @throws what the coordinator and the log throw
   */
  async look(): Promise<void> {
    const state = await this.#driver.replica.state()
    if (state.role !== 'leader') return
    const own = state.epochs.at(-1)!
    const keys = this.#keysOf(state)
    const known = await keys.epoch()
    const isOther = known?.epoch === own.epoch && known.id !== undefined && known.id !== own.id
    if (known && (known.epoch > own.epoch || isOther)) {
      await this.#driver.replica.become(
        { role: 'fenced', fencedBy: known.epoch },
        { role: 'leader', epoch: own.epoch },
      )
      this.#options.write('error', 'the event log takes no appends any more: another copy leads', {
        epoch: own.epoch,
        by: known.epoch,
      })
    } else if (own.epoch > (known?.epoch ?? 1) && !(await keys.tell(own, known?.revision))) await this.look()
  }

  async #keepLooking(): Promise<void> {
    const { runtime, signal } = this.#options
    const isOver = (): boolean => signal.aborted
    await this.begun
    while (!isOver()) {
      await sleep(runtime.clock, LOOK_MS, signal).catch(() => undefined)
      if (!isOver()) await this.#lookQuietly()
    }
  }

  /** The node tells by itself that its coordinator is away. */
  async #lookQuietly(): Promise<void> {
    const { signal, write } = this.#options
    try {
      await this.look()
    } catch (error) {
      if (!signal.aborted && !(error instanceof BanyanError))
        write('error', `the epoch of the event log cannot be agreed on: ${String(error)}`)
    }
  }

  #keysOf({ log }: ReplicaState): LeaderKeys {
    return new LeaderKeys(this.#coordinator, log)
  }
}
