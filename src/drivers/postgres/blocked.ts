import type { Clock } from '../../core/clock.js'
import type { EncodedCommit, Outcome } from '../../events/driver.js'
import { eventError } from '../../events/errors.js'
import type { Sent } from './group.js'

/** How many commits may wait. */
const MOST = 10_000
/** How many are tried at once. */
const GROUP = 256
/** How long the database waits for one stream before the next is looked at, in ms. */
const TURN_MS = 100

interface Waiting {
  readonly commit: EncodedCommit
  readonly until: number
  readonly resolve: (outcome: Outcome | Promise<never>) => void
  readonly reject: (error: unknown) => void
}

/** Sends commits; with patience, it waits so long for their streams, in ms. */
type Send = (commits: readonly EncodedCommit[], patience?: number) => Promise<(Sent | Promise<never>)[]>

/**
 * Commits that wait for a stream that an application's transaction holds, and later ones to the same streams, in their
 * order. Both kinds of trying are needed: all of them without waiting, as one that is held for long must not keep those
 * that are free; and one after the other in the queue of its lock, as a stream with a crowd before it is never free.
 */
export class BlockedCommits {
  readonly #send: Send
  readonly #lockTimeout: number
  readonly #clock: Clock
  #waiting: Waiting[] = []
  readonly #streams = new Map<string, number>()
  #turn = 0
  #running: Promise<void> | undefined

  constructor(send: Send, lockTimeout: number, clock: Clock) {
    this.#send = send
    this.#lockTimeout = lockTimeout
    this.#clock = clock
  }

  /** Whether a commit has to wait behind others. */
  concerns(commit: EncodedCommit): boolean {
    return this.#streams.size > 0 && namesOf(commit).some((name) => this.#streams.has(name))
  }

  /** Resolves with its outcome; rejects after `lockTimeout` with `BANYAN_LOG_LOCKED`. */
  add(commit: EncodedCommit): Promise<Outcome> {
    if (this.#waiting.length >= MOST)
      return Promise.reject(
        eventError(
          'BANYAN_LOG_OVERLOADED',
          `${MOST} appends wait for streams that transactions hold; nothing was appended, try again later`,
        ),
      )
    for (const name of namesOf(commit)) this.#streams.set(name, (this.#streams.get(name) ?? 0) + 1)
    const outcome = new Promise<Outcome>((resolve, reject) => {
      this.#waiting.push({ commit, until: this.#clock.now() + this.#lockTimeout, resolve, reject })
    })
    outcome.catch(() => undefined)
    this.#running ??= this.#run().finally(() => (this.#running = undefined))
    return outcome
  }

  /** Resolves when none waits any more. */
  async close(): Promise<void> {
    while (this.#running) await this.#running
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      await this.#try(this.#waiting.slice(0, GROUP))
      this.#giveUp()
      const next = this.#next()
      if (next) await this.#try([next], TURN_MS)
    }
  }

  async #try(tried: readonly Waiting[], patience?: number): Promise<void> {
    try {
      const outcomes = await this.#send(
        tried.map(({ commit }) => commit),
        patience,
      )
      tried.forEach((waiting, index) => {
        const outcome = outcomes[index]!
        if (outcome !== 'locked') this.#done(waiting, () => waiting.resolve(outcome))
      })
    } catch (error) {
      for (const waiting of tried) this.#done(waiting, () => waiting.reject(error))
    }
  }

  #giveUp(): void {
    const now = this.#clock.now()
    for (const waiting of this.#waiting.filter(({ until }) => until <= now)) {
      const streams = namesOf(waiting.commit).join(', ')
      this.#done(waiting, () =>
        waiting.reject(
          eventError(
            'BANYAN_LOG_LOCKED',
            `commit ${waiting.commit.id} waited ${this.#lockTimeout} ms for a transaction that holds ${streams}; nothing was appended. ` +
              'End that transaction, or set a longer lockTimeout',
          ),
        ),
      )
    }
  }

  /** One that is the first for all of its streams; another one each time. */
  #next(): Waiting | undefined {
    const seen = new Set<string>()
    const first = this.#waiting.filter(({ commit }) => {
      const names = namesOf(commit)
      const isFirst = !names.some((name) => seen.has(name))
      for (const name of names) seen.add(name)
      return isFirst
    })
    return first[this.#turn++ % first.length]
  }

  #done(waiting: Waiting, settle: () => void): void {
    this.#waiting = this.#waiting.filter((other) => other !== waiting)
    for (const name of namesOf(waiting.commit)) {
      const left = this.#streams.get(name)! - 1
      if (left === 0) this.#streams.delete(name)
      else this.#streams.set(name, left)
    }
    settle()
  }
}

function namesOf({ streams, checks }: EncodedCommit): string[] {
  return [...streams, ...checks].map(({ stream }) => stream)
}
