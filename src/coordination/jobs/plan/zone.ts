import { BanyanError } from '../../../core/errors.js'
import { suggest } from '../../../core/suggest.js'

const DAY_MS = 86_400_000
const OFFSET = /GMT(?:([+-])(\d{2}):(\d{2})(?::(\d{2}))?)?$/

/** A time zone: what clocks on the wall show. A local time is written as the ms since the epoch that UTC would have then. */
export class Zone {
  readonly #format: Intl.DateTimeFormat | undefined

  /**
   * @param name - as in the IANA database: `Europe/Berlin`
   * @throws `BANYAN_INVALID_OPTIONS` if there is no such zone
   */
  constructor(name: string) {
    try {
      const format = new Intl.DateTimeFormat('en-US', { timeZone: name, timeZoneName: 'longOffset' })
      // By far the most common, and nothing has to be asked for.
      if (format.resolvedOptions().timeZone !== 'UTC') this.#format = format
    } catch (error) {
      const near = suggest(name, Intl.supportedValuesOf('timeZone'))
      throw new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        `there is no time zone ${JSON.stringify(name)}${near ? `, did you mean ${near}?` : ''}`,
        { cause: error },
      )
    }
  }

  /** By how many ms its clocks are ahead of UTC. */
  offset(at: number): number {
    if (!this.#format) return 0
    const text = this.#format.format(at)
    const match = OFFSET.exec(text)
    if (!match) throw new Error(`the offset of a time zone cannot be read from ${JSON.stringify(text)}`)
    const [, sign, hours = 0, minutes = 0, seconds = 0] = match
    const ms = ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000
    return sign === '-' ? -ms : ms
  }

  /** When its clocks show a time first; if they are put forward over it, the moment when that happens. */
  at(local: number): number {
    // A zone has no two changes within two days.
    const before = this.offset(local - DAY_MS)
    const after = this.offset(local + DAY_MS)
    const early = local - Math.max(before, after)
    const late = local - Math.min(before, after)
    if (local - this.offset(early) === early) return early
    if (local - this.offset(late) === late) return late
    return this.change(early, late)
  }

  /** The first moment behind `from`, and not behind `to`, at which its clocks are off UTC otherwise than at `from`. */
  change(from: number, to: number): number {
    const offset = this.offset(from)
    let before = from
    let after = to
    while (after - before > 1) {
      const middle = Math.floor((before + after) / 2)
      if (this.offset(middle) === offset) before = middle
      else after = middle
    }
    return after
  }
}
