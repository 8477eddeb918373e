/**
 * The checker of linearizability. Calls to anything shared are recorded by a `recordHistory`, with their times; `checkLinearizability`
 * says whether they could have been made one after the other, each at some moment between its call and its return, against a model
 * of what is shared. What nobody knows the outcome of may have taken effect at any time after, or never.
 */
export { checkLinearizability, type LinearizabilityOptions, type LinearizabilityVerdict } from './check.js'
export { UNKNOWN, partitionBy, type SequentialModel, type Step, type Unknown } from './model.js'
export type { AnsweredOperation, Operation, UnansweredOperation } from './operation.js'
export type { Violation } from './evidence.js'
export { recordHistory, type RecordedOperations, type RecordHistoryOptions } from './recorder.js'
export { coordinatorModel } from './coordinator-model.js'
export { recordCoordinator, type CoordinatorRecorder } from './coordinator-recorder.js'
export type {
  CoordinatorEntry,
  CoordinatorInput,
  CoordinatorOperation,
  CoordinatorOutput,
  CoordinatorState,
} from './coordinator.js'
export { checkRevisions } from './revisions.js'
