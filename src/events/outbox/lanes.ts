import { eventError } from '../errors.js'
import type { LaneKey } from './store.js'

/** The name of a lane: its stream, or `@` and the id of a message that has no key. */
export function laneNameOf(lane: LaneKey): string {
  if ('id' in lane) return `@${lane.id}`
  const name = `${lane.topic}-${lane.key}`
  return name.startsWith('@') ? `@${name}` : name
}

/**
 * The lanes that a name can be of: a row that SQL has written may have a topic with a dash, or a key that is empty.
 *
 * @throws `BANYAN_INVALID_SELECTOR`
 */
export function lanesOf(name: string): LaneKey[] {
  if (name.startsWith('@') && !name.startsWith('@@')) return [{ id: name.slice(1) }]
  const stream = name.startsWith('@@') ? name.slice(1) : name
  const lanes: LaneKey[] = []
  for (let dash = stream.indexOf('-'); dash !== -1; dash = stream.indexOf('-', dash + 1))
    lanes.push({ topic: stream.slice(0, dash), key: stream.slice(dash + 1) })
  if (lanes.length > 0) return lanes
  throw eventError(
    'BANYAN_INVALID_SELECTOR',
    `a lane is called topic-key, or @ID for a message without a key; got ${JSON.stringify(name)}`,
  )
}
