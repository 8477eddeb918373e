import { inspect } from 'node:util'
import type { SequentialModel } from './model.js'
import { isAnswered, type AnsweredOperation, type Operation } from './operation.js'

/** Why a history is not linearizable. */
export interface Violation<State, Input, Output> {
  /** The name of the part of the history; empty if the model does not take histories apart. */
  readonly partition: string
  /** The first operation, by returns, whose answer no order explains. A later one if the limit did not allow to find the first. */
  readonly unexplained: AnsweredOperation<Input, Output>
  /**
   * An order of everything that had returned before, and of what had to take effect for it: operations without an answer, and such
   * as returned later only.
   */
  readonly order: readonly Operation<Input, Output>[]
  /** The state after that order. */
  readonly state: State
  /** What else had been called when `unexplained` returned. */
  readonly concurrent: readonly Operation<Input, Output>[]
}

/** How many operations of an order are shown, from its end. */
const SHOWN = 12

/** A violation for people: times in ms, who, what, and what came of it. */
export function describeViolation<State, Input, Output>(
  violation: Violation<State, Input, Output>,
  { words = {} }: SequentialModel<State, Input, Output>,
): string[] {
  const { unexplained, order, state, concurrent } = violation
  const shown = order.slice(-SHOWN)
  const left = order.length - shown.length
  const answer = (operation: Operation<Input, Output>): string => {
    if (!isAnswered(operation)) return 'no answer'
    return operation.returned > unexplained.returned
      ? 'answered later'
      : (words.output ?? plain)(operation.output)
  }
  const rows = [unexplained, ...shown, ...concurrent].map((operation) => ({
    when: `${ms(operation.called)} to ${isAnswered(operation) ? ms(operation.returned) : '?'}`,
    who: operation.process,
    what: `${(words.input ?? plain)(operation.input)} -> ${answer(operation)}`,
  }))
  const when = Math.max(...rows.map((row) => row.when.length))
  const who = Math.max(...rows.map((row) => row.who.length))
  const lines = rows.map((row) => `  ${row.when.padStart(when)}  ${row.who.padEnd(who)}  ${row.what}`)
  const others = lines.slice(1 + shown.length)
  return [
    'no order of the operations explains this answer (times in ms):',
    lines[0]!,
    `an order that explains ${order.length === 0 ? 'everything before: nothing' : 'the answers before'}:`,
    ...(left > 0 ? [`  (${left} operations before)`] : []),
    ...lines.slice(1, 1 + shown.length),
    `which leaves: ${(words.state ?? plain)(state)}`,
    ...(others.length > 0 ? ['called before that answer, without effect in this order:', ...others] : []),
  ]
}

function ms(time: number): string {
  return String(Math.round(time * 1000) / 1000)
}

function plain(value: unknown): string {
  return inspect(value, { breakLength: Infinity, depth: 4 })
}
