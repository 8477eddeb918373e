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
 * How long ago a moment was, in ms, at most: on the clock that says more. The monotonic clock of Linux stands still while the
 * machine is suspended, the wall clock may be set back; where one of them errs to the short side, the other is right. A wall
 * clock that is set forward ends leases early, which is safe.
 */
export function elapsedSince({ now, wall }: Moment, clock: Clock): number {
  return Math.max(clock.now() - now, clock.wall() - wall)
}
