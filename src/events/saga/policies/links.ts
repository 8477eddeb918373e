import type { RecordedEvent } from '../../log.js'
import { reactionId } from './reaction.js'

/**
 * The ids of sagas that have appended an event, if there are such sagas: what is done under an idempotency key of a saga, or
 * with the metadata that a reaction is given, says so.
 */
export function* likelySagasOf({ commit, metadata }: RecordedEvent): Generator<string> {
  const { causationId, policy } = metadata
  for (const name of [commit, causationId]) if (typeof name === 'string') yield* beginningsOf(name)
  if (typeof policy === 'string' && typeof causationId === 'string') yield reactionId(policy, causationId)
}

/** Everything of a name in front of one of its slashes. */
function* beginningsOf(name: string): Generator<string> {
  for (let end = name.lastIndexOf('/'); end > 0; end = name.lastIndexOf('/', end - 1))
    yield name.slice(0, end)
}
