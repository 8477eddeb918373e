import type { Position } from '../log.js'
import type { EventPlace } from './records.js'
import type { SagaState } from './state.js'

/**
 * Where a saga is: `running` while a step is called, or is to be by whoever runs it next; `waiting` for a timer, a signal, a child or
 * another try, `compensating` while it goes back; `parked` until a human has decided. One that is `running` and does nothing (no
 * `at`) is one that nobody has begun with.
 */
export type SagaStatus = 'running' | 'waiting' | 'compensating' | 'parked' | 'completed' | 'compensated'

export const SAGA_STATUSES: readonly SagaStatus[] = [
  'running',
  'waiting',
  'compensating',
  'parked',
  'completed',
  'compensated',
]

/** A saga in short. Times are ms since the epoch. */
export interface SagaSummary {
  readonly id: string
  readonly saga: string
  readonly version: number
  readonly status: SagaStatus
  readonly started: number
  /** Of a reaction: what it reacts to. */
  readonly event?: EventPlace
  /** What it does or waits for, or why it is parked or compensated; none while nobody has begun with it. */
  readonly at?: string
  /** When the first of the timers, tries and timeouts is due that it waits for. */
  readonly due?: number
}

/** A saga in a list. */
export interface ListedSaga extends SagaSummary {
  /** Lists go on behind it. */
  readonly cursor: Position
}

export function statusOf({ end, parked, failing, ops }: SagaState): SagaStatus {
  if (end) return end.outcome
  if (parked) return 'parked'
  if (failing) return 'compensating'
  const open = ops.filter(({ status }) => status === 'open')
  return open.length > 0 && open.every(({ kind, next }) => kind !== 'step' || next !== undefined)
    ? 'waiting'
    : 'running'
}

/** @param state - of a saga that was started */
export function summaryOf(id: string, state: SagaState): SagaSummary {
  const { saga, version, at, reaction, input } = state.started!
  const now = doing(state)
  const due = dueOf(state)
  return {
    ...{ id, saga, version, status: statusOf(state), started: at },
    ...(reaction && { event: input as EventPlace }),
    ...(now !== undefined && { at: now }),
    ...(due !== undefined && { due }),
  }
}

function doing({ end, parked, failing, ops, nextToCompensate }: SagaState): string | undefined {
  if (parked) return parked.reason
  if (end) return end.outcome === 'compensated' ? end.error.message : undefined
  if (failing) return nextToCompensate ? `compensates ${nextToCompensate.name}` : failing.error.message
  const open = ops.filter(({ status }) => status === 'open')
  return open.length === 0
    ? undefined
    : open.map(({ kind, name }) => (kind === 'timer' ? 'timer' : `${kind} ${name}`)).join(', ')
}

function dueOf({ end, parked, failing, ops, nextToCompensate }: SagaState): number | undefined {
  if (end || parked) return undefined
  if (failing) return nextToCompensate?.next
  const dues = ops
    .filter(({ status }) => status === 'open')
    .flatMap(({ due, next }) => [due, next].filter((time) => time !== undefined))
  return dues.length === 0 ? undefined : Math.min(...dues)
}
