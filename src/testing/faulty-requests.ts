import { sleep, type Clock } from '../core/clock.js'
import { withoutStack } from '../core/errors.js'
import type { Maybe } from '../core/maybe.js'
import type { Random } from '../core/random.js'
import { coordinationError, type CoordinationErrorCode } from '../coordination/errors.js'
import { choices, type Choices } from './seed.js'

/** How often requests fail: probabilities, and times in ms. */
export interface RequestRates {
  /** The longest time a request is on its way, and its answer as well. */
  readonly delay: number
  readonly refuse: number
  readonly loseAnswer: number
  readonly failRead: number
  readonly cut: number
  readonly cutTime: number
}

/** Where time and chance come from, and who is told. */
export interface FaultyRequestsOptions {
  readonly random: Random
  readonly clock: Clock
  /** Whether anything goes wrong now; default always. */
  readonly active?: () => boolean
  /** Told what happens, in a few words. */
  readonly note?: (text: string) => void
}

/** What was given up by its sender may arrive after this many times the longest delay. */
const LATE_FACTOR = 10
/** How long a sender waits for an answer that does not come, in ms. */
const PATIENCE = 500

/** Requests to something that is reached over a network, and cannot be relied on. */
export class FaultyRequests {
  readonly random: Choices
  readonly #clock: Clock
  readonly #rates: RequestRates
  readonly #active: () => boolean
  readonly #note: (text: string) => void
  #cutUntil = -Infinity

  constructor(
    rates: RequestRates,
    { random, clock, active = () => true, note = () => undefined }: FaultyRequestsOptions,
  ) {
    this.random = choices(random)
    this.#clock = clock
    this.#rates = rates
    this.#active = active
    this.#note = note
  }

  async ask<Answer>(what: string, question: () => Maybe<Answer>): Promise<Answer> {
    if (await this.#isLost()) throw this.lost('BANYAN_COORDINATOR_UNAVAILABLE', what)
    const fails = this.happens(this.#rates.failRead)
    // Half of the failures come after it was done.
    const answer = fails && this.random.chance(0.5) ? undefined : await question()
    if ((await this.#isLost()) || fails) throw this.lost('BANYAN_COORDINATOR_UNAVAILABLE', what)
    return answer as Answer
  }

  async change<Answer>(what: string, work: () => Maybe<Answer>): Promise<Answer> {
    if (await this.#isLost()) throw this.lost('BANYAN_OUTCOME_UNKNOWN', what)
    if (this.happens(this.#rates.refuse)) throw this.lost('BANYAN_COORDINATOR_UNAVAILABLE', what)
    if (this.happens(this.#rates.loseAnswer)) {
      const now = this.random.chance(0.5)
      if (now) await attempted(work)
      if (this.random.chance(now ? 0.3 : 0.7)) this.#later(what, work)
      await this.onItsWay()
      throw this.lost('BANYAN_OUTCOME_UNKNOWN', what)
    }
    const answer = await work()
    if (await this.#isLost()) throw this.lost('BANYAN_OUTCOME_UNKNOWN', what)
    return answer
  }

  /** What comes without being asked for is on its way; longer if there is no contact. */
  async arrives(longest?: number): Promise<void> {
    await this.onItsWay(longest)
    while (this.#cutUntil > this.#clock.now()) await sleep(this.#clock, this.#cutUntil - this.#clock.now())
  }

  /** Whether something goes wrong that does so with this probability. */
  happens(probability: number): boolean {
    return this.#active() && this.random.chance(probability)
  }

  lost(code: CoordinationErrorCode, what: string): Error {
    this.#note(`${what}: ${code}`)
    // Thousands are thrown on purpose; where is in the trace.
    return withoutStack(() => coordinationError(code, `the simulated engine: ${what}`))
  }

  /** Without faults it takes some time as well, only less. */
  onItsWay(delay = this.#rates.delay): Promise<void> {
    const longest = this.#active() ? delay : Math.min(1, delay)
    return longest === 0 ? Promise.resolve() : sleep(this.#clock, this.random.below(1000 * longest) / 1000)
  }

  #later(what: string, work: () => Maybe<unknown>): void {
    this.#clock.schedule(this.#clock.now() + this.random.below(this.#rates.delay * LATE_FACTOR), () => {
      this.#note(`${what}: arrives late`)
      void attempted(work)
    })
  }

  /** Takes the time of a request or an answer; true if it does not come through. */
  async #isLost(): Promise<boolean> {
    if (this.happens(this.#rates.cut)) {
      const time = this.random.below(this.#rates.cutTime)
      this.#note(`is cut off for ${time} ms`)
      this.#cutUntil = Math.max(this.#cutUntil, this.#clock.now() + time)
    }
    if (this.#cutUntil <= this.#clock.now() || !this.#active()) {
      await this.onItsWay()
      return false
    }
    await sleep(this.#clock, PATIENCE)
    return true
  }
}

/** What comes of it nobody is told. */
async function attempted(work: () => Maybe<unknown>): Promise<void> {
  try {
    await work()
  } catch {
    // Such as a lease that is over.
  }
}
