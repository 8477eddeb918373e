import type { MoveStep, ShardStore } from '../store.js'

/** The two sides of a move. */
export interface Sides {
  readonly source: ShardStore<unknown>
  readonly target: ShardStore<unknown>
  readonly step: MoveStep
}
