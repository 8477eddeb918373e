import { sleep, type Clock } from '../../core/clock.js'
import { withoutStack } from '../../core/errors.js'
import type { Random } from '../../core/random.js'
import type { EncodedCommit, LogDriver, Page, Query } from '../../events/driver.js'
import { eventError, type EventErrorCode } from '../../events/errors.js'
import { choices, type Choices } from '../seed.js'
import { faultRates, type FaultRates, type LogFaults } from './faults.js'

/** What was given up by its sender may arrive after this many times the longest delay. */
export const LATE_FACTOR = 10

/** Options of {@link faultyLog}. */
export interface FaultyLogOptions {
  /** Where chance comes from: a seeded source makes it the same each time. */
  random: Random
  /** Where time comes from. */
  clock: Clock
  /** What goes wrong, how often; see {@link LogFaults} for the defaults. */
  faults?: LogFaults
  /** Whether anything goes wrong now; default always. */
  active?: () => boolean
  /** Told what happens, in a few words. */
  note?: (text: string) => void
}

/**
 * A log that fails as logs over a network do: late answers, answers that are lost after the work was done, requests
 * that are refused, reads that fail, pages cut short, wake-ups for nothing and in another order. It never breaks a law
 * of the port: what comes through it is what a user of any driver must live with.
 *
 * @param driver - any driver; appends to it keep their order
 */
export function faultyLog(driver: LogDriver, options: FaultyLogOptions): LogDriver {
  return new FaultyLog(driver, options)
}

class FaultyLog implements LogDriver {
  readonly capabilities: LogDriver['capabilities']
  readonly parallel: number
  readonly consecutive: boolean
  readonly appendWithin?: NonNullable<LogDriver['appendWithin']>
  readonly backup?: NonNullable<LogDriver['backup']>
  readonly #driver: LogDriver
  readonly #random: Choices
  readonly #clock: Clock
  readonly #rates: FaultRates
  readonly #active: () => boolean
  readonly #note: (text: string) => void
  /** The group before has reached the driver. */
  #before: Promise<unknown> = Promise.resolve()

  constructor(
    driver: LogDriver,
    { random, clock, faults, active = () => true, note = () => undefined }: FaultyLogOptions,
  ) {
    this.capabilities = driver.capabilities
    this.parallel = driver.parallel
    this.consecutive = driver.consecutive ?? false
    this.#driver = driver
    this.#random = choices(random)
    this.#clock = clock
    this.#rates = faultRates(faults)
    this.#active = active
    this.#note = note
    if (driver.appendWithin)
      this.appendWithin = (transaction, commit) => driver.appendWithin!(transaction, commit)
    if (driver.backup) this.backup = (to) => driver.backup!(to)
  }

