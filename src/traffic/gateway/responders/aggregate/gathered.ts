import type { Fields } from '../../../http/fields.js'
import type { Forwarding } from '../../forwarding.js'
import type { Allowance } from './read.js'

/** What one call of a client has brought together so far. */
export interface Gathered {
  readonly forwarding: Forwarding
  /** What expressions read: `request`, and every branch that is done. */
  readonly scope: Record<string, unknown>
  readonly allowance: Allowance
  /** Header fields of every answer that was used. */
  readonly answers: Fields[]
  /** Optional branches that have failed. */
  readonly missing: Set<string>
}
