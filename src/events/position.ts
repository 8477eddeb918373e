import { eventError } from './errors.js'
import type { Position } from './log.js'

/** Before the first event of any log. */
export const START: Position = '0'

/** Digits of the largest number that JavaScript counts exactly; all of the same length, positions compare as text. */
const DIGITS = 16
const FORM = /^(0|\d{16})$/

/** The position of a driver that counts. */
export function formatPosition(number: number): Position {
  return number === 0 ? START : String(number).padStart(DIGITS, '0')
}

/**
 * The number of a position made by {@link formatPosition}.
 *
 * @throws `BANYAN_INVALID_POSITION`
 */
export function parsePosition(position: Position): number {
  if (typeof position !== 'string' || !FORM.test(position))
    throw eventError(
      'BANYAN_INVALID_POSITION',
      `${JSON.stringify(position)} is not a position of this log; positions are taken from events, batches and results, not made`,
    )
  return Number(position)
}
