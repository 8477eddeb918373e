import { eventError } from '../errors.js'
import type { LaneKey } from './store.js'

/** The name of a lane: its stream, or `@` and the id of a message that has no key. */
export function laneNameOf(lane: LaneKey): string {
  if ('id' in lane) return `@${lane.id}`
  const name = `${lane.topic}-${lane.key}`
  return name.startsWith('@') ? `@${name}` : name
}

/**
 * The lane of a name.
 *
 * @throws `BANYAN_INVALID_SELECTOR`
 */
export function laneOf(name: string): LaneKey {
  if (name.startsWith('@') && !name.startsWith('@@')) return { id: name.slice(1) }
  const stream = name.startsWith('@@') ? name.slice(1) : name
  const dash = stream.indexOf('-')
  if (dash < 1 || dash === stream.length - 1)
    throw eventError(
      'BANYAN_INVALID_SELECTOR',
      `a lane is called topic-key, or @ID for a message without a key; got ${JSON.stringify(name)}`,
    )
  return { topic: stream.slice(0, dash), key: stream.slice(dash + 1) }
}
