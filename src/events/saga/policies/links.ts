import type { RecordedEvent } from '../../log.js'
import { reactionId } from './reaction.js'

/** What may have led to an event: a saga or an event of that id, if there is one. */
export type LikelyCause = { readonly saga: string } | { readonly event: string }

/**
 * What may have led to an event, the likeliest first. What is done with the metadata that a reaction was given says so; what
 * is done under an idempotency key of a saga has a commit or a cause whose name begins with the id of that.
 */
export function* likelyCausesOf({ commit, metadata }: RecordedEvent): Generator<LikelyCause> {
  const { causationId: cause, policy } = metadata
  const isCaused = typeof cause === 'string'
  if (isCaused && typeof policy === 'string') {
    yield { saga: reactionId(policy, cause) }
    yield { event: cause }
  }
  yield* beginningsOf(commit)
  if (!isCaused) return
  yield { event: cause }
  // A parent says so by its id.
  yield { saga: cause }
  yield* beginningsOf(cause)
}

/** Sagas that are called like everything of a name in front of one of its slashes. */
function* beginningsOf(name: string): Generator<LikelyCause> {
  for (let end = name.lastIndexOf('/'); end > 0; end = name.lastIndexOf('/', end - 1))
    yield { saga: name.slice(0, end) }
}
