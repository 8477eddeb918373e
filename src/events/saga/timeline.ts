import type { EventLog, Metadata, Position, Recorded } from '../log.js'
import { START } from '../position.js'
import { unknownSaga } from './description.js'
import type { ErrorInfo, FailureClass } from './failure.js'
import { applyTo } from './journal.js'
import { momentsOf, type SagaMoment } from './moments.js'
import { nameIn, streamOf } from './names.js'
import { reactionView, type ReactionView } from './policies/view.js'
import type { Direction, OpKind, SagaEvent, SagaRecord } from './records.js'
import { SagaState, type Op } from './state.js'
import { statusOf, type SagaStatus } from './status.js'

/** A try that has failed. Times are ms since the epoch. */
export interface FailedTry {
  readonly direction: Direction
  readonly class: FailureClass
  readonly error: ErrorInfo
  readonly time: number
  /** When the next one was to be; none if it was the last. */
  readonly next?: number
}

/** Something that a saga has asked for, and where that is. Times are ms since the epoch. */
export interface SagaStepView {
  readonly kind: OpKind
  readonly name: string
  readonly status: 'open' | 'done' | 'failed'
  readonly began: number
  readonly result?: unknown
  /** Of one that has failed: which class of failure. */
  readonly class?: FailureClass
  /**
   * Why it has failed for good; while it is open, or is being compensated, why the last try of that has failed. What is done has
   * none: `failures` tells what went before.
   */
  readonly error?: ErrorInfo
  /**
   * How many tries have failed since it began or was retried by hand, of the step and of its compensation: what counts against
   * `attempts`. One that is done at once has 0.
   */
  readonly tries: Readonly<Record<Direction, number>>
  /** All tries that have failed, in their order. */
  readonly failures: readonly FailedTry[]
  /** How often whoever ran it ended without a word. */
  readonly interruptions: number
  /** It has one. */
  readonly compensable: boolean
  readonly compensated: boolean
  /** When it is tried again. */
  readonly next?: number
  /** When a timer fires, or a signal is given up. */
  readonly due?: number
  /** Of a child: its id. */
  readonly child?: string
}

/** What somebody can ask of a parked saga. */
export type SagaRemedy = 'retry' | 'skip' | 'cancel'

/** Everything about a saga. Times are ms since the epoch. */
export interface SagaView {
  readonly id: string
  readonly saga: string
  readonly version: number
  readonly status: SagaStatus
  readonly input: unknown
  readonly started: number
  readonly metadata: Metadata
  /** When it is cancelled, if it has not ended before. */
  readonly deadline?: number
  readonly ended?: number
  readonly result?: unknown
  /** Why it goes, or went, back. */
  readonly failure?: { readonly class: FailureClass; readonly error: ErrorInfo }
  readonly parked?: {
    readonly reason: string
    readonly time: number
    readonly step?: string
    readonly direction?: Direction
    /** What has an effect now. */
    readonly remedies: readonly SagaRemedy[]
  }
  readonly beyondReturn: boolean
  readonly parent?: string
  /** Of a reaction: the event that it reacts to, and what it has appended. */
  readonly reaction?: ReactionView
  readonly steps: readonly SagaStepView[]
  readonly timeline: readonly SagaMoment[]
}

/** What the records tell of a step that its state does not keep. */
interface Told {
  readonly began: number
  readonly child: string | undefined
  readonly failures: FailedTry[]
  /** Why it has failed for good. */
  error?: ErrorInfo
}

/** @throws `BANYAN_SAGA_UNKNOWN` */
export async function timelineOf(log: EventLog, id: string): Promise<SagaView> {
  nameIn(id)
  const state = new SagaState()
  const timeline: SagaMoment[] = []
  const told: Told[] = []
  let metadata: Metadata = {}
  let began: Position = START
  let ended: Recorded<SagaEvent> | undefined
  for await (const event of log.read<SagaEvent>({ stream: streamOf(id) })) {
    if (!state.started) ({ metadata, position: began } = event)
    for (const moment of momentsOf(event, state)) timeline.push(moment)
    for (const record of recordsOf(event)) note(record, told)
    applyTo(state, event)
    if (event.type === 'Ended') ended = event
  }
  const { started, end, failing, ops } = state
  if (!started) throw await unknownSaga(log, id)
  const failure = failing ?? (end?.outcome === 'compensated' ? end : undefined)
  const parked = parkedOf(state)
  const reaction =
    started.reaction && (await reactionView(log, id, started, metadata, began, ended?.position))
  return {
    ...{ id, saga: started.saga, version: started.version, status: statusOf(state) },
    ...{ input: started.input, started: started.at, metadata },
    ...(started.deadline !== undefined && { deadline: started.at + started.deadline }),
    ...(end && { ended: ended!.recorded }),
    ...(end?.outcome === 'completed' && { result: end.result }),
    ...(failure && { failure: { class: failure.class, error: failure.error } }),
    ...(parked && { parked }),
    beyondReturn: state.isBeyondReturn,
    ...(started.parent && { parent: started.parent.id }),
    ...(reaction && { reaction }),
    steps: ops.map((op) => stepOf(op, told[op.index]!)),
    timeline,
  }
}

function recordsOf({ type, data }: Recorded<SagaEvent>): readonly SagaRecord[] {
  return type === 'Progressed' || type === 'Parked' || type === 'Ended' ? data.records : []
}

function note(record: SagaRecord, told: Told[]): void {
  if (record.is === 'begun') told[record.op] = { began: record.at, child: record.child, failures: [] }
  if (record.is === 'failed') told[record.op]!.error = record.error
  if (record.is !== 'tried') return
  const { direction, class: kind, error, at: time, next } = record
  told[record.op]!.failures.push({
    ...{ direction, class: kind, error, time },
    ...(next !== undefined && { next }),
  })
}

function parkedOf({ parked, ops, failing, isBeyondReturn }: SagaState): SagaView['parked'] {
  if (!parked) return undefined
  const { reason, at: time, op, direction } = parked
  return {
    ...{ reason, time },
    ...(op !== undefined && { step: ops[op]!.name }),
    ...(direction && { direction }),
    remedies: [
      'retry',
      ...(op === undefined ? [] : ['skip' as const]),
      ...(failing || isBeyondReturn ? [] : ['cancel' as const]),
    ],
  }
}

function stepOf(op: Op, told: Told): SagaStepView {
  const { began, child, failures } = told
  const { kind, name, status, result, class: kindOf, next, due } = op
  const error = errorOf(op, told)
  const { tries, interruptions, compensable, compensated } = op
  return {
    ...{ kind, name, status, began, tries, failures, interruptions, compensable, compensated },
    ...(result !== undefined && { result }),
    ...(kindOf && { class: kindOf }),
    ...(error && { error }),
    ...(next !== undefined && { next }),
    ...(due !== undefined && { due }),
    ...(child !== undefined && { child }),
  }
}

/** A try that has failed is over with what came after it. */
function errorOf({ status, compensated, error }: Op, told: Told): ErrorInfo | undefined {
  if (status === 'open') return error
  const last = told.failures.at(-1)
  if (!compensated && last?.direction === 'compensate') return last.error
  // What no try of a step has failed for stands nowhere else.
  return status === 'failed' ? (told.error ?? error) : undefined
}
