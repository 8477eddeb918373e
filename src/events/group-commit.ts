import type { Histogram } from '../core/telemetry.js'
import type { EncodedCommit, LogDriver, Outcome } from './driver.js'
import { eventError } from './errors.js'
import type { OwnCommits } from './own-commits.js'

/** A group is sent when it has this much, even if the driver could take more. */
const GROUP_COMMITS = 1024
const GROUP_BYTES = 4 * 1024 * 1024
/** From so many commits on, what waits is shared out among the groups that may be on their way: while the engine works on one, the next is put together. */
const SHARE_COMMITS = 64

interface Waiting {
  readonly commit: EncodedCommit
  readonly resolve: (outcome: Outcome | Promise<Outcome>) => void
  readonly reject: (error: unknown) => void
}

/**
 * Gathers what is appended while the engine is busy, and hands it over as one group: one wait for the disk for all of
 * them. An append that comes alone goes at once. (Group commit: DeWitt et al., "Implementation techniques for main
 * memory database systems", SIGMOD 1984.)
 */
export class GroupCommit {
  readonly #driver: LogDriver
  readonly #limit: { commits: number; bytes: number }
  readonly #size: Histogram
  readonly #own: OwnCommits | undefined
  #waiting: Waiting[] = []
  #waitingBytes = 0
  #onTheirWay = 0
  #scheduled = false
  #closed = false
  #idle: (() => void)[] = []

  /**
   * @param limit - how much may wait
   * @param size - is told the size of each group, in commits
   * @param own - is told what was appended, before those who wait for it are
   */
  constructor(
    driver: LogDriver,
    limit: { commits: number; bytes: number },
    size: Histogram,
    own?: OwnCommits,
  ) {
    this.#driver = driver
    this.#limit = limit
    this.#size = size
    this.#own = own
  }

  /** How many commits wait. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Resolves when it is durable, or is known not to be appended. */
  append(commit: EncodedCommit): Promise<Outcome> {
    if (this.#closed)
      return Promise.reject(eventError('BANYAN_LOG_CLOSED', 'the log is closed; nothing was appended'))
    const { commits, bytes } = this.#limit
    if (
      this.#waiting.length >= commits ||
      (this.#waiting.length > 0 && this.#waitingBytes + commit.bytes > bytes)
    )
      return Promise.reject(
        eventError(
          'BANYAN_LOG_OVERLOADED',
          `${this.#waiting.length} appends with ${this.#waitingBytes} bytes wait for the log already; nothing was appended, try again later`,
        ),
      )
    return new Promise((resolve, reject) => {
      this.#waiting.push({ commit, resolve, reject })
      this.#waitingBytes += commit.bytes
      if (this.#scheduled || this.#onTheirWay >= this.#driver.parallel) return
      // Not at once: what the caller appends in the same turn belongs to the same group.
      this.#scheduled = true
      queueMicrotask(this.#send)
    })
  }

  /** Takes no more; resolves when everything that was taken has its outcome. */
  async close(): Promise<void> {
    this.#closed = true
    if (this.#waiting.length === 0 && this.#onTheirWay === 0) return
    await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  readonly #send = (): void => {
    this.#scheduled = false
    while (this.#waiting.length > 0 && this.#onTheirWay < this.#driver.parallel) void this.#sendGroup()
  }

  async #sendGroup(): Promise<void> {
    const group = this.#nextGroup()
    this.#size.record(group.length)
    this.#onTheirWay++
    try {
      const outcomes = await this.#driver.append(group.map(({ commit }) => commit))
      for (const [index, { commit, resolve }] of group.entries()) {
        const outcome = outcomes[index]!
        if (!(outcome instanceof Promise)) this.#own?.add(commit, outcome)
        resolve(outcome)
      }
    } catch (error) {
      for (const { reject } of group) reject(error)
    }
    this.#onTheirWay--
    if (this.#waiting.length > 0) {
      // Those whose appends have just been answered may append again in this turn; let them join.
      if (!this.#scheduled) {
        this.#scheduled = true
        setImmediate(this.#send)
      }
    } else if (this.#onTheirWay === 0) {
      for (const resolve of this.#idle.splice(0)) resolve()
    }
  }

  #nextGroup(): Waiting[] {
    const free = this.#driver.parallel - this.#onTheirWay
    const share = this.#waiting.length < SHARE_COMMITS ? SHARE_COMMITS : this.#waiting.length / free
    let count = 0
    let bytes = 0
    for (; count < this.#waiting.length && count < Math.min(share, GROUP_COMMITS); count++) {
      const next = this.#waiting[count]!.commit.bytes
      if (count > 0 && bytes + next > GROUP_BYTES) break
      bytes += next
    }
    this.#waitingBytes -= bytes
    if (count === this.#waiting.length) {
      const all = this.#waiting
      this.#waiting = []
      return all
    }
    return this.#waiting.splice(0, count)
  }
}
