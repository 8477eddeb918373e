import { Configurations } from './configurations.js'
import { UNKNOWN, type SequentialModel, type Step } from './model.js'
import { isAnswered, type Operation } from './operation.js'
import { Place } from './place.js'
import { layOut } from './timeline.js'

/** What a search has come to, and how much work it was. */
export type Found<State> = { readonly steps: number } & (
  { readonly is: 'order' } | { readonly is: 'stuck'; readonly stuck: Stuck<State> } | { readonly is: 'limit' }
)

/** Where the search that came farthest could not go on. All operations are indices of the history. */
export interface Stuck<State> {
  /** The first operation, by returns, that cannot be explained: up to its return everything can. */
  readonly due: number
  /** The most that could be put in order, in that order. */
  readonly order: Int32Array
  /** The state after that. */
  readonly state: State
  /** What else was under way and not in the order. */
  readonly others: readonly number[]
}

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
  const farthest = new Farthest<State>()
  let state = model.init()
  let stateId = idOf(state)
  let candidate = 0

  while (!place.isEnd) {
    if (candidate === place.candidates) {
      farthest.note(place, choices, state)
      const last = choices.pop()
      if (!last) return { is: 'stuck', stuck: farthest.stuck!, steps: steps + seen.compared }
      place.untake(last.operation, last.position)
      ;({ state, stateId, candidate } = last)
      continue
    }
    const index = place.candidate(candidate++)
    if (index < 0) continue
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
      ;({ state } = step)
      stateId = nextId
      candidate = 0
    } else place.untake(index, position)
  }
  return { is: 'order', steps: steps + seen.compared }
}

/**
 * Keeps the best of the places at which a search could not go on: the latest; of these one with the most answered operations in
 * order; of these one with the fewest unanswered ones.
 */
class Farthest<State> {
  stuck: Stuck<State> | undefined
  #position = -1
  #answered = -1
  #used = -1

  note(place: Place, choices: readonly Choice<State>[], state: State): void {
    const { position, usedCount } = place
    const answered = choices.length - usedCount
    const more = position - this.#position || answered - this.#answered || this.#used - usedCount
    if (more <= 0) return
    this.#position = position
    this.#answered = answered
    this.#used = usedCount
    const others: number[] = []
    for (let candidate = 1; candidate < place.candidates; candidate++) {
      const operation = place.candidate(candidate)
      if (operation >= 0) others.push(operation)
    }
    const order = Int32Array.from(choices, ({ operation }) => operation)
    this.stuck = { due: place.due, order, state, others }
  }
}
