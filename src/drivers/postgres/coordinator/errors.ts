import { BanyanError } from '../../../core/errors.js'
import { coordinationError } from '../../../coordination/errors.js'
import { toldBy } from '../faults.js'

/**
 * The error of a coordinator to throw for one of `pg`.
 *
 * @param place - where the server is
 */
export function errorOf(given: unknown, place: string): BanyanError {
  if (given instanceof BanyanError) return given
  const { error, kind, text } = toldBy(given, place)
  const code = kind === 'corrupt' ? 'BANYAN_COORDINATOR_CORRUPT' : 'BANYAN_COORDINATOR_UNAVAILABLE'
  return coordinationError(code, text, error)
}
