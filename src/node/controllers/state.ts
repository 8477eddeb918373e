import type { ControllerState } from '../../coordination/index.js'

/** What `banyan status` and `GET /api/state` tell of kinds and controllers. */
export interface HostedKindsState {
  /** Kinds that are served, as `promotions.shop.example`. */
  readonly kinds: readonly string[]
  /** Controllers by name. */
  readonly controllers: Readonly<Record<string, HostedControllerState>>
  /** Why nothing is served yet. */
  readonly problem?: string
}

/** How a controller is. */
export interface HostedControllerState extends ControllerState {
  /** What it looks after, as `promotions.shop.example`. */
  readonly resource: string
  /** Resources whose last reconcile has failed. */
  readonly failing: number
  /** What went wrong with one of them. */
  readonly problem?: string
}
