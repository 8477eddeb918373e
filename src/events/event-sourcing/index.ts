/**
 * Event sourcing: things whose state is what has happened to them. A decider says what happens next (`decider.ts`), a
 * repository brings it together with the log (`repository.ts`): it handles commands (`command-handler.ts`) on states that
 * are made of events and of snapshots (`replay.ts`), and looks back: at what has changed (`diff.ts`), who did it
 * (`audit.ts`), and what takes it back (`undo.ts`).
 */
export { auditTrail, type AuditEntry, type AuditOptions, type AuditSelection } from './audit.js'
export { changesBetween, type Change } from './changes.js'
export type { CommandOptions, Handled } from './command-handler.js'
export type { Decider } from './decider.js'
export type { StateDiff } from './diff.js'
export { repository, type Repository, type UndoableRepository } from './repository.js'
export type { RepositoryOptions } from './repository-options.js'
export type { Moment } from './moment.js'
export type { Loaded } from './replay.js'
export type { SnapshotOptions } from './state-cache.js'
export { renamed, upcasters, type Renaming, type Upcaster, type Upcasters } from './upcasters.js'
export { memorySnapshots, type Snapshot, type Snapshots, type SnapshotStore } from './snapshots.js'
export {
  undoable,
  type Inverses,
  type UndoableDecider,
  type UndoableOptions,
  type UndoOptions,
  type UndoState,
} from './undo.js'
