import { inspect } from 'node:util'
import type { SequentialModel } from './model.js'
import { isAnswered, type Operation } from './operation.js'
import type { Stuck } from './search.js'

/** Why a history is not linearizable. Up to the return of `unexplained` it is. */
export interface Violation<State, Input, Output> {
  /** The name of the part of the history; empty if the model does not take histories apart. */
  readonly partition: string
  /** The first operation, by returns, whose output no order explains. */
  readonly unexplained: Operation<Input, Output>
  /** The longest order that was found of what comes before, with unanswered operations that have taken effect in it. */
  readonly order: readonly Operation<Input, Output>[]
  /** The state after that order. */
  readonly state: State
  /** What else was under way when `unexplained` returned, and is not in the order. */
  readonly concurrent: readonly Operation<Input, Output>[]
}

/** The operations that a search was stuck with. */
export function violationOf<State, Input, Output>(
  partition: string,
  operations: readonly Operation<Input, Output>[],
  { due, order, state, others }: Stuck<State>,
): Violation<State, Input, Output> {
  return {
    partition,
    unexplained: operations[due]!,
    order: Array.from(order, (index) => operations[index]!),
    state,
    concurrent: others.map((index) => operations[index]!),
  }
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
  const rows = [unexplained, ...shown, ...concurrent].map((operation) => ({
    when: `${ms(operation.called)} to ${isAnswered(operation) ? ms(operation.returned) : '?'}`,
    who: operation.process,
    what: `${(words.input ?? plain)(operation.input)} -> ${isAnswered(operation) ? (words.output ?? plain)(operation.output) : 'no answer'}`,
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
    ...(others.length > 0 ? ['under way at the same time, and of no help:', ...others] : []),
  ]
}

function ms(time: number): string {
  return String(Math.round(time * 1000) / 1000)
}

function plain(value: unknown): string {
  return inspect(value, { breakLength: Infinity, depth: 4 })
}
