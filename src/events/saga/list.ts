import type { EventLog, Position, ReadOptions, Recorded } from '../log.js'
import { sagaNames } from './description.js'
import { readSaga } from './journal.js'
import { categoryOf, idOf, streamOf } from './names.js'
import type { SagaEvent } from './records.js'
import { statusOf, summaryOf, type ListedSaga, type SagaStatus } from './status.js'

/** Which sagas are listed, the last that were started first; those of a state that ends them, by when they came to it. */
export interface ListOptions {
  /** Only of this name. */
  saga?: string
  /** Only in this state. */
  status?: SagaStatus
  /** At most so many. Default 50. */
  limit?: number
  /** Goes on behind this one: the `cursor` of the last that was listed. */
  before?: Position
  signal?: AbortSignal
}

/** What tells whether a saga may be in a state, without reading all of it. */
interface Search {
  readonly types: readonly SagaEvent['type'][]
  /** Those of these types that are what is listed. */
  readonly found: SagaEvent['type']
  /** Whether an event, the last of these types of its saga, says that the saga is not in that state. */
  readonly rulesOut: (event: SagaEvent) => boolean
}

function searchFor(status: SagaStatus | undefined): Search {
  switch (status) {
    case 'parked':
      return {
        types: ['Parked', 'Requested'],
        found: 'Parked',
        // A request may find it on its way back, where it stays parked.
        rulesOut: ({ type, data }) => type === 'Requested' && (data.what === 'retry' || data.what === 'skip'),
      }
    case 'completed':
    case 'compensated':
      return {
        types: ['Ended'],
        found: 'Ended',
        rulesOut: ({ type, data }) => type === 'Ended' && data.end.outcome !== status,
      }
    case undefined:
      return { types: ['Started'], found: 'Started', rulesOut: () => false }
    default:
      return {
        types: ['Started', 'Ended', 'Requested'],
        found: 'Started',
        rulesOut: ({ type }) => type === 'Ended',
      }
  }
}

/**
 * Lists sagas in one pass from the end of the log: what has ended, or is parked no more, is known by the last event of its
 * kind, and only sagas that may be meant are read.
 */
export async function* listSagas(
  log: EventLog,
  { saga, status, limit = 50, before, signal }: ListOptions,
): AsyncGenerator<ListedSaga, void, undefined> {
  const names = saga === undefined ? await sagaNames(log) : [saga]
  const { types, found, rulesOut } = searchFor(status)
  const options: ReadOptions = {
    backwards: true,
    ...(signal && { signal }),
    ...(before !== undefined && { to: before }),
  }
  const readings = names.map((name) => log.read<SagaEvent>({ category: categoryOf(name), types }, options))
  /** Whether it was ruled out, by stream, for as long as something of it may come. */
  const seen = new Map<string, boolean>()
  let left = limit
  if (left <= 0) return
  for await (const event of lastFirst(readings)) {
    const { stream, position, type, revision } = event
    if (position === before) continue
    if (!seen.has(stream)) seen.set(stream, rulesOut(event))
    const isOut = seen.get(stream)!
    // A second start is of somebody who did not see the first.
    if (type !== found || (found === 'Started' && revision > 0)) continue
    if (found === 'Started') seen.delete(stream)
    else seen.set(stream, true)
    if (isOut) continue
    const id = idOf(stream)
    const state = await readSaga(log, id)
    if (!state.started || (status !== undefined && statusOf(state) !== status)) continue
    if (found !== 'Started' && !(await isLast(log, id, found, revision))) continue
    yield { ...summaryOf(id, state), cursor: position }
    if (--left <= 0) return
  }
}

/** An earlier one was listed by its last, on the page before. */
async function isLast(
  log: EventLog,
  id: string,
  type: SagaEvent['type'],
  revision: number,
): Promise<boolean> {
  const selector = { stream: streamOf(id), types: [type] }
  for await (const last of log.read(selector, { backwards: true, limit: 1 }))
    return last.revision === revision
  return false
}

/** Several readings, each backwards, as one. */
async function* lastFirst(
  readings: readonly AsyncIterable<Recorded<SagaEvent>>[],
): AsyncGenerator<Recorded<SagaEvent>> {
  const iterators = readings.map((reading) => reading[Symbol.asyncIterator]())
  const heads = await Promise.all(iterators.map((iterator) => iterator.next()))
  try {
    for (;;) {
      let last = -1
      for (const [index, { done, value }] of heads.entries())
        if (!done && (last < 0 || value.position > (heads[last]!.value as Recorded<SagaEvent>).position))
          last = index
      if (last < 0) return
      yield heads[last]!.value as Recorded<SagaEvent>
      heads[last] = await iterators[last]!.next()
    }
  } finally {
    for (const iterator of iterators) await iterator.return?.()
  }
}
