/**
 * Event sourcing: things whose state is what has happened to them. A decider says what happens next (`decider.ts`), a
 * repository brings it together with the log (`repository.ts`), states are made of events and of snapshots (`replay.ts`).
 */
export type { Decider } from './decider.js'
export {
  repository,
  type CommandOptions,
  type Handled,
  type Repository,
  type RepositoryOptions,
} from './repository.js'
export type { Loaded, Moment, SnapshotOptions } from './replay.js'
export { renamed, upcasters, type Renamed, type Upcaster, type Upcasters } from './upcasters.js'
export { memorySnapshots, type Snapshot, type SnapshotStore } from './snapshots.js'
