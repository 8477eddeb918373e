import type { Recorded } from '../log.js'
import type { FailureClass } from './failure.js'
import type { EventPlace, SagaEvent, SagaRecord, Started } from './records.js'
import type { SagaState } from './state.js'

/** Something that happened to a saga. Times are ms since the epoch. */
export interface SagaMoment {
  readonly revision: number
  readonly time: number
  /** What kind of event or record tells it. */
  readonly kind:
    'started' | 'signalled' | 'woken' | 'requested' | 'child-ended' | 'parked' | 'ended' | SagaRecord['is']
  /** For people. */
  readonly what: string
  /** The name of the step, signal or child that it is about. */
  readonly step?: string
  /** Of a failure. */
  readonly class?: FailureClass
  /** What came with it: the payload of a signal, the result of what is done or skipped. */
  readonly data?: unknown
}

/** Names of what the code has asked for, by op. */
type Names = { readonly kind: string; readonly name: string }[]

/**
 * What an event says.
 *
 * @param state - as it was before
 */
export function* momentsOf(event: Recorded<SagaEvent>, state: SagaState): Generator<SagaMoment> {
  const names: Names = state.ops.map(({ kind, name }) => ({ kind, name }))
  const { revision, recorded } = event
  const happened = { revision, time: recorded }
  const by = typeof event.metadata.actor === 'string' ? ` by ${event.metadata.actor}` : ''
  switch (event.type) {
    case 'Started':
      if (state.started) return
      yield { ...happened, kind: 'started', what: startText(event.data, by) }
      return
    case 'Signalled': {
      const { name, payload } = event.data
      const data = payload === undefined ? {} : { data: payload }
      yield { ...happened, kind: 'signalled', what: `signal ${name} has come${by}`, step: name, ...data }
      return
    }
    case 'Woken': {
      const { op } = event.data
      if (op === 'deadline') yield { ...happened, kind: 'woken', what: 'its deadline has passed' }
      else yield { ...happened, kind: 'woken', what: `woken for ${nameOf(names, op)}`, ...stepOf(names, op) }
      return
    }
    case 'Requested':
      yield { ...happened, kind: 'requested', ...requestOf(event.data, state, names, by) }
      return
    case 'ChildEnded': {
      const { op, end } = event.data
      const what = `${nameOf(names, op)} is ${end.outcome}`
      yield { ...happened, kind: 'child-ended', what, ...stepOf(names, op) }
      return
    }
    case 'Progressed':
    case 'Parked':
    case 'Ended':
      for (const record of event.data.records) {
        if (record.is === 'begun') names[record.op] = record
        yield recordOf(record, names, revision)
      }
      if (event.type === 'Parked')
        yield { ...happened, kind: 'parked', what: `parked: ${event.data.parked.reason}` }
      if (event.type === 'Ended') yield { ...happened, kind: 'ended', what: event.data.end.outcome }
  }
}

function startText({ version, reaction, input }: Started, by: string): string {
  if (!reaction) return `started, version ${version}${by}`
  const { stream, revision } = input as EventPlace
  return `started by the event ${stream}@${revision}`
}

function requestOf(
  { what, reason, result }: (SagaEvent & { type: 'Requested' })['data'],
  { parked }: SagaState,
  names: Names,
  by: string,
): Pick<SagaMoment, 'what' | 'step' | 'data'> {
  const op = what === 'retry' || what === 'skip' ? parked?.op : undefined
  return {
    what: `${what} was asked for${by}${reason === undefined ? '' : `: ${reason}`}`,
    ...(op !== undefined && stepOf(names, op)),
    ...(result !== undefined && { data: result }),
  }
}

function recordOf(record: SagaRecord, names: Names, revision: number): SagaMoment {
  return {
    revision,
    time: record.at,
    kind: record.is,
    what: textOf(record, (op) => nameOf(names, op)),
    ...('op' in record && stepOf(names, record.op)),
    ...('class' in record && { class: record.class }),
    ...(record.is === 'done' && record.result !== undefined && { data: record.result }),
  }
}

function textOf(record: SagaRecord, nameOf: (op: number) => string): string {
  switch (record.is) {
    case 'begun':
      return begunText(record, nameOf)
    case 'done':
      return `${nameOf(record.op)} is done`
    case 'tried': {
      const what = record.direction === 'run' ? nameOf(record.op) : `the compensation of ${nameOf(record.op)}`
      const then = record.next === undefined ? '' : `; again ${timeText(record.next)}`
      return `a try of ${what} has failed (${record.class}): ${record.error.message}${then}`
    }
    case 'interrupted':
      return `whoever ran it has ended without a word, in the middle of ${record.ops.map(nameOf).join(', ')}`
    case 'failed':
      return `${nameOf(record.op)} has failed for good (${record.class}): ${record.error.message}`
    case 'failing':
      return `goes back: ${record.error.message}`
    case 'resumed':
      return 'goes on'
    case 'compensated':
      return `${nameOf(record.op)} is compensated`
    case 'undoing':
      return `${nameOf(record.op)} is being undone`
  }
}

function begunText(record: SagaRecord & { is: 'begun' }, nameOf: (op: number) => string): string {
  const what = nameOf(record.op)
  switch (record.kind) {
    case 'no-return':
      return 'is past its point of no return'
    case 'patch':
      return `takes the change ${record.name}`
    case 'signal':
      return `waits for ${what}${record.due === undefined ? '' : `, until ${timeText(record.due)}`}`
    case 'timer':
      return `sleeps until ${timeText(record.due!)}`
    case 'child':
      return `${what} begins${record.child === undefined ? '' : `: ${record.child}`}`
    case 'step':
      return `${what} begins`
  }
}

function nameOf(names: Names, op: number): string {
  const { kind, name } = names[op]!
  return kind === 'timer' ? 'the timer' : `${kind} ${name}`
}

function stepOf(names: Names, op: number): { step?: string } {
  const { kind, name } = names[op]!
  return kind === 'timer' || kind === 'no-return' ? {} : { step: name }
}

function timeText(time: number): string {
  return new Date(time).toISOString()
}
