import type { Cron } from './cron.js'
import type { Times } from './times.js'
import type { Zone } from './zone.js'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
/** After 400 years the same dates are on the same weekdays again: what does not happen in these never does. */
const CYCLE_MS = 146_097 * DAY_MS
/** How far back the last time is looked for, little by little. */
const BACK_MS = [HOUR_MS, DAY_MS, 7 * DAY_MS, 32 * DAY_MS, 366 * DAY_MS, CYCLE_MS]

/**
 * The times of a cron expression in a time zone. Where clocks are changed it is as Vixie cron does it:
 *
 * - An expression that names its times of day (`30 2 * * *`) has each of them once on each of its days. One that the clocks
 *   are put forward over is at the moment when that happens; two of these are one. One that the clocks show twice is the
 *   first time.
 * - One with `*` in its minute or hour (`30 * * * *`) is whenever the clocks show it: not while they are put forward, and
 *   twice where they show it twice. So the distance stays the same.
 */
export class CronTimes implements Times {
  readonly #cron: Cron
  readonly #zone: Zone

  constructor(cron: Cron, zone: Zone) {
    this.#cron = cron
    this.#zone = zone
  }

  next(after: number): number {
    return this.#cron.isNamed ? this.#nextNamed(after) : this.#nextShown(after)
  }

  last(upTo: number): number {
    for (const back of BACK_MS) {
      let last = this.next(upTo - back - 1)
      if (last > upTo) continue
      // Behind it there is none any more from `none` on; there may be many in between.
      for (let none = upTo; last < none;) {
        const time = this.next(Math.floor((last + none) / 2))
        if (time <= upTo) last = time
        else none = Math.floor((last + none) / 2)
      }
      return last
    }
    throw neverHappens()
  }

  #nextNamed(after: number): number {
    // What is shown a day before is surely over: no clock is put back by more.
    const from = after + this.#zone.offset(after) - DAY_MS
    for (let local = this.#nextLocal(from); ; local = this.#nextLocal(local + MINUTE_MS)) {
      const time = this.#zone.at(local)
      if (time > after) return time
    }
  }

  #nextShown(after: number): number {
    let from = after + 1
    for (;;) {
      const offset = this.#zone.offset(from)
      const time = this.#nextLocal(from + offset) - offset
      // Nothing is missed by leaving out days before it: no clocks differ by more than one (those of Samoa did, in 2011).
      const until = Math.min(time, from + DAY_MS)
      const change = this.#zone.offset(until) === offset ? undefined : this.#zone.change(from, until)
      if (change === undefined && until === time) return time
      if (change !== undefined && time < change) return time
      from = change ?? Math.max(until, time - 2 * DAY_MS)
    }
  }

  /** The first local time at or behind one. */
  #nextLocal(from: number): number {
    const { hours, minutes } = this.#cron
    const start = Math.ceil(from / MINUTE_MS) * MINUTE_MS
    for (let day = Math.floor(start / DAY_MS) * DAY_MS; day <= from + CYCLE_MS; day = this.#nextDay(day)) {
      const date = new Date(day)
      if (!this.#cron.hasDay(date.getUTCMonth() + 1, date.getUTCDate(), date.getUTCDay())) continue
      for (const hour of hours) {
        if (day + (hour + 1) * HOUR_MS <= start) continue
        for (const minute of minutes) {
          const local = day + hour * HOUR_MS + minute * MINUTE_MS
          if (local >= start) return local
        }
      }
    }
    throw neverHappens()
  }

  /** The day after; of a month that it does not have, the first one behind it. */
  #nextDay(day: number): number {
    const date = new Date(day)
    if (this.#cron.hasMonth(date.getUTCMonth() + 1)) return day + DAY_MS
    return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1)
  }
}

/** `parseCron` refuses such. */
function neverHappens(): Error {
  return new Error('a cron expression has no time in 400 years')
}
