import { sleep, type Clock } from '../../core/clock.js'
import { duration, type Duration } from '../../core/duration.js'
import { withoutStack } from '../../core/errors.js'
import type { Maybe } from '../../core/maybe.js'
import type { Random } from '../../core/random.js'
import type { Changes } from '../../coordination/coordinator.js'
import type { CoordinatorDriver } from '../../coordination/driver.js'
import { coordinationError, type CoordinationErrorCode } from '../../coordination/errors.js'
import { choices, type Choices } from '../seed.js'

/** What {@link faultyCoordinator} does. Probabilities are from 0 to 1, and of each request. */
export interface CoordinatorFaults {
  /** The longest time a request is on its way, and its answer as well; default `'20ms'`. */
  delay?: Duration
  /** A change is refused with `BANYAN_COORDINATOR_UNAVAILABLE`, before anything was done; default 0.05. */
  refuse?: number
  /**
   * The answer to a change is lost: it was done, or was not, or is done later, or now and again later; the caller gets
   * `BANYAN_OUTCOME_UNKNOWN`; default 0.05.
   */
  loseAnswer?: number
  /** A read, a grant or a renewal fails with `BANYAN_COORDINATOR_UNAVAILABLE`, though it may have been done; default 0.05. */
  failRead?: number
  /** A watch says that nothing was missed, without a change; default 0.1. */
  wakeForNothing?: number
  /** From this request on nothing comes through for a while; default 0.01. */
  cut?: number
  /** The longest such while; default `'5s'`. */
  cutTime?: Duration
}

const DEFAULTS = {
  delay: '20ms',
  refuse: 0.05,
  loseAnswer: 0.05,
  failRead: 0.05,
  wakeForNothing: 0.1,
  cut: 0.01,
  cutTime: '5s',
} satisfies CoordinatorFaults

/** What was given up by its sender may arrive after this many times the longest delay. */
const LATE_FACTOR = 10
/** How long a sender waits for an answer that does not come, in ms. */
const PATIENCE = 500

/** Options of {@link faultyCoordinator}. */
export interface FaultyCoordinatorOptions {
  /** Where chance comes from: a seeded source makes it the same each time. */
  random: Random
  /** Where time comes from. */
  clock: Clock
  /** What goes wrong, how often; see {@link CoordinatorFaults} for the defaults. */
  faults?: CoordinatorFaults
  /** Whether anything goes wrong now; default always. */
  active?: () => boolean
  /** Told what happens, in a few words. */
  note?: (text: string) => void
}

/**
 * A coordinator that fails as those over a network do: late answers, answers that are lost after the work was done, work that is
 * done after its sender has given up, and times without any contact. It never breaks a law of the port: what comes through it
 * is what a user of any driver must live with.
 */
export function faultyCoordinator(
  driver: CoordinatorDriver,
  options: FaultyCoordinatorOptions,
): CoordinatorDriver {
  const faults = new Faulty(options)
  const putAndList = driver.putAndList?.bind(driver)
  return {
    capabilities: driver.capabilities,
    get: (key) => faults.ask(`get ${key}`, () => driver.get(key)),
    list: (prefix) => faults.ask(`list ${prefix}`, () => driver.list(prefix)),
    head: () => faults.ask('head', () => driver.head()),
    grant: (ttl) => faults.ask('grant', () => driver.grant(ttl)),
    renew: (leases, within) => faults.ask(`renew ${leases.join(', ')}`, () => driver.renew(leases, within)),
    revoke: (lease) => faults.ask(`revoke ${lease}`, () => driver.revoke(lease)),
    put: (key, value, expected, lease) =>
      faults.change(`put ${key}, expected ${expected}`, () => driver.put(key, value, expected, lease)),
    ...(putAndList && {
      putAndList: (key, value, expected, lease, prefix) =>
        faults.change(`put ${key}, expected ${expected}, list ${prefix}`, () =>
          putAndList(key, value, expected, lease, prefix),
        ),
    }),
    delete: (key, expected) => faults.change(`delete ${key}`, () => driver.delete(key, expected)),
    watch: (prefix, after, signal) => faults.watch(driver.watch(prefix, after, signal), after, signal),
    close: () => driver.close(),
  }
}

