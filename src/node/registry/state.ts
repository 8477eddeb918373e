/** What `banyan status` and `GET /api/state` tell of one instance that the node keeps in the registry. */
export interface RegisteredState {
  service: string
  id: string
  address: string
  /** Whether it is in the registry. */
  registered: boolean
  state: 'passing' | 'warning' | 'critical'
  draining: boolean
  /** Why it is not, or will not be for long: another has its id, an operator has drained it, or it never can be. */
  problem?: string
}
