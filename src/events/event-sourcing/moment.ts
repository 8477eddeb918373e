import { eventError } from '../errors.js'
import type { Position } from '../log.js'
import { checkPosition, checkTime } from '../places.js'

/** The state at which moment, one of these; by default now. */
export type Moment =
  | { readonly revision: number }
  | { readonly position: Position }
  /** ms since the epoch, as events were recorded. */
  | { readonly time: number }

const MOMENTS = ['revision', 'position', 'time']

/** @throws `BANYAN_INVALID_SELECTOR`, `BANYAN_INVALID_POSITION` */
export function checkMoment(at: Moment): void {
  const names = typeof at === 'object' && (at as object | null) !== null ? Object.keys(at) : []
  if (names.length !== 1 || !MOMENTS.includes(names[0]!))
    throw eventError(
      'BANYAN_INVALID_SELECTOR',
      `a moment is { revision }, { position } or { time } in ms since the epoch, one of them, got ${JSON.stringify(at)}`,
    )
  if ('time' in at) checkTime(at.time)
  else if ('position' in at) checkPosition(at.position, 'the position of a moment')
  else if (!Number.isSafeInteger(at.revision) || at.revision < 0)
    throw eventError(
      'BANYAN_INVALID_SELECTOR',
      `a revision is a whole number from 0, got ${String(at.revision)}`,
    )
}

/** What is said of a moment that has not been. */
export function notYet(what: string): Error {
  return eventError('BANYAN_POSITION_AHEAD', `${what}: there is no state of then`)
}
