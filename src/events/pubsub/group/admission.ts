import { sleep } from '../../../core/clock.js'
import { eventError } from '../../errors.js'
import type { EventLog } from '../../log.js'
import { isGone } from '../../owner.js'
import type { Settings } from '../options.js'
import { created, readGroup, type Found } from './create.js'
import { groupStream } from './names.js'
import type { GroupEvent, GroupState } from './state.js'
import { difference, termsOf } from './terms.js'

/** How often a newcomer looks whether those it has asked have answered. */
const LOOK_MS = 100

/**
 * Makes somebody a member of a group, which is created if it is not there. All members follow the topic in the same way:
 * another one is let in only when nobody is there any more who follows it otherwise, and from then on that way holds.
 *
 * @param instead - a member that leaves for it
 * @returns the group before
 * @throws `BANYAN_SUBSCRIPTION_MISMATCH`
 */
export async function admitted(
  log: EventLog,
  settings: Settings,
  member: string,
  instead: string | undefined,
): Promise<Found> {
  const terms = termsOf(settings)
  for (;;) {
    const found = await created(log, settings)
    const { state } = found
    const others = state.members.filter((each) => each !== instead && !isGone(each))
    const what = state.terms && difference(state.terms, terms)
    if (what !== undefined && others.length > 0) {
      if (await isAnybodyThere(log, settings, state, others, member))
        throw differs(settings.name, others, what)
      continue
    }
    const events = arrival(state, member)
    if (!state.terms || what !== undefined) events.unshift({ type: 'Changed', data: { terms } })
    if (await append(log, settings.name, events, state.revision)) return found
  }
}

/** What a member appends that comes: it asks whoever is there already to say so. */
export function arrival({ members }: GroupState, member: string): GroupEvent[] {
  const gone = members.filter(isGone)
  const others = members.filter((each) => !gone.includes(each))
  const events: GroupEvent[] = gone.map((each) => ({ type: 'Left', data: { member: each, by: member } }))
  events.push({ type: 'Joined', data: { member } })
  if (others.length > 0) events.push({ type: 'Asked', data: { members: others, by: member } })
  return events
}

/** Asks, and waits for an answer. Those who give none have left. */
async function isAnybodyThere(
  log: EventLog,
  { name, takeover, runtime: { clock } }: Settings,
  { asked }: GroupState,
  others: readonly string[],
  by: string,
): Promise<boolean> {
  const unasked = others.filter((each) => !asked.has(each))
  if (unasked.length > 0) await append(log, name, [{ type: 'Asked', data: { members: unasked, by } }], 'any')
  const until = clock.now() + takeover
  for (;;) {
    const { state } = await readGroup(log, name)
    const present = others.filter((each) => state.members.includes(each) && !isGone(each))
    if (present.some((each) => !state.asked.has(each))) return true
    if (present.length === 0) return false
    if (clock.now() >= until) {
      const left = present.map((each): GroupEvent => ({ type: 'Left', data: { member: each, by } }))
      if (await append(log, name, left, state.revision)) return false
    }
    await sleep(clock, LOOK_MS)
  }
}

/** @returns false if others were faster */
async function append(
  log: EventLog,
  name: string,
  events: readonly GroupEvent[],
  expected: number | 'none' | 'any',
): Promise<boolean> {
  return (await log.append({ streams: [{ stream: groupStream(name), expected, events }] })).ok
}

/** @throws `BANYAN_SUBSCRIPTION_MISMATCH` */
export function differs(name: string, others: readonly string[], what: string): Error {
  const who = others.length > 0 ? `${others.join(', ')} take${others.length === 1 ? 's' : ''}` : 'others take'
  return eventError(
    'BANYAN_SUBSCRIPTION_MISMATCH',
    `${who} part in subscription ${name} with other settings (${what}): what some handle others would pass over in silence. ` +
      'End all of those first, then the new settings hold; or take another name',
  )
}