class Faulty {
  readonly #random: Choices
  readonly #clock: Clock
  readonly #rates: typeof DEFAULTS
  readonly #delay: number
  readonly #active: () => boolean
  readonly #note: (text: string) => void
  #cutUntil = -Infinity

  constructor({
    random,
    clock,
    faults,
    active = () => true,
    note = () => undefined,
  }: FaultyCoordinatorOptions) {
    this.#random = choices(random)
    this.#clock = clock
    this.#rates = { ...DEFAULTS, ...faults } as typeof DEFAULTS
    this.#delay = duration(this.#rates.delay)
    this.#active = active
    this.#note = note
  }

  async ask<Answer>(what: string, question: () => Maybe<Answer>): Promise<Answer> {
    if (await this.#isLost()) throw this.#lost('BANYAN_COORDINATOR_UNAVAILABLE', what)
    const fails = this.#happens('failRead')
    // Half of the failures come after it was done.
    const answer = fails && this.#random.chance(0.5) ? undefined : await question()
    if ((await this.#isLost()) || fails) throw this.#lost('BANYAN_COORDINATOR_UNAVAILABLE', what)
    return answer as Answer
  }

  async change<Answer>(what: string, work: () => Maybe<Answer>): Promise<Answer> {
    if (await this.#isLost()) throw this.#lost('BANYAN_OUTCOME_UNKNOWN', what)
    if (this.#happens('refuse')) throw this.#lost('BANYAN_COORDINATOR_UNAVAILABLE', what)
    if (this.#happens('loseAnswer')) {
      const now = this.#random.chance(0.5)
      if (now) await attempted(work)
      if (this.#random.chance(now ? 0.3 : 0.7)) this.#later(what, work)
      await this.#onItsWay()
      throw this.#lost('BANYAN_OUTCOME_UNKNOWN', what)
    }
    const answer = await work()
    if (await this.#isLost()) throw this.#lost('BANYAN_OUTCOME_UNKNOWN', what)
    return answer
  }

  async *watch(
    groups: AsyncIterable<Changes>,
    after: number,
    signal: AbortSignal,
  ): AsyncGenerator<Changes, void, undefined> {
    let revision = after
    for await (const group of groups) {
      await this.#onItsWay()
      while (this.#cutUntil > this.#clock.now()) await sleep(this.#clock, this.#cutUntil - this.#clock.now())
      if (signal.aborted) return
      if (this.#happens('wakeForNothing')) yield { revision, changes: [] }
      revision = group.revision
      yield group
    }
  }

  #later(what: string, work: () => Maybe<unknown>): void {
    this.#clock.schedule(this.#clock.now() + this.#random.below(this.#delay * LATE_FACTOR), () => {
      this.#note(`${what}: arrives late`)
      void attempted(work)
    })
  }

  /** Takes the time of a request or an answer; true if it does not come through. */
  async #isLost(): Promise<boolean> {
    if (this.#happens('cut')) {
      const time = this.#random.below(duration(this.#rates.cutTime))
      this.#note(`is cut off for ${time} ms`)
      this.#cutUntil = Math.max(this.#cutUntil, this.#clock.now() + time)
    }
    if (this.#cutUntil <= this.#clock.now() || !this.#active()) {
      await this.#onItsWay()
      return false
    }
    await sleep(this.#clock, PATIENCE)
    return true
  }

  #lost(code: CoordinationErrorCode, what: string): Error {
    this.#note(`${what}: ${code}`)
    // Thousands are thrown on purpose; where is in the trace.
    return withoutStack(() => coordinationError(code, `the simulated engine: ${what}`))
  }

  #happens(fault: 'refuse' | 'loseAnswer' | 'failRead' | 'wakeForNothing' | 'cut'): boolean {
    return this.#active() && this.#random.chance(this.#rates[fault])
  }

  /** Without faults it takes some time as well, only less. */
  #onItsWay(): Promise<void> {
    const longest = this.#active() ? this.#delay : Math.min(1, this.#delay)
    return longest === 0 ? Promise.resolve() : sleep(this.#clock, this.#random.below(1000 * longest) / 1000)
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
