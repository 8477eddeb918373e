import { eventError } from '../errors.js'
import type { ResnapshotReason } from './options.js'
import { lsnText, parseLsn, type SlotState, type SourceIdentity } from './source.js'
import type { CaptureState } from './state.js'
import { tablesOf, type Work } from './work.js'

/**
 * Whether a snapshot is to be taken before anything can be followed.
 *
 * @param lost - why the slot is of no use, if that was found out by following it
 * @throws `BANYAN_SLOT_LOST`, `BANYAN_SOURCE_CHANGED`, if nobody has said that a new snapshot is to be taken then
 */
export async function needsSnapshot(work: Work, asked: boolean, lost: Error | undefined): Promise<boolean> {
  const { session, state, bindings, settings, instruments } = work
  const { phase, tables } = state.state
  if (asked || phase !== 'streaming') return true
  const problem =
    lost ?? sourceProblem(state.state, session.identity) ?? slotProblem(state.state, await session.slot())
  if (problem) {
    if (!settings.resnapshotOn.includes('slot-lost' satisfies ResnapshotReason)) throw problem
    instruments.log('warn', problem.message)
    return true
  }
  const known = new Set(Object.values(tables).map(({ id }) => id))
  return bindings.some(({ shape }) => !known.has(shape.id))
}

/** Brings what the state says of tables and timeline up to what is configured now. */
export async function refreshState({ session, state, bindings }: Work): Promise<void> {
  const { tables, system } = state.state
  const shapes = new Map(Object.values(tables).map(({ id, shape }) => [id, shape]))
  const present = Object.fromEntries(
    Object.entries(tablesOf(bindings)).map(([name, { id, shape }]) => [
      name,
      { id, shape: shapes.get(id) ?? shape },
    ]),
  )
  const { timeline } = session.identity
  if (JSON.stringify(present) === JSON.stringify(tables) && system?.timeline === timeline) return
  await state.commit([], {
    ...state.state,
    tables: present,
    ...(system && { system: { ...system, timeline } }),
  })
}

/** Places of another database, or of another history of it, mean nothing in this one. */
function sourceProblem({ system: known, lsn }: CaptureState, found: SourceIdentity): Error | undefined {
  if (!known) return undefined
  const changed = (what: string): Error =>
    eventError(
      'BANYAN_SOURCE_CHANGED',
      `${what}, so what was captured does not go on here. If this is the database that is meant, take a new snapshot, which brings the log to what its tables hold: ` +
        "`banyan cdc resnapshot`, or resnapshot(); resnapshotOn: ['slot-lost'] does so by itself",
    )
  if (known.system !== found.system || known.database !== found.database)
    return changed(
      `the source is database ${found.database} of system ${found.system}, and was ${known.database} of ${known.system}`,
    )
  const reached = parseLsn(lsn)
  if (found.end < reached)
    return changed(
      `the write-ahead log of the source ends at ${lsnText(found.end)}, and was captured to ${lsn}: it was restored to an earlier time`,
    )
  if (known.timeline === found.timeline) return undefined
  const left = found.history.find(({ timeline }) => timeline === known.timeline)?.end
  if (left !== undefined && left >= reached) return undefined
  return changed(
    `the source is on timeline ${found.timeline}, which has left timeline ${known.timeline} before ${lsn}: it was restored, or a standby took over that lacked changes`,
  )
}

function slotProblem({ lsn }: CaptureState, slot: SlotState): Error | undefined {
  const lost = (reason: string): Error =>
    eventError(
      'BANYAN_SLOT_LOST',
      `changes since ${lsn} cannot be had any more: ${reason}. Take a new snapshot, which brings the log to what the tables hold: ` +
        "`banyan cdc resnapshot`, or resnapshot(); resnapshotOn: ['slot-lost'] does so by itself",
    )
  if (slot.kind === 'missing') return lost('somebody has dropped the replication slot')
  if (slot.kind === 'lost') return lost(slot.reason)
  // Nobody acknowledges what is not in the log: another consumer has, or the slot is another one of that name.
  if (slot.confirmed > parseLsn(lsn))
    return lost(
      `the replication slot stands at ${lsnText(slot.confirmed)}: somebody else has used or made it anew`,
    )
  return undefined
}
