import type { Clock, Timer } from '../../../core/clock.js'
import { isBusy } from './faults.js'
import type { Machine } from './machine.js'

/**
 * How often it is looked for leases of others that are over, in ms. A lease that is longer than this is known long before its
 * end.
 */
const LOOK_MS = 500
/** When it is looked again after another process was in the way, which may be doing it, in ms. */
const RETRY_MS = 3

/**
 * Each process that has the file open ends the leases whose time is over: in time if it has leases itself or waits for changes,
 * else when it next asks for something. So no process that is stopped, or gone, keeps anybody waiting.
 */
export class LeaseEnds {
  readonly #clock: Clock
  readonly #machine: Machine
  readonly #expire: () => number | undefined
  /** Leases that were granted here and, as far as is known, not ended. */
  readonly #own = new Set<string>()
  #waiting = 0
  /** When to look, on the clock of the machine. */
  #at = 0
  #timer: Timer | undefined
  #closed = false

  /** @param expire - ends some of what is over, and says when the next one is; undefined if there is no other */
  constructor(clock: Clock, machine: Machine, expire: () => number | undefined) {
    this.#clock = clock
    this.#machine = machine
    this.#expire = expire
  }

  granted(lease: string, ttl: number): void {
    this.#own.add(lease)
    this.#lookBy(this.#machine.now() + ttl)
  }

  ended(lease: string): void {
    this.#own.delete(lease)
  }

  /** Somebody waits for changes, until they end the wait. */
  begin(): void {
    this.#waiting++
    this.#arm()
  }

  end(): void {
    this.#waiting--
  }

  /** To be called before anything is asked for. */
  look(): void {
    const now = this.#machine.now()
    if (now < this.#at) return
    this.#at = now + LOOK_MS
    try {
      const next = this.#expire()
      if (next === undefined) this.#own.clear()
      else this.#lookBy(next)
    } catch (error) {
      if (!isBusy(error)) throw error
      this.#at = now + RETRY_MS
    }
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }

  #lookBy(at: number): void {
    if (at < this.#at) {
      this.#at = at
      this.#timer?.cancel()
      this.#timer = undefined
    }
    this.#arm()
  }

  #arm(): void {
    if (this.#timer || this.#closed || (this.#waiting === 0 && this.#own.size === 0)) return
    const wait = Math.max(1, this.#at - this.#machine.now())
    this.#timer = this.#clock.schedule(this.#clock.now() + wait, () => {
      this.#timer = undefined
      try {
        this.look()
      } catch {
        // Whoever asks for something is told what is wrong.
      }
      this.#arm()
    })
  }
}
