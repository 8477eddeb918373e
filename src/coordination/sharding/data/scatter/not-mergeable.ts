import { coordinationError } from '../../../errors.js'

/** @param why - what cannot be merged, and what to write instead */
export function notMergeable(why: string): Error {
  return coordinationError('BANYAN_QUERY_NOT_MERGEABLE', why)
}
