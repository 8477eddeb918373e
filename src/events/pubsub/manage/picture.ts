import { suggest } from '../../../core/suggest.js'
import { eventError } from '../../errors.js'
import type { EventLog, Position, Selector } from '../../log.js'
import { readGroup } from '../group/create.js'
import { SUBSCRIPTIONS, ledgerStream } from '../group/names.js'
import type { GroupState } from '../group/state.js'
import { readLedger } from '../ledger/ledger.js'
import type { LedgerState } from '../ledger/state.js'
import { descriptionOf } from './description.js'

/** What the log says of a subscription: its group, and the ledgers of its partitions. */
export interface Picture {
  readonly name: string
  readonly group: GroupState
  readonly ledgers: readonly LedgerState[]
}

/** @throws `BANYAN_SUBSCRIPTION_UNKNOWN` */
export async function pictureOf(log: EventLog, name: string): Promise<Picture> {
  const { state: group } = await readGroup(log, name)
  if (!group.isCreated) throw await unknown(log, name)
  const ledgers = await Promise.all(
    group.partitions.map((_, partition) => readLedger(log, ledgerStream(name, partition), group.from)),
  )
  return { name, group, ledgers }
}

/** What a subscription follows, as far as somebody has said. */
export async function selectorOf(log: EventLog, { name, group: { topic } }: Picture): Promise<Selector> {
  const { types, tags } = (await descriptionOf(log, name)) ?? {}
  return { ...(topic !== '*' && { category: topic }), ...(types && { types }), ...(tags && { tags }) }
}

/** Names of subscriptions, also of those that were deleted. */
export async function* namesOf(log: EventLog, signal?: AbortSignal): AsyncGenerator<string, void, undefined> {
  const options = { category: SUBSCRIPTIONS, ...(signal && { signal }) }
  for await (const { stream } of log.streams(options))
    if (!isPart(stream)) yield stream.slice(SUBSCRIPTIONS.length + 1)
}

/** The position that every partition has passed. */
export function leastCursor({ ledgers }: Picture): Position {
  return ledgers.reduce((least, { cursor }) => (cursor < least ? cursor : least), ledgers[0]!.cursor)
}

/** Whether a stream is not that of a group, but of a part of it: a ledger, or the description. */
function isPart(stream: string): boolean {
  return /\/(\d+|description)$/.test(stream)
}

async function unknown(log: EventLog, name: string): Promise<Error> {
  const names: string[] = []
  for await (const each of namesOf(log))
    if ((await readGroup(log, each)).state.isCreated && names.push(each) === MOST_NAMES) break
  const near = suggest(name, names)
  const hint = near
    ? `did you mean ${near}?`
    : names.length > 0
      ? `there are ${names.join(', ')}`
      : 'there is none'
  return eventError('BANYAN_SUBSCRIPTION_UNKNOWN', `there is no subscription ${name}; ${hint}`)
}

/** As many as one reads in a message. */
const MOST_NAMES = 20
