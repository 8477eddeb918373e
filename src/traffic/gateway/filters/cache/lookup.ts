import type { Forwarding } from '../../forwarding.js'
import type { Sent } from '../../semantics/variants.js'
import type { Asker, Demands } from './rules.js'

/** A request that may be answered from the cache. */
export interface Lookup {
  readonly forwarding: Forwarding
  readonly key: string
  readonly sent: Sent
  readonly demands: Demands
  readonly asker: Asker
  /** Whether nobody waits for it. */
  readonly isRefresh: boolean
}