  async append(group: readonly EncodedCommit[]): ReturnType<LogDriver['append']> {
    const what = `append ${group.map(({ id }) => id).join(', ')}`
    const arrived = Promise.all([this.#before, this.#onItsWay()])
    this.#before = arrived
    await arrived
    if (this.#happens('refuse')) {
      this.#note(`${what}: refused`)
      throw fault('BANYAN_LOG_UNAVAILABLE', 'the simulated log refuses; nothing was appended')
    }
    if (this.#happens('loseAnswer')) return this.#loseAnswer(what, group)
    const outcomes = await this.#driver.append(group)
    this.#note(
      `${what}: ${outcomes.map((outcome) => ('kind' in outcome ? outcome.kind : 'later')).join(', ')}`,
    )
    await this.#onItsWay()
    return outcomes
  }

  async read(query: Query): Promise<Page> {
    const page = await this.#ask(`read behind ${query.before ?? query.after}`, () => this.#driver.read(query))
    const { events } = page
    if (events.length < 2 || !this.#happens('cutPage')) return page
    const kept = events.slice(0, 1 + this.#random.below(events.length - 1))
    this.#note(`page of ${events.length} cut to ${kept.length}`)
    return { ...page, events: kept, position: kept.at(-1)!.position, end: false }
  }

  async changed(position: string, signal: AbortSignal): Promise<void> {
    if (this.#happens('wakeForNothing')) {
      this.#note(`woken for nothing at ${position}`)
      await sleep(this.#clock, this.#random.below(this.#rates.delay * 10), signal).catch(() => undefined)
      return
    }
    await this.#driver.changed(position, signal)
    if (!signal.aborted) await this.#onItsWay()
  }

  head(): ReturnType<LogDriver['head']> {
    return this.#ask('head', () => this.#driver.head())
  }

  positionAt(time: number): ReturnType<LogDriver['positionAt']> {
    return this.#ask('positionAt', () => this.#driver.positionAt(time))
  }

  revision(stream: string): ReturnType<LogDriver['revision']> {
    return this.#ask(`revision of ${stream}`, () => this.#driver.revision(stream))
  }

  streams(query: Parameters<LogDriver['streams']>[0]): ReturnType<LogDriver['streams']> {
    return this.#ask('streams', () => this.#driver.streams(query))
  }

  truncate(what: Parameters<LogDriver['truncate']>[0]): ReturnType<LogDriver['truncate']> {
    return this.#ask(`truncate ${JSON.stringify(what)}`, () => this.#driver.truncate(what))
  }

  hold(name: string, position: string): Promise<void> {
    return this.#ask(`hold ${name} at ${position}`, () => this.#driver.hold(name, position))
  }

  release(name: string): Promise<void> {
    return this.#ask(`release ${name}`, () => this.#driver.release(name))
  }

  stats(): ReturnType<LogDriver['stats']> {
    return this.#ask('stats', () => this.#driver.stats())
  }

  verify(signal: AbortSignal): ReturnType<LogDriver['verify']> {
    return this.#driver.verify(signal)
  }

  close(): Promise<void> {
    return this.#driver.close()
  }

  /** Some or all of it is done; or it will be, after the caller has given up. */
  async #loseAnswer(what: string, group: readonly EncodedCommit[]): Promise<never> {
    const done = this.#random.chance(0.5) ? group.length : this.#random.below(group.length + 1)
    const arrive = async (): Promise<void> => {
      const outcomes = done > 0 ? await this.#driver.append(group.slice(0, done)) : []
      this.#note(`${what}: ${outcomes.length} of ${group.length} done, answer lost`)
    }
    if (this.#random.chance(0.7)) await arrive()
    else
      this.#clock.schedule(
        this.#clock.now() + this.#random.below(this.#rates.delay * LATE_FACTOR),
        () => void arrive(),
      )
    await this.#onItsWay()
    throw fault('BANYAN_OUTCOME_UNKNOWN', 'the simulated log has lost the answer')
  }

  async #ask<T>(what: string, question: () => Promise<T>): Promise<T> {
    await this.#onItsWay()
    // Half of the failures come after it was done, as with appends.
    const fails = this.#happens('failRead')
    const done = fails && this.#random.chance(0.5)
    if (!fails || done) {
      const answer = await question()
      await this.#onItsWay()
      if (!fails) return answer
    }
    this.#note(`${what}: failed`)
    throw fault('BANYAN_LOG_UNAVAILABLE', 'the simulated log cannot be reached')
  }

  #happens(fault: 'refuse' | 'loseAnswer' | 'failRead' | 'cutPage' | 'wakeForNothing'): boolean {
    return this.#active() && this.#random.chance(this.#rates[fault])
  }

  /** The time of a request or an answer. Without faults it takes some as well, only less. */
  #onItsWay(): Promise<void> {
    const longest = this.#active() ? this.#rates.delay : Math.min(1, this.#rates.delay)
    return longest === 0 ? Promise.resolve() : sleep(this.#clock, this.#random.below(1000 * longest) / 1000)
  }
}

/** Thousands are thrown on purpose; where is in the trace. */
function fault(code: EventErrorCode, message: string): Error {
  return withoutStack(() => eventError(code, message))
}
