import { coordinationError } from '../../../errors.js'

/** @param what - rows, groups */
export function tooLarge(limit: number, what: string): Error {
  return coordinationError(
    'BANYAN_QUERY_TOO_LARGE',
    `the answer has more than ${limit} ${what}: ask for less, read it with queryStream, or raise maxRows`,
  )
}
