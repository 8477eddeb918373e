/**
 * What tests of your own need: time and chance under control, a conformance suite for drivers of the event log, and a
 * checker of what happened to one.
 *
 * @packageDocumentation
 */
export { virtualClock, virtualRuntime, type VirtualClock, type VirtualRuntime } from './virtual-clock.js'
export {
  logConformance,
  type ConformanceCase,
  type LogSetup,
  type LogUnderTest,
  type OpenTransaction,
} from './conformance/index.js'
export {
  coordinatorConformance,
  type CoordinatorSetup,
  type CoordinatorUnderTest,
  type EngineFaults,
} from './coordination/index.js'
export {
  checkHistory,
  digestOfEvent,
  historyOf,
  historyRecorder,
  loggedEvents,
  readHistory,
  seenEvent,
  type Anomaly,
  type AnomalyKind,
  type Attempt,
  type AttemptedStream,
  type AttemptOutcome,
  type CheckOptions,
  type FollowerRun,
  type History,
  type HistoryEntry,
  type HistoryRecorder,
  type RecordedHistory,
  type RecorderOptions,
  type SeenBatch,
  type SeenEvent,
  type Verdict,
} from './history/index.js'
export {
  readModelConformance,
  type ReadModelSetup,
  type ReadModelStoreUnderTest,
} from './read-models/index.js'
export { shardStoreConformance, type ShardStoreSetup, type ShardStoresUnderTest } from './shards/index.js'
export {
  conformanceKinds,
  resourceApiConformance,
  type ResourceApiSetup,
  type ResourceApiTools,
  type ResourceApiUnderTest,
} from './resources/conformance/index.js'
export {
  faultyResources,
  type FaultyResourcesOptions,
  type ResourceFaults,
} from './resources/faulty-resources.js'
export {
  simulateController,
  type ControllerProcess,
  type SimulateControllerOptions,
} from './resources/simulate-controller.js'
export { memoryReadModels } from '../drivers/memory/read-models.js'
export { memoryLog } from '../drivers/memory/log.js'
export {
  faultyLog,
  simulate,
  SimulationError,
  type Faults,
  type FaultyLogOptions,
  type LogFaults,
  type NodeFaults,
  type NodeHandle,
  type NodeOptions,
  type Program,
  type Simulated,
  type SimulatedCoordination,
  type SimulatedLog,
  type SimulatedNode,
  type SimulateOptions,
  type World,
} from './simulator/index.js'
export type { Choices } from './seed.js'
export { SagaTrialError, trySaga, type TriedSaga, type TrySagaOptions } from './sagas/index.js'
export {
  checkLinearizability,
  checkRevisions,
  coordinatorModel,
  partitionBy,
  recordCoordinator,
  recordHistory,
  UNKNOWN,
  type AnsweredOperation,
  type CoordinatorEntry,
  type CoordinatorInput,
  type CoordinatorOperation,
  type CoordinatorOutput,
  type CoordinatorRecorder,
  type CoordinatorState,
  type LinearizabilityOptions,
  type LinearizabilityVerdict,
  type Operation,
  type RecordedOperations,
  type RecordHistoryOptions,
  type SequentialModel,
  type Step,
  type UnansweredOperation,
  type Unknown,
  type Violation,
} from './linearizability/index.js'
export {
  faultyCoordinator,
  type CoordinatorFaults,
  type FaultyCoordinatorOptions,
} from './coordination/faulty-coordinator.js'
