import type { EventShape } from '../log.js'

/**
 * What a thing does, as three pure functions. No time, chance or I/O: what a decision needs of them stands in the command.
 *
 * (Jérémie Chassaing, "Functional Event Sourcing Decider", 2021.)
 */
export interface Decider<State, Command, Event extends EventShape> {
  /** Before anything has happened. */
  initialState(): State
  /**
   * What happens in answer to a command.
   *
   * @returns events; none if there is nothing to do
   * @throws anything, to refuse: nothing is appended, and whoever handles the command gets it
   */
  decide(command: Command, state: State): Event | readonly Event[]
  /** The state after an event. Must take every event that was ever appended, and leave the given state as it is. */
  evolve(state: State, event: Event): State
}
