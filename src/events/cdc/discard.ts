import { checkOptions, type OptionTable } from '../../core/options.js'
import { BanyanError } from '../../core/errors.js'
import { categoryOf } from '../names.js'
import type { StreamAppend } from '../log.js'
import { keyText, type Dropped, type ParkedChange, type ParkedSelection } from './parking.js'
import { retryRows } from './retry.js'
import type { Row } from './source.js'
import type { Discarded } from './status.js'
import type { Work } from './work.js'

/** So many streams of rows that are superseded are named in the log line. */
const NAMED = 5

const SELECTION: OptionTable<{ id?: string; table?: string; key?: Row }> = {
  id: { kind: 'string', doc: 'of one row' },
  table: { kind: 'string', doc: 'as configured' },
  key: { kind: 'code', type: 'object', doc: 'the columns of the key' },
}

/**
 * What discards parked rows for good, and takes what has waited behind them. May be done again after a failure.
 *
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function discarding(which: ParkedSelection): (work: Work) => Promise<Discarded> {
  const isMeant = matching(which)
  const streams = new Set<string>()
  let discarded = 0
  return async (work) => {
    const { parking, state, instruments } = work
    const rows: ParkedChange[] = []
    const dropped = await parking.drop((row) => isMeant(row) && rows.push(row) > 0)
    if (rows.length > 0) await state.commit(saidOf(work, dropped), state.state)
    for (const { table, change, error } of rows) {
      instruments.discarded(table, 1, 'operator')
      instruments.log(
        'warn',
        `a parked row of ${table} is discarded for good: ${change.operation} of ${keyText(change.key)} at ${change.lsn} (${error})`,
      )
    }
    discarded += rows.length
    for (const stream of dropped.streams) streams.add(stream)
    return { discarded, ...(await retryRows(work, streams)) }
  }
}

/**
 * Lets go of what is parked of topics, as what comes now tells all there is to tell.
 *
 * @returns what has to be appended with it
 */
export async function supersede(
  work: Work,
  topics: readonly string[],
  reason: 'snapshot' | 'truncate',
): Promise<StreamAppend[]> {
  const { parking, instruments } = work
  const dropped = await parking.drop(({ stream }) => topics.includes(categoryOf(stream)))
  const named = [...dropped.streams].slice(0, NAMED).join(', ')
  const more = dropped.streams.size > NAMED ? ` and ${dropped.streams.size - NAMED} more streams` : ''
  for (const [table, rows] of dropped.tables) {
    instruments.discarded(table, rows, reason)
    instruments.log(
      'warn',
      `${rows} parked rows of ${table} are discarded, as ${reason === 'snapshot' ? 'a new snapshot' : 'TRUNCATE'} supersedes them: ${named}${more}`,
    )
  }
  return saidOf(work, dropped)
}

function saidOf({ parking }: Work, { events }: Dropped): StreamAppend[] {
  return events.length > 0 ? [{ stream: parking.stream, events }] : []
}

function matching(which: ParkedSelection): (row: ParkedChange) => boolean {
  checkOptions('discardParked', SELECTION, which)
  const { id, table, key }: { id?: string; table?: string; key?: Row } = which
  if (id !== undefined && table === undefined && key === undefined) return (row) => row.id === id
  if (id !== undefined || table === undefined || key === undefined || Object.keys(key).length === 0)
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      "discardParked: say which rows: { id } of one, or all of a key: { table: 'public.customers', key: { id: 7 } }",
    )
  const name = table.includes('.') ? table : `public.${table}`
  const wanted = textOfKey(key)
  return ({ table: own, change }) => own === name && textOfKey(change.key) === wanted
}

/** The same for the same values, whatever their order; numbers may be said as text. */
function textOfKey(key: Row): string {
  return JSON.stringify(
    Object.entries(key)
      .map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)])
      .toSorted(([a], [b]) => (a! < b! ? -1 : 1)),
  )
}
