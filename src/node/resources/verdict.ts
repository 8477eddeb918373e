import type { Resource } from '../../coordination/resources/object.js'
import type { Condition } from './status.js'

/** Whether something is so, and why. */
export type Finding = Pick<Condition, 'status' | 'reason' | 'message'>

/** What a node has to say of a resource. */
export interface Verdict {
  /** As it was looked at. */
  readonly resource: Resource
  /** Whether a node can run it. */
  readonly accepted: Finding
  /** Whether this node runs it, as it is now. */
  readonly programmed: Finding
}
