import type { CoordinatorCapabilities } from '../../coordination/index.js'

/** What `banyan status` and `GET /api/state` tell of the coordinator; without what it promises until it was reached once. */
export interface CoordinationState extends Partial<CoordinatorCapabilities> {
  driver: string
  /** How long it took to answer, in ms. */
  latency?: number
  /** Why it cannot be asked. */
  problem?: string
}
