/**
 * One call of a history, and what came of it. It is plain data: histories of several processes can be written down as JSON and put
 * together, if their times come from one clock.
 */
export type Operation<Input, Output> = AnsweredOperation<Input, Output> | UnansweredOperation<Input>

/** A call that was answered: it took effect once, at some moment between its call and its return. */
export interface AnsweredOperation<Input, Output> {
  /** Who called, for people. */
  readonly process: string
  readonly input: Input
  readonly output: Output
  /** When it was called, in ms on a clock that all processes of the history share. */
  readonly called: number
  /** When its answer came, in ms on the same clock. Calls and returns at the same time count as concurrent. */
  readonly returned: number
}

/**
 * A call whose outcome nobody knows: it took effect once, at any time after its call, perhaps long after its caller gave up; or never.
 */
export interface UnansweredOperation<Input> {
  readonly process: string
  readonly input: Input
  readonly called: number
  readonly output?: undefined
  readonly returned?: undefined
}

/** Whether the outcome of an operation is known. */
export function isAnswered<Input, Output>(
  operation: Operation<Input, Output>,
): operation is AnsweredOperation<Input, Output> {
  return operation.returned !== undefined
}
