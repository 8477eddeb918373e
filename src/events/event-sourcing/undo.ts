import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import { eventError } from '../errors.js'
import type { EventLog, EventShape, Metadata, Recorded } from '../log.js'
import type { CommandOptions, Decision } from './command-handler.js'
import type { Decider } from './decider.js'
import type { Replays, Seen } from './replay.js'
import { UndoHistory, type Task } from './undo-history.js'

/**
 * What takes an event back, for each type that can be.
 *
 * @param event - what is taken back
 * @param before - the state when it happened
 * @param now - the present state, with what was taken back so far of the same command
 * @returns events that make up for it; `[]` if there is nothing to make up for; `undefined` if it cannot be taken back
 * @throws anything, to refuse
 */
export type Inverses<State, Event extends EventShape> = {
  readonly [Type in Event['type']]?: (
    event: Extract<Event, { readonly type: Type }>,
    before: State,
    now: State,
  ) => Made<Event> | readonly Made<Event>[] | undefined
}

/** An event; the names of types in what functions return stay literal, although the type is still to be inferred. */
type Made<Event extends EventShape> = Event & { readonly type: Event['type'] }

/** Options of {@link undoable}. */
export interface UndoableOptions<State, Event extends EventShape> {
  /** By the type of event. What has none cannot be undone. */
  inverse: Inverses<State, Event>
  /**
   * Looks at the state that an undo or a redo would leave, and throws if it must not be: what `decide` refuses, they must
   * not bring about. Default: every state is taken.
   */
  check?: (state: State) => void
}

const OPTIONS: OptionTable<UndoableOptions<unknown, EventShape>> = {
  inverse: { kind: 'code', type: 'object', doc: 'what takes an event of each type back' },
  check: { kind: 'code', type: 'function', doc: 'throws at a state that must not be' },
}

/** A decider whose commands can be undone. */
export interface UndoableDecider<State, Command, Event extends EventShape>
  extends Decider<State, Command, Event>, UndoableOptions<State, Event> {}

/**
 * Says how the events of a decider are taken back. Its repository has `undo` and `redo` then.
 *
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function undoable<State, Command, Event extends EventShape>(
  decider: Decider<State, Command, Event>,
  // What the events are, the decider says; the types of what inverses give would widen them.
  options: NoInfer<UndoableOptions<State, Event>>,
): UndoableDecider<State, Command, Event> {
  checkOptions('undoable', OPTIONS, options as unknown as UndoableOptions<unknown, EventShape>)
  for (const [type, inverse] of Object.entries<unknown>(options.inverse))
    if (typeof inverse !== 'function' && inverse !== undefined)
      throw new BanyanError('BANYAN_INVALID_OPTIONS', `undoable: inverse.${type} must be a function`)
  return {
    initialState: () => decider.initialState(),
    decide: (command, state) => decider.decide(command, state),
    evolve: (state, event) => decider.evolve(state, event),
    ...options,
  }
}

/** What is said with an undo. */
export interface UndoOptions extends CommandOptions {
  /**
   * Id of the command to take back, whatever has happened since; or of an undo, which is then redone. Default: the last
   * command that is not undone.
   */
  of?: string
}

/** What would be undone and redone next: ids of commands. */
export interface UndoState {
  readonly undo: string | undefined
  readonly redo: string | undefined
}

/** Decides what undoes and redoes commands: events like all others, whose metadata say what they are about. */
export class Undoing<State, Event extends EventShape> {
  readonly #log: EventLog
  readonly #replays: Replays<State, Event>
  readonly #options: UndoableOptions<State, Event>

  constructor(log: EventLog, replays: Replays<State, Event>, options: UndoableOptions<State, Event>) {
    this.#log = log
    this.#replays = replays
    this.#options = options
  }

