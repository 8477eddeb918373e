import { sleep } from '../../core/clock.js'
import type { Runtime } from '../../core/runtime.js'
import { eventError, isPassing } from '../errors.js'
import type { EventLog, Metadata, Recorded, StreamAppend } from '../log.js'
import { scheduled } from '../pubsub/scheduled/bucket.js'
import { uuid7 } from '../uuid.js'
import { idOf, streamOf } from './names.js'
import type { Request, SagaEvent, Started } from './records.js'
import { SagaState } from './state.js'

/** Until what could not be appended is tried again, in ms. */
const AGAIN_MS = 100

/** The id of a child is taken by another saga. */
export class Taken extends Error {}

/** The events of a saga, and what it is by them. */
export async function readSaga(log: EventLog, id: string): Promise<SagaState> {
  const state = new SagaState()
  await readOn(log, id, state)
  return state
}

/** Reads what has come since. */
export async function readOn(log: EventLog, id: string, state: SagaState): Promise<void> {
  const fromRevision = state.revision === 'none' ? 0 : state.revision + 1
  for await (const event of log.read<SagaEvent>({ stream: streamOf(id) }, { fromRevision }))
    applyTo(state, event)
}

/** @throws `BANYAN_EVENT_NEWER` */
export function applyTo(state: SagaState, event: Recorded<SagaEvent>): void {
  if (event.type === 'Started' && (event.data.format as number) !== 1)
    throw eventError(
      'BANYAN_EVENT_NEWER',
      `${event.stream} was written in format ${event.data.format as number} by a newer Banyan; this one knows format 1`,
    )
  state.apply(event)
}

/**
 * Appends to the stream of a saga, and to others along with it, until that is known to be done or refused.
 *
 * @returns the revision of the stream of the saga; undefined if others have written meanwhile
 * @throws {@link Taken}
 */
export async function append(
  log: EventLog,
  { clock }: Runtime,
  streams: readonly StreamAppend[],
  signal: () => AbortSignal,
): Promise<number | undefined> {
  const commit = { id: uuid7(clock.wall()), streams }
  for (;;)
    try {
      const result = await log.append(commit)
      if (result.ok) return result.streams[0]!.revision
      const own = streams[0]!.stream
      if (result.conflicts.some(({ stream }) => stream === own)) return undefined
      throw new Taken(`there is a saga ${idOf(result.conflicts[0]!.stream)} already, of somebody else`)
    } catch (error) {
      if (!isPassing(error)) throw error
      await sleep(clock, AGAIN_MS, signal())
    }
}

/** What starts a saga: its first event, and its deadline. */
export function startOf(
  id: string,
  started: Started,
  { clock }: Runtime,
  metadata?: Metadata,
): StreamAppend[] {
  const stream = streamOf(id)
  const start: StreamAppend = { stream, events: [event('Started', started, metadata)] }
  if (started.deadline === undefined) return [start]
  return [start, wakeUp(id, 'deadline', clock.wall() + started.deadline)]
}

/** What wakes a saga when something is due. Times are ms since the epoch. */
export function wakeUp(id: string, op: number | 'deadline', due: number): StreamAppend {
  const woken = event('Woken', { op })
  const { stream, event: kept } = scheduled(woken, { due, id: uuid7(due), stream: streamOf(id) })
  return { stream, events: [kept] }
}

export function requestTo(id: string, request: Request, metadata?: Metadata): StreamAppend {
  return { stream: streamOf(id), events: [event('Requested', request, metadata)] }
}

/** Appends to the same stream go into one. */
export function together(streams: readonly StreamAppend[]): StreamAppend[] {
  const byName = new Map<string, StreamAppend>()
  for (const one of streams) {
    const known = byName.get(one.stream)
    byName.set(one.stream, known ? { ...known, events: [...known.events, ...one.events] } : one)
  }
  return [...byName.values()]
}

export function event<Type extends SagaEvent['type']>(
  type: Type,
  data: (SagaEvent & { type: Type })['data'],
  metadata?: Metadata,
): { type: Type; data: unknown; metadata?: Metadata } {
  return { type, data, ...(metadata && { metadata }) }
}
