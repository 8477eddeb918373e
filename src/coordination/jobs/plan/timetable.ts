import { createHash } from 'node:crypto'
import { formatDuration } from '../../../core/duration.js'
import { parseCron } from './cron.js'
import { CronTimes } from './cron-times.js'
import { IntervalTimes, type Times } from './times.js'
import { Zone } from './zone.js'

/** When a job runs, as it stands in its record. */
export type JobPlan = CronPlan | IntervalPlan

/** At the times of a cron expression. */
export interface CronPlan {
  readonly cron: string
  readonly timeZone: string
  /** By up to how many ms a run is later than its time, by chance. */
  readonly jitter: number
}

/** At equal distances. */
export interface IntervalPlan {
  /** ms */
  readonly every: number
  /** One of its times, in ms since the epoch. */
  readonly anchor: number
  readonly jitter: number
}

/** A plan as people read it. */
export function describePlan(plan: JobPlan): string {
  const jitter = plan.jitter > 0 ? `, up to ${formatDuration(plan.jitter)} later` : ''
  if ('cron' in plan) return `${plan.cron} in ${plan.timeZone}${jitter}`
  const anchor = plan.anchor === 0 ? '' : ` from ${new Date(plan.anchor).toISOString()} on`
  return `every ${formatDuration(plan.every)}${anchor}${jitter}`
}

/** Whether two plans say the same. */
export function isSamePlan(a: JobPlan, b: JobPlan): boolean {
  return describePlan(a) === describePlan(b) && a.jitter === b.jitter
}

/** More than these are not counted one by one. */
const COUNTED = 10_000

/** The times of a plan, and when a run of each starts: not before its time, and before the next one. */
export class Timetable {
  readonly #times: Times
  readonly #jitter: number
  readonly #name: string

  /**
   * @param name - of the job: two with the same plan do not start at once
   * @throws `BANYAN_INVALID_OPTIONS` if there is no such cron expression or time zone
   */
  constructor(name: string, plan: JobPlan) {
    this.#name = name
    this.#jitter = plan.jitter
    this.#times =
      'cron' in plan
        ? new CronTimes(parseCron(plan.cron), new Zone(plan.timeZone))
        : new IntervalTimes(plan.every, plan.anchor)
  }

  /** The first time behind `after`. */
  next(after: number): number {
    return this.#times.next(after)
  }

  /** When the run of a time starts; the same for everybody who asks. */
  startOf(time: number): number {
    if (this.#jitter === 0) return time
    const drawn = createHash('sha256').update(`${this.#name} ${time}`).digest().readUInt32BE() / 2 ** 32
    return time + Math.floor(drawn * Math.min(this.#jitter, this.next(time) - time))
  }

  /** The last time whose run starts at `at` or before. */
  lastStarted(at: number): number {
    const last = this.#times.last(at)
    return this.startOf(last) <= at ? last : this.#times.last(last - 1)
  }

  /** The times from one to another, both of which are times; the last `limit` of them, rising. */
  between(from: number, to: number, limit: number): number[] {
    const times: number[] = []
    for (let time = to; time >= from && times.length < limit; time = this.#times.last(time - 1))
      times.push(time)
    return times.reverse()
  }

  /** How many times there are from one to another, both of which are times; 10,000 stands for more as well. */
  count(from: number, to: number): number {
    let count = 1
    for (let time = from; time < to && count < COUNTED; time = this.next(time)) count++
    return count
  }
}
