import type { Clock } from '../core/clock.js'

/** A moment, on both clocks. */
export interface Moment {
  readonly now: number
  readonly wall: number
}

/** The present moment. */
export function moment(clock: Clock): Moment {
  return { now: clock.now(), wall: clock.wall() }
}

/**
 * How long one moment is before another, in ms, at most: on the clock that says more. The monotonic clock of Linux stands still
 * while the machine is suspended, the wall clock may be set back; where one of them errs to the short side, the other is right.
 * A wall clock that is set forward ends leases early, which is safe.
 */
export function elapsed(from: Moment, to: Moment): number {
  return Math.max(to.now - from.now, to.wall - from.wall)
}

/** How long ago a moment was; see {@link elapsed}. */
export function elapsedSince(from: Moment, clock: Clock): number {
  return elapsed(from, moment(clock))
}
