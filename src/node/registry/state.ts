/** What `banyan status` and `GET /api/state` tell of one instance that the node keeps in the registry. */
export interface RegisteredState {
  service: string
  id: string
  address: string
  /** Whether it is in the registry. */
  registered: boolean
  state: 'passing' | 'warning' | 'critical'
  draining: boolean
  /** Why it never will be. */
  problem?: string
}
