import type { Operation } from './operation.js'

/** What is asked of a key-value store with revisions, as coordination uses it: always about one key. */
export type CoordinatorInput =
  | { readonly op: 'get'; readonly key: string }
  | {
      readonly op: 'put'
      readonly key: string
      /** The value, or what tells it from all others, such as a hash. */
      readonly value: string
      /** What the key must be for the put to be done: `'any'`thing, `'absent'`, or at this revision. */
      readonly expected: 'any' | 'absent' | number
      /** The lease that the key goes with from now on; default none. */
      readonly lease?: string
    }
  | { readonly op: 'delete'; readonly key: string; readonly expected: 'any' | 'absent' | number }
  /** The end of a lease, expired or revoked: its keys vanish. See {@link coordinatorModel}. */
  | { readonly op: 'expire'; readonly key: string; readonly lease: string }

/** What a key has: the value, the revision of the put that wrote it, and of the put that made it after it had been absent. */
export interface CoordinatorEntry {
  readonly value: string
  readonly revision: number
  readonly created?: number
}

/** What came of it. What is left out is not compared. */
export type CoordinatorOutput =
  /** A `get`. */
  | ({ readonly is: 'present' } & CoordinatorEntry)
  | { readonly is: 'absent' }
  /**
   * A `put`, `delete` or `expire` that was done, its revision, and for a `put` when the key was made. A `delete` that found nothing to
   * delete is done, too, and without a revision.
   */
  | { readonly is: 'done'; readonly revision?: number; readonly created?: number }
  /** A `put` or `delete` that was not done, as the key is not as expected; what it is, or at which revision. */
  | { readonly is: 'conflict'; readonly actual: CoordinatorEntry | number | 'absent' }

/** A call of a history of a coordinator. */
export type CoordinatorOperation = Operation<CoordinatorInput, CoordinatorOutput>

/** The lowest and the highest that a revision can be: both the same if it is known, and no highest if nobody saw it. */
export type Span = readonly [min: number, max: number]

/** What is known of one key. */
export type CoordinatorState =
  { readonly is: 'absent'; /** What comes has a higher revision. */ readonly above: number } | Present

/** A key that is there. */
export interface Present {
  readonly is: 'present'
  readonly value: string
  readonly revision: Span
  /** Missing if the key has not been changed since: it is the revision then. Otherwise it is lower. */
  readonly created?: Span
  readonly lease?: string
}

/** The revision of the key that an answer tells. */
export function revisionIn(output: CoordinatorOutput): number | undefined {
  switch (output.is) {
    case 'present':
    case 'done':
      return output.revision
    case 'conflict':
      if (typeof output.actual === 'number') return output.actual
      return output.actual === 'absent' ? undefined : output.actual.revision
    case 'absent':
      return undefined
  }
}
