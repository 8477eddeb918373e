import { eventError } from '../../errors.js'
import type { EventLog, StreamAppend } from '../../log.js'
import { isGone } from '../../owner.js'
import { readGroup } from '../group/create.js'
import { SUBSCRIPTIONS, groupStream, holdName, ledgerStream } from '../group/names.js'
import { positionOf } from '../group/place.js'
import type { Settings } from '../options.js'
import { appendToGroup, changeGroup } from './change.js'
import { descriptionStream } from './description.js'
import type { Picture } from './picture.js'

/**
 * Deletes a subscription. What says so is the last event of each of its streams: their revisions go on, and other holds
 * may keep events before it.
 *
 * @throws `BANYAN_SUBSCRIPTION_IN_USE`
 */
export async function removeSubscription(log: EventLog, name: string, force: boolean): Promise<void> {
  const { ledgers, ends } = await changeGroup(log, name, async (picture) => {
    if (!force) mustBeUnused(picture)
    const ended: StreamAppend[] = []
    for (const [partition, { revision, owner = '' }] of picture.ledgers.entries())
      if (revision !== 'none')
        ended.push({
          stream: ledgerStream(name, partition),
          events: [{ type: 'Released', data: { owner } }],
        })
    const revisions = await appendToGroup(log, picture, [{ type: 'Deleted', data: {} }], ended)
    return (
      revisions && { ...picture, ends: ended.map(({ stream }, at) => ({ stream, last: revisions[at]! })) }
    )
  })
  await log.release(holdName(name))
  for (const partition of ledgers.keys()) await log.release(holdName(name, partition))
  await shorten(log, groupStream(name), 1)
  // Somebody may have begun anew already: what is behind its end is of another subscription.
  for (const { stream, last } of ends) await log.truncate({ stream, beforeRevision: last, forget: true })
  await shorten(log, descriptionStream(name), 0)
}

function mustBeUnused({ name, group }: Picture): void {
  const present = group.members.filter((member) => !isGone(member))
  if (present.length === 0) return
  throw eventError(
    'BANYAN_SUBSCRIPTION_IN_USE',
    `subscription ${name} is not deleted: ${present.join(', ')} take${present.length === 1 ? 's' : ''} part in it. ` +
      'Close it there first; or force it, if they have ended without a word',
  )
}

/** Leaves only the last events of a stream. */
async function shorten(log: EventLog, stream: string, rest: number): Promise<void> {
  const revision = await log.revision(stream)
  if (revision !== 'none') await log.truncate({ stream, beforeRevision: revision + 1 - rest })
}

/**
 * Makes the name of a subscription that was deleted free for a new one: what is left of its ledgers must not say where the
 * new one begins.
 */
export async function clearDeleted(log: EventLog, { name, from }: Settings): Promise<void> {
  const { state } = await readGroup(log, name)
  if (state.isCreated || state.revision === 'none') return
  const group = groupStream(name)
  const cursor = await positionOf(log, from)
  const cleared: StreamAppend[] = []
  for await (const { stream } of log.streams({ category: SUBSCRIPTIONS, after: `${group}/` })) {
    if (!stream.startsWith(`${group}/`)) break
    if (/\/\d+$/.test(stream)) cleared.push({ stream, events: [{ type: 'Kept', data: { cursor } }] })
  }
  // Whoever was faster has created it.
  await log.append({ streams: cleared, checks: [{ stream: group, expected: state.revision }] })
}
