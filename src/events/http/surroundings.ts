import type { Clock } from '../../core/clock.js'
import type { EventLog, RecordedEvent } from '../log.js'
import type { Scope } from './scope.js'

/** What the parts of the handler work with. */
export interface EventsSurroundings {
  readonly log: EventLog
  readonly clock: Clock
  readonly closing: AbortSignal
  readonly scope: Scope
  readonly actor: 'caller' | 'given'
  /** ms */
  readonly heartbeat: number
  readonly bodyBytes: number
  /** An event as JSON of a CloudEvent. */
  readonly textOf: (event: RecordedEvent) => string
}
