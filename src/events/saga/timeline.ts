import { eventError } from '../errors.js'
import type { EventLog, Metadata, Recorded } from '../log.js'
import type { ErrorInfo, FailureClass } from './failure.js'
import { applyTo } from './journal.js'
import { nameIn, streamOf } from './names.js'
import type { Direction, OpKind, SagaEvent, SagaRecord } from './records.js'
import { SagaState } from './state.js'
import { statusOf, type SagaStatus } from './status.js'

/** Something that a saga has asked for, and where that is. Times are ms since the epoch. */
export interface SagaStepView {
  readonly kind: OpKind
  readonly name: string
  readonly status: 'open' | 'done' | 'failed'
  readonly result?: unknown
  readonly class?: FailureClass
  readonly error?: ErrorInfo
  /** Failed tries, of the step and of its compensation. */
  readonly tries: Readonly<Record<Direction, number>>
  /** How often whoever ran it ended without a word. */
  readonly interruptions: number
  /** It has one. */
  readonly compensable: boolean
  readonly compensated: boolean
  /** When it is tried again. */
  readonly next?: number
  /** When a timer fires, or a signal is given up. */
  readonly due?: number
}

/** Something that happened to a saga. */
export interface SagaMoment {
  readonly revision: number
  /** ms since the epoch */
  readonly time: number
  readonly what: string
}

/** Everything about a saga. Times are ms since the epoch. */
export interface SagaView {
  readonly id: string
  readonly saga: string
  readonly version: number
  readonly status: SagaStatus
  readonly input: unknown
  readonly started: number
  readonly metadata: Metadata
  readonly ended?: number
  readonly result?: unknown
  /** Why it goes, or went, back. */
  readonly failure?: { readonly class: FailureClass; readonly error: ErrorInfo }
  readonly parked?: {
    readonly reason: string
    readonly time: number
    readonly step?: string
    readonly direction?: Direction
  }
  readonly beyondReturn: boolean
  readonly parent?: string
  readonly steps: readonly SagaStepView[]
  readonly timeline: readonly SagaMoment[]
}

/** @throws `BANYAN_SAGA_UNKNOWN` */
export async function timelineOf(log: EventLog, id: string): Promise<SagaView> {
  nameIn(id)
  const state = new SagaState()
  const timeline: SagaMoment[] = []
  let metadata: Metadata = {}
  let ended: number | undefined
  for await (const event of log.read<SagaEvent>({ stream: streamOf(id) })) {
    if (!state.started) metadata = event.metadata
    for (const moment of momentsOf(event, state)) timeline.push(moment)
    applyTo(state, event)
    if (event.type === 'Ended') ended = event.recorded
  }
  const { started, end, parked, failing, ops } = state
  if (!started) throw eventError('BANYAN_SAGA_UNKNOWN', `there is no saga ${id}`)
  const failure = failing ?? (end?.outcome === 'compensated' ? end : undefined)
  return {
    ...{ id, saga: started.saga, version: started.version, status: statusOf(state) },
    ...{ input: started.input, started: started.at, metadata },
    ...(end && { ended: ended! }),
    ...(end?.outcome === 'completed' && { result: end.result }),
    ...(failure && { failure: { class: failure.class, error: failure.error } }),
    ...(parked && {
      parked: {
        ...{ reason: parked.reason, time: parked.at },
        ...(parked.op !== undefined && { step: ops[parked.op]!.name }),
        ...(parked.direction && { direction: parked.direction }),
      },
    }),
    beyondReturn: state.isBeyondReturn,
    ...(started.parent && { parent: started.parent.id }),
    steps: ops.map(
      ({
        kind,
        name,
        status,
        result,
        class: kindOf,
        error,
        tries,
        interruptions,
        compensable,
        compensated,
        next,
        due,
      }) => ({
        ...{ kind, name, status, tries, interruptions, compensable, compensated },
        ...(result !== undefined && { result }),
        ...(kindOf && { class: kindOf }),
        ...(error && { error }),
        ...(next !== undefined && { next }),
        ...(due !== undefined && { due }),
      }),
    ),
    timeline,
  }
}

function* momentsOf(event: Recorded<SagaEvent>, state: SagaState): Generator<SagaMoment> {
  const { revision, recorded: time } = event
  const moment = (what: string, at = time): SagaMoment => ({ revision, time: at, what })
  const names = state.ops.map(({ name, kind }) => ({ name, kind }))
  const nameOf = (op: number): string => {
    const { kind, name } = names[op]!
    return kind === 'timer' ? 'timer' : `${kind} ${name}`
  }
  const by = typeof event.metadata.actor === 'string' ? ` by ${event.metadata.actor}` : ''
  switch (event.type) {
    case 'Started':
      if (!state.started) yield moment(`started, version ${event.data.version}${by}`)
      return
    case 'Signalled':
      yield moment(`signal ${event.data.name}`)
      return
    case 'Woken':
      yield moment(
        event.data.op === 'deadline' ? 'deadline has passed' : `woken for ${nameOf(event.data.op)}`,
      )
      return
    case 'Requested': {
      const { what, reason } = event.data
      yield moment(`${what} was asked for${by}${reason === undefined ? '' : `: ${reason}`}`)
      return
    }
    case 'ChildEnded':
      yield moment(`${nameOf(event.data.op)} has ended: ${event.data.end.outcome}`)
      return
    case 'Progressed':
    case 'Parked':
    case 'Ended':
      for (const record of event.data.records) {
        if (record.is === 'begun') names[record.op] = record
        yield moment(textOf(record, nameOf), record.at)
      }
      if (event.type === 'Parked') yield moment(`parked: ${event.data.parked.reason}`)
      if (event.type === 'Ended') yield moment(event.data.end.outcome)
  }
}

function textOf(record: SagaRecord, nameOf: (op: number) => string): string {
  switch (record.is) {
    case 'begun':
      return `${nameOf(record.op)} begins${record.due === undefined ? '' : `, due ${new Date(record.due).toISOString()}`}`
    case 'done':
      return `${nameOf(record.op)} is done`
    case 'tried': {
      const what = record.direction === 'run' ? nameOf(record.op) : `the compensation of ${nameOf(record.op)}`
      const then = record.next === undefined ? '' : `; again ${new Date(record.next).toISOString()}`
      return `a try of ${what} has failed (${record.class}): ${record.error.message}${then}`
    }
    case 'interrupted':
      return `whoever ran it has ended without a word, in the middle of ${record.ops.map(nameOf).join(', ')}`
    case 'failed':
      return `${nameOf(record.op)} has failed (${record.class}): ${record.error.message}`
    case 'failing':
      return `goes back (${record.class}): ${record.error.message}`
    case 'resumed':
      return 'goes on'
    case 'compensated':
      return `${nameOf(record.op)} is compensated`
  }
}
