import type { Runtime } from '../../../core/runtime.js'
import type { Turns } from '../../../core/turns.js'
import type { ResourceApi } from '../api.js'
import type { Authorize } from './access.js'
import type { EncodedEvents } from './encoded-events.js'
import type { Meter } from './meter.js'
import type { Status } from './status.js'

/** What is around a request. */
export interface Surroundings {
  readonly api: ResourceApi
  /** Undefined: everything is allowed. */
  readonly authorize: Authorize | undefined
  readonly runtime: Runtime
  /** Aborted when the server is about to close. */
  readonly closing: AbortSignal
  readonly encoded: EncodedEvents
  readonly meter: Meter
  readonly turns: Turns
  /** What clients are told of an error; notes those that are faults of ours. */
  statusOf(error: unknown): Status
}
