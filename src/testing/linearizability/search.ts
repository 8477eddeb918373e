import { Configurations } from './configurations.js'
import { UNKNOWN, type SequentialModel, type Step } from './model.js'
import { isAnswered, type Operation } from './operation.js'
import { Place } from './place.js'
import { Ranks } from './ranks.js'
import { layOut } from './timeline.js'

/** What a search has come to, and how much work it was. */
export type Found<State> = { readonly steps: number } & (
  | {
      readonly is: 'order'
      /** Indices of the operations, in that order. */
      readonly order: readonly number[]
      /** The state after that. */
      readonly state: State
    }
  | {
      readonly is: 'none'
      /** An operation; what returned before it did can be put in order. */
      readonly reached: number
    }
  | { readonly is: 'limit' }
)

/** An operation of the order, and what to go back to when it is taken out again. */
interface Choice<State> {
  readonly operation: number
  readonly state: State
  readonly stateId: number
  readonly position: number
  readonly candidate: number
}

/**
 * Looks for an order of all answered operations, and of as many unanswered ones as it takes, in which each has the output that it
 * had, and none comes before one that had returned before its call.
 *
 * The search is that of Wing and Gong ("Testing and verifying concurrent objects", 1993) with the cache of Lowe ("Testing for
 * linearizability", 2017), as in Porcupine; unlike there, unanswered operations may be left out.
 *
 * @param limit - steps of the model and comparisons of configurations, at most
 */
export function searchOrder<State, Input, Output>(
  model: SequentialModel<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
  limit: number,
): Found<State> {
  const place = new Place(layOut(operations))
  const seen = new Configurations(place.ordered.length, place.used.length)
  const stateIds = new Map<string, number>()
  const idOf = (each: State): number => {
    const key = model.key(each)
    let id = stateIds.get(key)
    if (id === undefined) stateIds.set(key, (id = stateIds.size))
    return id
  }
  let steps = 0
  const stepOf = (before: State, index: number): Step<State> => {
    steps++
    const operation = operations[index]!
    return model.step(before, operation.input, isAnswered(operation) ? operation.output : UNKNOWN)
  }
  const choices: Choice<State>[] = []
  const ranks = new Ranks(model, operations)
  let farthest = place.position
  let state = model.init()
  let stateId = idOf(state)
  let candidate = 0

  while (!place.isEnd) {
    if (candidate === place.candidates) {
      const last = choices.pop()
      if (!last) return { is: 'none', reached: place.returning(farthest), steps: steps + seen.compared }
      place.untake(last.operation, last.position)
      ranks.untake(last.operation)
      ;({ state, stateId, candidate } = last)
      continue
    }
    const index = place.candidate(candidate++)
    if (index < 0 || !ranks.isNext(index)) continue
    if (steps + seen.compared >= limit || seen.full) return { is: 'limit', steps: steps + seen.compared }
    const step = stepOf(state, index)
    if (!step.ok) continue
    const nextId = idOf(step.state)
    // What has no answer is in the order only for what it changes.
    if (nextId === stateId && place.isUnanswered(index)) continue
    const last = choices.at(-1)
    if (last && place.isUnanswered(last.operation)) {
      // And only for an operation that comes to something else without it.
      const without = stepOf(last.state, index)
      if (without.ok && idOf(without.state) === nextId) continue
    }
    const { position } = place
    place.take(index)
    if (seen.add(place.position, nextId, place.ordered, place.used)) {
      choices.push({ operation: index, state, stateId, position, candidate })
      ranks.take(index)
      farthest = Math.max(farthest, place.position)
      ;({ state } = step)
      stateId = nextId
      candidate = 0
    } else place.untake(index, position)
  }
  return {
    is: 'order',
    order: choices.map(({ operation }) => operation),
    state,
    steps: steps + seen.compared,
  }
}
