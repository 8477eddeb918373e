/**
 * Projections: read models made of events. A projection says what each event does to its tables (`projection.ts`), a
 * projector follows the log and applies it together with its checkpoint (`projector.ts`), queries wait until a read model is
 * as new as they need it (`reading.ts`), and versions are built beside each other and switched (`versions.ts`). Engines
 * bring a store (`store.ts`).
 */
export { atLeastOnce, type CheckpointStore } from './at-least-once.js'
export type { InlineOptions } from './inline/options.js'
export type { RunFence, RunOptions } from './options.js'
export {
  projection,
  type AnyProjection,
  type EffectContext,
  type Projection,
  type ProjectionContext,
  type ProjectionDefinition,
  type ProjectionHandlers,
} from './projection.js'
export type { Projector, ProjectorState, ProjectorStatus } from './projector.js'
export { readModels, type ReadModels, type ReadModelsOptions, type RebuildOptions } from './read-models.js'
export type { QueryContext, QueryOptions } from './reading.js'
export type { Redriven } from './redrive.js'
export type { PartStatus, ProjectionStatus } from './status.js'
export type {
  CheckpointRow,
  ParkedQuery,
  ParkedRow,
  ProjectionState,
  ReadModelStore,
  StoreTransaction,
  StoreView,
  View,
} from './store.js'
export type { Switched, SwitchOptions } from './versions.js'
