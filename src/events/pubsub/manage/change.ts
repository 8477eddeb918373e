import { eventError } from '../../errors.js'
import type { EventLog, Position, StreamAppend } from '../../log.js'
import { groupStream, ledgerStream } from '../group/names.js'
import type { GroupEvent } from '../group/state.js'
import type { LedgerEvent, LedgerState } from '../ledger/state.js'
import { pictureOf, type Picture } from './picture.js'

/** How often a change is made anew as processes come and go meanwhile. */
const TRIES = 20

/** Parked lanes go on with the message that failed. */
export async function redriveLanes(
  log: EventLog,
  name: string,
  lanes: readonly string[] | 'all',
): Promise<readonly string[]> {
  const wanted = lanes === 'all' ? undefined : new Set(lanes)
  const chosen = (ledger: LedgerState): string[] =>
    [...ledger.lanes.values()]
      .filter(({ lane, state }) => state === 'parked' && (!wanted || wanted.has(lane)))
      .map(({ lane }) => lane)
  const found = await changeLedgers(log, name, (ledger) => {
    const parked = chosen(ledger)
    return parked.length > 0 ? { type: 'Redriven', data: { lanes: parked } } : undefined
  })
  return found.flatMap(chosen)
}

/**
 * A parked lane goes on behind the message that failed.
 *
 * @throws `BANYAN_CONFLICT` if it is not parked with the message at this position
 */
export async function skipHead(log: EventLog, name: string, lane: string, position: Position): Promise<void> {
  const isThere = (ledger: LedgerState): boolean => {
    const record = ledger.lanes.get(lane)
    return record?.state === 'parked' && record.head?.position === position
  }
  const found = await changeLedgers(log, name, (ledger) =>
    isThere(ledger) ? { type: 'Skipped', data: { lane, position } } : undefined,
  )
  if (found.some(isThere)) return
  throw eventError(
    'BANYAN_CONFLICT',
    `nothing was skipped: the lane ${lane} of subscription ${name} is not parked with the message at position ${position} ` +
      'any more. Look at its status again',
  )
}

/**
 * Appends to ledgers, and tells whoever works on them, in one commit.
 *
 * A ledger that is in use moves with every message, so no revision of it is expected: what the events of operators say
 * counts only where it fits, and whoever has written meanwhile reads them before its next step.
 *
 * @returns those ledgers as they were right before
 */
export async function changeLedgers(
  log: EventLog,
  name: string,
  change: (ledger: LedgerState) => LedgerEvent | undefined,
): Promise<readonly LedgerState[]> {
  return changeGroup(log, name, async (picture) => {
    const changes: StreamAppend[] = []
    const changed: number[] = []
    for (const [partition, ledger] of picture.ledgers.entries()) {
      const event = change(ledger)
      if (!event) continue
      changed.push(partition)
      changes.push({ stream: ledgerStream(name, partition), events: [event] })
    }
    if (changed.length === 0) return []
    const revisions = await appendToGroup(
      log,
      picture,
      [{ type: 'Told', data: { partitions: changed } }],
      changes,
    )
    if (!revisions) return undefined
    return Promise.all(
      changed.map((partition, index) =>
        catchUp(log, changes[index]!.stream, picture.ledgers[partition]!, revisions[index]!),
      ),
    )
  })
}

/**
 * Looks at a subscription and changes it, again if it has changed meanwhile.
 *
 * @param change - undefined: it came too late
 */
export async function changeGroup<Result>(
  log: EventLog,
  name: string,
  change: (picture: Picture) => Promise<Result | undefined>,
): Promise<Result> {
  for (let tries = 0; tries < TRIES; tries++) {
    const result = await change(await pictureOf(log, name))
    if (result !== undefined) return result
  }
  throw eventError(
    'BANYAN_CONFLICT',
    `nothing was changed: processes come to subscription ${name} and go all the time. Try again`,
  )
}

/** @returns the revisions of the other streams; undefined if the group is not as it was seen */
export async function appendToGroup(
  log: EventLog,
  { name, group: { revision } }: Picture,
  events: readonly GroupEvent[],
  others: readonly StreamAppend[] = [],
): Promise<readonly number[] | undefined> {
  const result = await log.append({
    streams: [...others, { stream: groupStream(name), expected: revision, events }],
  })
  return result.ok ? result.streams.map((written) => written.revision) : undefined
}

/** The state of a ledger before a revision. */
async function catchUp(
  log: EventLog,
  stream: string,
  ledger: LedgerState,
  before: number,
): Promise<LedgerState> {
  const fromRevision = ledger.revision === 'none' ? 0 : ledger.revision + 1
  if (fromRevision === before) return ledger
  const part = { fromRevision, toRevision: before - 1 }
  for await (const event of log.read<LedgerEvent>({ stream }, part)) ledger.apply(event)
  return ledger
}
