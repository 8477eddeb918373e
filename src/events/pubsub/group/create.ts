import { eventError } from '../../errors.js'
import type { EventLog, Position } from '../../log.js'
import { START } from '../../position.js'
import type { Settings } from '../options.js'
import { groupStream, holdName } from './names.js'
import { GroupState, type GroupEvent } from './state.js'

const PARTITIONS = 4

/** Reads the state of a group, and where it was read up to. */
export async function readGroup(
  log: EventLog,
  name: string,
): Promise<{ state: GroupState; position: Position }> {
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
export async function created(
  log: EventLog,
  settings: Settings,
): Promise<{ state: GroupState; position: Position }> {
  const { name, topic, partitions } = settings
  for (;;) {
    const found = await readGroup(log, name)
    if (found.state.isCreated) {
      mustMatch(found.state, settings)
      return found
    }
    const from = await startOf(log, settings)
    if (settings.hold) await log.hold(holdName(name), from)
    await log.append({
      streams: [
        {
          stream: groupStream(name),
          expected: found.state.revision,
          events: [{ type: 'Created', data: { topic, from, partitions: partitions ?? PARTITIONS } }],
        },
      ],
    })
  }
}

async function startOf(log: EventLog, { from }: Settings): Promise<Position> {
  if (typeof from === 'object') return log.positionAt(from.time)
  if (from === 'end') return log.head()
  return from === 'start' ? START : from
}

function mustMatch(state: GroupState, { name, topic, partitions }: Settings): void {
  if (state.topic !== topic)
    throw mismatch(name, `follows the topic ${state.topic}, not ${topic}`, 'a subscription of another name')
  if (partitions !== undefined && partitions !== state.partitions.length)
    throw mismatch(
      name,
      `has ${state.partitions.length} partitions, not ${partitions}`,
      'a subscription of another name, as keys would change their partition and lose their order',
    )
}

function mismatch(name: string, what: string, instead: string): Error {
  return eventError(
    'BANYAN_SUBSCRIPTION_MISMATCH',
    `subscription ${name} was created before, and ${what}. Take ${instead}, or delete it first`,
  )
}
