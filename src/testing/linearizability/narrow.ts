import type { Violation } from './evidence.js'
import type { SequentialModel } from './model.js'
import { isAnswered, type AnsweredOperation, type Operation } from './operation.js'
import { searchOrder } from './search.js'

/**
 * Finds the first answer of a history that cannot be explained. What is known at a return are the answers up to it; if these cannot
 * be explained, no later ones can. So it is found by trying some returns.
 *
 * @param operations - which are not linearizable
 * @param reached - what returned before this one can be explained
 * @param limit - steps of the model and comparisons of configurations, at most; then it is only narrowed down
 */
export function narrow<State, Input, Output>(
  model: SequentialModel<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
  reached: number,
  limit: number,
): Omit<Violation<State, Input, Output>, 'partition'> & { steps: number } {
  const returns = operations.filter(isAnswered).sort((a, b) => a.returned - b.returned)
  let steps = 0
  const search = (count: number) => {
    const known = knownAt(operations, returns, count)
    const found = searchOrder(
      model,
      known.map(({ seen }) => seen),
      limit - steps,
    )
    steps += found.steps
    return { known, found }
  }
  let right = returns.indexOf(operations[reached] as AnsweredOperation<Input, Output>)
  let wrong = returns.length
  let best = search(right)
  // What the search has reached is mostly it, so the first steps are small ones.
  for (let stride = 1; wrong - right > 1;) {
    const middle = right + Math.min(stride, (wrong - right) >> 1)
    const tried = search(middle)
    if (tried.found.is === 'limit') break
    if (tried.found.is === 'none') wrong = middle
    else {
      best = tried
      right = middle
      stride *= 2
    }
  }
  const unexplained = returns[wrong - 1]!
  const { known, found } = best
  const order = found.is === 'order' ? found.order.map((index) => known[index]!.operation) : []
  const state = found.is === 'order' ? found.state : model.init()
  const inOrder = new Set(order)
  const concurrent = operations.filter(
    (operation) =>
      operation !== unexplained && operation.called <= unexplained.returned && !inOrder.has(operation),
  )
  return { unexplained, order, state, concurrent, steps }
}

/** What is known when the first so many have returned: the others have no answer. */
function knownAt<Input, Output>(
  operations: readonly Operation<Input, Output>[],
  returns: readonly AnsweredOperation<Input, Output>[],
  count: number,
): { operation: Operation<Input, Output>; seen: Operation<Input, Output> }[] {
  const answered = new Set<Operation<Input, Output>>(returns.slice(0, count))
  const until = returns[count - 1]?.returned ?? -Infinity
  return operations
    .filter(({ called }) => called <= until)
    .map((operation) => {
      const { process, input, called } = operation
      return { operation, seen: answered.has(operation) ? operation : { process, input, called } }
    })
}
