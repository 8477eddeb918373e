import type { Clock } from '../../core/clock.js'
import type { RecordedEvent } from '../log.js'
import type { Copy } from './copy.js'
import type { Scope } from './scope.js'
import type { FindSubscription } from './subscriptions.js'
import type { TopicRules } from './topics.js'
import type { OfferedLog } from './visible.js'

/** What the parts of the handler work with. */
export interface EventsSurroundings {
  readonly log: OfferedLog
  readonly clock: Clock
  readonly closing: AbortSignal
  readonly scope: Scope
  /** What the log is, if it is a copy. */
  readonly copy: Copy | undefined
  readonly actor: 'caller' | 'given'
  /** Whether clients are operators. */
  readonly operators: boolean
  readonly topics: () => Readonly<Record<string, TopicRules>> | undefined
  readonly findSubscription: FindSubscription
  /** ms */
  readonly heartbeat: number
  readonly bodyBytes: number
  /** An event as JSON of a CloudEvent. */
  readonly textOf: (event: RecordedEvent) => string
}
