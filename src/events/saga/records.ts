import type { ErrorInfo, FailureClass } from './failure.js'

/**
 * What stands in the stream of a saga. What comes from outside has a type of its own, and wakes whoever runs it; what the
 * one who runs it writes are records, one event for everything that has to be durable before it goes on.
 */
export type SagaEvent =
  | { readonly type: 'Started'; readonly data: Started }
  | { readonly type: 'Signalled'; readonly data: { readonly name: string; readonly payload?: unknown } }
  /** A timer has fired; of the saga itself, its deadline. */
  | { readonly type: 'Woken'; readonly data: { readonly op: number | 'deadline' } }
  | { readonly type: 'Requested'; readonly data: Request }
  | { readonly type: 'ChildEnded'; readonly data: { readonly op: number; readonly end: End } }
  | { readonly type: 'Progressed'; readonly data: { readonly records: readonly SagaRecord[] } }
  | {
      readonly type: 'Parked'
      readonly data: { readonly records: readonly SagaRecord[]; readonly parked: Parked }
    }
  | { readonly type: 'Ended'; readonly data: { readonly records: readonly SagaRecord[]; readonly end: End } }

/** Types of events that whoever runs the saga has to look at. */
export const INPUTS = ['Started', 'Signalled', 'Woken', 'Requested', 'ChildEnded'] as const

/** All types of events of a saga. */
export const SAGA_TYPES = [...INPUTS, 'Progressed', 'Parked', 'Ended'] as const

export interface Started {
  /** Of this format: what a newer one has, an older program must not guess. */
  readonly format: 1
  readonly saga: string
  readonly version: number
  /** When, in ms since the epoch, where it was begun along with that; else it is when this was recorded. */
  readonly at?: number
  readonly input?: unknown
  /** An event has started it, as a policy says: its place is the input. */
  readonly reaction?: true
  /** ms from its start. */
  readonly deadline?: number
  /** Who waits for its end. */
  readonly parent?: { readonly id: string; readonly op: number }
}

/** Where an event is, which never changes. */
export interface EventPlace {
  readonly stream: string
  readonly revision: number
}

/** What somebody asks of a saga: an operator, or its parent. */
export interface Request {
  /** `compensate`: undo what has been completed, which only a parent asks for. */
  readonly what: 'cancel' | 'retry' | 'skip' | 'compensate'
  readonly reason?: string
  /** For `skip` of a step: what it is taken to have returned. */
  readonly result?: unknown
}

/** What the code of a saga asks for. */
export type OpKind = 'step' | 'timer' | 'signal' | 'child' | 'patch' | 'no-return'

/** Which way a step is called. */
export type Direction = 'run' | 'compensate'

/** Times are ms since the epoch, ops numbers in the order in which the code has asked for them. */
export type SagaRecord =
  /** Before anything is done for it. */
  | {
      readonly is: 'begun'
      readonly op: number
      readonly kind: OpKind
      readonly name: string
      readonly at: number
      /** Of a step or child: there is something to do if the saga fails. */
      readonly compensable?: true
      /** Of a timer, or of a signal that is not waited for longer. */
      readonly due?: number
      /** Of a child: its id. */
      readonly child?: string
    }
  | { readonly is: 'done'; readonly op: number; readonly at: number; readonly result?: unknown }
  /** A try that has failed, and when there is another one; none if it was the last. */
  | {
      readonly is: 'tried'
      readonly op: number
      readonly direction: Direction
      readonly class: FailureClass
      readonly error: ErrorInfo
      readonly at: number
      readonly next?: number
    }
  /** Whoever ran it ended without a word. */
  | { readonly is: 'interrupted'; readonly ops: readonly number[]; readonly at: number }
  /** For good. */
  | {
      readonly is: 'failed'
      readonly op: number
      readonly class: FailureClass
      readonly error: ErrorInfo
      readonly at: number
    }
  /** From here on it goes back. */
  | { readonly is: 'failing'; readonly class: FailureClass; readonly error: ErrorInfo; readonly at: number }
  /** It is not parked any more, and somebody runs it. */
  | { readonly is: 'resumed'; readonly at: number }
  | { readonly is: 'compensated'; readonly op: number; readonly at: number }
  /** Its compensation is about to be called, where nothing else says so: what made it the next came from outside. */
  | { readonly is: 'undoing'; readonly op: number; readonly at: number }

/** Why a saga does nothing until a human has decided. */
export interface Parked {
  readonly reason: string
  readonly at: number
  /** What could be skipped. */
  readonly op?: number
  readonly direction?: Direction
}

/** How a saga has ended. */
export type End =
  | {
      readonly outcome: 'completed'
      readonly result?: unknown
      /** It is past its point of no return: nobody undoes it. */
      readonly final?: true
    }
  /** Everything that was done was undone, in reverse order. */
  | { readonly outcome: 'compensated'; readonly class: FailureClass; readonly error: ErrorInfo }
