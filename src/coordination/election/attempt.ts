import { backoffWait } from '../../core/backoff.js'
import type { Coordinator, Lease } from '../coordinator.js'
import { hasCode, isPassing } from '../errors.js'
import { pause } from '../line/limit.js'
import { leave } from '../line/own-key.js'
import { RETRY } from '../patiently.js'
import { leaderOf } from './picture.js'

/** Tries of one candidacy to put the key of the leader. */
export class Attempt {
  readonly id: string
  doubtful: boolean
  /** The revision of the key of somebody who was faster. */
  beaten = 0
  readonly #coordinator: Coordinator
  readonly #key: string
  readonly #lease: Lease
  #failures = 0

  constructor(coordinator: Coordinator, key: string, lease: Lease, id: string, doubtful = false) {
    this.#coordinator = coordinator
    this.#key = key
    this.#lease = lease
    this.id = id
    this.doubtful = doubtful
  }

  /** @returns the revision of the key, if it is its own; otherwise look again */
  async put(value: string, signal: AbortSignal): Promise<number | undefined> {
    try {
      const result = await this.#coordinator.put(this.#key, value, {
        expected: 'absent',
        lease: this.#lease,
      })
      if (result.ok) return result.revision
      const { id, revision } = leaderOf(result.actual!)
      if (id === this.id) return revision
      this.beaten = revision
    } catch (error) {
      if (hasCode(error, 'BANYAN_LEASE_LOST')) return undefined
      if (!isPassing(error)) throw error
      this.doubtful ||= hasCode(error, 'BANYAN_OUTCOME_UNKNOWN')
      const { clock, random } = this.#coordinator.runtime
      await pause(clock, backoffWait(RETRY, ++this.#failures, 'equal', random), signal)
    }
    return undefined
  }

  /**
   * Takes the key away if it came of this.
   *
   * @param revision - of the key, if it is known to be there
   */
  async disown(revision: number | undefined): Promise<void> {
    if (revision === undefined && !this.doubtful) return
    const remove = async (): Promise<void> => {
      const entry = await this.#coordinator.get(this.#key)
      if (entry && leaderOf(entry).id === this.id)
        await this.#coordinator.delete(this.#key, { expected: entry.revision })
    }
    await leave(this.#coordinator, {
      key: this.#key,
      lease: this.#lease,
      doubtful: this.doubtful,
      ...(revision === undefined || this.doubtful
        ? { remove }
        : { remove: () => this.#coordinator.delete(this.#key, { expected: revision }) }),
    })
  }
}
