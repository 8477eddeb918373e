import { KEYSPACE } from '../keyspace.js'
import { linePrefix } from '../line/lock.js'

/** Where one election keeps what. */
export interface ElectionKeys {
  /** Of all of them. */
  readonly prefix: string
  /** Who leads. One puts it while it is absent: that is the election. */
  readonly leader: string
  /** Of who would lead, a key each. */
  readonly candidates: string
  /** What an operator asks of who leads. */
  readonly request: string
}

/** The keys of the election of that name. */
export function electionKeys(name: string): ElectionKeys {
  const prefix = linePrefix(KEYSPACE.elections, name)
  return {
    prefix,
    leader: `${prefix}leader`,
    candidates: `${prefix}candidates/`,
    request: `${prefix}request`,
  }
}
