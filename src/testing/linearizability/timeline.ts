import { BanyanError } from '../../core/errors.js'
import { isAnswered, type Operation } from './operation.js'

/**
 * Calls and returns in the order of time. Each answered operation has a slot from its call to its return, which no other has
 * meanwhile: so a set of operations that are under way is a few bits, however long the history is.
 */
export interface Timeline {
  /** A call is the index of its operation, a return the complement (`~`) of it. */
  readonly events: Int32Array
  /** The slot of each answered operation; the ordinal, among its like, of each unanswered one. */
  readonly slotOf: Int32Array
  /** How many slots there are: the most answered operations that were under way at once. */
  readonly slots: number
  /** The unanswered operations, in the order of their calls. */
  readonly unanswered: Int32Array
}

/** Lays out a history that {@link checkHistory} has passed. */
export function layOut(operations: readonly Operation<unknown, unknown>[]): Timeline {
  const order: { at: number; event: number }[] = []
  for (const [index, operation] of operations.entries()) {
    order.push({ at: operation.called, event: index })
    if (isAnswered(operation)) order.push({ at: operation.returned, event: ~index })
  }
  // At the same time, calls come first: what touches is concurrent.
  order.sort((a, b) => a.at - b.at || Number(a.event < 0) - Number(b.event < 0))
  const slotOf = new Int32Array(operations.length)
  const unanswered: number[] = []
  const free: number[] = []
  let slots = 0
  for (const { event } of order)
    if (event < 0) free.push(slotOf[~event]!)
    else if (isAnswered(operations[event]!)) slotOf[event] = free.pop() ?? slots++
    else slotOf[event] = unanswered.push(event) - 1
  return {
    events: Int32Array.from(order, ({ event }) => event),
    slotOf,
    slots,
    unanswered: Int32Array.from(unanswered),
  }
}

/** @throws {@link BanyanError} `BANYAN_INVALID_HISTORY` unless these are operations, called at some time and not returned before */
export function checkHistory(history: unknown): void {
  if (!Array.isArray(history)) throw invalid('a history is a list of operations')
  for (const [index, operation] of history.entries()) {
    if (typeof operation !== 'object' || operation === null)
      throw invalid(`operation ${index} of the history is none`)
    checkTimes(operation as Operation<unknown, unknown>)
  }
}

function checkTimes({ process, called, returned }: Operation<unknown, unknown>): void {
  if (Number.isNaN(called) || typeof called !== 'number' || (returned !== undefined && !(returned >= called)))
    throw invalid(
      `an operation of ${process} was called at ${called} and returned at ${returned}; times are numbers of ms, and a return is not before its call`,
    )
}

function invalid(message: string): BanyanError {
  return new BanyanError('BANYAN_INVALID_HISTORY', message)
}
