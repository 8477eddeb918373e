/**
 * Sagas: transactions over several services, durable on the log. `definition.ts` is what users write; `script.ts` runs their
 * code against what has happened; `state.ts` is what has happened, from the events of `records.ts`; `execution.ts` brings one
 * saga as far as it goes; `runner.ts` shares them among processes; `sagas.ts` starts, asks and steers them.
 */
export {
  saga,
  type AnySaga,
  type CallOptions,
  type CompensationContext,
  type SagaContext,
  type SagaDefinition,
  type StepContext,
  type StepOptions,
} from './definition.js'
export { policy, type AnyPolicy, type PolicyContext, type PolicyDefinition } from './policies/policy.js'
export {
  answered,
  retryable,
  terminal,
  StepFailedError,
  type ErrorInfo,
  type FailureClass,
  type HttpAnswer,
} from './failure.js'
export { runSagas, type RunSagasOptions, type SagaRunner } from './runner.js'
export type { Asker, SignalOptions, StartOptions } from './options.js'
export { sagas, type SagaOutcome, type Sagas, type SagasOptions, type StartedSaga } from './sagas.js'
export type { FollowSagasOptions, SagaChange, SagaChanges } from './changes.js'
export type { ListOptions } from './list.js'
export type { SagaMoment } from './moments.js'
export type { ListedSaga, SagaStatus, SagaSummary } from './status.js'
export type { FailedTry, SagaRemedy, SagaStepView, SagaView } from './timeline.js'
export type { Trace, TracedEvent, TraceNode, TraceOptions } from './trace.js'
export type { EventSummary, ReactionView } from './policies/view.js'
export type { EventPlace } from './records.js'
