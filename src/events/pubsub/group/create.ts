import { eventError } from '../../errors.js'
import type { EventLog, Position } from '../../log.js'
import { START } from '../../position.js'
import type { Settings } from '../options.js'
import { groupStream, holdName } from './names.js'
import { mustBeThere, positionOf } from './place.js'
import { GroupState, type GroupEvent } from './state.js'
import { termsOf } from './terms.js'

const PARTITIONS = 4
const GOES_BY = { stream: 'the streams of messages', function: 'a key function' }

/** A group as it was read, and up to where. */
export interface Found {
  readonly state: GroupState
  readonly position: Position
}

/** Reads the state of a group, and where it was read up to. */
export async function readGroup(log: EventLog, name: string): Promise<Found> {
  const state = new GroupState()
  let position: Position = START
  for await (const event of log.read<GroupEvent>({ stream: groupStream(name) })) {
    state.apply(event)
    position = event.position
  }
  return { state, position }
}

/**
 * The state of a group, which is created if it is not there.
 *
 * @throws `BANYAN_SUBSCRIPTION_MISMATCH`
 */
export async function created(log: EventLog, settings: Settings): Promise<Found> {
  const { name, topic, partitions = PARTITIONS } = settings
  for (;;) {
    const found = await readGroup(log, name)
    if (found.state.isCreated) {
      mustMatch(found.state, settings)
      return found
    }
    const from = await positionOf(log, settings.from)
    await mustBeThere(log, settings.selector, `subscription ${name} does not begin there`, settings.from)
    if (settings.hold) await log.hold(holdName(name), from)
    await log.append({
      streams: [
        {
          stream: groupStream(name),
          expected: found.state.revision,
          events: [{ type: 'Created', data: { topic, from, partitions, terms: termsOf(settings) } }],
        },
      ],
    })
  }
}

function mustMatch(state: GroupState, { name, topic, partitions, key, assignment }: Settings): void {
  if (state.topic !== topic)
    throw mismatch(name, `follows the topic ${state.topic}, not ${topic}`, 'a subscription of another name')
  if (partitions !== undefined && partitions !== state.partitions.length)
    throw mismatch(
      name,
      `has ${state.partitions.length} partitions, not ${partitions}`,
      'a subscription of another name, as keys would change their partition and lose their order',
    )
  const assigned = state.terms?.assignment
  if (assigned !== assignment)
    throw mismatch(
      name,
      `has its partitions ${assignedBy(assigned)}, not ${assignedBy(assignment)}`,
      'a subscription of another name, as keys would change their partition and lose their order',
    )
  const own = key ? 'function' : 'stream'
  if (state.terms && state.terms.key !== own)
    throw mismatch(
      name,
      `has its order by ${GOES_BY[state.terms.key]}, not by ${GOES_BY[own]}`,
      'a subscription of another name, as what waits in a lane would not be found any more',
    )
}

function assignedBy(map: string | undefined): string {
  return map === undefined ? 'shared evenly' : `assigned by the shard map ${map}`
}

function mismatch(name: string, what: string, instead: string): Error {
  return eventError(
    'BANYAN_SUBSCRIPTION_MISMATCH',
    `subscription ${name} was created before, and ${what}. Take ${instead}, or delete it first`,
  )
}
