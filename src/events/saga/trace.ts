import { checkOptions, type OptionTable } from '../../core/options.js'
import type { EventLog, Position, RecordedEvent } from '../log.js'
import { START } from '../position.js'
import { isSystemStream } from '../transform.js'
import { readSaga } from './journal.js'
import { SAGAS, idOf } from './names.js'
import { likelyCausesOf } from './policies/links.js'
import { summarised, type EventSummary } from './policies/view.js'
import { summaryOf, type SagaSummary } from './status.js'

/** How far a trace goes. */
export interface TraceOptions {
  /** Only after this position: correlations have no index, and what is before it is not read. Default the start of the log. */
  from?: Position
  /** At most so many events and sagas. Default 1,000. */
  limit?: number
  /** Reads at most so many events of the log. Default 1,000,000. */
  scan?: number
  signal?: AbortSignal
}

const OPTIONS: OptionTable<TraceOptions> = {
  from: { kind: 'string', doc: 'only after this position' },
  limit: { kind: 'number', min: 1, integer: true, doc: 'at most so many events and sagas' },
  scan: { kind: 'number', min: 1, integer: true, doc: 'reads at most so many events' },
  signal: { kind: 'code', type: 'object', doc: 'ends it early' },
}

/** Everything of one correlation: which event has led to which reactions and sagas, and these to which events. */
export interface Trace {
  readonly correlationId: string
  /** What nothing of the correlation has led to: usually one event. */
  readonly roots: readonly TraceNode[]
  /** It was read up to here. */
  readonly position: Position
  /** How many events were read. */
  readonly scanned: number
  /** Whether that was all, and neither `limit` nor `scan` has ended it. */
  readonly isComplete: boolean
}

/** An event or a saga, and what it has led to, in the order of the log. */
export type TraceNode =
  | { readonly event: TracedEvent; readonly leadsTo: readonly TraceNode[] }
  | { readonly saga: SagaSummary; readonly leadsTo: readonly TraceNode[] }

/** An event of a trace. */
export interface TracedEvent extends EventSummary {
  /** Who did it. */
  readonly actor?: string
}

/** Something that was found, before it is known what it belongs to. */
interface Found {
  readonly event: RecordedEvent
  /** Of a saga: its id. */
  readonly saga?: string
  readonly leadsTo: TraceNode[]
}

/**
 * Goes through the log once, from `from` on: what has the correlation id in its metadata, or as its own id, which may be that
 * of a saga.
 *
 * @throws `BANYAN_INVALID_OPTIONS`, and what `read` throws
 */
export async function traceOf(log: EventLog, correlationId: string, options: TraceOptions): Promise<Trace> {
  checkOptions('trace', OPTIONS, options)
  const { from = START, limit = 1000, scan = 1_000_000, signal } = options
  const found: Found[] = []
  let [position, scanned, isComplete] = [from, 0, true]
  for await (const event of log.read({}, { from, faults: 'give', ...(signal && { signal }) })) {
    if (found.length >= limit || scanned >= scan) {
      isComplete = false
      break
    }
    scanned++
    position = event.position
    const names: unknown[] = [event.metadata.correlationId, event.id]
    if (isStart(event)) {
      const saga = idOf(event.stream)
      if ([...names, saga].includes(correlationId)) found.push({ event, saga, leadsTo: [] })
    } else if (names.includes(correlationId) && !isSystemStream(event.stream))
      found.push({ event, leadsTo: [] })
  }
  return { correlationId, roots: await treeOf(log, found), position, scanned, isComplete }
}

/** A second start is of somebody who did not see the first. */
function isStart({ stream, type, revision }: RecordedEvent): boolean {
  return stream.startsWith(`${SAGAS}/`) && type === 'Started' && revision === 0
}

async function treeOf(log: EventLog, found: readonly Found[]): Promise<TraceNode[]> {
  const known = new Known(found)
  const roots: TraceNode[] = []
  for (const one of found) {
    const node = await nodeOf(log, one)
    if (!node) continue
    const cause = known.causeOf(one)
    if (cause) cause.leadsTo.push(node)
    else roots.push(node)
  }
  return roots
}

/** @returns undefined for a saga that was truncated meanwhile */
async function nodeOf(log: EventLog, { event, saga, leadsTo }: Found): Promise<TraceNode | undefined> {
  if (saga === undefined) {
    const { actor } = event.metadata
    return { event: { ...summarised(event), ...(typeof actor === 'string' && { actor }) }, leadsTo }
  }
  const state = await readSaga(log, saga)
  return state.started && { saga: summaryOf(saga, state), leadsTo }
}

/** What was found, by its names. */
class Known {
  readonly #sagas = new Map<string, Found>()
  readonly #events = new Map<string, Found>()

  constructor(found: readonly Found[]) {
    for (const one of found)
      if (one.saga !== undefined) this.#sagas.set(one.saga, one)
      else this.#events.set(one.event.id, one)
  }

  /** What has led to it; only what was there before can have. */
  causeOf({ event }: Found): Found | undefined {
    for (const likely of likelyCausesOf(event)) {
      const cause = 'saga' in likely ? this.#sagas.get(likely.saga) : this.#events.get(likely.event)
      if (cause && cause.event.position < event.position) return cause
    }
    return undefined
  }
}