  /** What takes a command back; see {@link UndoOptions.of}. */
  async undo(
    stream: string,
    seen: Seen<State>,
    metadata: Metadata | undefined,
    of: string | undefined,
  ): Promise<Decision<Event>> {
    return this.#ask(stream, seen, async (history) => {
      if (of !== undefined) return this.#decide(stream, await history.of(of), seen.state, metadata)
      // What there is nothing to make up for does not stand in the way of what was before it.
      for (let task = await history.lastDone(); task; task = await history.lastDone()) {
        const events = await this.#inverted(stream, task, seen.state)
        if (events.length > 0) return this.#decision(task, events, seen.state, metadata)
      }
      throw notUndoable(`nothing of ${stream} is left to undo`)
    })
  }

  /** What does the last command again that was undone. */
  async redo(stream: string, seen: Seen<State>, metadata: Metadata | undefined): Promise<Decision<Event>> {
    const task = await this.#ask(stream, seen, (history) => history.lastUndone())
    if (!task) throw notUndoable(`nothing of ${stream} is left to redo`)
    return this.#decide(stream, task, seen.state, metadata)
  }

  async state(stream: string): Promise<UndoState> {
    const seen = await this.#replays.load(stream)
    const undo = await this.#ask(stream, seen, async (history) => {
      for (let task = await history.lastDone(); task; task = await history.lastDone())
        if (await this.#changesSomething(stream, task, seen.state)) return task
      return undefined
    })
    const redo = await this.#ask(stream, seen, (history) => history.lastUndone())
    return { undo: undo?.command, redo: redo?.command }
  }

  async #ask<Answer>(
    stream: string,
    { revision }: Pick<Seen<State>, 'revision'>,
    question: (history: UndoHistory<Event>) => Promise<Answer>,
  ): Promise<Answer> {
    const history = new UndoHistory<Event>(this.#log, stream, revision)
    try {
      return await question(history)
    } finally {
      await history.close()
    }
  }

  async #decide(
    stream: string,
    task: Task<Event>,
    state: State,
    metadata: Metadata | undefined,
  ): Promise<Decision<Event>> {
    const events = task.does === 'undo' ? await this.#inverted(stream, task, state) : task.events.map(again)
    if (events.length === 0)
      throw notUndoable(`the command ${task.command} of ${stream} has nothing that could be taken back`)
    return this.#decision(task, events, state, metadata)
  }

  #decision(
    { does, command }: Task<Event>,
    events: readonly Event[],
    state: State,
    metadata: Metadata | undefined,
  ): Decision<Event> {
    this.#options.check?.(events.reduce((state, event) => this.#replays.evolve(state, event), state))
    return { events, metadata: { ...metadata, [does === 'undo' ? 'undoes' : 'redoes']: command } }
  }

  /** Whether an undo would take this command; one that it would refuse to take back, too. */
  async #changesSomething(stream: string, task: Task<Event>, state: State): Promise<boolean> {
    try {
      return (await this.#inverted(stream, task, state)).length > 0
    } catch {
      return true
    }
  }

  /** The inverses of its events, the last first. */
  async #inverted(stream: string, { command, events }: Task<Event>, present: State): Promise<Event[]> {
    let { state } = await this.#replays.loadBefore(stream, events[0]!.revision)
    const steps = events.map((recorded) => {
      const event = recorded as unknown as Event
      const before = state
      state = this.#replays.evolve(state, event)
      return { event, before }
    })
    const inverted: Event[] = []
    let now = present
    for (const { event, before } of steps.reverse()) {
      const result = this.#inverseOf(event, before, now)
      if (result === undefined)
        throw notUndoable(
          `the command ${command} of ${stream} has led to ${event.type}, which cannot be taken back: ` +
            `its decider has no inverse for it${event.type in this.#options.inverse ? ' here' : ''}`,
        )
      for (const inverse of [result].flat() as Event[]) {
        inverted.push(inverse)
        now = this.#replays.evolve(now, inverse)
      }
    }
    return inverted
  }

  #inverseOf(event: Event, before: State, now: State): Event | readonly Event[] | undefined {
    const { inverse } = this.#options
    if (!Object.hasOwn(inverse, event.type)) return undefined
    const inverseOf = inverse[event.type as Event['type']] as
      ((event: Event, before: State, now: State) => Event | readonly Event[] | undefined) | undefined
    return inverseOf?.(event, before, now)
  }
}

/** The same event to be appended once more. */
function again<Event extends EventShape>(recorded: Recorded<Event>): Event {
  const { type, data, tags, schemaVersion } = recorded
  return { type, ...(data !== undefined && { data }), tags, schemaVersion } as unknown as Event
}

/** @throws `BANYAN_INVALID_OPTIONS` if somebody says what only undo and redo say */
export function refuseUndoMetadata(metadata: Metadata | undefined): void {
  for (const name of ['undoes', 'redoes'])
    if (metadata && Object.hasOwn(metadata, name))
      throw new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        `metadata.${name} says what an undo or redo is about, and is set by these only`,
      )
}

function notUndoable(why: string): Error {
  return eventError('BANYAN_NOT_UNDOABLE', `${why}; nothing was appended`)
}
